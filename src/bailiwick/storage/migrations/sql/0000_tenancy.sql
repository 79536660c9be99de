-- What separates organizations. Three roles, made before the first migration:
--   bailiwick_owner   owns tables and functions; nobody logs in as it
--   bailiwick_engine  runs the narrow functions that work for all organizations; nobody logs in as it
--   bailiwick         the application: owns nothing, sees one organization per transaction
-- Every table goes through one of the functions below; a test walks the catalogue.

-- The organization of this transaction; null shows nothing.
create function current_organization() returns uuid
language sql stable parallel safe as $$
    select nullif(current_setting('app.organization', true), '')::uuid
$$;

-- Separates the rows of a table by its organization_id. Forced, so that even the owner is held to it.
create function tenant_table(p_table regclass) returns void
language plpgsql as $$
begin
    execute format('alter table %s enable row level security, force row level security', p_table);
    -- A subquery, so that the setting is read once a statement and not once a row.
    execute format('create policy tenant on %s to bailiwick '
                   'using (organization_id = (select current_organization())) '
                   'with check (organization_id = (select current_organization()))', p_table);
    execute format('create policy engine on %s to bailiwick_engine using (true) with check (true)', p_table);
    execute format('grant select, insert, update, delete on %s to bailiwick, bailiwick_engine', p_table);
end $$;

-- A table that belongs to no organization: whoever reads it reads all of it, so it may hold nothing of a tenant.
create function installation_table(p_table regclass, p_privileges text default 'select, insert, update, delete')
returns void
language plpgsql as $$
begin
    execute format('alter table %s enable row level security, force row level security', p_table);
    execute format('create policy installation on %s to bailiwick, bailiwick_engine using (true) with check (true)',
                   p_table);
    execute format('grant %s on %s to bailiwick, bailiwick_engine', p_privileges, p_table);
end $$;

-- What changes the schema itself runs as the owner, whoever calls it.
create function owner_function(p_function regprocedure) returns void
language plpgsql as $$
begin
    execute format('alter function %s security definer', p_function);
    -- Without this a temporary table of the caller's could stand in for ours.
    execute format('alter function %s set search_path = public, pg_temp', p_function);
    execute format('revoke execute on function %s from public', p_function);
    execute format('grant execute on function %s to bailiwick, bailiwick_engine', p_function);
end $$;

-- A door through the separation: the function runs as the engine. Give it the narrowest question
-- that serves its caller.
create function engine_function(p_function regprocedure) returns void
language plpgsql as $$
begin
    perform owner_function(p_function);
    execute format('alter function %s owner to bailiwick_engine', p_function);
end $$;
