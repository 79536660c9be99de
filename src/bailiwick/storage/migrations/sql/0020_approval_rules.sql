-- Remembered rules, "always allow this": one tool on one target up to a price.
create table approval_rules (
    id uuid primary key,
    organization_id uuid not null,
    name text not null check (length(name) between 1 and 100),
    approval_id uuid not null references approvals (id),
    tool text not null,
    target text not null,
    -- Null: whichever agent proposes it.
    agent_id uuid,
    max_price numeric not null check (max_price >= 0),
    bounds jsonb not null default '{}',
    -- The roles that the approval asked for; who made the rule must still have one of them.
    roles text[] not null,
    made_by text not null,
    made_by_name text not null,
    proof jsonb,
    made_at timestamptz not null default now(),
    ends_at timestamptz,
    revoked_at timestamptz,
    revoked_by text,
    unique (organization_id, name)
);
create index approval_rules_of_tool on approval_rules (organization_id, tool, target) where revoked_at is null;
select tenant_table('approval_rules');

revoke update, delete on approval_rules from bailiwick;
grant update (revoked_at, revoked_by, bounds, made_by_name) on approval_rules to bailiwick;

-- A rule comes from a yes to the same thing, given for what can be undone and holds no free text from outside.
create function approval_rule_born() returns trigger
language plpgsql as $$
begin
    if not exists (
        select from approvals a
        where a.id = new.approval_id and a.organization_id = new.organization_id and a.state = 'approved'
          and not a.is_by_silence and a.is_reversible and a.effect_class <> 'destructive' and a.free_text = '{}'
          and a.quorum = 1 and a.tool = new.tool and a.target = new.target and a.roles = new.roles
          and (new.agent_id is null or new.agent_id = a.agent_id))
    then
        raise exception 'approval % makes no such rule', new.approval_id using errcode = 'insufficient_privilege';
    end if;
    return new;
end $$;
create trigger approval_rule_born before insert on approval_rules for each row execute function approval_rule_born();

-- The rules in force for a tool on a target. One whose maker has lost the role rests; so does one whose maker asked
-- for the work, because nobody says yes to themselves ahead either.
create function approval_rules_in_force(p_tool text, p_target text, p_labels text[], p_at timestamptz)
returns setof approval_rules
language sql stable as $$
    select r.* from approval_rules r
    where r.organization_id = current_organization() and r.tool = p_tool and r.target = p_target
      and r.revoked_at is null and (r.ends_at is null or r.ends_at > p_at)
      and (r.made_by = 'administrator' or exists (
          select from users u left join memberships m on m.user_id = u.id and m.organization_id = r.organization_id
          where 'user:' || u.id = r.made_by and not u.is_disabled
            and (u.is_admin or exists (select from unnest(r.roles) as x where role_rank(m.role) >= role_rank(x)))))
      and not exists (select from requesters(p_labels) as who where who = r.made_by)
    order by r.id
$$;
select engine_function('approval_rules_in_force(text, text, text[], timestamptz)');
