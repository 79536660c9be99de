-- The hot path of the task engine. Each call is one statement in autocommit, so
-- a client that is stopped in the middle can never hold a transaction open.
--
-- Every function takes many rows at once and must find each by its key, although
-- its plan may be made while `tasks` is empty and any walk through it looks cheap.
-- Hence `set enable_*`; index scans are off where rows are joined with a table,
-- because one may walk through a whole index, while a bitmap scan wants a key. Ids
-- are joined, not compared with an array, which may be looked for in the index of a
-- listing; what was just locked is found by its place. And "held" is written
-- `worker_id is not null`, which is the same as `state = 'executing'` (a constraint
-- says so) but invites no partial index.

-- The lane of a task: the limits that apply to it, in a fixed order, or ''.
create function task_lane(p_org uuid, p_kind text, p_agent uuid) returns text
language sql stable as $$
    select coalesce(string_agg(l.subject, '|' order by l.subject), '')
    from limits l
    where l.organization_id = p_org
      and l.subject in ('organization', 'kind:' || p_kind, 'agent:' || p_agent)
$$;

-- Whether a task is executed under this fence: the right of a run to write.
create function task_is_held(p_task uuid, p_fence int) returns boolean
language sql stable as $$
    select exists (select 1 from tasks t where t.id = p_task and t.fence = p_fence and t.worker_id is not null)
$$;

-- Adds tasks: [{i, id, org, kind, pri, deadline, delay, run, payload, agent, parent, pf, cause, fork, key, choice, labels}].
-- Due now unless `delay` (seconds) or `run` (a moment) says later. A `key` is
-- idempotent within its organization for as long as it is retained. A child that
-- names its parent's fence in `pf` is added only while the parent is held under it.
-- p_again: the same call may have taken effect before, its answer was lost.
-- Returns one row per keyed task: which task holds the key now.
create function task_enqueue(p_rows jsonb, p_again boolean default false)
returns table (ordinal int, task_id uuid, is_new boolean)
language plpgsql
set enable_seqscan = off set enable_indexscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    v_lost uuid[] := '{}';
    v_keyed boolean := jsonb_path_exists(p_rows, '$[*].key');
begin
    if jsonb_path_exists(p_rows, '$[*].pf') then
        with held as materialized (
            select r.id from jsonb_to_recordset(p_rows) as r (id uuid, parent uuid, pf int)
            join tasks t on t.id = r.parent
            where t.fence = r.pf and t.worker_id is not null
            -- Locked until commit: whoever ends a parent with its descendants waits for this child.
            order by r.parent for key share of t
        )
        select coalesce(array_agg(r.id), '{}') into v_lost
        from jsonb_to_recordset(p_rows) as r (id uuid, pf int)
        where r.pf is not null and r.id not in (select h.id from held h);
    end if;
    if v_keyed then
        insert into task_keys (organization_id, key, task_id)
        select r.org, r.key, r.id
        from jsonb_to_recordset(p_rows) as r (i int, id uuid, org uuid, key text)
        where r.key is not null and r.id <> all (v_lost)
        order by r.org, r.key, r.i
        on conflict do nothing;

        select v_lost || coalesce(array_agg(r.id), '{}') into v_lost
        from jsonb_to_recordset(p_rows) as r (id uuid, org uuid, key text)
        join task_keys k on k.organization_id = r.org and k.key = r.key
        where k.task_id <> r.id;
    end if;
    if p_again then
        -- What the first call added may have ended meanwhile; it must not be done twice.
        select v_lost || coalesce(array_agg(f.id), '{}') into v_lost
        from jsonb_to_recordset(p_rows) as r (id uuid)
        join finished_tasks f on f.id = r.id;
    end if;

    insert into tasks (id, organization_id, kind, state, priority, lane, deadline_at, run_at, payload,
                       agent_id, parent_id, cause_id, forked_from, choice, labels)
    select r.id, r.org, r.kind,
           case when r.due > now() then 'scheduled' else 'available' end::task_state,
           coalesce(r.pri, 2),
           case when exists (select from limits m where m.organization_id = r.org)
                then task_lane(r.org, r.kind, r.agent) else '' end, r.deadline,
           case when r.due > now() then r.due end,
           coalesce(r.payload, '{}'), r.agent, r.parent, r.cause, r.fork, r.choice, r.labels
    from (
        select x.*, coalesce(x.run, now() + make_interval(secs => x.delay), now()) as due
        from jsonb_to_recordset(p_rows) as x (
            id uuid, org uuid, kind text, pri smallint, deadline timestamptz, delay double precision,
            run timestamptz, payload jsonb, agent uuid, parent uuid, cause uuid, fork uuid, choice jsonb, labels text[])
    ) as r
    where r.id <> all (v_lost)
    -- The same batch sent again after a lost connection adds nothing.
    on conflict (id) do nothing;

    if v_keyed then
        return query
        select r.i, k.task_id, k.task_id = r.id
        from jsonb_to_recordset(p_rows) as r (i int, id uuid, org uuid, key text)
        join task_keys k on k.organization_id = r.org and k.key = r.key
        where r.key is not null;
    end if;
