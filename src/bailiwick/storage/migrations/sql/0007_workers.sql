-- Workers hold leases; a lease lapses against the database's clock.

-- Extends a worker's lease. Returns null when it was declared dead; otherwise
-- the tasks it still holds, so that it can drop what was taken from it.
create function worker_heartbeat(p_worker uuid, p_lease_seconds double precision) returns uuid[]
language plpgsql as $$
begin
    update workers w
    set heartbeat_at = now(), lease_until = now() + make_interval(secs => p_lease_seconds)
    where w.id = p_worker and w.state in ('active', 'draining');
    if not found then
        return null;
    end if;
    return (select coalesce(array_agg(t.id), '{}') from tasks t
            where t.worker_id = p_worker and t.state = 'executing');
end $$;

-- Gives back tasks that a worker holds but does not execute: the answer to their
-- claim was lost. Counts as no recovery, for nothing was begun. Returns how many.
create function worker_return(p_worker uuid, p_tasks uuid[]) returns int
language plpgsql as $$
declare
    v_n int;
begin
    with strays as (
        select t.id from tasks t
        where t.worker_id = p_worker and t.state = 'executing' and t.id = any (p_tasks)
        order by t.id for no key update
    )
    update tasks t set state = 'available', fence = t.fence + 1, worker_id = null
    from strays s where t.id = s.id;
    get diagnostics v_n = row_count;
    return v_n;
end $$;

-- Declares lapsed workers dead and frees their tasks, and those of workers that
-- no longer exist. A task that lost its worker p_max times is a poison task:
-- it is discarded instead. Returns what happened and when the next lease lapses.
create function worker_reap(p_self uuid, p_max int)
returns table (dead uuid[], recovered int, poisoned int, next_seconds double precision)
language plpgsql as $$
declare
    v_poison jsonb;
begin
    with lapsed as (
        update workers w set state = 'dead'
        -- While the server was away nobody could extend a lease; all begin anew with it.
        where w.state in ('active', 'draining') and w.lease_until < now() and w.id <> p_self
          and pg_postmaster_start_time() + (w.lease_until - w.heartbeat_at) < now()
        returning w.id
    )
    select coalesce(array_agg(id), '{}') into dead from lapsed;

    with orphans as (
        select t.ctid as place from tasks t
        where t.state = 'executing'
          and not exists (select 1 from workers w where w.id = t.worker_id and w.state in ('active', 'draining'))
        order by t.id for update skip locked
    ), freed as (
        update tasks t
        set state = 'available', fence = t.fence + 1, worker_id = null, recoveries = t.recoveries + 1
        -- Found by their places: a plan made while the table was empty would walk through all of it.
        where t.ctid = any (array(select o.place from orphans o))
        returning t.id, t.recoveries, t.parent_id
    )
    select count(*), jsonb_agg(jsonb_build_object(
            't', f.id, 'st', 'discarded', 'p', f.parent_id,
            'why', format('lost its worker %s times; it may be what kills them', f.recoveries)))
        filter (where f.recoveries >= p_max)
    into recovered, v_poison from freed f;

    poisoned := 0;
    if v_poison is not null then
        perform task_finish(v_poison);
        poisoned := jsonb_array_length(v_poison);
    end if;
    select extract(epoch from min(w.lease_until) - now()) into next_seconds
    from workers w where w.state in ('active', 'draining') and w.id <> p_self;
    return next;
end $$;

-- Forgets workers that left or died long ago and hold nothing. Returns how many.
create function workers_forget(p_days int) returns int
language plpgsql as $$
declare
    v_n int;
begin
    delete from workers w
    where w.state in ('dead', 'stopped') and w.heartbeat_at < now() - make_interval(days => p_days)
      and not exists (select 1 from tasks t where t.worker_id = w.id);
    get diagnostics v_n = row_count;
    return v_n;
end $$;

select engine_function('worker_heartbeat(uuid, double precision)');
select engine_function('worker_return(uuid, uuid[])');
select engine_function('worker_reap(uuid, int)');
select engine_function('workers_forget(int)');
