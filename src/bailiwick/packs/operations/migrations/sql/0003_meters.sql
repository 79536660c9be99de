-- What is wrong with meter readings. One finding covers a run of readings with the same fault.
create table meter_findings (
    id uuid primary key,
    organization_id uuid not null,
    meter_id text not null,
    kind text not null,
    detail text not null,
    value double precision not null,
    unit text not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    found_at timestamptz not null default now(),
    unique (organization_id, meter_id, kind, started_at)
);
create index meter_findings_listing on meter_findings (organization_id, id);

-- A meter's day in UTC, as far as it was measured.
create table meter_days (
    organization_id uuid not null,
    meter_id text not null,
    day date not null,
    readings int not null,
    expected int not null,
    energy_kwh double precision not null,
    peak_kw double precision not null,
    peak_at timestamptz not null,
    base_kw double precision not null,
    load_factor double precision,
    not_checked text[] not null default '{}',
    primary key (organization_id, meter_id, day)
);

select tenant_table('meter_findings');
select tenant_table('meter_days');
