-- Approvals and the answers to them. The application asks and reads; every move after that happens in the
-- functions below, under the row's lock, so that answers at the same moment count one after another.

create table approvals (
    id uuid primary key,
    organization_id uuid not null,
    -- The one effect that this approval is about; no other can use it.
    effect_id uuid not null unique,
    task_id uuid not null,
    agent_id uuid,
    agent_name text,
    tool text not null,
    tool_version text not null,
    effect_class text not null check (effect_class in ('read', 'write', 'external', 'spend', 'destructive')),
    arguments jsonb not null,
    target text not null,
    observed jsonb,
    price numeric not null check (price >= 0),
    policy text not null,
    -- SHA-256 over the seven before it: what people say yes to.
    digest text not null check (digest ~ '^[0-9a-f]{64}$'),
    labels text[] not null default '{}',
    free_text text[] not null default '{}',
    reason text not null,
    rule text not null,
    rule_reason text not null,
    is_reversible boolean not null,
    undo text,
    roles text[] not null check (cardinality(roles) > 0),
    quorum smallint not null check (quorum > 0),
    on_expiry text not null check (on_expiry in ('deny', 'allow')),
    escalate_to text,
    asked_at timestamptz not null default now(),
    reminds_at timestamptz,
    escalates_at timestamptz,
    expires_at timestamptz not null,
    -- What moves.
    state text not null default 'waiting'
        check (state in ('waiting', 'approved', 'rejected', 'expired', 'stale', 'edited')),
    -- Approved because nobody answered, as its terms said.
    is_by_silence boolean not null default false,
    reminded_at timestamptz,
    escalated_at timestamptz,
    ended_at timestamptz,
    -- What a person put in the arguments' place; the proposal made of it is another approval.
    edited jsonb,
    problem text,
    check ((state = 'waiting') = (ended_at is null)),
    check ((state = 'edited') = (edited is not null)),
    -- Silence never carries out what cannot be taken back.
    check (on_expiry = 'deny' or (is_reversible and effect_class <> 'destructive' and free_text = '{}'))
);
create index approvals_listing on approvals (organization_id, id);
create index approvals_waiting on approvals (organization_id, expires_at) where state = 'waiting';
create index approvals_by_task on approvals (organization_id, task_id);
select tenant_table('approvals');

create table approval_answers (
    id uuid primary key,
    organization_id uuid not null,
    approval_id uuid not null references approvals (id),
    decision text not null check (decision in ('approve', 'reject', 'edit')),
    -- Whose word counts: user:ID, or the installation's administrator at the machine.
    voice text not null,
    -- Who spoke: the same, or a delegate.
    answered_by text not null,
    answered_by_name text not null,
    delegation_id uuid,
    digest text not null,
    reason text,
    via text not null check (via in ('api', 'cli')),
    -- A passkey's signature over approval, digest and decision, with all that is needed to verify it.
    proof jsonb,
    answered_at timestamptz not null,
    -- Each person once, and each voice once, whoever speaks for it.
    unique (approval_id, voice),
    unique (approval_id, answered_by)
);
create index approval_answers_listing on approval_answers (organization_id, approval_id);
select tenant_table('approval_answers');

-- The application asks; what an approval becomes is for the functions below.
revoke insert, update, delete on approvals from bailiwick;
grant insert (
    id, organization_id, effect_id, task_id, agent_id, agent_name, tool, tool_version, effect_class, arguments, target,
    observed, price, policy, digest, labels, free_text, reason, rule, rule_reason, is_reversible, undo, roles, quorum,
    on_expiry, escalate_to, reminds_at, escalates_at, expires_at) on approvals to bailiwick;
-- What erasing a person may overwrite; an approval that waits no longer fits its digest then, and nobody can grant it.
grant update (arguments, target, observed, reason, rule_reason, undo, edited, problem) on approvals to bailiwick;
revoke delete on approvals from bailiwick_engine;
revoke insert, update, delete on approval_answers from bailiwick;
grant update (reason, answered_by_name) on approval_answers to bailiwick;
revoke update, delete on approval_answers from bailiwick_engine;

create function approval_locked(p_approval uuid) returns approvals
language sql as $$
    select a from approvals a where a.id = p_approval and a.organization_id = current_organization() for no key update
$$;

-- Takes one person's answer and, where it settles the matter, ends the approval.
-- p_by: 'user:ID' or 'administrator'. p_for: the person who is spoken for, null for oneself.
-- outcome: 'recorded', or why not: 'missing', 'over', 'changed', 'lapsed', 'requester', 'stranger', 'undelegated',
-- 'again' (this person, or this voice, was heard), 'unsigned'.
create function approval_answer(
    p_approval uuid, p_id uuid, p_decision text, p_digest text, p_by text, p_by_name text, p_for uuid,
    p_reason text, p_via text, p_proof jsonb, p_edited jsonb, p_at timestamptz
) returns table (outcome text, state text, approvals int, rejections int, open int)
language plpgsql as $$
#variable_conflict use_column
declare
    a approvals := approval_locked(p_approval);
    v_user uuid := case when p_by like 'user:%' then substr(p_by, 6)::uuid end;
    v_voice uuid := coalesce(p_for, v_user);
    v_delegation uuid;
    v_outcome text := 'recorded';
    v_yes int;
    v_no int;
    v_open int;
    v_state text;
