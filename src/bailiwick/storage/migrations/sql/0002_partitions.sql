-- Monthly partitions by time-ordered id: a UUIDv7 starts with its millisecond,
-- so a range of ids is a range of time and `primary key (id)` stays global.

create function partition_bound(p_moment timestamptz) returns uuid
language sql immutable as $$
    select (lpad(to_hex((extract(epoch from p_moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Creates the partitions of the months p_from .. p_from + p_months; existing ones stay.
create function partitions_ensure(p_parent text, p_from timestamptz, p_months int) returns int
language plpgsql as $$
declare
    v_month timestamptz;
    v_name text;
    v_made int := 0;
begin
    for i in 0 .. p_months loop
        v_month := date_trunc('month', p_from at time zone 'UTC') at time zone 'UTC'
                   + make_interval(months => i);
        v_name := format('%s_%s', p_parent, to_char(v_month at time zone 'UTC', 'YYYY_MM'));
        if to_regclass(v_name) is null then
            execute format(
                'create table %I partition of %I for values from (%L) to (%L)', v_name, p_parent,
                partition_bound(v_month), partition_bound(v_month + interval '1 month'));
            perform tenant_table(v_name::regclass);
            -- What the application may change of a row is granted on the parent.
            execute format('revoke update on %I from bailiwick', v_name);
            v_made := v_made + 1;
        end if;
    end loop;
    return v_made;
end $$;

-- The partitions that end at or before p_before, oldest first.
create function partitions_ended(p_parent text, p_before timestamptz) returns setof text
language sql stable as $$
    select c.relname from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = p_parent::regclass
      and c.relname ~ '_\d{4}_\d{2}$'
      and (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') at time zone 'UTC' <= p_before
    order by c.relname
$$;

-- Drops the partitions that end at or before p_before, of these p_only where that is given; returns their names.
-- `DROP` gives the disk back at once and leaves nothing to vacuum.
create function partitions_drop(p_parent text, p_before timestamptz, p_only text[] default null) returns setof text
language plpgsql
-- Everybody queues behind a waiting drop: better to try again later.
set lock_timeout = '2s'
as $$
declare
    v_name text;
begin
    for v_name in
        select e.name from partitions_ended(p_parent, p_before) as e (name)
        where p_only is null or e.name = any (p_only)
    loop
        execute format('drop table %I', v_name);
        return next v_name;
    end loop;
end $$;

select owner_function('partitions_ensure(text, timestamptz, int)');
select owner_function('partitions_drop(text, timestamptz, text[])');
