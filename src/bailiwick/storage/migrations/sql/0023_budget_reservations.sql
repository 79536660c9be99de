-- A spending's way: weighed, reserved before the call, ended at what it cost. Locks are taken in the order
-- that 0023_budgets.sql gives.

-- Locks and returns the accounts in which a spending would count, made where they are missing.
create function budget_accounts_locked(p_org uuid, p_agent uuid, p_task uuid, p_unit text, p_at timestamptz)
returns setof budget_accounts
language plpgsql as $$
begin
    insert into budget_accounts (organization_id, budget_id, holder, began_at)
    select p_org, w.budget_id, w.holder, w.began_at
    from budget_applying(p_org, p_agent, p_task, p_unit, p_at) w order by w.budget_id
    on conflict do nothing;
    return query
        select a.* from budget_accounts a
        join budget_applying(p_org, p_agent, p_task, p_unit, p_at) w using (budget_id, holder, began_at)
        order by a.budget_id for update of a;
end $$;

-- Notes rungs that are reached at what is used now, or (p_over) that stood in the way of p_extra more.
-- Returns those that were not reached before in the period.
create function budget_note(p_accounts budget_accounts[], p_extra numeric, p_over boolean, p_at timestamptz)
returns jsonb
language plpgsql as $$
declare
    v_noted jsonb;
begin
    with reached as (
        select a.organization_id, a.budget_id, a.holder, a.began_at, r.at * b.amount as line, r.at, r."do",
               a.reserved + a.settled as used
        from unnest(p_accounts) as k
        join budget_accounts a using (budget_id, holder, began_at)
        join budgets b on b.id = a.budget_id
        cross join lateral jsonb_to_recordset(b.ladder) as r (at numeric, "do" text)
        where a.reserved + a.settled >= r.at * b.amount
           or (p_over and r."do" <> 'tell' and a.reserved + a.settled + p_extra > r.at * b.amount)
    ), noted as (
        insert into budget_crossings (organization_id, budget_id, holder, began_at, line, at, "do", used, reached_at)
        select x.organization_id, x.budget_id, x.holder, x.began_at, x.line, x.at, x."do", x.used, p_at
        from reached x order by x.budget_id, x.line
        on conflict do nothing returning *
    )
    select coalesce(jsonb_agg(jsonb_build_object(
        'budget', b.name, 'scope', b.scope, 'holder', n.holder, 'unit', b.unit, 'period', b.period,
        'began_at', case when b.period <> 'life' then n.began_at end, 'at', trim_scale(n.at)::text, 'do', n."do",
        'line', trim_scale(n.line)::text, 'limit', trim_scale(b.amount)::text, 'used', trim_scale(n.used)::text) order by b.name, n.at), '[]')
    into v_noted
    from noted n join budgets b on b.id = n.budget_id;
    return v_noted;
end $$;

-- What budgets and the quota of money say to spending p_amount more: the strictest, of equals the
-- budget that was made first. {state: ok|ask|deny, budget, at, do, line, limit, used}.
create function budget_judged(p_org uuid, p_unit text, p_amount numeric, p_accounts budget_accounts[],
                              p_is_approved boolean, p_at timestamptz) returns jsonb
language plpgsql as $$
declare
    v_found jsonb;
    v_open numeric;
    q quotas;
