-- Policies by version, and every decision made by them.

-- What an organization's rules say. The highest version is in force; none is ever changed, so that a
-- decision can be understood as long as it is kept. The nil organization's is the installation's ceiling.
create table policies (
    organization_id uuid not null,
    version int not null check (version > 0),
    -- As it was written: comments and order tell people why.
    source text not null check (length(source) <= 1000000),
    digest text not null,
    note text check (length(note) <= 2000),
    put_by_kind text not null,
    put_by_id text not null,
    put_by_name text not null,
    put_at timestamptz not null default now(),
    primary key (organization_id, version)
);
select tenant_table('policies');
revoke update, delete on policies from bailiwick, bailiwick_engine;

-- What is in force for the organization of this transaction: its own version and the ceiling's, 0 for none.
create function policy_versions() returns table (own int, ceiling int)
language sql stable as $$
    select
        coalesce((select max(p.version) from policies p where p.organization_id = current_organization()), 0),
        coalesce((select max(p.version) from policies p
                  where p.organization_id = '00000000-0000-0000-0000-000000000000'), 0)
$$;
select engine_function('policy_versions()');

-- The text of a version of the ceiling: every organization is held to it, so every one may read it.
create function policy_ceiling(p_version int) returns text
language sql stable as $$
    select p.source from policies p
    where p.organization_id = '00000000-0000-0000-0000-000000000000' and p.version = p_version
$$;
select engine_function('policy_ceiling(int)');

-- Everything that was considered and what came of it, whether anything was done or not. A partition a month.
create table decisions (
    id uuid primary key,
    organization_id uuid not null,
    task_id uuid not null,
    agent_id uuid,
    agent_kind text,
    tool text not null,
    effect_class text not null,
    target text not null,
    price numeric not null,
    labels text[] not null default '{}',
    risk double precision,
    score double precision,
    confidence double precision,
    outcome text not null check (outcome in ('allow', 'approve', 'deny')),
    -- Who decided: a rule, the level, the floor, ...; and the rule's name or the voice's own.
    voice text not null,
    rule text not null,
    reason text not null,
    policy_version int not null,
    ceiling_version int not null,
    level smallint not null,
    terms jsonb,
    notice boolean not null,
    is_shadow boolean not null,
    -- Every voice that spoke: [{voice, rule, outcome, reason}].
    considered jsonb not null,
    -- Rules that would have allowed it, had what they ask been known.
    undetermined text[] not null default '{}',
    proposed_because text not null default '',
    -- All that the decision was made from, so that another policy can be tried on it: the proposal in
    -- full, and what stood around it (level, consent, budget, remembered rule).
    proposal jsonb not null,
    given jsonb not null,
    decided_at timestamptz not null
) partition by range (id);
select tenant_table('decisions');
-- Grants do not reach partitions made later; a trigger does. Only what erasing a person overwrites may change;
-- rows go when an organization's retention says so.
create function decisions_stand() returns trigger
language plpgsql as $$
begin
    if (to_jsonb(new) - array['target', 'reason', 'considered', 'proposed_because', 'labels', 'proposal'])
       is distinct from (to_jsonb(old) - array['target', 'reason', 'considered', 'proposed_because', 'labels', 'proposal'])
    then
        raise exception 'a decision is never changed' using errcode = 'insufficient_privilege';
    end if;
    return new;
end $$;
create trigger decisions_stand before update on decisions
    for each row execute function decisions_stand();
create index decisions_listing on decisions (organization_id, id);
create index decisions_of_task on decisions (task_id, id);
create index decisions_of_agent on decisions (organization_id, agent_id, id) where agent_id is not null;
create index decisions_of_target on decisions (organization_id, target, id);
select partitions_ensure('decisions', now() - interval '1 month', 4);
