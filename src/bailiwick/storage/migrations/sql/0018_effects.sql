-- Effects: what was proposed, decided, done outside, and what became of it. The application adds an
-- effect and reads it; everything after that happens in the functions below, one for each move.

create table effects (
    id uuid primary key,
    organization_id uuid not null,
    -- Which durable call of which run; the round says how often it had to be proposed anew.
    task_id uuid not null,
    seq int not null,
    fence int not null,
    round smallint not null default 1 check (round > 0),
    agent_id uuid,
    agent_kind text,
    tool text not null,
    tool_version text not null,
    effect_class text not null check (effect_class in ('read', 'write', 'external', 'spend', 'destructive')),
    arguments jsonb not null,
    target text not null,
    observed jsonb,
    price numeric not null default 0 check (price >= 0),
    labels text[] not null default '{}',
    -- Versions of the policy and of the installation's ceiling by which it was decided.
    policy text not null default '0/0',
    digest text not null check (digest ~ '^[0-9a-f]{64}$'),
    state text not null check (state in (
        'proposed', 'waiting', 'declined', 'executing', 'applied', 'failed', 'unknown',
        'verified', 'refuted', 'unverifiable', 'reverted')),
    decision_id uuid,
    approval_id uuid,
    reason text not null,
    -- Why it was declined, failed or is unknown.
    problem text,
    result jsonb,
    -- What was seen of it afterwards: [{at, outcome, evidence}].
    evidence jsonb not null default '[]',
    undo jsonb,
    undo_until timestamptz,
    reverts uuid references effects (id),
    expectation jsonb,
    -- How often the tool was called; more than once only under the same key or after it was seen not to be there.
    calls int not null default 0,
    proposed_at timestamptz not null default clock_timestamp(),
    began_at timestamptz,
    -- When the tool was called last; until its timeout has passed that call may still be under way.
    called_at timestamptz,
    ended_at timestamptz,
    unique (task_id, seq),
    check ((state in ('proposed', 'waiting', 'declined')) = (began_at is null)),
    check ((state in ('proposed', 'waiting', 'executing')) = (ended_at is null))
);
create index effects_listing on effects (organization_id, id);
create index effects_open on effects (organization_id, id)
    where state in ('proposed', 'waiting', 'executing', 'applied', 'unknown');
create index effects_by_target on effects (organization_id, target, id);
create index effects_by_agent on effects (organization_id, agent_id, id) where agent_id is not null;
create index effects_reverting on effects (reverts) where reverts is not null;
select tenant_table('effects');

-- Every state an effect was ever in.
create table effect_moves (
    organization_id uuid not null,
    effect_id uuid not null references effects (id),
    seq int not null,
    state text not null,
    at timestamptz not null,
    note text,
    primary key (effect_id, seq)
);
select tenant_table('effect_moves');

revoke update, delete on effects from bailiwick;
-- What erasing a person may overwrite. An effect that is not carried out yet no longer fits its digest then,
-- so it never is.
grant update (arguments, target, observed, reason, problem, result, evidence, undo, expectation)
    on effects to bailiwick;
revoke delete on effects from bailiwick_engine;
revoke insert, update, delete on effect_moves from bailiwick;
grant update (note) on effect_moves to bailiwick;
revoke update, delete on effect_moves from bailiwick_engine;

-- Decisions are partitioned by their ids: unless told otherwise PostgreSQL makes a plan for every call that looks for
-- one, which costs several times what looking does. And it keeps plans of plpgsql better than of sql.

-- Whether a decision allows exactly this, without asking anybody.
create function effect_is_allowed(p effects) returns boolean
language plpgsql stable
set plan_cache_mode = force_generic_plan
as $$
begin
    return exists (
        select from decisions d
        where d.id = p.decision_id and d.organization_id = p.organization_id and d.task_id = p.task_id
          and d.outcome = 'allow' and not d.is_shadow
          and d.tool = p.tool and d.effect_class = p.effect_class and d.target = p.target and d.price = p.price
          and d.agent_id is not distinct from p.agent_id
          and d.policy_version || '/' || d.ceiling_version = p.policy);
end $$;

-- Whether its decision was made in this transaction and of these arguments: what was allowed once allows nothing else.
create function effect_is_decided_now(p effects) returns boolean
language plpgsql stable
set plan_cache_mode = force_generic_plan
as $$
begin
    return exists (
        select from decisions d
        where d.id = p.decision_id and d.xmin = pg_current_xact_id()::xid and d.proposal -> 'arguments' = p.arguments);
end $$;

-- Whether its agent was stopped or lost ground since it was decided: then it is decided anew. A yes of people holds
-- as long as the agent does more than observe.
create function effect_is_outgrown(p effects) returns boolean
language plpgsql stable
set plan_cache_mode = force_generic_plan
as $$
begin
    return exists (select from agents a where a.id = p.agent_id and not a.is_enabled)
        or exists (
            select from decisions d
            join autonomy_levels l on l.organization_id = d.organization_id and l.agent_id = d.agent_id
                and l.effect_class = d.effect_class
            where d.id = p.decision_id and l.level < case when p.approval_id is null then d.level else 2 end);
