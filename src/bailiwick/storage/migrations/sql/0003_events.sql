-- Events: facts, past tense, append-only.

create table events (
    id uuid not null,
    organization_id uuid not null,
    type text not null,
    version int not null,
    key text,
    payload jsonb not null,
    cause_id uuid,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null default now(),
    -- Where it comes from and who told it; null: nothing to say.
    labels text[],
    primary key (id)
) partition by range (id);

create index events_listing on events (organization_id, id);
create index events_by_type on events (organization_id, type, id);
create index events_by_key on events (organization_id, key, id) where key is not null;

-- The keys under which sources deliver; a second delivery of one is no new event.
create table event_keys (
    organization_id uuid not null,
    dedupe_key text not null,
    event_id uuid not null,
    recorded_at timestamptz not null default now(),
    primary key (organization_id, dedupe_key)
);

-- Records a door refused, kept as they came so that they can be mended and redriven.
create table rejected_records (
    id uuid primary key,
    organization_id uuid not null,
    source text not null,
    line bigint,
    reason text not null,
    raw bytea not null,
    is_truncated boolean not null default false,
    rejected_at timestamptz not null default now(),
    redriven_at timestamptz
);
create index rejected_records_listing on rejected_records (organization_id, id);

select tenant_table('events');
select tenant_table('event_keys');
select tenant_table('rejected_records');

-- Appends events and the tasks that follow from them in one transaction.
-- p_events: [{i, id, org, type, version, key, payload, cause, occurred, dedupe, by, f, labels}];
-- a run's own event names the task and the fence it is published under.
-- p_tasks: rows of task_enqueue, each naming in "event" the event it follows from.
-- p_again: the same call may have taken effect before, its answer was lost.
-- Returns one row per event that carries a dedupe key: which event holds it now.
create function events_append(p_events jsonb, p_tasks jsonb, p_again boolean default false)
returns table (ordinal int, event_id uuid, is_duplicate boolean)
language plpgsql
-- As in the task queue: keys are looked up, whatever the plan thinks of the size of the table.
set enable_seqscan = off set enable_indexscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    v_lost uuid[] := '{}';
begin
    if jsonb_path_exists(p_events, '$[*].by') then
        select coalesce(array_agg(r.id), '{}') into v_lost
        from jsonb_to_recordset(p_events) as r (id uuid, by uuid, f int)
        where r.by is not null and not task_is_held(r.by, r.f);
    end if;
    if jsonb_path_exists(p_events, '$[*].dedupe') then
        insert into event_keys (organization_id, dedupe_key, event_id)
        select r.org, r.dedupe, r.id
        from jsonb_to_recordset(p_events) as r (i int, id uuid, org uuid, dedupe text)
        where r.dedupe is not null and r.id <> all (v_lost)
        order by r.org, r.dedupe, r.i
        on conflict do nothing;

        select v_lost || coalesce(array_agg(r.id), '{}') into v_lost
        from jsonb_to_recordset(p_events) as r (id uuid, org uuid, dedupe text)
        join event_keys k on k.organization_id = r.org and k.dedupe_key = r.dedupe
        where k.event_id <> r.id;
    end if;

    insert into events (id, organization_id, type, version, key, payload, cause_id, occurred_at, labels)
    select r.id, r.org, r.type, r.version, r.key, r.payload, r.cause, r.occurred, r.labels
    from jsonb_to_recordset(p_events) as r (
        id uuid, org uuid, type text, version int, key text, payload jsonb, cause uuid, occurred timestamptz,
        labels text[])
    where r.id <> all (v_lost)
    on conflict (id) do nothing;

    if jsonb_array_length(p_tasks) > 0 then
        perform task_enqueue(case when v_lost = '{}' then p_tasks else (
            select coalesce(jsonb_agg(t), '[]') from jsonb_array_elements(p_tasks) as t
            where (t ->> 'event')::uuid <> all (v_lost)) end, p_again);
    end if;

    return query
    select r.i, k.event_id, k.event_id <> r.id
    from jsonb_to_recordset(p_events) as r (i int, id uuid, org uuid, dedupe text)
    join event_keys k on k.organization_id = r.org and k.dedupe_key = r.dedupe
    where r.dedupe is not null;
end $$;

select engine_function('events_append(jsonb, jsonb, boolean)');
