-- What else can happen to a task that is not finished: it waits, is retried,
-- promoted, taken away, paused, redriven.

-- A run lets go of its task: [{t, f, st, delay, e, sk, sn, ss, ev, key, after, seen, ch, c, l}].
-- `st` is retryable, waiting or available; a wait is journaled as an open step
-- (ss, sk, sn) that whoever ends the wait closes. `ch` lists awaited children;
-- `seen` the events after `after` that answered earlier waits.
-- Returns the tasks that were still held, and whether each is available at once.
create function task_release(p_rows jsonb)
returns table (task_id uuid, is_available boolean)
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    v record;
    v_org uuid;
    v_pending int;
begin
    if jsonb_path_exists(p_rows, '$[*].ch') then
        perform 1 from tasks t
        where t.id in (select unnest(x.ch || x.t) from jsonb_to_recordset(p_rows) as x (t uuid, ch uuid[]))
        order by t.id for no key update;
    end if;
    for v in
        select * from jsonb_to_recordset(p_rows) as x (
            t uuid, f int, st task_state, delay double precision, e jsonb, sk text, sn text, ss int,
            ev text, key text, after uuid, seen uuid[], ch uuid[], c numeric, l text[])
        order by x.t
    loop
        select t.organization_id into v_org from tasks t
        where t.id = v.t and t.fence = v.f and t.worker_id is not null for no key update;
        continue when not found;
        if v.ss is not null then
            insert into steps (organization_id, task_id, seq, kind, name, fence, labels)
            values (v_org, v.t, v.ss, v.sk, v.sn, v.f, v.l) on conflict do nothing;
        end if;
        v_pending := 0;
        if v.ch is not null then
            update tasks t set is_awaited = true where t.id = any (v.ch) and t.parent_id = v.t;
            get diagnostics v_pending = row_count;
            if v_pending = 0 then
                update steps s set finished_at = now(), result = 'null'
                where s.task_id = v.t and s.seq = v.ss;
                v.st := 'available';
            end if;
        end if;
        update tasks t
        set state = v.st, worker_id = null, pending_children = v_pending,
            run_at = case when v.st = 'available' then null else now() + make_interval(secs => v.delay) end,
            failures = t.failures + (v.e is not null)::int,
            errors = case when v.e is null then t.errors else t.errors || v.e end,
            cost = t.cost + coalesce(v.c, 0),
            wait_event = v.ev, wait_key = v.key, wait_after = v.after, wait_seen = v.seen, wait_seq = v.ss
        where t.id = v.t;
        task_id := v.t;
        is_available := v.st = 'available';
        return next;
    end loop;
end $$;

-- Promotes what is due. Returns how many it promoted, the seconds until more will
-- be due, and the seconds until a closed limit opens (a breaker, a token bucket).
create function task_promote(p_limit int)
returns table (promoted int, due_seconds double precision, opening_seconds double precision)
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
begin
    with due as (
        select t.ctid as place from tasks t
        where t.state in ('scheduled', 'retryable', 'waiting') and t.run_at <= now() and not t.is_paused
        order by t.run_at limit p_limit for update skip locked
    ), moved as (
        update tasks t
        set state = 'available', run_at = null, wait_event = null
        where t.ctid = any (array(select due.place from due))
        returning t.id, t.wait_seq
    ), answered as (
        -- A wait that ends by time answers null: a sleep is over, an event never came.
        update steps s set finished_at = now(), result = 'null'
        from moved m where s.task_id = m.id and s.seq = m.wait_seq and s.finished_at is null
    )
    select count(*) into promoted from moved;
    select extract(epoch from min(t.run_at) - now()) into due_seconds from tasks t
    where t.state in ('scheduled', 'retryable', 'waiting') and t.run_at is not null and not t.is_paused;
    select extract(epoch from min(x.opens_at) - now()) into opening_seconds
    from (
        select l.blocked_until as opens_at from limits l where l.blocked_until > now()
        union all
        select l.refilled_at + make_interval(secs => greatest(1 - l.tokens, 0) / l.rate_per_second)
        from limits l
        where l.rate_per_second is not null and l.tokens < 1
          and exists (select 1 from tasks t where t.state = 'available' and t.organization_id = l.organization_id)
    ) as x;
    return next;
