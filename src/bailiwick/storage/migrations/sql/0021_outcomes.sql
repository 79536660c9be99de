-- What was expected of effects and results, and what a later look found.

create table outcomes (
    -- Also the id of the task that looks: an expectation and its timer are one thing.
    id uuid primary key,
    organization_id uuid not null,
    -- Of an effect, or of the task's own result where there is none.
    effect_id uuid,
    task_id uuid not null,
    agent_id uuid,
    effect_class text,
    -- The registered check, what was promised in words, and what the check needs to know.
    "check" text not null check (length("check") between 1 and 200),
    claim text not null,
    arguments jsonb not null default '{}',
    check_at timestamptz not null,
    state text not null default 'pending' check (state in ('pending', 'worked', 'did_not', 'unknown')),
    -- What was read, when and from where; of an unknown one what is missing.
    evidence jsonb,
    missing text,
    checked_at timestamptz,
    -- How much later than it should the look came; null: in time.
    late_seconds double precision,
    expected_at timestamptz not null default now(),
    -- The step that states it, so that a run which is repeated states it once.
    step_key text,
    check ((state = 'pending') = (checked_at is null)),
    check ((state = 'unknown') = (missing is not null)),
    unique (organization_id, step_key)
);
create index outcomes_listing on outcomes (organization_id, id);
create index outcomes_of_effects on outcomes (effect_id) where effect_id is not null;
create index outcomes_of_tasks on outcomes (task_id);
create index outcomes_by_agent on outcomes (organization_id, agent_id, state);
create index outcomes_pending on outcomes (organization_id, check_at) where state = 'pending';
select tenant_table('outcomes');
revoke delete on outcomes from bailiwick;

-- Whoever states an expectation, the timer that will look is added in the same transaction.
create function outcome_arm() returns trigger
language plpgsql as $$
begin
    perform task_enqueue(jsonb_build_array(jsonb_build_object(
        'id', new.id, 'org', new.organization_id, 'kind', 'outcome.check', 'run', new.check_at,
        'payload', jsonb_build_object('outcome_id', new.id), 'cause', new.task_id)));
    return null;
end $$;
create trigger outcome_arm after insert on outcomes
    for each row when (new.state = 'pending') execute function outcome_arm();

-- A verdict stands: it is written once, and neither the claim nor its time is moved afterwards or before.
create function outcome_stands() returns trigger
language plpgsql as $$
begin
    if old.state <> 'pending' and (new.state, new.checked_at) is distinct from (old.state, old.checked_at)
        or (new.organization_id, new.effect_id, new.task_id, new.agent_id, new.effect_class, new."check", new.check_at)
           is distinct from
           (old.organization_id, old.effect_id, old.task_id, old.agent_id, old.effect_class, old."check", old.check_at)
    then
        raise exception 'outcome % stands as it was stated and found', old.id using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger outcome_stands before update on outcomes for each row execute function outcome_stands();

-- The moment that a text names, null where it names none.
create function moment_of(p_text text) returns timestamptz
language plpgsql stable as $$
begin
    return p_text::timestamptz;
exception when data_exception then
    return null;
end $$;

-- Whether what a task told (an event's cause) is a promising task's own word: told by it, by what it or what spawned
-- it spawned, by the same agent, or in consequence of such. A task that is gone from the records is somebody else's.
create function is_own_word(p_cause uuid, p_task uuid, p_agent uuid) returns boolean
language sql stable as $$
    with recursive family (id) as (
        select p_task
        union
        select t.parent_id from family f cross join lateral (
            select parent_id from tasks where organization_id = current_organization() and id = f.id
            union all
            select parent_id from finished_tasks where organization_id = current_organization() and id = f.id) as t
        where t.parent_id is not null
    ), teller (id, agent_id) as (
        select p_cause, null::uuid
        union
        select u.id, u.agent_id from teller c cross join lateral (
            select unnest(array[c.id, t.parent_id, t.cause_id]) as id, t.agent_id
            from (select id, parent_id, cause_id, agent_id from tasks
                  where organization_id = current_organization() and id = c.id
                  union all
                  select id, parent_id, cause_id, agent_id from finished_tasks
                  where organization_id = current_organization() and id = c.id) as t
            union all
            select e.cause_id, null from events e where e.organization_id = current_organization() and e.id = c.id) as u
        where u.id is not null
    )
    select exists (select from teller c where c.agent_id = p_agent or c.id in (select f.id from family f))
$$;

-- What people did about the same thing while an agent only watched.
create table shadow_comparisons (
    effect_id uuid primary key,
    organization_id uuid not null,
    agent_id uuid not null,
    effect_class text not null,
    result text not null check (result in ('agreed', 'differed', 'none', 'unknown')),
    -- What was seen of people: [{source, at, tool, arguments}]; of an unknown one what is missing.
    counterparts jsonb not null,
    compared_at timestamptz not null
);
create index shadow_comparisons_by_agent on shadow_comparisons (organization_id, agent_id, effect_id);
select tenant_table('shadow_comparisons');
revoke delete on shadow_comparisons from bailiwick;
