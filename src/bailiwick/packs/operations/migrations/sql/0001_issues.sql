-- What the operations pack knows of each issue. The text is the latest that arrived.

create table issues (
    id uuid primary key,
    organization_id uuid not null,
    -- "<owner>/<name>#<number>"
    key text not null,
    number bigint not null,
    title text not null,
    record jsonb not null,
    labels text[] not null default '{}',
    author text,
    state text not null check (state in ('open', 'closed')),
    opened_at timestamptz not null,
    closed_at timestamptz,
    -- Closed before we first saw it: it teaches, but no clock ran for us.
    is_history boolean not null default false,
    reopened_count int not null default 0,
    department text,
    operation text,
    priority smallint check (priority between 0 and 3),
    classification jsonb,
    status text not null check (status in ('todo', 'in-progress', 'review', 'done', 'blocked', 'failed', 'error')),
    status_reason text not null,
    status_at timestamptz not null default now(),
    done_at timestamptz,
    -- The service level: its clock starts at the opening, and anew at each escalation.
    clock_started_at timestamptz,
    deadline_at timestamptz,
    at_risk_at timestamptz,
    breached_at timestamptz,
    breached_priority smallint,
    escalations jsonb not null default '[]',
    duplicate_of text,
    related jsonb not null default '[]',
    agent_id uuid,
    choice jsonb,
    oversight jsonb,
    task_id uuid,
    inserted_at timestamptz not null default now(),
    unique (organization_id, key)
);
create index issues_listing on issues (organization_id, id);
create index issues_by_opening on issues (organization_id, opened_at);
create index issues_by_department on issues (organization_id, department, opened_at);
create index issues_by_original on issues (organization_id, duplicate_of) where duplicate_of is not null;
create index issues_on_the_clock on issues (organization_id, deadline_at)
    where deadline_at is not null and done_at is null and state = 'open';

-- Every change of an issue's status or priority: who did it, why, when.
create table issue_transitions (
    id uuid primary key,
    organization_id uuid not null,
    issue_id uuid not null references issues (id) on delete cascade,
    from_status text,
    to_status text not null,
    actor_kind text not null check (actor_kind in ('agent', 'person', 'rule')),
    actor text not null,
    reason text not null,
    details jsonb not null default '{}',
    -- Names the step that made it, so that a step that runs twice makes one transition.
    made_by text not null,
    at timestamptz not null default now(),
    unique (issue_id, made_by)
);

create table issue_results (
    id uuid primary key,
    organization_id uuid not null,
    issue_id uuid not null references issues (id) on delete cascade,
    task_id uuid not null,
    agent_id uuid not null,
    agent_kind text not null,
    operation text not null,
    status text not null check (status in ('done', 'cannot_determine')),
    summary text not null,
    data jsonb not null,
    evidence jsonb not null,
    missing text[] not null,
    seconds double precision not null,
    gates jsonb,
    -- Null until judged, and where no gate was measured.
    is_passed boolean,
    at timestamptz not null default now(),
    unique (organization_id, task_id)
);
create index issue_results_by_issue on issue_results (issue_id, id);
create index issue_results_by_work on issue_results (organization_id, agent_kind, operation, id);

-- Weights learned from people's labels; the newest version is the one in use.
create table issue_classifiers (
    id uuid primary key,
    organization_id uuid not null,
    purpose text not null check (purpose in ('department', 'priority')),
    weights bytea not null,
    samples int not null,
    targets text[] not null,
    trained_until timestamptz not null,
    made_at timestamptz not null default now()
);
create index issue_classifiers_newest on issue_classifiers (organization_id, purpose, id);
select tenant_table('issues');
select tenant_table('issue_transitions');
select tenant_table('issue_results');
select tenant_table('issue_classifiers');