end $$;

-- Ends the event waits that these events concern, each by the earliest event it
-- has not had. An event counts from the task's creation on by the database's
-- clock; ids are made by many clocks and committed in any order, so `wait_after`
-- only bounds the search. Called after the commit; run again it changes nothing.
create function task_wake_by_events(p_events uuid[]) returns int
language plpgsql
set enable_seqscan = off set enable_indexscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    v_tasks uuid[];
    v_n int;
begin
    -- Locked by a statement of its own: the next one sees each wait as it is now,
    -- and never rechecks a row by a plan over partitions, which ends PostgreSQL 18.4
    -- with a segmentation fault.
    select array_agg(distinct t.id) into v_tasks
    from unnest(p_events) as told (id)
    join events e on e.id = told.id
    cross join lateral (
        select w.id from tasks w
        where w.organization_id = e.organization_id and w.state = 'waiting'
          and w.wait_event = e.type and w.wait_key = e.key
        -- A fence: from the events to the waits, never the other way.
        offset 0) as t;
    if v_tasks is null then
        return 0;
    end if;
    perform 1 from unnest(v_tasks) as waiting (id) join tasks t on t.id = waiting.id
    order by t.id for no key update of t;

    with matched as (
        select t.id, t.wait_seq, f.id as event_id, f.type, f.key, f.payload, f.occurred_at, f.labels
        from unnest(v_tasks) as waiting (id)
        -- A fence: found by its id before it is asked how it waits, for which there is an index, too.
        cross join lateral (select w.* from tasks w where w.id = waiting.id offset 0) as t
        cross join lateral (
            select e.* from events e
            where e.organization_id = t.organization_id and e.key = t.wait_key and e.type = t.wait_event
              and e.id > t.wait_after and e.id <> all (coalesce(t.wait_seen, '{}'))
              and (e.recorded_at, e.id) > (t.inserted_at, t.id)
            order by e.id limit 1) as f
        where t.state = 'waiting' and t.wait_event is not null and not t.is_paused
    ), answered as (
        update steps s set finished_at = now(),
            result = jsonb_build_object('id', m.event_id, 'type', m.type, 'key', m.key,
                                        'payload', m.payload, 'occurred_at', m.occurred_at),
            -- The run has learned what the event tells.
            labels = case when m.labels is null then s.labels
                          else array(select unnest(s.labels) union select unnest(m.labels) order by 1) end
        from matched m
        where s.task_id = m.id and s.seq = m.wait_seq and s.finished_at is null
        returning s.task_id
    )
    update tasks t set state = 'available', run_at = null, wait_event = null
    from answered a where t.id = a.task_id;
    get diagnostics v_n = row_count;
    return v_n;
end $$;

-- Looks for events that came before their wait was committed. Waiter and
-- publisher both write first and look afterwards, so one of them sees the other.
-- p_tasks null: every waiting task, the periodic sweep after a crash between the two.
create function task_wake_from_history(p_tasks uuid[]) returns int
language sql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
    select task_wake_by_events(coalesce(array_agg(f.id), '{}'))
    from tasks t
    cross join lateral (
        select e.id from events e
        where e.organization_id = t.organization_id and e.key = t.wait_key and e.type = t.wait_event
          and e.id > t.wait_after and e.id <> all (coalesce(t.wait_seen, '{}'))
          and (e.recorded_at, e.id) > (t.inserted_at, t.id)
        order by e.id limit 1) as f
    where t.state = 'waiting' and t.wait_event is not null
      and (p_tasks is null or t.id = any (p_tasks))
$$;

