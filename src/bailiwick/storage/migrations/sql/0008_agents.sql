-- Agents are rows; one that is idle costs nothing but its row.

create table agents (
    id uuid primary key,
    organization_id uuid not null,
    kind text not null,
    name text not null,
    configuration jsonb not null default '{}',
    -- The task kinds it may be chosen for.
    capabilities text[] not null,
    -- What one task costs, in the organization's currency.
    price numeric(18, 6) not null default 0 check (price >= 0),
    -- How many tasks it can have in hand before its load weighs fully.
    capacity int not null default 4 check (capacity > 0),
    is_enabled boolean not null default true,
    created_at timestamptz not null default now(),
    unique (organization_id, name)
);
create index agents_listing on agents (organization_id, id);
create index agents_by_capability on agents using gin (capabilities);

select tenant_table('agents');
