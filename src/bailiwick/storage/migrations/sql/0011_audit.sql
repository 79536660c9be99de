-- The audit log: one chain of entries per organization, signed roots over the chains, and alarms.
-- An entry's hash is SHA-256 over its canonical JSON, which holds the hash before it, so that no
-- entry can be changed, removed or moved without every later one showing it.

-- Where each chain ends. Whoever appends holds this row until the end of the transaction.
create table audit_chains (
    organization_id uuid primary key,
    seq bigint not null default 0,
    hash bytea not null default decode(repeat('00', 32), 'hex'),
    root_number bigint not null default 0,
    root_seq bigint not null default 0,
    root_hash bytea not null default decode(repeat('00', 32), 'hex')
);
select tenant_table('audit_chains');

-- ``act`` is text and not jsonb: its bytes are what was hashed, and jsonb would not keep them.
create table audit_entries (
    organization_id uuid not null,
    seq bigint not null,
    id uuid not null,
    act text not null,
    previous bytea not null,
    hash bytea not null,
    recorded_at timestamptz not null,
    action text not null generated always as (act::jsonb ->> 'action') stored,
    actor_id text not null generated always as (act::jsonb -> 'actor' ->> 'id') stored,
    target text not null generated always as (act::jsonb ->> 'target') stored,
    primary key (organization_id, seq),
    unique (organization_id, id)
);
select tenant_table('audit_entries');
create index audit_entries_by_actor on audit_entries (organization_id, actor_id, seq);
create index audit_entries_by_target on audit_entries (organization_id, target, seq);

-- A signature over where a chain stood. Roots form a chain of their own.
create table audit_roots (
    organization_id uuid not null,
    number bigint not null,
    seq bigint not null,
    content text not null,
    hash bytea not null,
    signature bytea not null,
    kid text not null,
    signed_at timestamptz not null,
    primary key (organization_id, number),
    unique (organization_id, seq)
);
select tenant_table('audit_roots');

-- The public keys that ever signed. ``statement`` names the key and its predecessor; it is signed
-- by the key itself and by the predecessor, so that trust in one is trust in its line.
create table audit_keys (
    number bigint primary key,
    kid text not null unique,
    public_key bytea not null,
    statement text not null,
    signature bytea not null,
    endorsement bytea,
    created_at timestamptz not null
);
select installation_table('audit_keys', 'select, insert');
revoke update, delete on audit_keys from bailiwick, bailiwick_engine;

-- The private key that signs now, sealed; gone once it is replaced.
create table audit_key_secrets (
    kid text primary key references audit_keys (kid),
    sealed bytea not null
);
select installation_table('audit_key_secrets', 'select, insert, delete');

-- Written through the functions below and in no other way, not even by the engine.
revoke insert, update, delete on audit_chains, audit_entries, audit_roots from bailiwick;
revoke update, delete on audit_entries, audit_roots from bailiwick_engine;
revoke delete on audit_chains from bailiwick_engine;

-- The second net: grants bind roles, this binds the owner too.
create function audit_refuse_change() returns trigger
language plpgsql as $$
begin
    raise exception 'the audit log is append-only: % on % is refused', lower(tg_op), tg_table_name
        using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete or truncate on audit_entries
    for each statement execute function audit_refuse_change();
create trigger append_only before update or delete or truncate on audit_roots
    for each statement execute function audit_refuse_change();
create trigger append_only before update or delete or truncate on audit_keys
    for each statement execute function audit_refuse_change();

-- Appends acts, in order within each organization, and returns how many were new: one whose id is
-- there already is left out, so that a batch whose answer was lost can be sent again.
create function audit_append(p_organizations uuid[], p_ids uuid[], p_acts text[]) returns bigint
language plpgsql as $$
declare
    v_one record;
    v_organization uuid;
    v_seq bigint;
    v_hash bytea;
    v_previous bytea;
    v_at timestamptz;
    v_added bigint := 0;