-- Takes tasks away from whoever holds them and parks them until task_resume.
create function task_pause(p_org uuid, p_tasks uuid[]) returns setof uuid
language sql as $$
    with locked as (
        select t.id from tasks t
        where t.id = any (p_tasks) and t.organization_id = p_org and not t.is_paused
        order by t.id for no key update
    )
    update tasks t
    set is_paused = true, fence = t.fence + (t.state = 'executing')::int, worker_id = null,
        state = case when t.state in ('available', 'executing') then 'scheduled' else t.state end,
        run_at = case when t.state in ('available', 'executing') then null else t.run_at end
    from locked l where t.id = l.id
    returning t.id
$$;

-- Lets paused tasks go on; what became due meanwhile is available at once.
create function task_resume(p_org uuid, p_tasks uuid[]) returns setof uuid
language sql as $$
    with locked as (
        select t.id from tasks t
        where t.id = any (p_tasks) and t.organization_id = p_org and t.is_paused
        order by t.id for no key update
    )
    update tasks t
    set is_paused = false,
        state = case when t.state = 'scheduled' and t.run_at is null then 'available'
                     when t.state = 'waiting' and t.wait_event is null and t.run_at is null
                          and t.pending_children <= 0 then 'available'
                     else t.state end
    from locked l where t.id = l.id
    returning t.id
$$;

-- Brings finished tasks back with a clean count of failures; the journal stays,
-- so finished steps are not run again.
create function task_redrive(p_org uuid, p_tasks uuid[]) returns setof uuid
language sql as $$
    with back as (
        delete from finished_tasks f
        where f.id = any (p_tasks) and f.organization_id = p_org and f.state in ('discarded', 'cancelled')
        returning f.*
    ), uncounted as (
        update task_totals o
        set tasks = o.tasks - b.n, seconds = o.seconds - b.seconds, cost = o.cost - b.cost,
            deadline_met = o.deadline_met - b.met, deadline_missed = o.deadline_missed - b.missed
        from (select organization_id, kind, coalesce(agent_id, '00000000-0000-0000-0000-000000000000') as agent_id,
                     state, count(*) as n, sum(cost) as cost,
                     coalesce(sum(extract(epoch from finished_at - started_at)), 0) as seconds,
                     count(*) filter (where finished_at <= deadline_at) as met,
                     count(*) filter (where finished_at > deadline_at) as missed
              from back group by 1, 2, 3, 4 order by 1, 2, 3, 4) as b
        where o.organization_id = b.organization_id and o.kind = b.kind and o.agent_id = b.agent_id
          and o.state = b.state
    )
    insert into tasks (id, organization_id, kind, state, priority, lane, deadline_at, payload, agent_id,
                       parent_id, cause_id, forked_from, fence, errors, code_version, cost, choice, inserted_at,
                       labels)
    select b.id, b.organization_id, b.kind, 'available', b.priority,
           task_lane(b.organization_id, b.kind, b.agent_id), b.deadline_at, b.payload, b.agent_id,
           b.parent_id, b.cause_id, b.forked_from, b.fence, b.errors, b.code_version, b.cost, b.choice,
           b.inserted_at, b.labels
    from back b
    returning id
$$;

-- Joins the labels of who brought tasks to run again to their own: the application may join none to what is there.
create function task_asked_again(p_tasks uuid[], p_labels text[]) returns void
language sql as $$
    update tasks t set labels = array(select unnest(t.labels) union select unnest(p_labels) order by 1)
    where t.id = any (p_tasks) and t.organization_id = current_organization()
$$;

