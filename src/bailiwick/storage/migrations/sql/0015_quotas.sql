-- Quotas: how much of a resource an organization may use, and what becomes of reaching it.

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

select engine_function('quota_rooms(uuid[])');
select engine_function('quota_return(uuid, text, numeric, date)');
select engine_function('quota_spend(uuid, numeric)');
select engine_function('quota_apply(uuid)');
select engine_function('plan_apply(text)');
select engine_function('quota_untold(int)');