begin
    -- Organizations in one order for everybody, or two batches could wait for each other.
    for v_one in
        select given.organization_id, given.id, given.act
        from unnest(p_organizations, p_ids, p_acts) with ordinality as given (organization_id, id, act, position)
        order by given.organization_id, given.position
    loop
        if v_organization is distinct from v_one.organization_id then
            if v_organization is not null then
                update audit_chains set seq = v_seq, hash = v_hash where organization_id = v_organization;
            end if;
            v_organization := v_one.organization_id;
            select seq, hash into v_seq, v_hash from audit_chains where organization_id = v_organization for update;
            if not found then
                insert into audit_chains (organization_id) values (v_organization) on conflict do nothing;
                select seq, hash into v_seq, v_hash from audit_chains
                where organization_id = v_organization for update;
            end if;
        end if;
        continue when exists (select from audit_entries where organization_id = v_organization and id = v_one.id);
        v_seq := v_seq + 1;
        v_previous := v_hash;
        -- Of this moment, not of the transaction's beginning: times follow the order of the chain.
        v_at := clock_timestamp();
        -- The canonical JSON: sorted names, no spaces, UTF-8, times in UTC to the microsecond.
        v_hash := sha256(convert_to(
            '{"act":' || v_one.act || ',"organization_id":"' || v_organization || '","previous":"'
            || encode(v_previous, 'hex') || '","recorded_at":"'
            || to_char(v_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '","seq":' || v_seq || '}',
            'UTF8'));
        insert into audit_entries (organization_id, seq, id, act, previous, hash, recorded_at)
        values (v_organization, v_seq, v_one.id, v_one.act, v_previous, v_hash, v_at);
        v_added := v_added + 1;
    end loop;
    update audit_chains set seq = v_seq, hash = v_hash where organization_id = v_organization;
    return v_added;
end $$;

-- The heads of all chains; with ``p_moved`` those that went on since their last root.
create function audit_heads(p_moved boolean)
returns table (
    organization_id uuid, seq bigint, hash bytea, root_number bigint, root_seq bigint, root_hash bytea, at timestamptz
)
language sql stable as $$
    select c.organization_id, c.seq, c.hash, c.root_number, c.root_seq, c.root_hash, clock_timestamp()
    from audit_chains c where not p_moved or c.seq > c.root_seq order by c.organization_id
$$;

-- Appends a root; false when another process was quicker, and then nothing is written.
create function audit_append_root(
    p_organization uuid, p_number bigint, p_seq bigint, p_content text, p_hash bytea, p_signature bytea, p_kid text,
    p_at timestamptz
) returns boolean
language plpgsql as $$
begin
    perform from audit_chains where organization_id = p_organization and root_number = p_number - 1 for update;
    if not found then
        return false;
    end if;
    insert into audit_roots (organization_id, number, seq, content, hash, signature, kid, signed_at)
    values (p_organization, p_number, p_seq, p_content, p_hash, p_signature, p_kid, p_at);
    update audit_chains set root_number = p_number, root_seq = p_seq, root_hash = p_hash
    where organization_id = p_organization;
    return true;
end $$;

select engine_function('audit_append(uuid[], uuid[], text[])');
select engine_function('audit_heads(boolean)');
select engine_function('audit_append_root(uuid, bigint, bigint, text, bytea, bytea, text, timestamptz)');

-- What alarms count: one row per subject and minute, however many times it happened.
create table alarm_counters (
    organization_id uuid not null,
    rule text not null,
    subject text not null,
    minute timestamptz not null,
    count bigint not null,
    primary key (organization_id, rule, subject, minute)
);
select tenant_table('alarm_counters');

create table alarms (
    id uuid primary key,
    organization_id uuid not null,
    rule text not null,
    subject text not null,
    count bigint not null,
    threshold bigint not null,
    window_seconds double precision not null,
    raised_at timestamptz not null,
    -- Null until its event is in the log.
    told_at timestamptz
);
select tenant_table('alarms');
create index alarms_by_subject on alarms (organization_id, rule, subject, raised_at);

-- What an organization set for a rule; what it did not set is the installation's.
create table alarm_rules (
    organization_id uuid not null,
    rule text not null,
    threshold bigint not null check (threshold > 0),
    window_seconds double precision not null check (window_seconds >= 60),
    primary key (organization_id, rule)
);
select tenant_table('alarm_rules');

-- Forgets counts that no window reaches any more, and returns the alarms that nobody was told of yet.
create function alarms_sweep(p_counted_before timestamptz)
returns setof alarms
language sql as $$
    delete from alarm_counters where minute < p_counted_before;
    select * from alarms where told_at is null order by id;
$$;
select engine_function('alarms_sweep(timestamptz)');
