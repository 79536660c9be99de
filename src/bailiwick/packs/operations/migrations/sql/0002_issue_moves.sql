-- Moves an issue to a status and writes down who did it and why, in one step.
-- p_from: the statuses it may be moved from; null: any.
-- p_made_by: a second call with the same name changes nothing and answers alike.
-- Returns no row when there is no such issue.
create function issue_move(
    p_id uuid, p_org uuid, p_key text, p_to text, p_from text[], p_actor_kind text, p_actor text, p_reason text,
    p_made_by text, p_details jsonb
) returns table (is_moved boolean, status_now text, state_now text)
language plpgsql as $$
declare
    v_issue record;
begin
    select i.id, i.status, i.state into v_issue
    from issues i where i.organization_id = p_org and i.key = p_key for update;
    if not found then
        return;
    end if;
    if exists (select 1 from issue_transitions t where t.issue_id = v_issue.id and t.made_by = p_made_by) then
        return query select true, v_issue.status, v_issue.state;
        return;
    end if;
    if (p_from is not null and v_issue.status <> all (p_from))
       -- What is closed is done: what was said of it before its closing comes too late.
       or (v_issue.state = 'closed' and p_to <> 'done') then
        return query select false, v_issue.status, v_issue.state;
        return;
    end if;
    insert into issue_transitions
        (id, organization_id, issue_id, from_status, to_status, actor_kind, actor, reason, details, made_by)
    select p_id, p_org, v_issue.id,
           -- The first transition is the arrival: there was no status before.
           case when exists (select 1 from issue_transitions t where t.issue_id = v_issue.id) then v_issue.status end,
           p_to, p_actor_kind, p_actor, p_reason, p_details, p_made_by;
    update issues i
    set status = p_to, status_reason = p_reason, status_at = now(),
        done_at = case when p_to <> 'done' then null else coalesce(i.done_at, now()) end
    where i.id = v_issue.id;
    return query select true, p_to, v_issue.state;
end $$;
