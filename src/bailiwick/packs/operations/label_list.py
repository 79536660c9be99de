"""The labels that operations propose: a closed list, so that no text of an issue can become one."""

GIVEN: frozenset[str] = frozenset(
    {
        "access-finding", "answer-proposed", "capacity-short", "escalated", "flaky-test", "knowledge-gap",
        "kpi-missed", "low-coverage", "needs-approval", "needs-info", "performance", "possible-duplicate", "security",
        *(f"escalation:{level}" for level in (1, 2, 3)),
        *(f"policy:{rule}" for rule in (
            "no-secrets", "no-personal-data", "no-public-ssh", "verified-tls", "no-plain-http",
        )),
        *(f"qa:{verdict}" for verdict in ("pass", "fail", "undetermined")),
        *(f"severity:{rank}" for rank in ("low", "medium", "high", "critical")),
    }
)  # fmt: skip
"""Every one of them; what an operation proposes beside these waits for a person."""