begin
    if p_amount = 0 then
        return '{"state": "ok"}';
    end if;
    select jsonb_build_object(
        'state', case r."do" when 'stop' then 'deny' else 'ask' end, 'budget', b.name, 'at', r.at::text,
        'do', r."do", 'line', (r.at * b.amount)::text, 'limit', b.amount::text,
        'used', (a.reserved + a.settled)::text)
    into v_found
    from unnest(p_accounts) as a
    join budgets b on b.id = a.budget_id
    cross join lateral jsonb_to_recordset(b.ladder) as r (at numeric, "do" text)
    where a.reserved + a.settled + p_amount > r.at * b.amount
      and (r."do" = 'stop' or (r."do" = 'ask' and not p_is_approved))
    order by r."do" = 'stop' desc, b.id, r.at desc limit 1;
    if p_unit = 'money' and v_found ->> 'state' is distinct from 'deny' then
        q := quota_locked(p_org, 'model_spend', p_at);
        if q.hard_limit is not null then
            select coalesce(sum(r.reserved), 0) into v_open from budget_reservations r
            where r.organization_id = p_org and r.unit = 'money' and r.state = 'reserved';
            if q.used + v_open + p_amount > q.hard_limit then
                return jsonb_build_object('state', 'deny', 'budget', null, 'at', '1', 'do', 'stop',
                    'line', q.hard_limit::text, 'limit', q.hard_limit::text, 'used', (q.used + v_open)::text);
            end if;
        end if;
    end if;
    return coalesce(v_found, '{"state": "ok"}');
end $$;

-- Says what a reservation would be answered, and holds what it would count in until commit.
create function budget_weigh(p_org uuid, p_agent uuid, p_task uuid, p_unit text, p_amount numeric,
                             p_at timestamptz) returns jsonb
language plpgsql as $$
declare
    v_at timestamptz := coalesce(p_at, now());
    v_accounts budget_accounts[];
    v_found jsonb;
begin
    perform budget_guard(p_org);
    select array_agg(a) into v_accounts from budget_accounts_locked(p_org, p_agent, p_task, p_unit, v_at) a;
    v_found := budget_judged(p_org, p_unit, p_amount, v_accounts, false, v_at);
    return v_found || jsonb_build_object('reached', case when v_found ->> 'state' = 'ok' then '[]'::jsonb
        else budget_note(v_accounts, p_amount, true, v_at) end);
end $$;

-- Reserves an amount in every budget that applies, or in none. A key that is reserved or settled
-- already is answered as it is; one that was released may be reserved anew.
create function budget_reserve(p_org uuid, p_key text, p_agent uuid, p_task uuid, p_unit text, p_amount numeric,
                               p_is_approved boolean, p_at timestamptz) returns jsonb
language plpgsql as $$
declare
    v_at timestamptz := coalesce(p_at, now());
    v_accounts budget_accounts[];
    v_had budget_reservations;
    v_found jsonb;
begin
    perform budget_guard(p_org);
    select array_agg(a) into v_accounts from budget_accounts_locked(p_org, p_agent, p_task, p_unit, v_at) a;
    -- After the locks: another with the same key is over by now.
    select * into v_had from budget_reservations r where r.organization_id = p_org and r.key = p_key for update;
    if v_had.state in ('reserved', 'settled') then
        return jsonb_build_object('state', 'ok', 'reached', '[]'::jsonb, 'had',
            jsonb_build_object('unit', v_had.unit, 'amount', v_had.reserved::text));
    end if;
    v_found := budget_judged(p_org, p_unit, p_amount, v_accounts, p_is_approved, v_at);
    if v_found ->> 'state' <> 'ok' then
        return v_found || jsonb_build_object('reached', budget_note(v_accounts, p_amount, true, v_at));
    end if;
    insert into budget_reservations as r (organization_id, key, agent_id, task_id, unit, state, reserved, reserved_at)
    values (p_org, p_key, p_agent, p_task, p_unit, 'reserved', p_amount, v_at)
    on conflict (organization_id, key) do update
    set agent_id = excluded.agent_id, task_id = excluded.task_id, unit = excluded.unit, state = 'reserved',
        reserved = excluded.reserved, reserved_at = excluded.reserved_at, ended_at = null
    where r.state = 'released';
    if not found then
        -- Where no budget applies nothing made us wait: the other was committed in between.
        return budget_reserve(p_org, p_key, p_agent, p_task, p_unit, p_amount, p_is_approved, p_at);
    end if;
    delete from budget_holds h where h.organization_id = p_org and h.key = p_key;
    insert into budget_holds (organization_id, key, budget_id, holder, began_at)
    select p_org, p_key, a.budget_id, a.holder, a.began_at from unnest(v_accounts) as a;
    update budget_accounts a set reserved = a.reserved + p_amount from unnest(v_accounts) as k
    where a.budget_id = k.budget_id and a.holder = k.holder and a.began_at = k.began_at;
    return v_found || jsonb_build_object('reached', budget_note(v_accounts, p_amount, false, v_at));
