-- Organizations.

create table organizations (
    id uuid primary key,
    slug text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text not null check (length(name) between 1 and 200),
    settings jsonb not null default '{}',
    created_at timestamptz not null default now()
);

-- The tenants themselves: each sees its own row.
alter table organizations enable row level security, force row level security;
create policy tenant on organizations to bailiwick
    using (id = (select current_organization())) with check (id = (select current_organization()));
create policy engine on organizations to bailiwick_engine using (true) with check (true);
grant select, update on organizations to bailiwick;
grant select, insert, update, delete on organizations to bailiwick_engine;

-- Whom a request is about is looked up before anybody's rows are opened.
create function organization_find(p_id uuid, p_slug text)
returns table (id uuid, slug text, name text, created_at timestamptz)
language sql stable as $$
    select o.id, o.slug, o.name, o.created_at from organizations o where o.id = p_id or o.slug = p_slug
$$;

create function organization_create(p_id uuid, p_slug text, p_name text)
returns table (id uuid, slug text, name text, created_at timestamptz)
language sql as $$
    insert into organizations as o (id, slug, name) values (p_id, p_slug, p_name)
    returning o.id, o.slug, o.name, o.created_at
$$;

-- The newest first, behind p_after if it is given; for the installation's administrators.
create function organization_list(p_after uuid, p_limit int)
returns table (id uuid, slug text, name text, created_at timestamptz)
language sql stable as $$
    select o.id, o.slug, o.name, o.created_at from organizations o
    where p_after is null or o.id < p_after order by o.id desc limit p_limit
$$;

select engine_function('organization_find(uuid, text)');
select engine_function('organization_create(uuid, text, text)');
select engine_function('organization_list(uuid, int)');