end $$;

-- How many more tasks of a lane may start now; locks its limits until commit.
create function lane_room(p_org uuid, p_lane text) returns int
language plpgsql as $$
declare
    v_limit record;
    v_room int := 2147483647;
    v_held int;
    v_seen int := 0;
begin
    for v_limit in
        select * from limits l
        where l.organization_id = p_org and l.subject = any (string_to_array(p_lane, '|'))
        order by l.subject
        -- Whoever holds the row is claiming from this lane already.
        for update skip locked
    loop
        v_seen := v_seen + 1;
        if v_limit.is_paused or (v_limit.blocked_until is not null and v_limit.blocked_until > now()) then
            return 0;
        end if;
        if v_limit.max_concurrency is not null or v_limit.blocked_until is not null then
            select count(*) into v_held from tasks t
            where t.organization_id = p_org and t.state = 'executing' and t.lane <> ''
              and v_limit.subject = any (string_to_array(t.lane, '|'));
            -- A breaker past its cool-down is half open: one probe at a time.
            v_room := least(v_room, case when v_limit.blocked_until is not null then 1
                                         else v_limit.max_concurrency end - v_held);
        end if;
        if v_limit.rate_per_second is not null then
            update limits l
            set tokens = least(coalesce(l.burst, greatest(l.rate_per_second, 1)),
                               l.tokens + extract(epoch from now() - l.refilled_at) * l.rate_per_second),
                refilled_at = now()
            where l.organization_id = p_org and l.subject = v_limit.subject
            returning floor(tokens)::int into v_held;
            v_room := least(v_room, v_held);
        end if;
    end loop;
    if v_seen < cardinality(string_to_array(p_lane, '|')) then
        -- A limit was removed (the lane is stale, no harm) or is locked by
        -- another claimer; tell them apart.
        if v_seen < (select count(*) from limits l where l.organization_id = p_org
                     and l.subject = any (string_to_array(p_lane, '|'))) then
            return 0;
        end if;
    end if;
    return greatest(v_room, 0);
end $$;

-- Claims up to p_limit tasks for a worker, fair over (organization, lane): the
-- walk starts behind (p_after_org, p_after_lane) and takes a small share from
-- each before it takes more. An organization in p_held gets at most its p_room.
-- A last row without a task says where a walk too long for one call stopped.
create function task_claim(p_worker uuid, p_limit int, p_kinds text[], p_after_org uuid, p_after_lane text,
                           p_held uuid[], p_room int[], p_version text)
returns table (task_id uuid, org uuid, task_kind text, pri smallint, deadline timestamptz, body jsonb,
               agent uuid, parent uuid, cause uuid, token int, failed smallint, recovered smallint,
               task_lane text, inserted timestamptz, resumed boolean, marks text[])
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off
as $$
declare
    v_org uuid := p_after_org;
    v_lane text collate "C" := p_after_lane;
    v_left int := p_limit;
    v_share int := greatest(1, p_limit / 8);
    v_progress boolean := false;
    v_wraps int := 0;
    v_at int;
    v_room int;
    v_n int;
