-- Tasks that are still to be done live in `tasks`, which stays small; what is
-- finished moves to `finished_tasks`, partitioned by month of creation.

create type task_state as enum (
    'scheduled', 'available', 'executing', 'waiting', 'retryable', 'completed', 'cancelled', 'discarded');

create table tasks (
    id uuid primary key,
    organization_id uuid not null,
    kind text not null,
    state task_state not null
        check (state in ('scheduled', 'available', 'executing', 'waiting', 'retryable')),
    priority smallint not null check (priority between 0 and 3),
    -- Which limits apply, e.g. 'agent:<id>|kind:<kind>'; '' for the most: none.
    lane text collate "C" not null default '',
    deadline_at timestamptz,
    -- When a scheduled, retryable or waiting task is due; null: not by time.
    run_at timestamptz,
    payload jsonb not null,
    agent_id uuid,
    parent_id uuid,
    cause_id uuid,
    forked_from uuid,
    -- Raised by every claim and by everything that takes the task away.
    fence int not null default 0,
    failures smallint not null default 0,
    recoveries smallint not null default 0,
    errors jsonb not null default '[]',
    worker_id uuid,
    code_version text,
    wait_event text,
    wait_key text,
    wait_after uuid,
    wait_seen uuid[],
    wait_seq int,
    pending_children int not null default 0,
    is_awaited boolean not null default false,
    is_paused boolean not null default false,
    cost numeric(18, 6) not null default 0,
    choice jsonb,
    -- Where the payload comes from and who asked for it; null: nothing to say.
    labels text[],
    inserted_at timestamptz not null default now(),
    started_at timestamptz,
    check ((state = 'executing') = (worker_id is not null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
        autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- The order of claims: fair over (organization, lane), then priority, then deadline, then age.
create index tasks_available on tasks (organization_id, lane, priority, deadline_at, id)
    where state = 'available';
create index tasks_due on tasks (run_at)
    where state in ('scheduled', 'retryable', 'waiting') and run_at is not null and not is_paused;
create index tasks_held on tasks (worker_id) where state = 'executing';
create index tasks_lane_held on tasks (organization_id) where state = 'executing' and lane <> '';
-- Partial on what holds for all and only listings name, so that nobody looks an id up in it: to a plan made
-- while the table is empty it seems as good a place for that as the primary key.
create index tasks_listing on tasks (organization_id, id) where priority >= 0;
create index tasks_children on tasks (parent_id) where parent_id is not null;
create index tasks_event_waits on tasks (organization_id, wait_event, wait_key)
    where state = 'waiting' and wait_event is not null;
create index tasks_by_agent on tasks (agent_id) where agent_id is not null;

create table finished_tasks (
    id uuid not null,
    organization_id uuid not null,
    kind text not null,
    state task_state not null check (state in ('completed', 'cancelled', 'discarded')),
    priority smallint not null,
    lane text collate "C" not null,
    deadline_at timestamptz,
    payload jsonb not null,
    agent_id uuid,
    parent_id uuid,
    cause_id uuid,
    forked_from uuid,
    fence int not null,
    failures smallint not null,
    recoveries smallint not null,
    errors jsonb not null,
    worker_id uuid,
    code_version text,
    cost numeric(18, 6) not null,
    choice jsonb,
    result jsonb,
    reason text,
    labels text[],
    -- Those that the result carries; null: the same.
    result_labels text[],
    inserted_at timestamptz not null,
    started_at timestamptz,
    finished_at timestamptz not null default now(),
    primary key (id)
) partition by range (id);

create index finished_tasks_listing on finished_tasks (organization_id, id);
create index finished_tasks_discarded on finished_tasks (organization_id, id) where state = 'discarded';
create index finished_tasks_by_agent on finished_tasks (agent_id, id) where agent_id is not null;
create index finished_tasks_by_cause on finished_tasks (cause_id) where cause_id is not null;
create index finished_tasks_by_parent on finished_tasks (parent_id) where parent_id is not null;
create index tasks_by_cause on tasks (cause_id) where cause_id is not null;

-- The journal. A row without finished_at is a wait that has not ended.
create table steps (
    organization_id uuid not null,
    task_id uuid not null,
    seq int not null,
    kind text not null,
    name text not null,
    result jsonb,
    fence int not null,
    milliseconds real,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    -- Those that the run carries from this step on beside those it had; null: no more.
    labels text[],
    primary key (task_id, seq)
) partition by range (task_id);

create table task_keys (
    organization_id uuid not null,
    key text not null,
    task_id uuid not null,
    inserted_at timestamptz not null default now(),
    primary key (organization_id, key)
);
create index task_keys_age on task_keys (inserted_at);

-- How many tasks ended how, by organization, kind and agent; kept in the
-- transaction that ends them. The nil agent stands for "no agent".
create table task_totals (
    organization_id uuid not null,
    kind text not null,
    agent_id uuid not null,
    state task_state not null,
    tasks bigint not null,
    seconds double precision not null,
    cost numeric(18, 6) not null,
    deadline_met bigint not null,
    deadline_missed bigint not null,
    primary key (organization_id, kind, agent_id, state)
) with (fillfactor = 50);

-- Concurrency, rate, pause and circuit state of 'organization', 'kind:<kind>' or 'agent:<id>'.
create table limits (
    organization_id uuid not null,
    subject text not null,
    max_concurrency int check (max_concurrency >= 0),
    rate_per_second double precision check (rate_per_second > 0),
    burst double precision check (burst >= 1),
    tokens double precision not null default 0,
    refilled_at timestamptz not null default now(),
    is_paused boolean not null default false,
    blocked_until timestamptz,
    consecutive_failures int not null default 0,
    reason text,
    primary key (organization_id, subject)
);

create table workers (
    id uuid primary key,
    name text not null,
    host text not null,
    pid int not null,
    state text not null check (state in ('active', 'draining', 'stopped', 'dead')),
    code_version text not null,
    concurrency int not null,
    started_at timestamptz not null default now(),
    heartbeat_at timestamptz not null default now(),
    lease_until timestamptz not null
);
create index workers_alive on workers (lease_until) where state in ('active', 'draining');

create table schedules (
    id uuid primary key,
    organization_id uuid not null,
    name text not null,
    kind text not null,
    payload jsonb not null default '{}',
    priority smallint not null default 2,
    agent_id uuid,
    cron text,
    interval_seconds double precision check (interval_seconds > 0),
    timezone text not null default 'UTC',
    jitter_seconds double precision not null default 0 check (jitter_seconds >= 0),
    overlap text not null default 'skip' check (overlap in ('skip', 'allow', 'cancel')),
    catch_up text not null default 'latest' check (catch_up in ('none', 'latest', 'all')),
    is_paused boolean not null default false,
    -- As it was furnished: no person has changed it, so a new version may.
    is_furnished boolean not null default false,
    -- The first firing, without jitter; the grid of an interval goes through it.
    anchor_at timestamptz not null default now(),
    next_fire_at timestamptz,
    last_fire_at timestamptz,
    last_task_id uuid,
    -- Why it fires no more, for example a time zone that no longer exists.
    problem text,
    skipped bigint not null default 0,
    -- Of its tasks: who made it, and where its payload comes from.
    labels text[],
    -- Who let it go on after a pause, and joins those who ask for its tasks; who fired it by hand, for the next alone.
    resumed_by text[] not null default '{}',
    fired_by text[] not null default '{}',
    created_at timestamptz not null default now(),
    unique (organization_id, name),
    check ((cron is null) <> (interval_seconds is null))
) with (fillfactor = 70);
create index schedules_due on schedules (next_fire_at) where not is_paused and next_fire_at is not null;

select tenant_table('tasks');
select tenant_table('finished_tasks');
select tenant_table('steps');
select tenant_table('task_keys');
select tenant_table('task_totals');
select tenant_table('limits');
select tenant_table('schedules');
-- Workers work for everybody.
select installation_table('workers');
