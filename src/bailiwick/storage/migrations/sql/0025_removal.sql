-- What was proposed, decided and done goes when its time is over, with all that belongs to it. The functions below are
-- the only way, and each asks itself whether it may: whoever calls them chooses where to look and never what goes.

-- How many rows went and were not told yet: counted in the transaction that removes them, so that what is audited is
-- what happened, whatever crashes in between.
create table removals (
    organization_id uuid not null,
    place text not null,
    removed bigint not null,
    primary key (organization_id, place)
);
select tenant_table('removals');
revoke insert, update on removals from bailiwick;

grant delete on effects, effect_moves, approvals, approval_answers to bailiwick_engine;

-- Whether anything in the organization stands against removing: of a person, too, for what agents did may be about them
-- in more words than can be searched for.
create function removal_is_held() returns boolean
language sql stable as $$
    select exists (
        select from legal_holds h
        where h.organization_id = current_organization() and h.released_at is null
          and (h.until is null or h.until > now())
          and (h.scope <> 'class' or h.target in ('operations', 'audit')))
$$;

create function removal_count(p_place text, p_removed bigint) returns void
language sql as $$
    insert into removals as r (organization_id, place, removed)
    select current_organization(), p_place, p_removed where p_removed > 0
    on conflict (organization_id, place) do update set removed = r.removed + excluded.removed
$$;

create function run_is_gone(p_task uuid) returns boolean
language sql stable as $$
    select not exists (select from tasks t where t.id = p_task)
       and not exists (select from finished_tasks t where t.id = p_task)
$$;

-- Whether nothing more can come of an effect, its run is gone, so that nobody can rewind it, and its time is over: what
-- was begun counts as a change for seven years at least, what was only read or never begun goes with its run.
create function effect_is_past(p effects, p_before timestamptz, p_changes_before timestamptz) returns boolean
language plpgsql stable as $$
declare
    v_before timestamptz := least(now(), case
        when p.effect_class = 'read' or p.began_at is null then p_before
        else least(p_changes_before, now() - interval '2555 days') end);
begin
    return p.state not in ('proposed', 'waiting', 'executing', 'unknown')
        and p.ended_at < v_before
        and (p.effect_class = 'read' or p.undo_until is null or p.undo_until < now())
        and run_is_gone(p.task_id)
        and not exists (select from effect_moves m where m.effect_id = p.id and m.at >= v_before)
        and not exists (select from outcomes o where o.effect_id = p.id
                        and (o.state = 'pending' or o.checked_at >= v_before))
        and not exists (
            select from approvals a where a.effect_id = p.id and (a.state = 'waiting' or exists (
                select from approval_rules r where r.approval_id = a.id
                  and r.revoked_at is null and (r.ends_at is null or r.ends_at > now()))))
        -- What was spent counts in the budgets of its month, also in those that are made later in it.
        and not exists (
            select from budget_reservations r
            where r.organization_id = p.organization_id and r.key = 'effect:' || p.id
              and (r.state = 'reserved' or r.reserved_at >= now() - interval '32 days'));
end $$;

-- Removes of the next p_limit effects behind p_after those that are past, each with its inverses, and what belongs to
-- them. An effect stays as long as any inverse of it does. Returns the last that was looked at; null: there is no more.
create function effects_remove(p_after uuid, p_limit int, p_before timestamptz, p_changes_before timestamptz)
returns uuid
language plpgsql as $$
declare
    v_org uuid := current_organization();
    v_looked uuid[];
    v_gone uuid[];
    v_approvals uuid[];
    v_n bigint;
begin
    if removal_is_held() then
        return null;
    end if;
    v_looked := array(
        select e.id from effects e
        where e.organization_id = v_org and e.id > p_after and e.id < partition_bound(p_before)
        order by e.id limit p_limit);
    with recursive family (root, id) as (
        select e.id, e.id from effects e where e.id = any (v_looked) and e.reverts is null
        union all
        select f.root, i.id from family f join effects i on i.reverts = f.id
    ), past as (
        select f.root from family f join effects e on e.id = f.id
        group by f.root having bool_and(effect_is_past(e, p_before, p_changes_before))
    )
    select coalesce(array_agg(f.id), '{}') into v_gone from family f join past p on p.root = f.root;

    v_approvals := array(select a.id from approvals a where a.effect_id = any (v_gone));
    delete from approval_links where organization_id = v_org and approval_id = any (v_approvals);
    delete from approval_rules where organization_id = v_org and approval_id = any (v_approvals);
    delete from approval_answers where organization_id = v_org and approval_id = any (v_approvals);
    delete from approval_delegations where organization_id = v_org and approval_id = any (v_approvals);
    delete from approvals where id = any (v_approvals);
    perform removal_count('approvals', cardinality(v_approvals));
    delete from outcomes where effect_id = any (v_gone);
    get diagnostics v_n = row_count;
    perform removal_count('outcomes', v_n);
    delete from shadow_comparisons where effect_id = any (v_gone);
    get diagnostics v_n = row_count;
    perform removal_count('shadow_comparisons', v_n);
    delete from budget_reservations
    where organization_id = v_org and key = any (array(select 'effect:' || id from unnest(v_gone) as id));
    get diagnostics v_n = row_count;
    perform removal_count('budget_reservations', v_n);
    delete from decisions where id = any (array(select e.decision_id from effects e where e.id = any (v_gone)));
    get diagnostics v_n = row_count;
    perform removal_count('decisions', v_n);
    delete from effect_moves where effect_id = any (v_gone);
    delete from effects where id = any (v_gone);
    perform removal_count('effects', cardinality(v_gone));
    return v_looked[cardinality(v_looked)];
