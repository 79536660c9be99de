"""Where the platform's own tables hold personal data, and which hold none."""

from bailiwick.privacy.locations import AUDIT, GDPR, OPERATIONS, SECURITY, DataMap, Location, Reading

_CAUSED = "cause_id in (select e.id from events e where e.organization_id = %(org)s and e.key = any(%(records)s))"
_STEP_CAUSED = (
    f"task_id in (select t.id from tasks t where t.organization_id = %(org)s and t.{_CAUSED} "
    f"union all select f.id from finished_tasks f where f.organization_id = %(org)s and f.{_CAUSED})"
)
_THEIRS = "subject_id = %(subject)s"
# An account that nobody else needs goes with the person.
_ACCOUNT_GOES = (
    "{0} in (select u.id from users u where u.id = any(%(users)s::uuid[]) and not u.is_admin "
    "and not exists (select from memberships_of(u.id) m where m.organization_id <> %(org)s) "
    # Only owners may take ownership away, and erasing needs less: an owner's account stays whole until one did.
    "and not exists (select from memberships m where m.organization_id = %(org)s and m.user_id = u.id "
    "and m.role = 'owner'))"
)
_SHREDDED = "sealed under the person's own key, which erasure destroys"

_WORK: tuple[Location, ...] = (
    Location(
        "events", {"key": "name", "payload": "document"}, "replace", OPERATIONS,
        about="key = any(%(records)s)", age="id",
        records="select distinct key from events where organization_id = %(org)s and key is not null "
        "and lower(payload ->> 'author') = any(%(names)s)",
    ),
    Location("event_keys", {"dedupe_key": "name"}, "delete", OPERATIONS, key=("dedupe_key",), age="recorded_at"),
    Location(
        "rejected_records", {"raw": "raw", "reason": "text", "source": "name", "context": "document"}, "replace",
        OPERATIONS, age="id",
    ),
    Location(
        "tasks", {"payload": "document", "errors": "document", "choice": "document", "wait_key": "name"}, "replace",
        OPERATIONS, about=_CAUSED,
    ),
    Location(
        "finished_tasks",
        {"payload": "document", "errors": "document", "choice": "document", "result": "document", "reason": "text"},
        "replace", OPERATIONS, about=_CAUSED, age="id",
    ),
    Location(
        "steps", {"name": "name", "result": "document"}, "replace", OPERATIONS, key=("task_id", "seq"),
         about=_STEP_CAUSED, age="task_id",
        spared="exists (select from tasks t where t.id = steps.task_id)",
    ),
    Location("task_keys", {"key": "name"}, "delete", OPERATIONS, key=("key",), age="inserted_at"),
    Location(
        "decisions",
        {
            "target": "name", "reason": "text", "considered": "document", "proposed_because": "text",
            "proposal": "document",
        },
        # They go with the effect that came of them, by 0025_removal.sql.
        "replace", OPERATIONS, about=_STEP_CAUSED,
    ),
    Location(
        "approvals",
        {
            "arguments": "document", "target": "name", "observed": "document", "reason": "text", "rule_reason": "text",
            "undo": "text", "edited": "document", "problem": "text",
        },
        "replace", OPERATIONS, about=_STEP_CAUSED,
    ),
    # An effect that is changed before it began begins no more: it does not fit what was decided about.
    Location(
        "effects",
        {
            "arguments": "document", "target": "name", "observed": "document", "reason": "text", "problem": "text",
            "result": "document", "evidence": "document", "undo": "document", "expectation": "document",
        },
        "replace", OPERATIONS, about=_STEP_CAUSED,
    ),
    Location(
        "effect_moves", {"note": "text"}, "replace", OPERATIONS, key=("effect_id", "seq"),
        about=f"effect_id in (select x.id from effects x where x.organization_id = %(org)s and x.{_STEP_CAUSED})",
    ),
    Location(
        "outcomes", {"claim": "text", "arguments": "document", "evidence": "document", "missing": "text"}, "replace",
        OPERATIONS, about=_STEP_CAUSED,
    ),
    Location(
        "shadow_comparisons", {"counterparts": "document"}, "replace", OPERATIONS, key=("effect_id",),
        about=f"effect_id in (select x.id from effects x where x.organization_id = %(org)s and x.{_STEP_CAUSED})",
    ),
    Location("autonomy_levels", {"reason": "text"}, "replace", OPERATIONS, key=("agent_id", "effect_class")),
    Location("autonomy_moves", {"reason": "text"}, "replace", OPERATIONS),
    Location("autonomy_promotions", {"reason": "text"}, "replace", OPERATIONS),
    Location("autonomy_versions", {"document": "document"}, "replace", OPERATIONS, key=("agent_id", "number")),
    Location("approval_answers", {"reason": "text", "answered_by_name": "name"}, "replace", OPERATIONS),
    Location("approval_delegations", {"reason": "text"}, "replace", OPERATIONS),
    Location("approval_rules", {"bounds": "document", "made_by_name": "name"}, "replace", OPERATIONS),
    Location("schedules", {"name": "name", "payload": "document", "problem": "text"}, "replace", OPERATIONS),
    Location("limits", {"reason": "text"}, "replace", OPERATIONS, key=("subject",)),
    Location("agents", {"name": "name", "configuration": "document"}, "replace", OPERATIONS),
    Location(
        "connections",
        {"target": "name", "configuration": "document", "cursor": "document", "last_error": "text"},
        "replace", OPERATIONS,
    ),
    Location(
        "organizations", {"settings": "document"}, "replace", OPERATIONS, scope="id = %(org)s",
        reason="settings may name the people of a roster; the organization's own name stays",
    ),
)  # fmt: skip