begin
    -- Locked, so that a worker declared dead in this moment claims nothing.
    perform 1 from workers w where w.id = p_worker and w.state = 'active' for share;
    if not found then
        raise exception 'worker % is not active', p_worker using errcode = 'BW001';
    end if;
    for visit in 1 .. 513 loop
        if visit = 513 then
            org := v_org;
            task_lane := v_lane;
            return next;
            exit;
        end if;
        select t.organization_id, t.lane into v_org, v_lane from tasks t
        where t.state = 'available' and (t.organization_id, t.lane) > (v_org, v_lane)
        order by t.organization_id, t.lane limit 1;
        if not found then
            exit when v_wraps > 0 and not v_progress;
            v_wraps := v_wraps + 1;
            v_progress := false;
            if v_wraps > 1 then
                -- Everyone was asked once; what is left goes to those who have more.
                v_share := greatest(v_share, v_left / 2);
            end if;
            v_org := '00000000-0000-0000-0000-000000000000';
            v_lane := '';
            continue;
        end if;
        v_at := array_position(p_held, v_org);
        v_room := least(v_share, v_left, p_room[v_at]);
        if v_room <= 0 then
            v_lane := chr(1114111);
            continue;
        end if;
        if v_lane <> '' then
            v_room := least(v_room, lane_room(v_org, v_lane));
            continue when v_room = 0;
        end if;
        return query
        with due as (
            select t.ctid as place from tasks t
            where t.state = 'available' and t.organization_id = v_org and t.lane = v_lane
              and t.kind = any (p_kinds)
            order by t.organization_id, t.lane, t.priority, t.deadline_at, t.id
            limit v_room for update skip locked
        )
        update tasks t
        set state = 'executing', fence = t.fence + 1, worker_id = p_worker,
            started_at = coalesce(t.started_at, now()), code_version = coalesce(t.code_version, p_version)
        -- One that was changed since this statement began is passed over until the next claim.
        where t.ctid = any (array(select due.place from due))
        returning t.id, t.organization_id, t.kind, t.priority, t.deadline_at, t.payload, t.agent_id,
                  t.parent_id, t.cause_id, t.fence, t.failures, t.recoveries, t.lane, t.inserted_at,
                  t.fence > 1, t.labels;
        get diagnostics v_n = row_count;
        if v_n > 0 then
            v_progress := true;
            v_left := v_left - v_n;
            if v_at is not null then
                p_room[v_at] := p_room[v_at] - v_n;
            end if;
            if v_lane <> '' then
                -- A half-open breaker lets one probe go and stays closed behind it for a cool-down:
                -- between the probe's end and the word of its failure nobody else may pass.
                update limits l
                set tokens = case when l.rate_per_second is null then l.tokens else l.tokens - v_n end,
                    blocked_until = case when l.blocked_until is not null then now() + interval '60 seconds' end
                where l.organization_id = v_org and (l.rate_per_second is not null or l.blocked_until is not null)
                  and l.subject = any (string_to_array(v_lane, '|'));
            end if;
            exit when v_left = 0;
        end if;
    end loop;
end $$;

-- Journals step results: [{t, f, s, k, n, r, ms, l}]. A row counts only while its
-- task is held under its fence; the share lock keeps it so until commit.
-- Returns the tasks that were still held.
create function task_journal(p_rows jsonb) returns setof uuid
language plpgsql
set enable_seqscan = off set enable_indexscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
begin
    return query
    with held as materialized (
        select r.*, t.organization_id from jsonb_to_recordset(p_rows) as r (
            t uuid, f int, s int, k text, n text, r jsonb, ms real, l text[])
        join tasks t on t.id = r.t
        where t.fence = r.f and t.worker_id is not null
        -- Every function that locks several tasks does so in the order of their ids.
        order by r.t
        for share of t
    ), written as (
        insert into steps (organization_id, task_id, seq, kind, name, result, fence, milliseconds, started_at,
                           finished_at, labels)
        select h.organization_id, h.t, h.s, h.k, h.n, h.r, h.f, h.ms, now() - make_interval(secs => h.ms / 1000), now(), h.l
        from held h
        -- Only the same batch sent again can conflict: an older run is fenced
        -- off, and this run has read what stood before it.
        on conflict (task_id, seq) do nothing
    )
    select h.t from held h;
end $$;