end $$;

-- Ends a reservation: settled at p_amount, or released where that is null. Settling again corrects
-- the amount; what was released may turn out to have cost something; what is settled is not released.
-- Null: no such reservation. {state, reserved, settled, reached}.
create function budget_end(p_org uuid, p_key text, p_amount numeric, p_at timestamptz) returns jsonb
language plpgsql as $$
declare
    v_at timestamptz := coalesce(p_at, now());
    v_accounts budget_accounts[];
    v_had budget_reservations;
begin
    perform budget_guard(p_org);
    select array_agg(x.a) into v_accounts from (
        select a from budget_holds h join budget_accounts a using (budget_id, holder, began_at)
        where h.organization_id = p_org and h.key = p_key order by a.budget_id for update of a) as x;
    select * into v_had from budget_reservations r where r.organization_id = p_org and r.key = p_key for update;
    if not found then
        return null;
    end if;
    if p_amount is null and v_had.state <> 'reserved' then
        return jsonb_build_object('state', v_had.state, 'reached', '[]'::jsonb);
    end if;
    update budget_reservations r
    set state = case when p_amount is null then 'released' else 'settled' end, settled = p_amount, ended_at = v_at
    where r.organization_id = p_org and r.key = p_key;
    update budget_accounts a
    set reserved = a.reserved - case v_had.state when 'reserved' then v_had.reserved else 0 end,
        settled = a.settled - coalesce(v_had.settled, 0) + coalesce(p_amount, 0)
    from unnest(v_accounts) as k
    where a.budget_id = k.budget_id and a.holder = k.holder and a.began_at = k.began_at;
    if v_had.unit = 'money' and coalesce(p_amount, 0) <> coalesce(v_had.settled, 0) then
        insert into usage_increments (organization_id, resource, day, amount)
        values (p_org, 'model_spend', usage_day(v_at), coalesce(p_amount, 0) - coalesce(v_had.settled, 0));
    end if;
    return jsonb_build_object(
        'state', case when p_amount is null then 'released' else 'settled' end,
        'reached', case when p_amount is null then '[]'::jsonb else budget_note(v_accounts, 0, false, v_at) end);
end $$;

-- Reservations (under effect:ID) whose effect has come to an end that nobody settled, or whose run is over before the
-- effect began; of all organizations. A spending of which nobody knows stays reserved.
create function budget_adrift(p_limit int) returns table (organization_id uuid, key text, reserved numeric, is_spent boolean)
language plpgsql stable as $$
#variable_conflict use_column
begin
    return query select r.organization_id, r.key, r.reserved, e.state not in ('proposed', 'waiting', 'declined', 'failed')
    from budget_reservations r
    join effects e on e.organization_id = r.organization_id
        and e.id = case when r.key ~ '^effect:[0-9a-f-]{36}$' then substr(r.key, 8)::uuid end
    where r.state = 'reserved'
      and (e.state in ('declined', 'failed', 'applied', 'verified', 'refuted', 'unverifiable', 'reverted')
           or (e.state in ('proposed', 'waiting') and not exists (select from tasks t where t.id = r.task_id)))
    order by r.reserved_at limit p_limit;
end $$;

select engine_function('budget_weigh(uuid, uuid, uuid, text, numeric, timestamptz)');
select engine_function('budget_reserve(uuid, text, uuid, uuid, text, numeric, boolean, timestamptz)');
select engine_function('budget_end(uuid, text, numeric, timestamptz)');
select engine_function('budget_adrift(int)');
