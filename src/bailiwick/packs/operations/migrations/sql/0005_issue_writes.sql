-- Writes of many issues in one call: the lifecycle of each takes a dozen small
-- steps, and as many commits would cost more than the work itself.

-- p: {id, org, key, number, title, record, labels, author, state, opened_at, closed_at, updated_at, history, status,
--     reason, clock, task, reopens}
create function issue_record(p jsonb) returns void
language sql as $$
    insert into issues as i (id, organization_id, key, number, title, record, labels, author, state, opened_at,
                             closed_at, is_history, status, status_reason, clock_started_at, task_id)
    select r.id, r.org, r.key, r.number, r.title, r.record, r.labels, r.author, r.state, r.opened_at,
           r.closed_at, r.history, r.status, r.reason, r.clock, r.task
    from jsonb_to_record(p) as r (
        id uuid, org uuid, key text, number bigint, title text, record jsonb, labels text[], author text, state text,
        opened_at timestamptz, closed_at timestamptz, history boolean, status text, reason text, clock timestamptz,
        task uuid)
    on conflict (organization_id, key) do update
    set title = excluded.title, record = excluded.record, labels = excluded.labels, author = excluded.author,
        state = excluded.state, opened_at = excluded.opened_at, closed_at = excluded.closed_at,
        is_history = i.is_history and excluded.is_history, task_id = coalesce(excluded.task_id, i.task_id),
        clock_started_at = case when (p ->> 'reopens')::boolean then excluded.clock_started_at
                                else coalesce(i.clock_started_at, excluded.clock_started_at) end
    -- What arrives late, behind a newer version, changes nothing.
    where coalesce((i.record ->> 'updated_at')::timestamptz, i.opened_at)
          <= coalesce((p ->> 'updated_at')::timestamptz, excluded.opened_at)
$$;

-- Sets the columns that a patch names.
create function issue_set(p_org uuid, p_key text, p_patch jsonb) returns void
language sql as $$
    update issues as i
    set department = n.department, operation = n.operation, priority = n.priority,
        classification = n.classification, deadline_at = n.deadline_at, at_risk_at = n.at_risk_at,
        breached_at = n.breached_at, breached_priority = n.breached_priority, duplicate_of = n.duplicate_of,
        related = n.related, agent_id = n.agent_id, choice = n.choice, oversight = n.oversight, state = n.state,
        closed_at = n.closed_at, done_at = n.done_at
    from issues as o, jsonb_populate_record(o, p_patch) as n
    where o.organization_id = p_org and o.key = p_key and i.id = o.id
$$;

-- Keeps a result; one per task. Returns its id, null when the issue is gone.
-- p: {id, org, key, task, agent, kind, operation, status, summary, data, evidence, missing, seconds, gates, passed}
create function issue_result(p jsonb) returns uuid
language plpgsql as $$
declare
    v_result uuid;
begin
    insert into issue_results as k (id, organization_id, issue_id, task_id, agent_id, agent_kind, operation, status,
                                    summary, data, evidence, missing, seconds, gates, is_passed)
    select r.id, i.organization_id, i.id, r.task, r.agent, r.kind, r.operation, r.status, r.summary, r.data,
           r.evidence, r.missing, r.seconds, r.gates, r.passed
    from jsonb_to_record(p) as r (
        id uuid, org uuid, key text, task uuid, agent uuid, kind text, operation text, status text, summary text,
        data jsonb, evidence jsonb, missing text[], seconds double precision, gates jsonb, passed boolean)
    join issues i on i.organization_id = r.org and i.key = r.key
    on conflict (organization_id, task_id) do update set summary = k.summary
    returning k.id into v_result;
    return v_result;
end $$;

-- p_writes: [{write: 'record' | 'set' | 'move' | 'result', ...}]; answers by position.
create function issues_write(p_writes jsonb)
returns table (ordinal int, is_moved boolean, status_now text, state_now text, result_id uuid)
language plpgsql as $$
declare
    v_write record;
    w jsonb;
begin
    for v_write in
        select e.value, e.ordinality::int - 1 as place
        from jsonb_array_elements(p_writes) with ordinality as e
        -- Everybody takes the locks in one order, so that batches wait for each other but never in a ring.
        order by e.value ->> 'org', e.value ->> 'key', e.ordinality
    loop
        w := v_write.value;
        case w ->> 'write'
        when 'record' then
            perform issue_record(w);
        when 'set' then
            perform issue_set((w ->> 'org')::uuid, w ->> 'key', w -> 'patch');
        when 'move' then
            return query
            select v_write.place, m.is_moved, m.status_now, m.state_now, null::uuid
            from issue_move((w ->> 'id')::uuid, (w ->> 'org')::uuid, w ->> 'key', w ->> 'to',
                            array(select jsonb_array_elements_text(w -> 'from')), w ->> 'actor_kind', w ->> 'actor',
                            w ->> 'reason', w ->> 'made_by', w -> 'details') as m;
        when 'result' then
            return query select v_write.place, null::boolean, null::text, null::text, issue_result(w);
        end case;
    end loop;
end $$;
