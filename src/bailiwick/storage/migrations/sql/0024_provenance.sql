-- Labels say where content comes from and who asked for work. They are joined and never taken away.

create function labels_only_grow() returns trigger
language plpgsql as $$
begin
    if old.labels is not null and not coalesce(new.labels, '{}') @> old.labels then
        raise exception 'labels are joined and never taken away' using errcode = 'check_violation';
    end if;
    return new;
end $$;

-- Fire only where a statement names the column, which the hot path does not.
create trigger labels_only_grow before update of labels on events
    for each row execute function labels_only_grow();
create trigger labels_only_grow before update of labels on tasks
    for each row execute function labels_only_grow();
create trigger labels_only_grow before update of labels on finished_tasks
    for each row execute function labels_only_grow();
create trigger labels_only_grow before update of labels on steps
    for each row execute function labels_only_grow();
