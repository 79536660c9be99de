-- Links for channels that cannot answer themselves: good once, for one person who logs in.
create table approval_links (
    id uuid primary key,
    organization_id uuid not null,
    approval_id uuid not null references approvals (id),
    user_id uuid not null,
    -- SHA-256 of the link's token, which is shown once and stored nowhere.
    token_hash bytea not null unique,
    made_by text not null,
    made_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz
);
create index approval_links_of_approval on approval_links (organization_id, approval_id);
select tenant_table('approval_links');

revoke update, delete on approval_links from bailiwick;
grant update (used_at) on approval_links to bailiwick;

-- Who follows a link knows its token and nothing else.
create function approval_link_organization(p_token_hash bytea) returns uuid
language sql stable as $$
    select organization_id from approval_links where token_hash = p_token_hash
$$;
select engine_function('approval_link_organization(bytea)');