# What proves who somebody is; it goes with the account.
_WAYS_IN: tuple[tuple[str, dict[str, Reading], tuple[str, ...]], ...] = (
    ("passkeys", {"name": "name"}, ("id",)),
    ("totp_secrets", {}, ("user_id",)),
    ("recovery_codes", {}, ("user_id", "code_hash")),
    ("login_ceremonies", {"document": "document"}, ("token_hash",)),
    ("user_identities", {"subject": "name", "email": "name"}, ("provider_id", "subject")),
)

_PEOPLE: tuple[Location, ...] = (
    Location(
        "memberships", {}, "delete", SECURITY, key=("user_id",),
        mine="user_id = any(%(users)s::uuid[]) and role <> 'owner'",
        reason="an owner of the organization stays one until an owner gives them another role",
    ),
    Location(
        "invitations", {"email": "name", "invited_by": "name"}, "delete", SECURITY,
        mine="email = any(%(names)s)", age="id",
    ),
    Location(
        "sessions", {"address": "name", "user_agent": "name"}, "delete", SECURITY, scope="true",
        mine=_ACCOUNT_GOES.format("user_id"),
    ),
    *(
        Location(table, columns, "delete", SECURITY, key=key, scope="true", mine=_ACCOUNT_GOES.format("user_id"))
        for table, columns, key in _WAYS_IN
    ),
    Location(
        "mapped_memberships", {}, "delete", SECURITY, key=("provider_id", "user_id"),
        # A provider that takes back what it gave may do so to owners, too; it has to know what it gave.
        mine="user_id = any(%(users)s::uuid[]) and not exists (select from memberships m where m.role = 'owner' "
        "and (m.organization_id, m.user_id) = (mapped_memberships.organization_id, mapped_memberships.user_id))",
        reason="an owner of the organization stays one, and the provider that made them one may take it back",
    ),
    Location("identity_providers", {"name": "name", "policy": "document"}, "replace", SECURITY),
    Location(
        "users", {"email": "name", "name": "name"}, "delete", SECURITY, scope="true", mine=_ACCOUNT_GOES.format("id"),
        reason="an account that other organizations use, that owns this one or administers the installation, stays",
    ),
    Location(
        "alarm_counters", {"subject": "name"}, "delete", SECURITY, key=("rule", "subject", "minute"), age="minute",
    ),
    Location("alarms", {"subject": "name"}, "replace", SECURITY, age="id"),
)  # fmt: skip

_PRIVACY: tuple[Location, ...] = (
    Location("subject_identifiers", {"sealed": "raw"}, "shred", GDPR, reason=_SHREDDED, mine=_THEIRS),
    Location("consent_changes", {"sealed_note": "raw"}, "shred", GDPR, reason=_SHREDDED, mine=_THEIRS),
    Location("data_requests", {"archive": "raw"}, "clear", GDPR, mine=_THEIRS, age="id", spared="state = 'pending'"),
    Location(
        "legal_holds",
        {"reason": "text", "release_reason": "text"},
        "keep",
        AUDIT,
        reason="the ground of a hold is evidence of a legal obligation (GDPR, article 17.3 e)",
    ),
    Location(
        "policies",
        {"source": "text", "note": "text", "put_by_name": "name"},
        "keep",
        AUDIT,
        key=("version",),
        reason="who put which rules in force is evidence of what agents were allowed (GDPR, article 17.3 e)",
    ),
    Location(
        "audit_entries",
        {"act": "text"},
        "keep",
        AUDIT,
        key=("seq",),
        age="recorded_at",
        reason="the audit log is chained and kept for seven years under a legal obligation (GDPR, article 17.3 b)",
    ),
)

_WITHOUT: dict[str, str] = {
    "api_keys": "names of keys and hashes; a key names what it is for",
    "task_totals": "counts by kind and agent",
    "workers": "names of machines and processes",
    "subject_hash_keys": "a sealed random key",
    "data_subjects": "an id and two times",
    "consents": "an id, a purpose and a state",
    "retention_policies": "periods",
    "certificate_keys": "public keys and sealed private ones",
    "master_keys": "names of keys",
    "data_keys": "wrapped random keys; a person is named by the subject's id",
    "audit_chains": "counters and hashes",
    "audit_roots": "counters, hashes and signatures",
    "audit_keys": "public keys",
    "audit_key_secrets": "sealed private keys",
    "alarm_rules": "bounds",
    "autonomy_rules": "bounds",
    "autonomy_evidence": "ids of effects and what kind of thing is known of them",
    "passwords": "hashes; deleted with the account",
    "login_failures": "a hash of an address, overwritten by the next success and void after a day",
    "one_time_links": "hashes; deleted with the account",
    "refresh_tokens": "hashes and sealed tokens; deleted with the account's sessions",
    "signing_keys": "public keys and sealed private ones",
    "service_accounts": "names of programs",
    "backups": "folders, sizes and problems; what is in the copies is told by every certificate",
    "plans": "figures",
    "organization_plans": "names of plans and figures",
    "quotas": "figures",
    "quota_crossings": "figures",
    "usage_days": "figures",
    **dict.fromkeys(
        ("budgets", "budget_accounts", "budget_reservations", "budget_holds", "budget_crossings"), "figures"
    ),
    "removals": "names of tables and counts",
    "approval_links": "ids of users and hashes of tokens",
    "usage_increments": "figures",
    "usage_sources": "names of meters",
    "unmetered_kinds": "names of kinds of task",
}


def declare_platform(data_map: DataMap) -> None:
    """Declare every table that the platform itself makes."""
    data_map.declare(*_WORK, *_PEOPLE, *_PRIVACY)
    for table, reason in _WITHOUT.items():
        data_map.declare_none(table, reason)
