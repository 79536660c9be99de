-- Consent, data subjects, retention, legal holds.

-- The secret under which an organization's identifiers are hashed, sealed by the vault.
create table subject_hash_keys (
    organization_id uuid primary key,
    sealed bytea not null,
    created_at timestamptz not null default now()
);
select tenant_table('subject_hash_keys');

-- A person the organization holds data about. The row outlives an erasure: it says that one took place.
create table data_subjects (
    id uuid primary key,
    organization_id uuid not null,
    created_at timestamptz not null default now(),
    erased_at timestamptz
);
create index data_subjects_listing on data_subjects (organization_id, id);
select tenant_table('data_subjects');

-- By what a person is known. Found by a keyed hash, read only by opening what is sealed.
create table subject_identifiers (
    id uuid primary key,
    organization_id uuid not null,
    subject_id uuid not null references data_subjects (id),
    kind text not null check (kind in ('email', 'login', 'user', 'name')),
    lookup bytea not null,
    sealed bytea not null,
    created_at timestamptz not null default now(),
    unique (organization_id, subject_id, kind, lookup)
);
-- Two people may share a name, nothing else.
create unique index subject_identifiers_unambiguous on subject_identifiers (organization_id, kind, lookup)
    where kind <> 'name';
create index subject_identifiers_of on subject_identifiers (subject_id);
select tenant_table('subject_identifiers');

create type consent_state as enum ('pending', 'granted', 'denied', 'withdrawn', 'expired');

create table consents (
    id uuid primary key,
    organization_id uuid not null,
    subject_id uuid not null references data_subjects (id),
    purpose text not null check (length(purpose) between 1 and 50),
    state consent_state not null,
    -- When a pending or granted consent lapses; null: not by itself.
    expires_at timestamptz,
    changed_at timestamptz not null default now(),
    unique (subject_id, purpose)
);
create index consents_listing on consents (organization_id, id);
create index consents_expiring on consents (organization_id, expires_at) where expires_at is not null;
select tenant_table('consents');

-- The evidence: every change, who made it, how, and which text the person was shown.
create table consent_changes (
    id uuid primary key,
    organization_id uuid not null,
    consent_id uuid not null references consents (id) on delete cascade,
    subject_id uuid not null,
    purpose text not null,
    from_state consent_state,
    to_state consent_state not null,
    actor_kind text not null,
    actor_id text not null,
    method text not null,
    text_version text,
    -- In the person's words; sealed under the person's key.
    sealed_note bytea,
    changed_at timestamptz not null default now()
);
create index consent_changes_of on consent_changes (consent_id, id);
select tenant_table('consent_changes');

-- What stops erasure and retention: of one person, of one class, or of everything an organization has.
create table legal_holds (
    id uuid primary key,
    organization_id uuid not null,
    scope text not null check (scope in ('organization', 'class', 'subject')),
    -- The class or the subject's id; null for the whole organization.
    target text check ((scope = 'organization') = (target is null)),
    reason text not null check (length(reason) between 1 and 2000),
    placed_by text not null,
    placed_at timestamptz not null default now(),
    -- When it ends by itself; null: when it is released.
    until timestamptz,
    released_at timestamptz,
    released_by text,
    release_reason text
);
create index legal_holds_listing on legal_holds (organization_id, id);
select tenant_table('legal_holds');

-- How long an organization keeps a class of data; a class without a row has its default.
create table retention_policies (
    organization_id uuid not null,
    class text not null,
    days int not null check (days between 1 and 36525),
    set_at timestamptz not null default now(),
    primary key (organization_id, class)
);
select tenant_table('retention_policies');

-- What people asked for about a person: a copy of everything, or its erasure.
create table data_requests (
    id uuid primary key,
    organization_id uuid not null,
    subject_id uuid not null references data_subjects (id),
    kind text not null check (kind in ('export', 'erasure')),
    state text not null default 'pending' check (state in ('pending', 'done', 'refused')),
    task_id uuid,
    reason text,
    -- Of an export: the archive, sealed under the person's key, for a few days.
    archive bytea,
    archive_until timestamptz,
    -- Of an erasure: its signed certificate.
    certificate jsonb,
    requested_at timestamptz not null default now(),
    finished_at timestamptz
);
create index data_requests_listing on data_requests (organization_id, id);
create index data_requests_of on data_requests (subject_id);
select tenant_table('data_requests');

-- The keys that sign certificates; the private half is sealed by the vault.
create table certificate_keys (
    id uuid primary key,
    public_key bytea not null,
    sealed bytea not null,
    created_at timestamptz not null default now()
);
select installation_table('certificate_keys', 'select, insert');

-- The organizations whose data may not leave with a whole month: the retention of all of them asks.
create function organizations_on_hold() returns setof uuid
language sql stable as $$
    select distinct h.organization_id from legal_holds h
    where h.released_at is null and (h.until is null or h.until > now())
$$;
select engine_function('organizations_on_hold()');

-- Of the requests that were made and whose task nobody knows of: the maker was stopped in between.
create function data_requests_forgotten()
returns table (request_organization uuid, request uuid, request_kind text)
language sql stable as $$
    select r.organization_id, r.id, r.kind from data_requests r
    where r.state = 'pending' and r.task_id is null and r.requested_at < now() - interval '1 minute'
$$;
select engine_function('data_requests_forgotten()');
