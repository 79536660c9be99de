-- Plans: what an organization may have, and how fast it may ask.

-- What an organization may have: {resource: {soft, hard}}, and how fast it may ask:
-- {scope: {per_minute, burst}}; what a plan does not name is not bounded, a rate that
-- it does not name is that of the plan 'unlimited'.
create table plans (
    name text primary key check (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    description text not null default '',
    quotas jsonb not null default '{}',
    rates jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
select installation_table('plans');
insert into plans (name, description, rates) values (
    'unlimited', 'No quotas; what every organization has until it is given another plan.',
    '{"key": {"per_minute": 600, "burst": 120}, "user": {"per_minute": 600, "burst": 120},
      "organization": {"per_minute": 3000, "burst": 600}}');

-- The plan of an organization and what differs from it; without a row: 'unlimited'.
create table organization_plans (
    organization_id uuid primary key,
    plan text not null default 'unlimited' references plans (name),
    quotas jsonb not null default '{}',
    rates jsonb not null default '{}',
    assigned_at timestamptz not null default now()
);
select tenant_table('organization_plans');
