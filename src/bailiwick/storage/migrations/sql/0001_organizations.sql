-- Organizations and the keys that open the doors.

create table organizations (
    id uuid primary key,
    slug text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text not null check (length(name) between 1 and 200),
    settings jsonb not null default '{}',
    created_at timestamptz not null default now()
);

-- A key without an organization opens the whole installation.
create table api_keys (
    id uuid primary key,
    organization_id uuid references organizations (id),
    name text not null,
    prefix text not null,
    key_hash bytea not null unique,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz
);
