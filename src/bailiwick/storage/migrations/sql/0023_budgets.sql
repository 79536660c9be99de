-- Budgets, what is reserved of them, what was spent. Locks are taken in one order: the reservations'
-- table (weakly), accounts by their budget, the quota, the reservation.

create table budgets (
    id uuid primary key,
    organization_id uuid not null,
    name text not null check (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    scope text not null check (scope in ('organization', 'agent', 'run')),
    -- The one agent or run it bounds; null: each of them has as much.
    subject uuid,
    unit text not null check (unit in ('money', 'tokens')),
    period text not null check (period in ('day', 'month', 'life')),
    -- In which its days and months begin.
    zone text not null default 'UTC',
    amount numeric(20, 6) not null check (amount >= 0),
    -- [{at, do}]: at which share of the amount what happens.
    ladder jsonb not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (organization_id, name),
    check ((scope = 'run') = (period = 'life')),
    check (scope <> 'organization' or subject is null)
);
select tenant_table('budgets');

-- What is reserved and spent of a budget by one holder (the organization, an agent or a run) in one period.
create table budget_accounts (
    organization_id uuid not null,
    budget_id uuid not null references budgets (id) on delete cascade,
    holder uuid not null,
    began_at timestamptz not null,
    reserved numeric(20, 6) not null default 0 check (reserved >= 0),
    settled numeric(20, 6) not null default 0 check (settled >= 0),
    primary key (budget_id, holder, began_at)
) with (fillfactor = 50);
select tenant_table('budget_accounts');

-- One intended spending: reserved before the call; settled at what it cost, or released.
create table budget_reservations (
    organization_id uuid not null,
    key text not null check (length(key) between 1 and 200),
    agent_id uuid,
    task_id uuid,
    unit text not null check (unit in ('money', 'tokens')),
    state text not null check (state in ('reserved', 'settled', 'released')),
    reserved numeric(20, 6) not null check (reserved >= 0),
    settled numeric(20, 6) check (settled >= 0),
    reserved_at timestamptz not null,
    ended_at timestamptz,
    primary key (organization_id, key),
    check ((state = 'settled') = (settled is not null)),
    check ((state = 'reserved') = (ended_at is null))
);
select tenant_table('budget_reservations');
create index budget_reservations_open on budget_reservations (organization_id, reserved_at) where state = 'reserved';
create index budget_reservations_recent on budget_reservations (organization_id, unit, reserved_at);

-- In which accounts a reservation counts, whatever period it ends in.
create table budget_holds (
    organization_id uuid not null,
    key text not null,
    budget_id uuid not null,
    holder uuid not null,
    began_at timestamptz not null,
    primary key (organization_id, key, budget_id),
    foreign key (organization_id, key) references budget_reservations (organization_id, key) on delete cascade,
    foreign key (budget_id, holder, began_at) references budget_accounts (budget_id, holder, began_at)
        on delete cascade
);
select tenant_table('budget_holds');
create index budget_holds_by_account on budget_holds (budget_id, holder, began_at);

-- A rung that was reached: told once a period. `line` is its share of the amount.
create table budget_crossings (
    organization_id uuid not null,
    budget_id uuid not null,
    holder uuid not null,
    began_at timestamptz not null,
    line numeric(26, 6) not null,
    at numeric(9, 6) not null,
    "do" text not null,
    used numeric(20, 6) not null,
    reached_at timestamptz not null,
    primary key (budget_id, holder, began_at, line, "do"),
    foreign key (budget_id, holder, began_at) references budget_accounts (budget_id, holder, began_at)
        on delete cascade
);
select tenant_table('budget_crossings');

-- Spending is counted by the functions below and by nothing else.
revoke insert, update, delete on budgets, budget_accounts, budget_reservations, budget_holds, budget_crossings
    from bailiwick;

-- When the period of a budget began in which a moment lies; a run has one period.
create function budget_began(p_period text, p_zone text, p_at timestamptz) returns timestamptz
language sql stable as $$
    select case when p_period = 'life' then '-infinity'::timestamptz
                else date_trunc(p_period, p_at at time zone p_zone) at time zone p_zone end
$$;

-- The functions are the engine's, but each works for the organization of its transaction alone.
create function budget_guard(p_org uuid) returns void
language plpgsql as $$
begin
    if p_org is distinct from current_organization() then
        raise exception 'budgets are counted in a transaction of their own organization';
    end if;
    -- Who changes budgets is waited for, and waits for us: no spending misses a new budget.
    lock table budget_reservations in row exclusive mode;
end $$;

-- The accounts in which a spending counts: of each budget that bounds it, one.
create function budget_applying(p_org uuid, p_agent uuid, p_task uuid, p_unit text, p_at timestamptz)
returns table (budget_id uuid, holder uuid, began_at timestamptz)
language sql stable as $$
    select b.id, case b.scope when 'organization' then p_org when 'agent' then p_agent else p_task end,
           budget_began(b.period, b.zone, p_at)
    from budgets b
    where b.organization_id = p_org and b.unit = p_unit
      and case b.scope when 'organization' then true
                       when 'agent' then p_agent is not null and p_agent = coalesce(b.subject, p_agent)
                       else p_task is not null and p_task = coalesce(b.subject, p_task) end
$$;

-- Makes a budget or replaces it, and returns it. What was spent before in the present period counts; of
-- runs, what those spent that are under way.
create function budget_put(p_id uuid, p_org uuid, p_name text, p_scope text, p_subject uuid, p_unit text,
                           p_period text, p_zone text, p_amount numeric, p_ladder jsonb, p_at timestamptz)
returns setof budgets
language plpgsql
set lock_timeout = '5s'
as $$
declare
    v_at timestamptz := coalesce(p_at, now());
    v budgets;
begin
    -- Who reserves now is waited for, and who comes later sees the budget.
    lock table budget_reservations in share row exclusive mode;
    perform budget_guard(p_org);
    update budgets b set amount = p_amount, ladder = p_ladder, updated_at = v_at
    where b.organization_id = p_org and b.name = p_name and b.scope = p_scope
      and b.subject is not distinct from p_subject and b.unit = p_unit and b.period = p_period and b.zone = p_zone
    returning * into v;
    if found then
        return next v;
        return;
    end if;
    delete from budgets b where b.organization_id = p_org and b.name = p_name;
    insert into budgets (id, organization_id, name, scope, subject, unit, period, zone, amount, ladder)
    values (p_id, p_org, p_name, p_scope, p_subject, p_unit, p_period, p_zone, p_amount, p_ladder) returning * into v;
    with counting as materialized (
        select r.key, w.holder, w.began_at, r.state, r.reserved, r.settled
        from budget_reservations r
        cross join lateral budget_applying(p_org, r.agent_id, r.task_id, r.unit, r.reserved_at) w
        where r.organization_id = p_org and r.unit = p_unit and w.budget_id = v.id
          and r.reserved_at >= budget_began(p_period, p_zone, v_at)
          and (p_scope <> 'run' or exists (select from tasks t where t.id = r.task_id))
    ), opened as (
        insert into budget_accounts (organization_id, budget_id, holder, began_at, reserved, settled)
        select p_org, v.id, c.holder, c.began_at, coalesce(sum(c.reserved) filter (where c.state = 'reserved'), 0),
               coalesce(sum(c.settled), 0)
        from counting c group by c.holder, c.began_at
    )
    insert into budget_holds (organization_id, key, budget_id, holder, began_at)
    select p_org, c.key, v.id, c.holder, c.began_at from counting c;
    return next v;
end $$;

create function budget_remove(p_org uuid, p_name text) returns boolean
language plpgsql
set lock_timeout = '5s'
as $$
begin
    lock table budget_reservations in share row exclusive mode;
    perform budget_guard(p_org);
    delete from budgets b where b.organization_id = p_org and b.name = p_name;
    return found;
end $$;

select engine_function('budget_put(uuid, uuid, text, text, uuid, text, text, text, numeric, jsonb, timestamptz)');
select engine_function('budget_remove(uuid, text)');
