-- Keeps issues that were closed before we saw them, many at once: an import of a
-- hundred thousand must not cost a hundred thousand commits.
-- p_rows: [{id, transition, org, key, number, title, record, labels, author, opened_at, closed_at, updated_at,
--           department, operation, priority, reason, made_by}]
create function issues_keep_history(p_rows jsonb) returns void
language plpgsql
-- As in the task queue: issues are looked up by their keys, whatever the plan thinks of the size of the table.
set enable_seqscan = off set enable_indexscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
begin
    insert into issues as i (id, organization_id, key, number, title, record, labels, author, state, opened_at,
                             closed_at, is_history, department, operation, priority, status, status_reason, done_at)
    select distinct on (r.org, r.key)
           r.id, r.org, r.key, r.number, r.title, r.record, r.labels, r.author, 'closed', r.opened_at,
           r.closed_at, true, r.department, r.operation, r.priority, 'done', r.reason, r.closed_at
    from jsonb_to_recordset(p_rows) as r (
        id uuid, org uuid, key text, number bigint, title text, record jsonb, labels text[], author text,
        opened_at timestamptz, closed_at timestamptz, updated_at timestamptz, department text, operation text,
        priority smallint, reason text)
    order by r.org, r.key, coalesce(r.updated_at, r.opened_at) desc
    on conflict (organization_id, key) do update
    set title = excluded.title, record = excluded.record, labels = excluded.labels, author = excluded.author,
        state = 'closed', opened_at = excluded.opened_at, closed_at = excluded.closed_at,
        department = coalesce(i.department, excluded.department),
        operation = coalesce(i.operation, excluded.operation), priority = coalesce(i.priority, excluded.priority),
        status = 'done', status_reason = excluded.status_reason, status_at = now(), done_at = excluded.done_at
    -- What arrives late, behind a newer version, changes nothing.
    where coalesce((i.record ->> 'updated_at')::timestamptz, i.opened_at)
          <= coalesce((excluded.record ->> 'updated_at')::timestamptz, excluded.opened_at);

    insert into issue_transitions
        (id, organization_id, issue_id, from_status, to_status, actor_kind, actor, reason, made_by)
    select r.transition, r.org, i.id, null, 'done', 'rule', 'source', r.reason, r.made_by
    from jsonb_to_recordset(p_rows) as r (transition uuid, org uuid, key text, reason text, made_by text)
    join issues i on i.organization_id = r.org and i.key = r.key
    on conflict (issue_id, made_by) do nothing;
end $$;