end $$;

-- Whether people said yes to exactly this.
create function effect_is_approved(p effects) returns boolean
language plpgsql stable as $$
begin
    return exists (
        select from approvals a
        where a.id = p.approval_id and a.organization_id = p.organization_id and a.effect_id = p.id
          and a.digest = p.digest and a.state = 'approved');
end $$;

-- An effect begins its life proposed with a decision that allows it, waiting for people, or declined; in no other
-- way, and only by the hand that holds its task.
create function effect_born() returns trigger
language plpgsql as $$
begin
    if not exists (select from tasks t where t.id = new.task_id and t.organization_id = new.organization_id
                   and t.fence = new.fence and t.worker_id is not null) then
        raise exception 'task % is not held under fence %', new.task_id, new.fence using errcode = 'BW001';
    end if;
    if new.state = 'proposed' and not (effect_is_allowed(new) and effect_is_decided_now(new))
        or new.state = 'waiting' and new.approval_id is null
        or new.state not in ('proposed', 'waiting', 'declined')
        or new.calls > 0 or new.result is not null or new.undo is not null or new.evidence <> '[]'
    then
        raise exception 'effect % has no authority to be %', new.id, new.state using errcode = 'insufficient_privilege';
    end if;
    return new;
end $$;
select engine_function('effect_born()');
create trigger effect_born before insert on effects for each row execute function effect_born();

create function effect_note_birth() returns trigger
language plpgsql as $$
begin
    insert into effect_moves (organization_id, effect_id, seq, state, at, note)
    values (new.organization_id, new.id, 0, new.state, new.proposed_at, new.problem);
    return null;
end $$;
select engine_function('effect_note_birth()');
create trigger effect_note_birth after insert on effects for each row execute function effect_note_birth();

-- The effect of this transaction's organization, locked until its end.
create function effect_locked(p_effect uuid) returns effects
language plpgsql as $$
declare
    v effects;
begin
    select * into v from effects e where e.id = p_effect and e.organization_id = current_organization() for no key update;
    return v;
end $$;

create function effect_noted(p_effect uuid, p_state text, p_note text) returns void
language plpgsql as $$
begin
    insert into effect_moves (organization_id, effect_id, seq, state, at, note)
    select m.organization_id, p_effect, max(m.seq) + 1, p_state, clock_timestamp(), left(p_note, 2000)
    from effect_moves m where m.effect_id = p_effect group by m.organization_id;
end $$;

-- Refuses a move that this transaction did not write into the audit log.
create function effect_is_audited(p effects, p_action text) returns void
language plpgsql as $$
begin
    if not exists (select from audit_entries a
                   where a.organization_id = p.organization_id and a.target = 'effect:' || p.id
                     and a.action = p_action and a.xmin = pg_current_xact_id()::xid) then
        raise exception 'effect % becomes nothing that is not audited in the same transaction (%)', p.id, p_action
            using errcode = 'insufficient_privilege';
    end if;
end $$;

-- Whether a task is held under a fence, or, where the fence is null, is over.
create function effect_is_held(p effects, p_fence int) returns boolean
language plpgsql stable as $$
begin
    if p_fence is null then
        return not exists (select from tasks t where t.id = p.task_id);
    end if;
    return exists (select from tasks t where t.id = p.task_id and t.fence = p_fence and t.worker_id is not null);
end $$;

-- Whether another inverse took back, takes back or may have taken back what this one would; asked one after another.
create function effect_is_forestalled(p effects) returns boolean
language plpgsql as $$
begin
    if p.reverts is null then
        return false;
    end if;
    perform 1 from effects o where o.id = p.reverts for no key update;
    return exists (
        select from effects i
        where i.reverts = p.reverts and i.id <> p.id and i.organization_id = p.organization_id
          and i.state in ('executing', 'applied', 'verified', 'unverifiable', 'unknown'));
end $$;

