-- Second factors, passkeys, outside identity providers. People belong to no organization, and so do their factors.

-- What a login or an enrolment remembers between two requests: the challenge, the state, the continuation.
-- Each is used once, and soon.
create table login_ceremonies (
    -- Only a hash: whoever reads the table cannot go on with anybody's login.
    token_hash bytea primary key,
    purpose text not null check (length(purpose) between 1 and 50),
    user_id uuid references users (id) on delete cascade,
    document jsonb not null default '{}',
    tries_left smallint not null default 1 check (tries_left >= 0),
    expires_at timestamptz not null
);
create index login_ceremonies_expiry on login_ceremonies (expires_at);
create index login_ceremonies_of_user on login_ceremonies (user_id) where user_id is not null;
select installation_table('login_ceremonies');

-- Wrong second factors of a user, counted over all logins, so that nobody guesses six digits by logging in again.
create table second_factor_failures (
    user_id uuid primary key references users (id) on delete cascade,
    failed integer not null,
    window_began_at timestamptz not null
);
select installation_table('second_factor_failures');

create table totp_secrets (
    user_id uuid primary key references users (id) on delete cascade,
    sealed_secret bytea not null,
    -- The last accepted time step; it and all before it are refused from then on.
    last_step bigint not null default 0,
    -- Null until a first code has proved that the authenticator holds the secret.
    confirmed_at timestamptz,
    created_at timestamptz not null default now()
);
select installation_table('totp_secrets');

create table recovery_codes (
    user_id uuid not null references users (id) on delete cascade,
    code_hash bytea not null,
    created_at timestamptz not null default now(),
    used_at timestamptz,
    primary key (user_id, code_hash)
);
select installation_table('recovery_codes');

create table passkeys (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    credential_id bytea not null unique check (length(credential_id) between 1 and 1023),
    public_key bytea not null,
    sign_count bigint not null check (sign_count >= 0),
    name text not null check (length(name) between 1 and 100),
    transports text[] not null default '{}',
    -- Whether the authenticator keeps a copy elsewhere (a password manager's cloud).
    is_backed_up boolean not null default false,
    created_at timestamptz not null default now(),
    last_used_at timestamptz
);
create index passkeys_of_user on passkeys (user_id, id);
select installation_table('passkeys');

-- The nil organization's providers are for everybody; any other's give roles in that organization only.
create table identity_providers (
    id uuid primary key,
    organization_id uuid not null,
    slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text not null check (length(name) between 1 and 100),
    protocol text not null check (protocol in ('oidc', 'github')),
    issuer text not null check (length(issuer) between 1 and 500),
    client_id text not null check (length(client_id) between 1 and 500),
    sealed_client_secret bytea,
    scopes text[] not null,
    -- Who is let in and with which role: identity/oidc/policy.py.
    policy jsonb not null,
    is_enabled boolean not null default true,
    created_at timestamptz not null default now(),
    unique (organization_id, slug)
);
create index identity_providers_listing on identity_providers (organization_id, id);
select tenant_table('identity_providers');

-- Which account a provider's subject is.
create table user_identities (
    provider_id uuid not null references identity_providers (id) on delete cascade,
    subject text not null check (length(subject) between 1 and 255),
    user_id uuid not null references users (id) on delete cascade,
    email text,
    created_at timestamptz not null default now(),
    last_login_at timestamptz,
    primary key (provider_id, subject),
    unique (provider_id, user_id)
);
create index user_identities_of_user on user_identities (user_id);
select installation_table('user_identities');

-- The memberships a provider's groups gave, so that a later login can take them back and no other's.
create table mapped_memberships (
    provider_id uuid not null references identity_providers (id) on delete cascade,
    user_id uuid not null references users (id) on delete cascade,
    organization_id uuid not null,
    role text not null,
    mapped_at timestamptz not null default now(),
    primary key (provider_id, user_id, organization_id)
);
create index mapped_memberships_of_user on mapped_memberships (user_id);
select tenant_table('mapped_memberships');

-- A login begins before anybody knows the organization: the one provider that its address names.
create function login_provider(p_id uuid) returns setof identity_providers
language sql stable as $$
    select * from identity_providers where id = p_id and is_enabled
$$;
select engine_function('login_provider(uuid)');

-- Where the provider's groups gave the user a role at an earlier login.
create function mapped_organizations(p_provider uuid, p_user uuid) returns table (organization_id uuid, role text)
language sql stable as $$
    select m.organization_id, m.role from mapped_memberships m where m.provider_id = p_provider and m.user_id = p_user
$$;
select engine_function('mapped_organizations(uuid, uuid)');

-- Whether an organization that the user belongs to, besides one, asks for a second factor of whoever has their role.
create function second_factor_required(p_user uuid, p_besides uuid) returns boolean
language sql stable as $$
    select exists (
        select from memberships m join organizations o on o.id = m.organization_id
        where m.user_id = p_user and m.organization_id is distinct from p_besides
          and o.settings -> 'login' -> 'second_factor_roles' ? m.role)
$$;
select engine_function('second_factor_required(uuid, uuid)');