begin
    if a.id is null then
        return query select 'missing', null::text, 0, 0, 0;
        return;
    end if;
    -- Nobody loses the role that counts here before this answer is in.
    perform 1 from memberships m
    where m.organization_id = a.organization_id and m.user_id in (v_user, v_voice) for share;
    if v_user is not null and p_for is not null and p_for <> v_user then
        v_delegation := approval_delegation(a, p_for, v_user, p_decision = 'edit', p_at);
    end if;
    v_outcome := case
        when a.state <> 'waiting' then 'over'
        when a.digest <> p_digest then 'changed'
        when a.expires_at <= p_at then 'lapsed'
        when v_user is null and (p_by <> 'administrator' or p_for is not null) then 'stranger'
        when exists (select from approval_requesters(a) as r
                     where r in (p_by, 'user:' || v_user, 'user:' || v_voice)) then 'requester'
        when v_user <> v_voice and v_delegation is null then 'undelegated'
        when v_user <> v_voice and not exists (
            select from users u where u.id = v_user and not u.is_disabled and exists (
                select from memberships m where m.user_id = u.id and m.organization_id = a.organization_id))
            then 'stranger'
        when v_user is not null and not approval_is_voter(a, v_voice) then 'stranger'
        when exists (select from approval_answers x where x.approval_id = a.id
                     and (x.answered_by = p_by or x.voice = coalesce('user:' || v_voice, p_by))) then 'again'
        when v_user is not null and p_proof is null and exists (select from passkeys k where k.user_id = v_user)
            then 'unsigned'
        else 'recorded' end;
    if v_outcome = 'recorded' then
        insert into approval_answers (id, organization_id, approval_id, decision, voice, answered_by, answered_by_name,
                                      delegation_id, digest, reason, via, proof, answered_at)
        values (p_id, a.organization_id, a.id, p_decision, coalesce('user:' || v_voice, p_by), p_by, p_by_name,
                v_delegation, a.digest, p_reason, p_via, p_proof, p_at);
    end if;
    -- A word counts as long as whoever gave it may give it: who lost the role is not heard any more.
    select count(*) filter (where x.decision = 'approve'), count(*) filter (where x.decision = 'reject')
    into v_yes, v_no
    from approval_answers x
    where x.approval_id = a.id
      and (x.voice = 'administrator' or approval_is_voter(a, substr(x.voice, 6)::uuid));
    select count(*) into v_open from approval_electorate(a.id) as e
    where not exists (select from approval_answers x where x.approval_id = a.id and x.voice = 'user:' || e);
    if v_outcome = 'recorded' then
        v_state := case
            when p_decision = 'edit' then 'edited'
            when v_yes >= a.quorum then 'approved'
            when p_decision = 'reject' and v_yes + v_open < a.quorum then 'rejected'
            else 'waiting' end;
        if v_state <> 'waiting' then
            update approvals set state = v_state, ended_at = p_at, edited = p_edited where id = a.id;
        end if;
    else
        v_state := a.state;
    end if;
    return query select v_outcome, v_state, v_yes, v_no, v_open;
end $$;
select engine_function('approval_answer(uuid, uuid, text, text, text, text, uuid, text, text, jsonb, jsonb, timestamptz)');

-- Ends an approval whose time is over as its terms say; returns the state it has then.
create function approval_expire(p_approval uuid, p_at timestamptz) returns text
language plpgsql as $$
declare
    a approvals := approval_locked(p_approval);
begin
    if a.state = 'waiting' and a.expires_at <= p_at then
        update approvals
        set state = case when a.on_expiry = 'allow' then 'approved' else 'expired' end,
            is_by_silence = a.on_expiry = 'allow', ended_at = p_at
        where id = a.id
        returning state into a.state;
    end if;
    return a.state;
end $$;
select engine_function('approval_expire(uuid, timestamptz)');

-- Lets another role answer, too; false where it is not due.
create function approval_escalate(p_approval uuid, p_at timestamptz) returns boolean
language plpgsql as $$
declare
    a approvals := approval_locked(p_approval);
begin
    if a.state = 'waiting' and a.escalated_at is null and a.escalates_at <= p_at and a.expires_at > p_at then
        update approvals set escalated_at = p_at where id = a.id;
        return true;
    end if;
    return false;
end $$;
select engine_function('approval_escalate(uuid, timestamptz)');

create function approval_remind(p_approval uuid, p_at timestamptz) returns boolean
language plpgsql as $$
declare
    a approvals := approval_locked(p_approval);
begin
    if a.state = 'waiting' and a.reminded_at is null and a.reminds_at <= p_at and a.expires_at > p_at then
        update approvals set reminded_at = p_at where id = a.id;
        return true;
    end if;
    return false;
end $$;
select engine_function('approval_remind(uuid, timestamptz)');

-- What it was bound to has moved: nobody's yes counts any more. Returns the state before, null where it was over.
create function approval_stale(p_approval uuid, p_problem text, p_at timestamptz) returns text
language plpgsql as $$
declare
    a approvals := approval_locked(p_approval);
begin
    if a.state in ('waiting', 'approved') then
        update approvals set state = 'stale', problem = left(p_problem, 2000), ended_at = p_at where id = a.id;
        return a.state;
    end if;
    return null;
end $$;
select engine_function('approval_stale(uuid, text, timestamptz)');