-- Ends tasks for good: [{t, f, st, r, why, e, c, l}]. `f` null ends it whoever holds it.
-- Returns the tasks it ended, with what is needed to wake others.
create function task_finish(p_rows jsonb)
returns table (task_id uuid, task_lane text, woke_parent boolean)
language plpgsql
set enable_seqscan = off set enable_indexscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
begin
    -- A parent that starts to wait for its children takes the same locks, so
    -- either it sees the child ended or the child sees it wait.
    if jsonb_path_exists(p_rows, '$[*].p') then
        perform 1 from tasks t
        where t.id in (select unnest(array[x.t, x.p]) from jsonb_to_recordset(p_rows) as x (t uuid, p uuid))
        order by t.id for no key update;
    end if;
    return query
    with r as materialized (
        select * from jsonb_to_recordset(p_rows) as x (
            t uuid, f int, st task_state, r jsonb, why text, e jsonb, c numeric, l text[])
        order by x.t
    ), gone as (
        delete from tasks t using r
        where t.id = r.t and (r.f is null or (t.fence = r.f and t.worker_id is not null))
        returning t.*, r.st as final, r.r as result, r.why, r.e as error, coalesce(r.c, 0) as charge,
                  r.l as learned
    ), kept as (
        insert into finished_tasks (
            id, organization_id, kind, state, priority, lane, deadline_at, payload, agent_id, parent_id,
            cause_id, forked_from, fence, failures, recoveries, errors, worker_id, code_version, cost,
            choice, result, reason, inserted_at, started_at, labels, result_labels)
        select g.id, g.organization_id, g.kind, g.final, g.priority, g.lane, g.deadline_at, g.payload,
               g.agent_id, g.parent_id, g.cause_id, g.forked_from, g.fence,
               g.failures + (g.error is not null)::int, g.recoveries,
               case when g.error is null then g.errors else g.errors || g.error end,
               g.worker_id, g.code_version, g.cost + g.charge, g.choice, g.result, g.why,
               g.inserted_at, g.started_at, g.labels, g.learned
        from gone g
    ), counted as (
        insert into task_totals as o (organization_id, kind, agent_id, state, tasks, seconds, cost,
                                      deadline_met, deadline_missed)
        select g.organization_id, g.kind, coalesce(g.agent_id, '00000000-0000-0000-0000-000000000000'),
               g.final, count(*), coalesce(sum(extract(epoch from now() - g.started_at)), 0),
               sum(g.cost + g.charge), count(*) filter (where now() <= g.deadline_at),
               count(*) filter (where now() > g.deadline_at)
        from gone g
        group by 1, 2, 3, 4 order by 1, 2, 3, 4
        on conflict (organization_id, kind, agent_id, state) do update
        set tasks = o.tasks + excluded.tasks, seconds = o.seconds + excluded.seconds,
            cost = o.cost + excluded.cost, deadline_met = o.deadline_met + excluded.deadline_met,
            deadline_missed = o.deadline_missed + excluded.deadline_missed
    ), spent as (
        insert into usage_increments (organization_id, resource, day, amount)
        select g.organization_id, 'model_spend', usage_day(now()), sum(g.charge)
        from gone g where g.charge > 0 group by g.organization_id
    ), woken as (
        update tasks p
        set pending_children = p.pending_children - c.n,
            state = case when p.pending_children <= c.n and p.state = 'waiting'
                              and not p.is_paused then 'available' else p.state end
        from (select g.parent_id, count(*)::int as n from gone g where g.is_awaited
              group by g.parent_id) as c
        -- Only while it waits for children: a redriven parent may have other waits first.
        where p.id = c.parent_id and p.pending_children > 0
        returning p.id, p.state, p.pending_children, p.wait_seq
    ), answered as (
        update steps s set finished_at = now(), result = 'null'
        from woken w
        where s.task_id = w.id and s.seq = w.wait_seq and w.pending_children <= 0
    )
    select g.id, g.lane, exists (select 1 from woken w where w.id = g.parent_id and w.state = 'available')
    from gone g;
end $$;

-- The journals of tasks that a worker holds: what a run that begins again needs.
create function task_journals(p_worker uuid, p_tasks uuid[])
returns table (task_id uuid, seq int, kind text, name text, result jsonb, is_open boolean, labels text[])
language sql stable
set enable_seqscan = off set enable_indexscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
    select s.task_id, s.seq, s.kind, s.name, s.result, s.finished_at is null, s.labels
    from unnest(p_tasks) as wanted (id)
    join tasks t on t.id = wanted.id and t.worker_id = p_worker
    join steps s on s.task_id = t.id
$$;

-- How tasks ended, to whoever knows their ids: a batch sent again finds its own work done.
create function task_ends(p_tasks uuid[])
returns table (task_id uuid, token int, ended_as text, task_lane text)
language sql stable
set enable_seqscan = off set enable_indexscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
    select f.id, f.fence, f.state::text, f.lane
    from unnest(p_tasks) as wanted (id) join finished_tasks f on f.id = wanted.id
$$;

select engine_function('task_enqueue(jsonb, boolean)');
select engine_function('task_claim(uuid, int, text[], uuid, text, uuid[], int[], text)');
select engine_function('task_journal(jsonb)');
select engine_function('task_finish(jsonb)');
select engine_function('task_journals(uuid, uuid[])');
select engine_function('task_ends(uuid[])');
