-- Counting where things happen: tasks, agents and money in the transaction that adds them, storage by measuring.

-- Kinds of task that are the platform's own upkeep and count for nobody; kept by every start as
-- the kinds say it of themselves.
create table unmetered_kinds (
    kind text primary key
);
select installation_table('unmetered_kinds');

-- Counts tasks where they are added, whoever adds them, in the same transaction; refuses all of a
-- statement's tasks if an organization would exceed its hard limit, or its storage is full. A
-- redriven task was counted when it was made: it comes back with the time of then. The platform's
-- own upkeep goes on uncounted: some of it makes room, and an erasure is owed whatever is used up.
create function tasks_meter() returns trigger
language plpgsql as $$
declare
    v record;
begin
    for v in
        with made as (
            select a.organization_id, count(*) as tasks from added a
            -- Not a join: the kinds are read once for all rows, whatever plans the caller switched off.
            where a.inserted_at = now() and a.kind not in (select u.kind from unmetered_kinds u)
            group by a.organization_id
        ), counted as (
            insert into usage_increments (organization_id, resource, day, amount)
            select m.organization_id, 'tasks', usage_day(now()), m.tasks from made m
        )
        select m.*, q.resource, q.used, q.hard_limit from made m
        join quotas q on q.organization_id = m.organization_id and q.resource in ('storage_bytes', 'tasks')
        order by q.organization_id, q.resource
    loop
        if v.resource = 'tasks' then
            if quota_take(v.organization_id, 'tasks', v.tasks, v.tasks) = 0 then
                perform quota_refuse(v.organization_id, 'tasks');
            end if;
        elsif v.used >= v.hard_limit then
            perform quota_refuse(v.organization_id, 'storage_bytes');
        end if;
    end loop;
    return null;
end $$;
create trigger tasks_meter after insert on tasks
    referencing new table as added for each statement execute function tasks_meter();

-- Counts the agents of an organization against its quota in the transaction that adds some.
create function agents_meter() returns trigger
language plpgsql as $$
declare
    v_org uuid;
    v_n numeric;
    q quotas;
begin
    for v_org in select distinct a.organization_id from added a order by 1 loop
        -- Locked before counting: another's agents are either counted here or wait for us.
        q := quota_locked(v_org, 'agents', now());
        continue when q.resource is null;
        select count(*) into v_n from agents a where a.organization_id = v_org;
        if v_n > q.hard_limit then
            perform quota_refuse(v_org, 'agents');
        end if;
        perform quota_write(q, v_n, now());
    end loop;
    return null;
end $$;
create trigger agents_meter after insert on agents
    referencing new table as added for each statement execute function agents_meter();

-- What runs were charged counts as model spend: what a run was charged before it let go of its task
-- here, what it was charged last in task_finish. It is spent already, so nothing is refused.
create function task_spend() returns trigger
language plpgsql as $$
begin
    insert into usage_increments (organization_id, resource, day, amount)
    values (new.organization_id, 'model_spend', usage_day(now()), new.cost - old.cost);
    return null;
end $$;
create trigger task_spend after update of cost on tasks
    for each row when (new.cost > old.cost) execute function task_spend();

-- All spend passes here, so that the quota knows it.
create function spend_meter() returns trigger
language plpgsql as $$
declare
    q quotas := quota_locked(new.organization_id, 'model_spend', now());
begin
    if q.resource is not null then
        perform quota_write(q, q.used + new.amount, now());
    end if;
    return null;
end $$;
create trigger spend_meter after insert on usage_increments
    for each row when (new.resource = 'model_spend') execute function spend_meter();

-- Keeps what is there now as the day's use, if it is the most of the day, and as what the quotas
-- know. Returns how many figures it measured.
create function usage_measure(p_exact_bytes bigint default 67108864, p_at timestamptz default now()) returns int
language plpgsql as $$
declare
    v record;
    q quotas;
    v_n int := 0;
begin
    for v in
        select m.org, m.resource, round(sum(m.amount)) as amount from usage_measured(p_exact_bytes) m
        group by 1, 2 order by 1, 2
    loop
        insert into usage_days as d (organization_id, resource, day, amount)
        values (v.org, v.resource, usage_day(p_at), v.amount)
        on conflict (organization_id, resource, day) do update set amount = greatest(d.amount, excluded.amount);
        q := quota_locked(v.org, v.resource, p_at);
        if q.resource is not null then
            perform quota_write(q, v.amount, p_at);
        end if;
        v_n := v_n + 1;
    end loop;
    return v_n;
end $$;

select engine_function('tasks_meter()');
select engine_function('agents_meter()');
select engine_function('task_spend()');
select engine_function('spend_meter()');
select engine_function('usage_measure(bigint, timestamptz)');
