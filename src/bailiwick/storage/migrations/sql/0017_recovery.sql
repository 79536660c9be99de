-- Backups that were tried, and what became of them. Written when one has ended, so that a copy of
-- this table never says of its own backup that it is still being made.
create table backups (
    id uuid primary key,
    kind text not null check (kind in ('dump', 'base')),
    -- Its folder; null where it failed.
    path text,
    is_scheduled boolean not null,
    state text not null check (state in ('made', 'failed', 'removed')),
    began_at timestamptz not null,
    ended_at timestamptz not null,
    bytes bigint,
    problem text,
    drilled_at timestamptz,
    -- Empty where the drill found nothing.
    drill_problem text,
    check ((state = 'failed') = (problem is not null)),
    check ((drilled_at is null) = (drill_problem is null))
);
select installation_table('backups');
create index backups_by_path on backups (path);
