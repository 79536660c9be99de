-- How fast may be asked: token buckets, and the question whether a request may pass.

-- Token buckets as the moment at which each is full again (the generic cell rate algorithm,
-- ITU-T I.371: one number instead of tokens and a time). Keys are hashes: nothing of a tenant is
-- here. Unlogged: taking a token flushes nothing to the disk; after a crash of the server all are full.
create unlogged table rate_buckets (
    key uuid primary key,
    full_at timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_threshold = 1000);
select installation_table('rate_buckets');

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

select engine_function('request_admit(uuid, jsonb, int, int, date)');
select engine_function('rate_sweep()');
