-- What organizations use: counted where it happens, folded into days.

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

create function usage_month(p_at timestamptz) returns date
language sql immutable as $$ select date_trunc('month', p_at at time zone 'UTC')::date $$;

create function usage_day(p_at timestamptz) returns date
language sql immutable as $$ select (p_at at time zone 'UTC')::date $$;

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

select engine_function('usage_report(uuid, bigint, jsonb)');
select engine_function('usage_fold(int)');
select engine_function('usage_between(uuid, date, date)');
