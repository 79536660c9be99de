-- Envelope encryption: master keys wrap data keys, data keys seal values.

-- Which master keys this installation has used. The keys themselves are never here, only what tells them apart.
create table master_keys (
    id text primary key check (length(id) between 1 and 200),
    first_used_at timestamptz not null default now(),
    -- Set when a rotation to another key begins; from then on nothing new is wrapped with it.
    retired_at timestamptz
);
select installation_table('master_keys');
-- One wraps what is new, however many processes begin at once.
create unique index master_keys_current on master_keys ((true)) where retired_at is null;

create table data_keys (
    id uuid primary key,
    organization_id uuid not null,
    -- Whose data it seals; null for what is about nobody in particular.
    subject_id text check (length(subject_id) between 1 and 200),
    version integer not null check (version > 0),
    -- Both null once the key is destroyed; the row stays, so that "destroyed" can be told from "unknown".
    master_key_id text references master_keys (id),
    wrapped bytea,
    created_at timestamptz not null default now(),
    erased_at timestamptz,
    unique nulls not distinct (organization_id, subject_id, version),
    check ((erased_at is null) = (wrapped is not null) and (wrapped is null) = (master_key_id is null))
);
select tenant_table('data_keys');
create index data_keys_wrapped on data_keys (organization_id, master_key_id, id) where wrapped is not null;

-- Tokens and secrets of a connection, sealed; its configuration may name variables or files that hold them instead.
alter table connections add column credentials bytea;

-- How many keys of which organization each master key wraps: what a rotation has to walk through.
create function vault_key_counts()
returns table (key_organization uuid, key_master text, keys bigint)
language sql stable as $$
    select organization_id, master_key_id, count(*) from data_keys group by 1, 2
$$;
select engine_function('vault_key_counts()');
