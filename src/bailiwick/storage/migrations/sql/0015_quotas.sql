-- Rate limits, plans, quotas and the metering of what organizations use.

-- What an organization may have: {resource: {soft, hard}}, and how fast it may ask:
-- {scope: {per_minute, burst}}; what a plan does not name is not bounded, a rate that
-- it does not name is that of the plan 'unlimited'.
create table plans (
    name text primary key check (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    description text not null default '',
    quotas jsonb not null default '{}',
    rates jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
select installation_table('plans');
insert into plans (name, description, rates) values (
    'unlimited', 'No quotas; what every organization has until it is given another plan.',
    '{"key": {"per_minute": 600, "burst": 120}, "user": {"per_minute": 600, "burst": 120},
      "organization": {"per_minute": 3000, "burst": 600}}');

-- The plan of an organization and what differs from it; without a row: 'unlimited'.
create table organization_plans (
    organization_id uuid primary key,
    plan text not null default 'unlimited' references plans (name),
    quotas jsonb not null default '{}',
    rates jsonb not null default '{}',
    assigned_at timestamptz not null default now()
);
select tenant_table('organization_plans');

-- What is enforced: one row for each bounded resource of an organization, none for the others.
-- `used` is of `month` where the resource is counted by month.
create table quotas (
    organization_id uuid not null,
    resource text not null check (resource in ('api_calls', 'tasks', 'agents', 'storage_bytes', 'model_spend')),
    soft_limit numeric(20, 6) check (soft_limit >= 0),
    hard_limit numeric(20, 6) check (hard_limit >= 0),
    used numeric(20, 6) not null default 0,
    month date not null,
    primary key (organization_id, resource)
) with (fillfactor = 50);
select tenant_table('quotas');

-- A limit that was reached: once a month, told once.
create table quota_crossings (
    organization_id uuid not null,
    resource text not null,
    level text not null check (level in ('soft', 'hard')),
    month date not null,
    bound numeric(20, 6) not null,
    used numeric(20, 6) not null,
    reached_at timestamptz not null,
    told_at timestamptz,
    primary key (organization_id, resource, level, month)
);
create index quota_crossings_untold on quota_crossings (reached_at) where told_at is null;
select tenant_table('quota_crossings');

-- What was used on a UTC day. For what is counted the sum, for what is measured the most of the day.
create table usage_days (
    organization_id uuid not null,
    resource text not null,
    day date not null,
    amount numeric(20, 6) not null,
    primary key (organization_id, resource, day)
) with (fillfactor = 70);
select tenant_table('usage_days');

-- What was counted and is not yet in usage_days: rows are only added, so that nobody waits for
-- another's commit to count, and folded into their day by and by.
create table usage_increments (
    id bigint generated always as identity primary key,
    organization_id uuid not null,
    resource text not null,
    day date not null,
    amount numeric(20, 6) not null
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);
create index usage_increments_reading on usage_increments (organization_id, resource, day);
select tenant_table('usage_increments');

-- A process that counts in memory, and the last of its reports that was taken in.
create table usage_sources (
    id uuid primary key,
    sequence bigint not null,
    reported_at timestamptz not null default now()
);
select installation_table('usage_sources');

-- Kinds of task that are the platform's own upkeep and count for nobody; kept by every start as
-- the kinds say it of themselves.
create table unmetered_kinds (
    kind text primary key
);
select installation_table('unmetered_kinds');

-- Token buckets as the moment at which each is full again (the generic cell rate algorithm,
-- ITU-T I.371: one number instead of tokens and a time). Keys are hashes: nothing of a tenant is
-- here. Unlogged: taking a token flushes nothing to the disk; after a crash of the server all are full.
create unlogged table rate_buckets (
    key uuid primary key,
    full_at timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_threshold = 1000);
select installation_table('rate_buckets');

create function usage_month(p_at timestamptz) returns date
language sql immutable as $$ select date_trunc('month', p_at at time zone 'UTC')::date $$;

create function usage_day(p_at timestamptz) returns date
language sql immutable as $$ select (p_at at time zone 'UTC')::date $$;

-- Takes tokens from several buckets, all or nothing: [{key, rate (per second), burst, want, back}].
-- Every bucket must hold one token; then each gives what is wanted as far as it has it. `back`
-- returns tokens taken before and not used. Time is the database's, read once all buckets are held.
-- Returns, for each in order: tokens given, tokens left, and the seconds until there is one
-- (0 where there is one).
create function rate_take(p_takes jsonb, p_now timestamptz default null)
returns table (ordinal int, granted int, remaining double precision, wait_seconds double precision)
language plpgsql
set enable_seqscan = off set enable_indexscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    v_keys uuid[];
    v_now timestamptz;
    v_n int;
    v_short boolean;
begin
    select array_agg(distinct t.key order by t.key) into v_keys from jsonb_to_recordset(p_takes) as t (key uuid);
    loop
        -- In the order of their keys, as everybody does.
        perform 1 from rate_buckets b where b.key = any (v_keys) order by b.key for update;
        get diagnostics v_n = row_count;
        exit when v_n = cardinality(v_keys);
        insert into rate_buckets (key, full_at) select k, '-infinity' from unnest(v_keys) as k order by k
        on conflict do nothing;
    end loop;
    v_now := coalesce(p_now, clock_timestamp());

    -- What there is, after what comes back; in tokens.
    select bool_or(a.available < 1) into v_short
    from jsonb_to_recordset(p_takes) as t (key uuid, rate double precision, burst double precision, back int)
    join rate_buckets b on b.key = t.key
    cross join lateral (select rate_available(b.full_at, v_now, t.rate, t.burst, t.back) as available) as a;

    return query
    with wanted as (
        select t.i::int as i, t.take, (t.take ->> 'key')::uuid as key, (t.take ->> 'rate')::double precision as rate,
               (t.take ->> 'burst')::double precision as burst, coalesce((t.take ->> 'back')::int, 0) as back,
               greatest((t.take ->> 'want')::int, 1) as want
        from jsonb_array_elements(p_takes) with ordinality as t (take, i)
    ), found as (
        select w.*, b.full_at, rate_available(b.full_at, v_now, w.rate, w.burst, w.back) as available
        from wanted w join rate_buckets b on b.key = w.key
    ), given as (
        select f.*, case when v_short then 0 else least(f.want, floor(f.available))::int end as n from found f
    ), moved as (
        update rate_buckets b
        -- Rounded up to the microsecond, so that rounding never gives a token away.
        set full_at = v_now + interval '1 microsecond'
                      * ceil(1e6 * greatest(g.burst - g.available + g.n, 0) / g.rate)
        from given g
        where b.key = g.key and (g.n > 0 or g.back > 0)
    )
    select g.i - 1, g.n, g.available - g.n, case when g.available >= 1 then 0 else (1 - g.available) / g.rate end
    from given g order by g.i;
end $$;

-- The tokens in a bucket at a moment, with `p_back` returned to it.
create function rate_available(p_full_at timestamptz, p_now timestamptz, p_rate double precision,
                               p_burst double precision, p_back int) returns double precision
language sql immutable as $$
    select least(p_burst, coalesce(p_back, 0) + p_burst - case when p_full_at <= p_now then 0
                 else extract(epoch from p_full_at - p_now)::double precision * p_rate end)
$$;

-- A process may hold tokens for this long before it uses them.
create function rate_lease_seconds() returns double precision
language sql immutable as $$ select 1.0::double precision $$;

-- The rate of an organization in a scope (key, user, organization) by its own setting, its plan, or the default.
create function rate_of(p_org uuid, p_scope text) returns jsonb
language sql stable as $$
    select coalesce(
        (select coalesce(o.rates -> p_scope, p.rates -> p_scope)
         from organization_plans o join plans p on p.name = o.plan where o.organization_id = p_org),
        (select p.rates -> p_scope from plans p where p.name = 'unlimited'))
$$;

-- Lets a request pass: [{key, scope, want, back, per_minute, burst}]; a rate that is not given is
-- that of p_org in the scope. With p_calls > 0 also leases that many API calls of the organization's
-- quota; p_calls_back returns what was leased in p_calls_month and not used.
-- Returns a row for each bucket (ordinal, tokens given, left, seconds to wait, its rate, the most to
-- ask for at once), and in the last, ordinal -1, the API calls leased (null without a quota) and of which month.
create function request_admit(p_org uuid, p_takes jsonb, p_calls int, p_calls_back int, p_calls_month date)
returns table (ordinal int, granted int, remaining double precision, wait_seconds double precision,
               per_minute double precision, burst double precision, batch int, month date)
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    v_rates jsonb;
    v_refused boolean := false;
begin
    select jsonb_agg(jsonb_build_object(
        'ordinal', r.i, 'key', r.key, 'want', least(r.want, r.batch), 'back', r.back, 'rate', r.per_minute / 60,
        'per_minute', r.per_minute, 'batch', r.batch, 'whole', r.burst,
        -- Tokens held back in processes are used up to a second after they were taken; that much
        -- less is in the bucket, so that no span of time sees more than rate x span + burst.
        'burst', r.burst - case when r.batch > 1 then ceil(r.per_minute / 60 * rate_lease_seconds()) else 0 end)
        order by r.i) into v_rates
    from (
        select x.*, case when x.burst >= 40 and x.burst * 15 >= x.per_minute
                         then floor(x.burst / 20)::int else 1 end as batch
        from (
            select t.i - 1 as i, (t.take ->> 'key')::uuid as key, (t.take ->> 'want')::int as want,
                   coalesce((t.take ->> 'back')::int, 0) as back,
                   (b.rate ->> 'per_minute')::double precision as per_minute,
                   (b.rate ->> 'burst')::double precision as burst
            from jsonb_array_elements(p_takes) with ordinality as t (take, i)
            cross join lateral (select case when t.take ? 'per_minute' then t.take
                                            else rate_of(p_org, t.take ->> 'scope') end as rate) as b
        ) as x
        where x.per_minute is not null
    ) as r;
    if v_rates is not null then
        for ordinal, granted, remaining, wait_seconds, per_minute, burst, batch in
            select (v.rate ->> 'ordinal')::int, t.granted, t.remaining, t.wait_seconds,
                   (v.rate ->> 'per_minute')::double precision, (v.rate ->> 'whole')::double precision,
                   (v.rate ->> 'batch')::int
            from rate_take(v_rates) as t
            join jsonb_array_elements(v_rates) with ordinality as v (rate, i) on v.i = t.ordinal + 1
        loop
            v_refused := v_refused or granted = 0;
            return next;
        end loop;
    end if;
    if p_calls > 0 and not v_refused then
        if p_calls_back > 0 then
            perform quota_return(p_org, 'api_calls', p_calls_back, p_calls_month);
        end if;
        ordinal := -1;
        month := usage_month(now());
        granted := quota_take(p_org, 'api_calls', p_calls, 1);
        return next;
    end if;
end $$;

-- Deletes buckets that have been full for a minute: a bucket that is not there is full. Returns how many.
create function rate_sweep() returns int
language sql as $$
    with idle as (
        select b.key from rate_buckets b where b.full_at < now() - interval '1 minute' for update skip locked
    ), gone as (
        delete from rate_buckets b using idle i where b.key = i.key returning 1
    )
    select count(*)::int from gone
$$;

-- Notes that a use reached a limit; once a month.
create function quota_note(p_quota quotas, p_before numeric, p_after numeric, p_at timestamptz) returns void
language sql as $$
    insert into quota_crossings (organization_id, resource, level, month, bound, used, reached_at)
    select p_quota.organization_id, p_quota.resource, l.level, usage_month(p_at), l.bound, p_after, p_at
    from (values ('soft', p_quota.soft_limit), ('hard', p_quota.hard_limit)) as l (level, bound)
    where p_before < l.bound and p_after >= l.bound
    on conflict do nothing
$$;

-- Locks and returns a quota as it is in the month of p_at: a new month begins at nothing.
create function quota_locked(p_org uuid, p_resource text, p_at timestamptz) returns quotas
language plpgsql as $$
declare
    q quotas;
begin
    select * into q from quotas r where r.organization_id = p_org and r.resource = p_resource for update;
    if q.resource in ('api_calls', 'tasks', 'model_spend') and q.month < usage_month(p_at) then
        q.used := 0;
        q.month := usage_month(p_at);
    end if;
    return q;
end $$;

create function quota_write(p_quota quotas, p_used numeric, p_at timestamptz) returns void
language plpgsql as $$
begin
    update quotas r set used = p_used, month = p_quota.month
    where r.organization_id = p_quota.organization_id and r.resource = p_quota.resource;
    perform quota_note(p_quota, p_quota.used, p_used, p_at);
end $$;

-- Takes up to p_want of a quota, at least p_need or nothing, never beyond the hard limit, and returns
-- what it took; null where there is no quota. Holds the quota's row until commit.
create function quota_take(p_org uuid, p_resource text, p_want numeric, p_need numeric,
                           p_at timestamptz default now()) returns numeric
language plpgsql as $$
declare
    q quotas := quota_locked(p_org, p_resource, p_at);
    v_n numeric := p_want;
begin
    if q.resource is null then
        return null;
    end if;
    if q.hard_limit is not null then
        if q.used + p_need > q.hard_limit then
            -- Refused: the limit is reached, even where something too small for this is left.
            perform quota_note(q, q.hard_limit - 1, q.hard_limit, p_at);
            return 0;
        end if;
        v_n := least(p_want, q.hard_limit - q.used);
        if p_resource = 'api_calls' then
            -- Small blocks near the end, so that no process keeps what another needs.
            v_n := least(v_n, greatest(p_need, floor((q.hard_limit - q.used) / 100)));
        end if;
    end if;
    perform quota_write(q, q.used + v_n, p_at);
    return v_n;
end $$;

-- Gives back what was taken of a quota in a month and not used.
create function quota_return(p_org uuid, p_resource text, p_amount numeric, p_month date) returns void
language sql as $$
    update quotas q set used = greatest(q.used - p_amount, 0)
    where q.organization_id = p_org and q.resource = p_resource and q.month = p_month
$$;

-- Raises what a door translates: over a hard limit.
create function quota_refuse(p_org uuid, p_resource text) returns void
language plpgsql as $$
declare
    q quotas := quota_locked(p_org, p_resource, now());
begin
    raise exception 'the quota of % is used up', p_resource using errcode = 'BW402',
        detail = jsonb_build_object('organization_id', p_org, 'resource', p_resource, 'used', q.used,
                                    'hard_limit', q.hard_limit)::text;
end $$;

-- How many more tasks organizations may be given now; those without a hard limit are left out.
-- Holds their quotas until commit, so that the answer stays true.
create function quota_rooms(p_orgs uuid[]) returns table (org uuid, room numeric)
language plpgsql as $$
declare
    q quotas;
begin
    for org in select distinct o from unnest(p_orgs) as o order by o loop
        q := quota_locked(org, 'tasks', now());
        continue when q.hard_limit is null;
        room := greatest(q.hard_limit - q.used, 0);
        return next;
    end loop;
end $$;

-- Counts tasks where they are added, whoever adds them, in the same transaction; refuses all of a
-- statement's tasks if an organization would exceed its hard limit, or its storage is full. A
-- redriven task was counted when it was made: it comes back with the time of then. The platform's
-- own upkeep goes on uncounted: some of it makes room, and an erasure is owed whatever is used up.
create function tasks_meter() returns trigger
language plpgsql as $$
declare
    v record;
begin
    for v in
        with made as (
            select a.organization_id, count(*) as tasks from added a
            -- Not a join: the kinds are read once for all rows, whatever plans the caller switched off.
            where a.inserted_at = now() and a.kind not in (select u.kind from unmetered_kinds u)
            group by a.organization_id
        ), counted as (
            insert into usage_increments (organization_id, resource, day, amount)
            select m.organization_id, 'tasks', usage_day(now()), m.tasks from made m
        )
        select m.*, q.resource, q.used, q.hard_limit from made m
        join quotas q on q.organization_id = m.organization_id and q.resource in ('storage_bytes', 'tasks')
        order by q.organization_id, q.resource
    loop
        if v.resource = 'tasks' then
            if quota_take(v.organization_id, 'tasks', v.tasks, v.tasks) = 0 then
                perform quota_refuse(v.organization_id, 'tasks');
            end if;
        elsif v.used >= v.hard_limit then
            perform quota_refuse(v.organization_id, 'storage_bytes');
        end if;
    end loop;
    return null;
end $$;
create trigger tasks_meter after insert on tasks
    referencing new table as added for each statement execute function tasks_meter();

-- Counts the agents of an organization against its quota in the transaction that adds some.
create function agents_meter() returns trigger
language plpgsql as $$
declare
    v_org uuid;
    v_n numeric;
    q quotas;
begin
    for v_org in select distinct a.organization_id from added a order by 1 loop
        -- Locked before counting: another's agents are either counted here or wait for us.
        q := quota_locked(v_org, 'agents', now());
        continue when q.resource is null;
        select count(*) into v_n from agents a where a.organization_id = v_org;
        if v_n > q.hard_limit then
            perform quota_refuse(v_org, 'agents');
        end if;
        perform quota_write(q, v_n, now());
    end loop;
    return null;
end $$;
create trigger agents_meter after insert on agents
    referencing new table as added for each statement execute function agents_meter();

-- What runs were charged counts as model spend: what a run was charged before it let go of its task
-- here, what it was charged last in task_finish. It is spent already, so nothing is refused.
create function task_spend() returns trigger
language plpgsql as $$
begin
    insert into usage_increments (organization_id, resource, day, amount)
    values (new.organization_id, 'model_spend', usage_day(now()), new.cost - old.cost);
    return null;
end $$;
create trigger task_spend after update of cost on tasks
    for each row when (new.cost > old.cost) execute function task_spend();

-- All spend passes here, so that the quota knows it.
create function spend_meter() returns trigger
language plpgsql as $$
declare
    q quotas := quota_locked(new.organization_id, 'model_spend', now());
begin
    if q.resource is not null then
        perform quota_write(q, q.used + new.amount, now());
    end if;
    return null;
end $$;
create trigger spend_meter after insert on usage_increments
    for each row when (new.resource = 'model_spend') execute function spend_meter();

-- Counts money an organization is about to spend on models; false, and nothing counted, if that
-- would exceed its hard limit.
create function quota_spend(p_org uuid, p_amount numeric) returns boolean
language plpgsql as $$
declare
    q quotas := quota_locked(p_org, 'model_spend', now());
begin
    if q.used + p_amount > q.hard_limit then
        perform quota_note(q, q.hard_limit - 1, q.hard_limit, now());
        return false;
    end if;
    insert into usage_increments (organization_id, resource, day, amount)
    values (p_org, 'model_spend', usage_day(now()), p_amount);
    return true;
end $$;

-- Takes in what a process counted: [{org, resource, day, n}]. A report that was taken in before,
-- its answer lost, changes nothing and returns false.
create function usage_report(p_source uuid, p_sequence bigint, p_rows jsonb) returns boolean
language plpgsql as $$
begin
    insert into usage_sources as s (id, sequence) values (p_source, p_sequence)
    on conflict (id) do update set sequence = excluded.sequence, reported_at = now()
    where s.sequence < excluded.sequence;
    if not found then
        return false;
    end if;
    insert into usage_increments (organization_id, resource, day, amount)
    select r.org, r.resource, r.day, r.n
    from jsonb_to_recordset(p_rows) as r (org uuid, resource text, day date, n numeric);
    return true;
end $$;

-- Folds counted rows into their days, at most p_limit; returns how many. Safe beside others.
create function usage_fold(p_limit int) returns int
language plpgsql as $$
declare
    v_n int;
begin
    with taken as (
        select i.id from usage_increments i order by i.id limit p_limit for update skip locked
    ), gone as (
        delete from usage_increments i using taken s where i.id = s.id returning i.*
    ), folded as (
        insert into usage_days as d (organization_id, resource, day, amount)
        select g.organization_id, g.resource, g.day, sum(g.amount) from gone g
        group by 1, 2, 3 order by 1, 2, 3
        on conflict (organization_id, resource, day) do update set amount = d.amount + excluded.amount
    )
    select count(*) into v_n from gone;
    delete from usage_sources s where s.reported_at < now() - interval '7 days';
    return v_n;
end $$;

-- What organizations used on each day of p_from <= day < p_to; p_org null: all of them.
create function usage_between(p_org uuid, p_from date, p_to date)
returns table (organization_id uuid, resource text, day date, amount numeric)
language sql stable as $$
    select x.organization_id, x.resource, x.day, sum(x.amount)
    from (
        select d.organization_id, d.resource, d.day, d.amount from usage_days d
        where (p_org is null or d.organization_id = p_org) and d.day >= p_from and d.day < p_to
        union all
        select i.organization_id, i.resource, i.day, i.amount from usage_increments i
        where (p_org is null or i.organization_id = p_org) and i.day >= p_from and i.day < p_to
    ) as x
    group by 1, 2, 3 order by 1, 3, 2
$$;

-- What is there: agents, and the bytes of each organization's rows as they are stored (compressed,
-- without indexes). Tables up to p_exact_bytes are summed row by row; of larger ones that many
-- bytes' worth of pages are read and the sum is scaled.
create function usage_measured(p_exact_bytes bigint) returns table (org uuid, resource text, amount numeric)
language plpgsql as $$
declare
    v_table regclass;
    v_percent double precision;
begin
    for v_table in
        select c.oid::regclass from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped
        where c.relkind = 'r' and c.relpersistence = 'p' and c.relnamespace = 'public'::regnamespace
          and has_table_privilege(c.oid, 'select')
    loop
        v_percent := least(100, 100.0 * p_exact_bytes / greatest(pg_relation_size(v_table), 1));
        return query execute format(
            'select organization_id, ''storage_bytes'', sum(pg_column_size(t.*)) * (100 / %s::numeric) '
            'from %s t tablesample system (%s) where organization_id is not null group by 1',
            v_percent, v_table, v_percent);
    end loop;
    return query select a.organization_id, 'agents', count(*)::numeric from agents a group by 1;
end $$;

-- Keeps what is there now as the day's use, if it is the most of the day, and as what the quotas
-- know. Returns how many figures it measured.
create function usage_measure(p_exact_bytes bigint default 67108864, p_at timestamptz default now()) returns int
language plpgsql as $$
declare
    v record;
    q quotas;
    v_n int := 0;
begin
    for v in
        select m.org, m.resource, round(sum(m.amount)) as amount from usage_measured(p_exact_bytes) m
        group by 1, 2 order by 1, 2
    loop
        insert into usage_days as d (organization_id, resource, day, amount)
        values (v.org, v.resource, usage_day(p_at), v.amount)
        on conflict (organization_id, resource, day) do update set amount = greatest(d.amount, excluded.amount);
        q := quota_locked(v.org, v.resource, p_at);
        if q.resource is not null then
            perform quota_write(q, v.amount, p_at);
        end if;
        v_n := v_n + 1;
    end loop;
    return v_n;
end $$;

-- Bounds a resource of an organization from now on; both null lift the bound. What was used before
-- in the month counts.
create function quota_set(p_org uuid, p_resource text, p_soft numeric, p_hard numeric) returns void
language plpgsql
set lock_timeout = '5s'
as $$
declare
    q quotas;
begin
    if p_soft is null and p_hard is null then
        delete from quotas r where r.organization_id = p_org and r.resource = p_resource;
        return;
    end if;
    if not exists (select 1 from quotas r where r.organization_id = p_org and r.resource = p_resource) then
        if p_resource = 'tasks' then
            -- Whoever adds tasks now is waited for, and whoever comes later sees the quota: none is missed.
            lock table tasks in share row exclusive mode;
        elsif p_resource = 'model_spend' then
            lock table usage_increments in share row exclusive mode;
        end if;
        insert into quotas (organization_id, resource, month, used)
        values (p_org, p_resource, usage_month(now()), case
            when p_resource = 'agents' then (select count(*) from agents a where a.organization_id = p_org)
            when p_resource = 'storage_bytes' then coalesce((
                select d.amount from usage_days d where d.organization_id = p_org and d.resource = p_resource
                order by d.day desc limit 1), 0)
            else coalesce((
                select sum(u.amount) from usage_between(p_org, usage_month(now()),
                    (usage_month(now()) + interval '1 month')::date) as u where u.resource = p_resource), 0) end)
        on conflict do nothing;
    end if;
    update quotas r set soft_limit = p_soft, hard_limit = p_hard
    where r.organization_id = p_org and r.resource = p_resource;
    q := quota_locked(p_org, p_resource, now());
    -- What is over a new limit already has reached it.
    perform quota_note(q, -1, q.used, now());
end $$;

-- Makes the quotas of an organization what its plan and its own settings say.
create function quota_apply(p_org uuid) returns void
language plpgsql as $$
declare
    v record;
begin
    for v in
        select r.resource, (l.bound ->> 'soft')::numeric as soft, (l.bound ->> 'hard')::numeric as hard
        from unnest(array['agents', 'api_calls', 'model_spend', 'storage_bytes', 'tasks']) as r (resource)
        left join (
            select o.quotas as own, p.quotas as planned from organization_plans o join plans p on p.name = o.plan
            where o.organization_id = p_org) as o on true
        cross join lateral (select coalesce(o.own -> r.resource, o.planned -> r.resource) as bound) as l
    loop
        perform quota_set(p_org, v.resource, v.soft, v.hard);
    end loop;
end $$;

-- The same for every organization on a plan. Returns them.
create function plan_apply(p_plan text) returns setof uuid
language plpgsql as $$
declare
    v_org uuid;
begin
    for v_org in select o.organization_id from organization_plans o where o.plan = p_plan order by 1 loop
        perform quota_apply(v_org);
        return next v_org;
    end loop;
end $$;

-- The limits that were reached and not told yet.
create function quota_untold(p_limit int) returns setof quota_crossings
language sql stable as $$
    select * from quota_crossings c where c.told_at is null order by c.reached_at limit p_limit
$$;

select engine_function('request_admit(uuid, jsonb, int, int, date)');
select engine_function('rate_sweep()');
select engine_function('quota_rooms(uuid[])');
select engine_function('quota_return(uuid, text, numeric, date)');
select engine_function('quota_spend(uuid, numeric)');
select engine_function('tasks_meter()');
select engine_function('agents_meter()');
select engine_function('task_spend()');
select engine_function('spend_meter()');
select engine_function('usage_report(uuid, bigint, jsonb)');
select engine_function('usage_fold(int)');
select engine_function('usage_between(uuid, date, date)');
select engine_function('usage_measure(bigint, timestamptz)');
select engine_function('quota_apply(uuid)');
select engine_function('plan_apply(text)');
select engine_function('quota_untold(int)');
