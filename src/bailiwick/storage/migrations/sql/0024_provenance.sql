-- Labels say where content comes from and who asked for work. They are joined and never taken away: the
-- application writes them with the row and changes none; the engine's functions join more.
-- A later migration that adds a column to one of these tables grants its update, if the application needs it.
do $$
declare
    v_table text;
    v_columns text;
begin
    foreach v_table in array array['events', 'tasks', 'finished_tasks', 'steps'] loop
        select string_agg(quote_ident(a.attname), ', ') into v_columns from pg_attribute a
        where a.attrelid = v_table::regclass and a.attnum > 0 and not a.attisdropped
          and a.attname not in ('labels', 'result_labels');
        execute format('revoke update on %I from bailiwick', v_table);
        execute format('grant update (%s) on %I to bailiwick', v_columns, v_table);
    end loop;
end $$;