end $$;
select engine_function('effects_remove(uuid, int, timestamptz, timestamptz)');

-- The same for decisions that no effect came of, or none that is left.
create function decisions_remove(p_after uuid, p_limit int, p_before timestamptz) returns uuid
language plpgsql as $$
declare
    v_looked uuid[];
    v_n bigint;
begin
    if removal_is_held() then
        return null;
    end if;
    v_looked := array(
        select d.id from decisions d
        where d.organization_id = current_organization() and d.id > p_after and d.id < partition_bound(p_before)
        order by d.id limit p_limit);
    delete from decisions d
    where d.id = any (v_looked) and run_is_gone(d.task_id)
      and not exists (select from effects e where e.task_id = d.task_id and e.decision_id = d.id);
    get diagnostics v_n = row_count;
    perform removal_count('decisions', v_n);
    return v_looked[cardinality(v_looked)];
end $$;
select engine_function('decisions_remove(uuid, int, timestamptz)');

-- The same for what was expected of the results of runs.
create function outcomes_remove(p_after uuid, p_limit int, p_before timestamptz) returns uuid
language plpgsql as $$
declare
    v_looked uuid[];
    v_n bigint;
begin
    if removal_is_held() then
        return null;
    end if;
    v_looked := array(
        select o.id from outcomes o
        where o.organization_id = current_organization() and o.id > p_after and o.id < partition_bound(p_before)
        order by o.id limit p_limit);
    delete from outcomes o
    where o.id = any (v_looked) and o.effect_id is null and o.state <> 'pending' and o.checked_at < p_before
      and run_is_gone(o.task_id) and run_is_gone(o.id);
    get diagnostics v_n = row_count;
    perform removal_count('outcomes', v_n);
    return v_looked[cardinality(v_looked)];
end $$;
select engine_function('outcomes_remove(uuid, int, timestamptz)');

-- What runs that are gone had spent of budgets which each run has for itself; nobody asks for it again. The totals of
-- days and months stay. Returns whether there may be more.
create function budget_accounts_remove(p_limit int, p_before timestamptz) returns boolean
language plpgsql as $$
declare
    v_n bigint;
begin
    if removal_is_held() then
        return false;
    end if;
    delete from budget_accounts x
    using (
        select a.budget_id, a.holder, a.began_at
        from budgets b join budget_accounts a on a.budget_id = b.id
        where b.organization_id = current_organization() and b.scope = 'run'
          and a.holder < partition_bound(p_before) and a.reserved = 0 and run_is_gone(a.holder)
          and not exists (select from budget_holds h where (h.budget_id, h.holder, h.began_at)
                          = (a.budget_id, a.holder, a.began_at))
        limit p_limit) as gone
    where (x.budget_id, x.holder, x.began_at) = (gone.budget_id, gone.holder, gone.began_at);
    get diagnostics v_n = row_count;
    perform removal_count('budget_accounts', v_n);
    return v_n = p_limit;
end $$;
select engine_function('budget_accounts_remove(int, timestamptz)');

-- The months of a table that ended before a moment and hold nothing of anybody.
create function partitions_empty(p_parent text, p_before timestamptz) returns setof text
language plpgsql stable as $$
declare
    v_name text;
    v_is_empty boolean;
begin
    for v_name in
        select e.name from partitions_ended(p_parent, p_before) as e (name)
    loop
        execute format('select not exists (select from %I)', v_name) into v_is_empty;
        if v_is_empty then
            return next v_name;
        end if;
    end loop;
end $$;
select engine_function('partitions_empty(text, timestamptz)');
