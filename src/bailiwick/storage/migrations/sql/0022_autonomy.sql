-- How far agents may go by themselves, and why.

-- What an organization asks for before an agent goes further; without a row the defaults apply.
create table autonomy_rules (
    organization_id uuid primary key,
    rules jsonb not null,
    set_at timestamptz not null default now()
);
select tenant_table('autonomy_rules');

-- The versions of an agent: its code, its configuration, the models and prompts it names. A new one begins
-- without what earlier ones have shown.
create table autonomy_versions (
    organization_id uuid not null,
    agent_id uuid not null,
    number int not null check (number > 0),
    fingerprint text not null,
    document jsonb not null,
    since timestamptz not null default clock_timestamp(),
    primary key (organization_id, agent_id, number)
);
select tenant_table('autonomy_versions');
revoke update, delete on autonomy_versions from bailiwick;
-- What erasing a person may overwrite; the fingerprint stays, so it is no new version.
grant update (document) on autonomy_versions to bailiwick;

-- The level of an agent in a class of effects; without a row, or set_by null, it is that of the start.
create table autonomy_levels (
    organization_id uuid not null,
    agent_id uuid not null,
    effect_class text not null check (effect_class in ('read', 'write', 'external', 'spend', 'destructive')),
    level smallint not null check (level between 1 and 5),
    set_by text check (set_by in ('person', 'promotion', 'demotion', 'reset')),
    reason text,
    changed_at timestamptz,
    primary key (organization_id, agent_id, effect_class),
    check ((set_by is null) = (reason is null) and (set_by is null) = (changed_at is null))
);
select tenant_table('autonomy_levels');

-- Every change of a level; append-only.
create table autonomy_moves (
    id uuid primary key,
    organization_id uuid not null,
    agent_id uuid not null,
    effect_class text not null,
    version int not null,
    from_level smallint not null,
    to_level smallint not null,
    set_by text not null,
    reason text not null,
    actor text not null,
    moved_at timestamptz not null
);
create index autonomy_moves_of on autonomy_moves (organization_id, agent_id, id);
select tenant_table('autonomy_moves');
revoke update, delete on autonomy_moves from bailiwick;
-- What erasing a person may overwrite.
grant update (reason) on autonomy_moves to bailiwick;

-- What speaks for and against an agent. One act is one trial, however much is known of it.
create table autonomy_evidence (
    id uuid primary key,
    organization_id uuid not null,
    agent_id uuid not null,
    effect_class text not null check (effect_class in ('read', 'write', 'external', 'spend', 'destructive')),
    version int not null,
    -- The act that it is about: the effect's id.
    about uuid not null,
    source text not null check (source in (
        'approved', 'rejected', 'edited', 'verified', 'refuted', 'agreed', 'differed')),
    is_success boolean not null,
    is_irreversible boolean not null default false,
    recorded_at timestamptz not null,
    unique (organization_id, about, source)
);
create index autonomy_evidence_of on autonomy_evidence (organization_id, agent_id, effect_class, version);
select tenant_table('autonomy_evidence');
revoke update, delete on autonomy_evidence from bailiwick;

-- Promotions that were proposed, and what people said.
create table autonomy_promotions (
    id uuid primary key,
    organization_id uuid not null,
    agent_id uuid not null,
    effect_class text not null,
    version int not null,
    from_level smallint not null,
    to_level smallint not null check (to_level = from_level + 1 and to_level <= 4),
    state text not null default 'proposed' check (state in (
        'proposed', 'confirmed', 'refused', 'withdrawn', 'automatic')),
    -- The trials and the bound by which it was proposed.
    evidence jsonb not null,
    proposed_at timestamptz not null,
    answered_at timestamptz,
    answered_by text,
    reason text,
    check ((state = 'proposed') = (answered_at is null))
);
create unique index autonomy_promotions_open on autonomy_promotions (organization_id, agent_id, effect_class)
    where state = 'proposed';
create index autonomy_promotions_listing on autonomy_promotions (organization_id, id);
select tenant_table('autonomy_promotions');

-- The number of an agent's version and its level in a class, which stay so until the transaction is over: a new
-- version waits for the decisions that go by the old one, so what it is proposed after belongs to it.
create function autonomy_standing(p_agent uuid, p_class text) returns table (version int, standing smallint)
language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('autonomy:' || p_agent, 0));
    return query
    select coalesce(max(v.number), 0),
           (select l.level from autonomy_levels l
            where l.organization_id = current_organization() and l.agent_id = p_agent and l.effect_class = p_class)
    from autonomy_versions v
    where v.organization_id = current_organization() and v.agent_id = p_agent;
end $$;
