-- What may be known of the installation as a whole: counts, ages, names of kinds; never what a tenant keeps.

create function installation_tasks() returns table (state text, n bigint)
language sql stable as $$
    select t.state::text, count(*) from tasks t group by t.state
$$;

-- Tasks that never began and that no limit holds back; of those named, if any are.
create function installation_ready(p_ids uuid[]) returns table (id uuid, kind text, age_seconds double precision)
language sql stable as $$
    select t.id, t.kind, extract(epoch from now() - t.inserted_at)::float8
    from tasks t
    where t.state = 'available' and t.lane = '' and t.fence = 0 and (p_ids is null or t.id = any (p_ids))
    order by t.id limit 50
$$;

create function installation_oldest_available() returns double precision
language sql stable as $$
    select extract(epoch from now() - min(t.inserted_at))::float8 from tasks t where t.state = 'available'
$$;

-- The unfinished task that was made first: what retention must keep.
create function installation_oldest_task(p_before timestamptz)
returns table (id uuid, kind text, state text, inserted_at timestamptz)
language sql stable as $$
    select t.id, t.kind, t.state::text, t.inserted_at from tasks t
    where p_before is null or t.inserted_at < p_before order by t.inserted_at limit 1
$$;

-- Waits that nothing can end: no time, no event, and no child that is still to do.
create function installation_stuck() returns table (n bigint, example text)
language sql stable as $$
    select count(*), min(t.id::text) from tasks t
    where t.state = 'waiting' and not t.is_paused and t.run_at is null and t.wait_event is null
      and not exists (select 1 from tasks c where c.parent_id = t.id and c.is_awaited)
$$;

create function installation_late_schedules() returns table (n bigint, lag_seconds double precision, example text)
language sql stable as $$
    select count(*), extract(epoch from now() - min(s.next_fire_at))::float8, min(s.name)
    from schedules s where not s.is_paused and s.next_fire_at < now() - interval '1 second'
$$;

create function installation_open_breakers() returns table (subject text, reason text)
language sql stable as $$
    select l.subject, l.reason from limits l where l.blocked_until > now() order by l.blocked_until desc limit 20
$$;

-- Of the newest p_newest tasks, those that ended within the hour.
create function installation_ended(p_newest int) returns table (ended bigint, discarded bigint)
language sql stable as $$
    select count(*), count(*) filter (where f.state = 'discarded')
    from (select t.state, t.finished_at from finished_tasks t order by t.id desc limit p_newest) as f
    where f.finished_at > now() - interval '1 hour' and f.state <> 'cancelled'
$$;

create function installation_dead_letters() returns table (kind text, n bigint, example text)
language sql stable as $$
    select f.kind, count(*), max(f.reason) from finished_tasks f
    where f.state = 'discarded' and f.finished_at > now() - interval '1 hour'
      and f.id >= partition_bound(now() - interval '31 days')
    group by f.kind order by count(*) desc, f.kind limit 5
$$;

create function installation_rejected() returns table (n bigint, example text)
language sql stable as $$
    select count(*), max(r.reason) from rejected_records r
    where r.id >= partition_bound(now() - interval '1 hour') and r.redriven_at is null
$$;

-- Deletes keys of repetitions, or redriven records, older than a moment; a part at a time. Returns how many.
create function installation_forget(p_what text, p_before timestamptz, p_limit int) returns int
language plpgsql as $$
declare
    v_n int;
begin
    if p_what = 'event_keys' then
        delete from event_keys where ctid = any (array(
            select ctid from event_keys where recorded_at < p_before limit p_limit));
    elsif p_what = 'task_keys' then
        delete from task_keys where ctid = any (array(
            select ctid from task_keys where inserted_at < p_before limit p_limit));
    elsif p_what = 'redriven_records' then
        delete from rejected_records where ctid = any (array(
            select ctid from rejected_records where redriven_at < p_before limit p_limit));
    else
        raise exception 'nothing named % is forgotten', p_what;
    end if;
    get diagnostics v_n = row_count;
    return v_n;
end $$;

do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid::regprocedure from pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.proname like 'installation\_%'
          and p.proname <> 'installation_table'
    loop
        perform engine_function(v_function);
    end loop;
end $$;
