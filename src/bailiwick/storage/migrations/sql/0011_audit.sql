-- The audit log and its roots.

create table audit_entries (
    id uuid primary key,
    organization_id uuid not null,
    action text not null,
    actor_kind text not null,
    actor_id text not null,
    actor_name text not null,
    address text,
    target text not null,
    before jsonb,
    after jsonb,
    reason text,
    recorded_at timestamptz not null default now()
);
select tenant_table('audit_entries');
