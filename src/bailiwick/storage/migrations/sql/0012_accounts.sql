-- Users, memberships, invitations, passwords.

-- A person belongs to the installation; what they may do in an organization is in memberships.
create table users (
    id uuid primary key,
    -- As `identity.accounts.normal_email` writes it: ASCII, lower case, so that one mailbox is one account.
    email text not null unique check (length(email) between 3 and 254 and email = lower(email)),
    name text not null check (length(name) between 1 and 200),
    -- Administrator of the installation: every organization is open.
    is_admin boolean not null default false,
    is_disabled boolean not null default false,
    -- Null until somebody who can know it (an identity provider, an administrator) said that the mailbox is theirs.
    email_verified_at timestamptz,
    last_login_at timestamptz,
    created_at timestamptz not null default now()
);
select installation_table('users');

-- Once there is an administrator who can log in, there always is one.
create function users_keep_admin() returns trigger
language plpgsql as $$
begin
    if not old.is_admin or old.is_disabled or (tg_op = 'UPDATE' and new.is_admin and not new.is_disabled) then
        return coalesce(new, old);
    end if;
    -- One at a time: otherwise the last two could each see the other one stay.
    perform pg_advisory_xact_lock(hashtextextended('administrators', 0));
    if not exists (select from users where is_admin and not is_disabled and id <> old.id) then
        raise exception 'the installation would be without an administrator'
            using errcode = 'integrity_constraint_violation', constraint = 'users_admin';
    end if;
    return coalesce(new, old);
end $$;
create trigger users_keep_admin before update or delete on users
    for each row execute function users_keep_admin();

create table memberships (
    organization_id uuid not null references organizations (id) on delete cascade,
    user_id uuid not null references users (id) on delete cascade,
    role text not null check (role in ('owner', 'admin', 'developer', 'operator', 'viewer')),
    created_at timestamptz not null default now(),
    primary key (organization_id, user_id)
);
create index memberships_of_user on memberships (user_id);
select tenant_table('memberships');

-- An organization that has members has an owner, whoever writes and however many at once.
create function membership_keep_owner() returns trigger
language plpgsql as $$
declare
    v_organization uuid := coalesce(new.organization_id, old.organization_id);
    v_user uuid := coalesce(new.user_id, old.user_id);
begin
    -- One at a time in an organization: otherwise the last two owners could each see the other one stay.
    perform pg_advisory_xact_lock(hashtextextended('memberships:' || v_organization, 0));
    if tg_op <> 'DELETE' and new.role = 'owner' then
        return new;
    end if;
    if tg_op <> 'INSERT' and (old.role <> 'owner'
                              or not exists (select from organizations where id = v_organization)) then
        return coalesce(new, old);
    end if;
    if not exists (select from memberships
                   where organization_id = v_organization and role = 'owner' and user_id <> v_user) then
        raise exception 'organization % would be without an owner', v_organization
            using errcode = 'integrity_constraint_violation', constraint = 'memberships_owner';
    end if;
    return coalesce(new, old);
end $$;
create trigger membership_keep_owner before insert or update or delete on memberships
    for each row execute function membership_keep_owner();

-- At login nobody knows the organization yet: where does this person belong?
create function memberships_of(p_user uuid)
returns table (organization_id uuid, slug text, name text, role text, created_at timestamptz)
language sql stable as $$
    select m.organization_id, o.slug, o.name, m.role, m.created_at
    from memberships m join organizations o on o.id = m.organization_id
    where m.user_id = p_user
    order by o.slug
$$;
select engine_function('memberships_of(uuid)');

create table invitations (
    id uuid primary key,
    organization_id uuid not null references organizations (id) on delete cascade,
    email text not null check (length(email) between 3 and 254 and email = lower(email)),
    role text not null check (role in ('owner', 'admin', 'developer', 'operator', 'viewer')),
    -- SHA-256 of the link's token, which is shown once and stored nowhere.
    token_hash bytea not null unique,
    -- The user, key or service account that asked; "system" for the command line.
    invited_by text not null,
    invited_by_name text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    accepted_at timestamptz,
    accepted_by uuid references users (id) on delete set null,
    revoked_at timestamptz
);
select tenant_table('invitations');
create index invitations_listing on invitations (organization_id, id);
create unique index invitations_open on invitations (organization_id, email)
    where accepted_at is null and revoked_at is null;

-- Who follows a link knows its token and nothing else.
create function invitation_organization(p_token_hash bytea) returns uuid
language sql stable as $$
    select organization_id from invitations where token_hash = p_token_hash
$$;
select engine_function('invitation_organization(bytea)');

create table passwords (
    user_id uuid primary key references users (id) on delete cascade,
    -- In the PHC string format, with its parameters and salt.
    hash text not null,
    changed_at timestamptz not null default now()
);
select installation_table('passwords');

-- Failed logins by email address, whether or not it is an account's, so that the delay betrays no account.
create table login_failures (
    -- SHA-256 of the normal address: no list of who was tried.
    email_hash bytea primary key,
    failures integer not null,
    last_failed_at timestamptz not null,
    next_try_at timestamptz not null
);
select installation_table('login_failures');
create index login_failures_old on login_failures (last_failed_at);

-- Counts an attempt before its password is looked at and returns 0, or returns the seconds to wait and counts
-- nothing. Counting first keeps a crowd of simultaneous guesses to the same pace as one after another. The first
-- four failures cost nothing; then one second, doubled each time, at most 15 minutes, so never for good.
create function login_attempt(p_email_hash bytea) returns double precision
language plpgsql as $$
declare
    v_wait double precision;
begin
    insert into login_failures as f (email_hash, failures, last_failed_at, next_try_at)
    values (p_email_hash, 1, clock_timestamp(), clock_timestamp())
    on conflict (email_hash) do update set
        failures = case when f.last_failed_at < clock_timestamp() - interval '1 day' then 1
                        else least(f.failures + 1, 1000) end,
        last_failed_at = clock_timestamp(),
        next_try_at = case
            when f.last_failed_at < clock_timestamp() - interval '1 day' or f.failures < 4 then clock_timestamp()
            else clock_timestamp() + least(900, power(2, least(f.failures - 4, 10))) * interval '1 second' end
        where f.next_try_at <= clock_timestamp();
    if found then
        return 0;
    end if;
    select extract(epoch from next_try_at - clock_timestamp()) into v_wait
    from login_failures where email_hash = p_email_hash;
    return greatest(coalesce(v_wait, 1), 0.001);
end $$;

-- Links that work once: to make the first administrator, and to set a forgotten password.
create table one_time_links (
    id uuid primary key,
    purpose text not null check (purpose in ('owner', 'password')),
    -- Whose password; null for the first administrator, who does not exist yet.
    user_id uuid references users (id) on delete cascade,
    token_hash bytea not null unique,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    check ((purpose = 'owner') = (user_id is null))
);
select installation_table('one_time_links');
