-- What the scheduler asks and does for all organizations at once.

-- Schedules that are due, locked until the caller's transaction ends; others skip them.
create function schedules_due(p_limit int)
returns table (id uuid, organization_id uuid, kind text, payload jsonb, priority smallint, agent_id uuid, cron text,
               interval_seconds double precision, timezone text, jitter_seconds double precision, overlap text,
               catch_up text, next_fire_at timestamptz, anchor_at timestamptz, now timestamptz, unfinished_id uuid,
               labels text[])
language sql as $$
    select s.id, s.organization_id, s.kind, s.payload, s.priority, s.agent_id, s.cron, s.interval_seconds, s.timezone,
           s.jitter_seconds, s.overlap, s.catch_up, s.next_fire_at, s.anchor_at, now(),
           (select t.id from tasks t where t.id = s.last_task_id),
           nullif(array(select unnest(s.labels) union select unnest(s.resumed_by || s.fired_by) order by 1), '{}')
    from schedules s
    where not s.is_paused and s.next_fire_at <= now()
    order by s.next_fire_at limit p_limit for update of s skip locked
$$;

-- Moves fired schedules on: [{id, next, skipped, fired, task, problem}].
create function schedules_move_on(p_moves jsonb) returns void
language sql as $$
    update schedules s
    set next_fire_at = r.next, fired_by = '{}', skipped = s.skipped + r.skipped, problem = r.problem,
        last_fire_at = coalesce(r.fired, s.last_fire_at), last_task_id = coalesce(r.task, s.last_task_id)
    from jsonb_to_recordset(p_moves) as r (
        id uuid, next timestamptz, skipped bigint, fired timestamptz, task uuid, problem text)
    where s.id = r.id
$$;

-- The seconds until any schedule is due; null when none is.
create function schedules_next() returns double precision
language sql stable as $$
    select extract(epoch from min(s.next_fire_at) - now())::float8 from schedules s
    where not s.is_paused and s.next_fire_at is not null
$$;

select engine_function('schedules_due(int)');
select engine_function('schedules_move_on(jsonb)');
select engine_function('schedules_next()');
