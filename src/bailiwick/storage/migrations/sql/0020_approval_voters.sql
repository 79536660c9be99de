-- Who may answer an approval: by role, by delegation, and never who asked for the work.

create table approval_delegations (
    id uuid primary key,
    organization_id uuid not null,
    from_user uuid not null,
    to_user uuid not null,
    -- For one approval, or for a time.
    approval_id uuid references approvals (id),
    tools text[] not null default '{}',
    max_price numeric check (max_price >= 0),
    may_edit boolean not null default false,
    reason text,
    starts_at timestamptz not null,
    ends_at timestamptz,
    made_by text not null,
    made_at timestamptz not null default now(),
    revoked_at timestamptz,
    check (from_user <> to_user),
    check (approval_id is not null or ends_at is not null)
);
create index approval_delegations_listing on approval_delegations (organization_id, id);
create index approval_delegations_to on approval_delegations (organization_id, to_user) where revoked_at is null;
select tenant_table('approval_delegations');

revoke update, delete on approval_delegations from bailiwick;
grant update (revoked_at, reason) on approval_delegations to bailiwick;

create function role_rank(p_role text) returns int
language sql immutable as $$
    select array_position(array['viewer', 'operator', 'developer', 'admin', 'owner'], p_role)
$$;

create function approval_roles(a approvals) returns text[]
language sql stable as $$
    select case when a.escalated_at is null or a.escalate_to is null then a.roles else a.roles || a.escalate_to end
$$;

-- The people behind work that carries labels, named as voices are: whoever asked for it or brought it to run again, by
-- name or by a key of theirs, and whoever made the key or the service account that did. Doors write the people into
-- the labels, which outlive a key; where only the key is named, its row says who they are.
create function requesters(p_labels text[]) returns setof text
language sql stable as $$
    with asked as (
        select split_part(l, ':', 2) as kind, substr(l, length(split_part(l, ':', 2)) + 5) as who
        from unnest(p_labels) as l where l like 'by:%'
    ), programs as (
        select kind, who::uuid as id from asked
        where kind in ('key', 'service') and who ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    )
    select 'user:' || who from asked where kind = 'user'
    union
    select who from asked where kind = 'maker'
    union
    select 'administrator' from asked where kind = 'system' and who like 'account:%'
    union
    select unnest(array_append(k.made_by, 'user:' || k.user_id)) from programs p join api_keys k on k.id = p.id
    where p.kind = 'key'
    union
    select unnest(s.made_by || k.made_by)
    from programs p join service_accounts s on s.id = p.id left join api_keys k on k.service_account_id = s.id
    where p.kind = 'service'
$$;

-- Who brought the task to run again after it asked is found at the task.
create function approval_requesters(a approvals) returns setof text
language sql stable as $$
    select requesters(a.labels || (select t.labels from tasks t
                                   where t.id = a.task_id and t.organization_id = a.organization_id))
$$;

-- Whether a person may answer an approval in their own right, as things stand now.
create function approval_is_voter(a approvals, p_user uuid) returns boolean
language sql stable as $$
    select exists (
        select from users u left join memberships m on m.user_id = u.id and m.organization_id = a.organization_id
        where u.id = p_user and not u.is_disabled
          and (u.is_admin or exists (select from unnest(approval_roles(a)) as r
                                     where role_rank(m.role) >= role_rank(r))))
        and not exists (select from approval_requesters(a) as r where r = 'user:' || p_user)
$$;

-- The members who may answer in their own right.
create function approval_electorate(p_approval uuid) returns setof uuid
language sql stable as $$
    select m.user_id
    from approvals a join memberships m on m.organization_id = a.organization_id
    where a.id = p_approval and a.organization_id = current_organization() and approval_is_voter(a, m.user_id)
    order by 1
$$;
select engine_function('approval_electorate(uuid)');

-- The delegation by which one person may speak for another about an approval at a moment, if there is one.
create function approval_delegation(a approvals, p_from uuid, p_to uuid, p_edits boolean, p_at timestamptz) returns uuid
language sql stable as $$
    select d.id from approval_delegations d
    where d.organization_id = a.organization_id and d.from_user = p_from and d.to_user = p_to
      and d.revoked_at is null and d.starts_at <= p_at and (d.ends_at is null or d.ends_at > p_at)
      and (d.approval_id is null or d.approval_id = a.id)
      and (d.tools = '{}' or a.tool = any (d.tools)) and (d.max_price is null or a.price <= d.max_price)
      and (not p_edits or d.may_edit)
    order by d.approval_id nulls last, d.id limit 1
$$;