-- Adds a copy of a task that starts behind the journal's step p_from: what
-- happened before is taken as it was, the rest is done anew. p_labels join its own.
create function task_fork(p_org uuid, p_task uuid, p_new uuid, p_from int, p_labels text[] default null)
returns boolean
language plpgsql as $$
begin
    insert into tasks (id, organization_id, kind, state, priority, lane, payload, agent_id, cause_id,
                       forked_from, fence, code_version, labels)
    select p_new, s.organization_id, s.kind, 'available', s.priority,
           task_lane(s.organization_id, s.kind, s.agent_id), s.payload, s.agent_id, s.cause_id,
           -- Fence 1: the claim makes it 2, so the copied journal is read.
           s.id, 1, s.code_version,
           nullif(array(select unnest(s.labels) union select unnest(p_labels) order by 1), '{}')
    from (
        select id, organization_id, kind, priority, payload, agent_id, cause_id, code_version, labels
        from tasks where id = p_task and organization_id = p_org
        union all
        select id, organization_id, kind, priority, payload, agent_id, cause_id, code_version, labels
        from finished_tasks where id = p_task and organization_id = p_org
    ) as s;
    if not found then
        return false;
    end if;
    insert into steps (organization_id, task_id, seq, kind, name, result, fence, milliseconds, started_at,
                       finished_at, labels)
    select p_org, p_new, seq, kind, name, result, 1, milliseconds, started_at, finished_at, labels
    from steps where task_id = p_task and seq < p_from and finished_at is not null;
    return true;
end $$;

-- Applies a change of limits to what is already queued.
create function task_relane(p_org uuid) returns int
language plpgsql as $$
declare
    v_n int;
begin
    with locked as (
        select t.id from tasks t
        where t.organization_id = p_org and t.lane <> task_lane(t.organization_id, t.kind, t.agent_id)
        order by t.id for no key update
    )
    update tasks t set lane = task_lane(t.organization_id, t.kind, t.agent_id)
    from locked l where t.id = l.id;
    get diagnostics v_n = row_count;
    return v_n;
end $$;

-- Waits until whoever was adding tasks when this was called is done: what they add may not know of what was
-- committed just before. Locks nothing, so nobody waits for it. Returns whether there was anybody.
create function task_writers_awaited(p_seconds double precision) returns boolean
language plpgsql as $$
declare
    v_until timestamptz := clock_timestamp() + make_interval(secs => p_seconds);
    v_writers text[] := array(
        select l.virtualtransaction from pg_locks l join pg_database d on d.oid = l.database
        where d.datname = current_database() and l.relation = 'tasks'::regclass and l.mode = 'RowExclusiveLock'
          and l.granted and l.pid <> pg_backend_pid());
begin
    while clock_timestamp() < v_until and exists (
        select 1 from pg_locks l
        where l.virtualtransaction = any (v_writers) and l.relation = 'tasks'::regclass and l.mode = 'RowExclusiveLock')
    loop
        perform pg_sleep(0.002);
    end loop;
    return v_writers <> '{}';
end $$;

-- Ends unfinished tasks and all their descendants as cancelled, whoever executes
-- them. Returns the tasks it ended.
create function task_cancel(p_org uuid, p_tasks uuid[], p_reason text) returns setof uuid
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    v_family uuid[] := array(select t.id from tasks t where t.id = any (p_tasks) and t.organization_id = p_org);
    v_more uuid[];
begin
    loop
        -- Whom this locks is given no more children; one that was just being added is seen by the next look.
        -- With their parents, in the order of ids, as whoever ends one of them does.
        perform 1 from tasks t
        where t.id = any (v_family || array(
            select c.parent_id from tasks c where c.id = any (v_family) and c.parent_id is not null))
        order by t.id for update;
        v_more := array(
            with recursive family as (
                select unnest(v_family) as id
                union
                select t.id from family f join tasks t on t.parent_id = f.id
            )
            select f.id from family f except select unnest(v_family));
        exit when v_more = '{}';
        v_family := v_family || v_more;
    end loop;
    return query
    select f.task_id from task_finish((
        select coalesce(jsonb_agg(jsonb_build_object('t', t.id, 'st', 'cancelled', 'why', p_reason, 'p', t.parent_id)),
                        '[]')
        from tasks t where t.id = any (v_family))) as f;
end $$;

select engine_function('task_release(jsonb)');
select engine_function('task_promote(int)');
select engine_function('task_wake_by_events(uuid[])');
select engine_function('task_wake_from_history(uuid[])');
select engine_function('task_asked_again(uuid[], text[])');
-- For the scheduler, which has no organization of its own.
select engine_function('task_cancel(uuid, uuid[], text)');