-- Begins, or begins again after a crash. Returns 'begun', or why not: 'lost' (the task is another worker's),
-- 'moved' (another state than that), 'stale' (the policy is another), 'outgrown' (the agent may less than it might),
-- 'forestalled' (another takes back the same),
-- 'refused' (no authority for this digest).
-- p_goes_on: the same call under the same key, which was begun while the policy was that.
create function effect_begin(p_effect uuid, p_fence int, p_digest text, p_goes_on boolean) returns text
language plpgsql as $$
declare
    v effects := effect_locked(p_effect);
begin
    if v.id is null or not v.state in ('proposed', 'waiting', 'executing') then
        return 'moved';
    elsif not effect_is_held(v, p_fence) then
        return 'lost';
    elsif v.digest is distinct from p_digest then
        return 'refused';
    elsif not (case when v.approval_id is null then effect_is_allowed(v) else effect_is_approved(v) end) then
        return 'refused';
    elsif not (p_goes_on and v.state = 'executing') and v.policy <> (select p.own || '/' || p.ceiling from policy_versions() p) then
        return 'stale';
    elsif not (p_goes_on and v.state = 'executing') and effect_is_outgrown(v) then
        return 'outgrown';
    elsif v.state <> 'executing' and effect_is_forestalled(v) then
        return 'forestalled';
    end if;
    update effects set state = 'executing', fence = p_fence, calls = v.calls + 1,
        began_at = coalesce(v.began_at, clock_timestamp()), called_at = clock_timestamp()
    where id = p_effect;
    perform effect_noted(p_effect, 'executing', case when v.calls > 0 then 'call ' || v.calls + 1 end);
    return 'begun';
end $$;
select engine_function('effect_begin(uuid, int, text, boolean)');

-- Says what came of a call: applied, failed or unknown. Without a fence only of a task that is over.
-- False where the task is another worker's or the effect is not being executed.
create function effect_end(
    p_effect uuid, p_fence int, p_state text, p_result jsonb, p_problem text, p_undo jsonb, p_undo_seconds float8
) returns boolean
language plpgsql as $$
declare
    v effects := effect_locked(p_effect);
begin
    if v.id is null or v.state <> 'executing' or p_state not in ('applied', 'failed', 'unknown')
        or not effect_is_held(v, p_fence)
    then
        return false;
    end if;
    perform effect_is_audited(v, 'effect.' || p_state);
    update effects set state = p_state, result = p_result, problem = p_problem, undo = p_undo,
        undo_until = clock_timestamp() + make_interval(secs => p_undo_seconds), ended_at = clock_timestamp()
    where id = p_effect;
    perform effect_noted(p_effect, p_state, p_problem);
    return true;
end $$;
select engine_function('effect_end(uuid, int, text, jsonb, text, jsonb, float8)');

-- Gives up what was not begun.
create function effect_decline(p_effect uuid, p_fence int, p_problem text) returns boolean
language plpgsql as $$
declare
    v effects := effect_locked(p_effect);
begin
    if v.id is null or v.state not in ('proposed', 'waiting') or not effect_is_held(v, p_fence) then
        return false;
    end if;
    update effects set state = 'declined', problem = p_problem, ended_at = clock_timestamp() where id = p_effect;
    perform effect_noted(p_effect, 'declined', p_problem);
    return true;
end $$;
select engine_function('effect_decline(uuid, int, text)');

-- A person says what became of an effect of which nobody can tell.
create function effect_settle_unknown(p_effect uuid, p_state text, p_note text) returns boolean
language plpgsql as $$
declare
    v effects := effect_locked(p_effect);
begin
    if v.id is null or v.state <> 'unknown' or p_state not in ('applied', 'failed') then
        return false;
    end if;
    perform effect_is_audited(v, 'effect.settled');
    update effects set state = p_state, problem = case when p_state = 'failed' then p_note end,
        ended_at = clock_timestamp()
    where id = p_effect;
    perform effect_noted(p_effect, p_state, p_note);
    return true;
end $$;
select engine_function('effect_settle_unknown(uuid, text, text)');

-- Keeps what was seen of an applied effect; with a verdict, judges it, once.
create function effect_judge(p_effect uuid, p_state text, p_evidence jsonb) returns boolean
language plpgsql as $$
declare
    v effects := effect_locked(p_effect);
begin
    if v.id is null or v.state <> 'applied' or p_state not in ('applied', 'verified', 'refuted', 'unverifiable') then
        return false;
    end if;
    update effects set state = p_state, evidence = v.evidence || p_evidence where id = p_effect;
    if p_state <> 'applied' then
        perform effect_noted(p_effect, p_state, null);
    end if;
    return true;
end $$;
select engine_function('effect_judge(uuid, text, jsonb)');

-- Marks what another effect, its inverse, has taken back.
create function effect_revert(p_effect uuid, p_by uuid) returns boolean
language plpgsql as $$
declare
    v effects := effect_locked(p_effect);
begin
    if v.id is null or v.state not in ('applied', 'verified', 'refuted', 'unverifiable')
        or not exists (select from effects i where i.id = p_by and i.reverts = p_effect
                       and i.organization_id = v.organization_id
                       and i.state in ('applied', 'verified', 'refuted', 'unverifiable'))
    then
        return false;
    end if;
    perform effect_is_audited(v, 'effect.reverted');
    update effects set state = 'reverted', ended_at = clock_timestamp() where id = p_effect;
    perform effect_noted(p_effect, 'reverted', 'by ' || p_by);
    return true;
end $$;
select engine_function('effect_revert(uuid, uuid)');
