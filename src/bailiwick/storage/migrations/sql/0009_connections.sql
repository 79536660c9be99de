-- Connections to outside systems, and what it takes to read a rejected record again.

-- Secrets are not kept here: configuration names the environment variables or files that hold them.
create table connections (
    id uuid primary key,
    organization_id uuid not null,
    kind text not null check (length(kind) between 1 and 50),
    -- What is connected, in the outside system's own words: 'owner/name' of a repository.
    target text not null check (length(target) between 1 and 300),
    configuration jsonb not null default '{}',
    -- Where polling stands; belongs to the connector.
    cursor jsonb,
    state text not null default 'active' check (state in ('active', 'paused', 'refused')),
    next_poll_at timestamptz not null default now(),
    last_polled_at timestamptz,
    last_error text,
    created_at timestamptz not null default now(),
    unique (organization_id, kind, target)
);
create index connections_listing on connections (organization_id, id);
create index connections_due on connections (next_poll_at) where state = 'active';

-- What the reader was told beside the record itself: the repository, the column map.
alter table rejected_records add column context jsonb not null default '{}';
-- Importing a file again repeats its rejections; what still waits to be mended is kept once.
create unique index rejected_records_waiting on rejected_records (organization_id, source, md5(raw))
    where redriven_at is null;

select tenant_table('connections');

-- A connection by its id alone: a delivery names nothing else, and proves itself by its signature.
create function connection_organization(p_id uuid) returns uuid
language sql stable as $$
    select c.organization_id from connections c where c.id = p_id
$$;
select engine_function('connection_organization(uuid)');
