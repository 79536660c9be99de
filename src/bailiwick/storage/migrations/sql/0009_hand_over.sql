-- The short way from a door to the worker in the same process: added and claimed
-- in one commit, when the task would be the next one claimed anyway.

-- Adds due tasks without keys: rows as in task_enqueue. Each is executed by p_worker
-- at once, unless something of its organization waits before it, a limit applies to
-- it, or the worker is no longer active; then it is simply available.
-- p_again: the same call may have taken effect before, its answer was lost.
-- Returns the tasks that the worker executes now.
create function task_hand_over(p_rows jsonb, p_worker uuid, p_version text, p_again boolean)
returns table (task_id uuid, inserted timestamptz)
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    v_active boolean;
    v_ended uuid[] := '{}';
begin
    -- Locked, so that a worker declared dead in this moment is handed nothing.
    perform 1 from workers w where w.id = p_worker and w.state = 'active' for share;
    v_active := found;
    if p_again then
        select coalesce(array_agg(f.id), '{}') into v_ended
        from jsonb_to_recordset(p_rows) as r (id uuid)
        join finished_tasks f on f.id = r.id;
        return query
        select t.id, t.inserted_at from jsonb_to_recordset(p_rows) as r (id uuid)
        join tasks t on t.id = r.id where t.worker_id = p_worker and t.fence = 1;
    end if;
    return query
    with added as (
        insert into tasks (id, organization_id, kind, state, priority, lane, deadline_at, payload, agent_id,
                           parent_id, cause_id, choice, fence, worker_id, started_at, code_version, labels)
        select r.id, r.org, r.kind, case when r.go then 'executing' else 'available' end::task_state,
               coalesce(r.pri, 2), r.lane, r.deadline, coalesce(r.payload, '{}'), r.agent, r.parent, r.cause,
               r.choice, r.go::int, case when r.go then p_worker end, case when r.go then now() end,
               case when r.go then p_version end, r.labels
        from (
            -- A subquery with a limit stays one look into the index for each row;
            -- "not exists" may be planned as a join with everything available.
            select x.*, l.lane, v_active and l.lane = '' and (
                select true from tasks t
                where t.state = 'available' and t.organization_id = x.org limit 1) is null as go
            from jsonb_to_recordset(p_rows) as x (
                id uuid, org uuid, kind text, pri smallint, deadline timestamptz, payload jsonb, agent uuid,
                parent uuid, cause uuid, choice jsonb, labels text[])
            cross join lateral (
                -- Most organizations have no limits; to ask costs less than to call.
                select case when exists (select from limits m where m.organization_id = x.org)
                            then task_lane(x.org, x.kind, x.agent) else '' end as lane offset 0) as l
            -- Fences: merged into the insert, the lane and the look for what waits would be
            -- computed again for each column that they decide.
            offset 0
        ) as r
        where r.id <> all (v_ended)
        on conflict (id) do nothing
        returning id, state, inserted_at
    )
    select a.id, a.inserted_at from added a where a.state = 'executing';
end $$;

select engine_function('task_hand_over(jsonb, uuid, text, boolean)');
