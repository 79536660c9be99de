-- Signing keys, sessions, refresh tokens, service accounts, API keys.

-- What access tokens are signed with. One key signs; a retired one only verifies what it signed.
create table signing_keys (
    kid text primary key,
    algorithm text not null check (algorithm = 'Ed25519'),
    -- A JWK, for everybody to see.
    public_key jsonb not null,
    -- Sealed by the vault.
    private_key bytea not null,
    created_at timestamptz not null default now(),
    retired_at timestamptz
);
select installation_table('signing_keys');
create unique index signing_keys_current on signing_keys ((true)) where retired_at is null;

-- One login. A program's lives by refresh tokens, a browser's by the cookie whose hash is here.
create table sessions (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    methods text[] not null,
    address text check (length(address) <= 100),
    user_agent text check (length(user_agent) <= 500),
    token_hash bytea unique,
    created_at timestamptz not null default now(),
    last_used_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    revoked_because text
);
select installation_table('sessions');
create index sessions_of_user on sessions (user_id, id) where revoked_at is null;
create index sessions_ended on sessions (expires_at);

-- The tokens of a session are a family: each is used once and then names what followed it.
create table refresh_tokens (
    token_hash bytea primary key,
    session_id uuid not null references sessions (id) on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    -- The next token, readable only with this one, so that a lost answer can be given again.
    successor bytea,
    check ((used_at is null) = (successor is null))
);
select installation_table('refresh_tokens');
create index refresh_tokens_of_session on refresh_tokens (session_id);

-- Access tokens that are refused although they have not expired.
create table denied_tokens (
    token_id uuid primary key,
    expires_at timestamptz not null
);
select installation_table('denied_tokens');

-- Whom a session stands for and where they belong; nobody once it ended. By its id, or by the hash of its cookie.
create function session_standing(p_session uuid, p_cookie_hash bytea, p_token uuid)
returns table (session_id uuid, user_id uuid, name text, is_admin boolean, is_stale boolean, roles jsonb)
language sql stable as $$
    select s.id, u.id, u.name, u.is_admin, s.last_used_at < now() - interval '1 minute',
           coalesce((select jsonb_object_agg(m.organization_id, m.role) from memberships m where m.user_id = u.id), '{}')
    from sessions s join users u on u.id = s.user_id
    where (s.id = p_session or s.token_hash = p_cookie_hash)
      and s.revoked_at is null and s.expires_at > now() and not u.is_disabled
      and not exists (select from denied_tokens d where d.token_id = p_token)
$$;
select engine_function('session_standing(uuid, bytea, uuid)');

-- A program of an organization that is nobody in particular.
create table service_accounts (
    id uuid primary key,
    organization_id uuid not null references organizations (id) on delete cascade,
    name text not null check (length(name) between 1 and 200),
    role text not null,
    is_disabled boolean not null default false,
    -- The people who made it: user:ID, or administrator for whoever runs the machine. What a program made with a key
    -- was made by those behind the key. What it asks for, they ask for.
    made_by text[] not null,
    created_at timestamptz not null default now(),
    unique (organization_id, name)
);
select tenant_table('service_accounts');

create table api_keys (
    id uuid primary key,
    -- The nil UUID for a key of the installation's administrators, which opens everything.
    organization_id uuid not null,
    organization uuid generated always as (nullif(organization_id, '00000000-0000-0000-0000-000000000000')) stored
        references organizations (id) on delete cascade,
    name text not null check (length(name) between 1 and 200),
    prefix text not null,
    key_hash bytea not null unique,
    -- What it may at most; null for an administrator's.
    role text,
    -- What it may of that; null for all.
    scopes text[],
    -- Whose it is: a person's, a service account's, or neither for one made on the machine itself.
    user_id uuid references users (id) on delete cascade,
    service_account_id uuid references service_accounts (id) on delete cascade,
    -- As of a service account.
    made_by text[] not null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    check ((role is null) = (organization is null)),
    check (user_id is null or service_account_id is null)
);
select tenant_table('api_keys');
create index api_keys_of_organization on api_keys (organization_id, id) where revoked_at is null;
create index api_keys_of_user on api_keys (user_id) where user_id is not null;
create index api_keys_of_service_account on api_keys (service_account_id) where service_account_id is not null;

-- Who holds a key; nobody once it was revoked or has expired, its service account is disabled, or the person who
-- made it is disabled or no longer belongs there. A person's key never does more than the person's role now.
create function api_key_holder(p_hash bytea)
returns table (id uuid, name text, organization_id uuid, role text, scopes text[], user_id uuid, user_role text,
               user_is_admin boolean, service_account_id uuid, service_account text, service_role text,
               is_stale boolean, makers text[])
language sql stable as $$
    select k.id, k.name, k.organization_id, k.role, k.scopes, k.user_id, m.role, u.is_admin, s.id, s.name, s.role,
           coalesce(k.last_used_at < now() - interval '1 minute', true), k.made_by || s.made_by
    from api_keys k
    left join users u on u.id = k.user_id
    left join memberships m on m.user_id = k.user_id and m.organization_id = k.organization_id
    left join service_accounts s on s.id = k.service_account_id
    where k.key_hash = p_hash and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
      and (k.user_id is null or (not u.is_disabled and (u.is_admin or m.role is not null)))
      and (k.service_account_id is null or not s.is_disabled)
$$;
select engine_function('api_key_holder(bytea)');

-- Which keys a name or an id means, over all organizations; for who runs the installation.
create function api_keys_named(p_name text, p_id uuid) returns table (id uuid, organization_id uuid)
language sql stable as $$
    select k.id, k.organization_id from api_keys k
    where (k.name = p_name or k.id = p_id) and k.revoked_at is null
$$;
select engine_function('api_keys_named(text, uuid)');

-- All keys of the installation but what they hash to, the newest first; for who runs the installation.
create function api_key_list(p_after uuid, p_limit int)
returns table (id uuid, name text, prefix text, organization text, role text, scopes text[], user_name text,
               service_account text, created_at timestamptz, last_used_at timestamptz, expires_at timestamptz)
language sql stable as $$
    select k.id, k.name, k.prefix, o.slug, k.role, k.scopes, u.name, s.name, k.created_at, k.last_used_at, k.expires_at
    from api_keys k
    left join organizations o on o.id = k.organization
    left join users u on u.id = k.user_id
    left join service_accounts s on s.id = k.service_account_id
    where k.revoked_at is null and (p_after is null or k.id < p_after)
    order by k.id desc limit p_limit
$$;
select engine_function('api_key_list(uuid, int)');
