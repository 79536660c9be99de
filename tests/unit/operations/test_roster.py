"""Which agent a label names."""

import pytest

from bailiwick.packs.operations.classification import DEFAULT_AGENT
from bailiwick.packs.operations.lexicon import load_lexicon
from bailiwick.packs.operations.roster import AGENTS, match_label, match_labels

REQUIRED = {
    "project-manager": {"strategic-planning", "resource-allocation", "escalation", "kpi-review"},
    "marketing": {"content-creation", "campaign-management", "seo-optimization", "lead-generation", "brand-monitoring"},
    "sales": {"lead-qualification", "opportunity-management", "crm-updates", "revenue-tracking"},
    "support": {"customer-inquiry", "knowledge-base", "bug-reports", "feature-requests", "escalations"},
    "customer-success": {"onboarding", "retention", "expansion", "health-check"},
    "analytics": {"reporting", "data-analysis", "kpi-tracking", "forecasting"},
    "finance": {"budgeting", "compliance", "expense-tracking", "financial-analysis"},
    "operations": {"monitoring", "optimization", "deployment", "maintenance"},
    "security": {"threat-detection", "compliance", "access-control", "audit"},
}


def test_all_fourteen_agents_own_their_operations() -> None:
    assert len(AGENTS) == 14
    assert {"architect", "developer", "qa", "devops", "manager"} < set(AGENTS)
    for agent, operations in REQUIRED.items():
        assert {operation.name for operation in AGENTS[agent].operations} == operations


def test_every_agent_has_operations_each_with_a_purpose() -> None:
    for agent in AGENTS.values():
        assert agent.operations
        assert all(operation.purpose for operation in agent.operations)


def test_every_documented_operation_label_routes_to_its_agent() -> None:
    for agent in AGENTS.values():
        for operation in agent.operations:
            found = match_label(f"{agent.name}/{operation.name}")
            assert found is not None
            assert (found.agent, found.operation, found.confidence) == (agent.name, operation.name, 1.0)


def test_no_label_means_two_agents() -> None:
    seen: dict[str, str] = {}
    for agent in AGENTS.values():
        for label in {label for operation in agent.operations for label in operation.labels} | set(agent.labels):
            assert seen.setdefault(label, agent.name) == agent.name, label
        for prefix in agent.prefixes:
            assert seen.setdefault(f"{prefix}/", agent.name) == agent.name, prefix


@pytest.mark.parametrize(
    ("label", "agent", "operation"),
    [
        ("security/threat-detection", "security", "threat-detection"),
        ("management/kpi-review", "project-manager", "kpi-review"),
        ("agent:qa", "qa", None),
        ("department/support", "support", None),
        ("Team: Customer Success", "customer-success", None),
        ("bug", "support", "bug-reports"),
        ("Type: Bug", "support", "bug-reports"),
        (":bug:", "support", "bug-reports"),
        ("t¹ 🐞 bug", "support", "bug-reports"),
        ("question", "support", "customer-inquiry"),
        ("feature request", "support", "feature-requests"),
        ("Feature_Request", "support", "feature-requests"),
        ("refactor", "developer", "refactoring"),
        ("finance/compliance", "finance", "compliance"),
        ("infra: something new", "devops", None),
        ("kind/flaky-test", "qa", "flaky-tests"),
    ],
)
def test_label_forms(label: str, agent: str, operation: str | None) -> None:
    found = match_label(label)
    assert found is not None
    assert (found.agent, found.operation) == (agent, operation)


@pytest.mark.parametrize(
    "label", ["", "🔥", "help wanted", "wontfix", "P1", "status: blocked", "error", "compliance", "PR: Spec", "/", ":"]
)
def test_labels_that_name_nobody(label: str) -> None:
    assert match_label(label) is None


def test_an_agent_label_takes_its_operation_from_another_label() -> None:
    first, *_ = match_labels(("bug", "agent:support"))
    assert (first.label, first.agent, first.operation) == ("agent:support", "support", "bug-reports")


def test_the_stronger_rule_wins_whatever_the_order() -> None:
    for labels in (("bug", "agent:qa"), ("agent:qa", "bug")):
        assert match_labels(labels)[0].agent == "qa"


def test_the_default_agent_exists() -> None:
    assert DEFAULT_AGENT in AGENTS


def test_the_lexicon_names_only_operations_that_exist() -> None:
    lexicon = load_lexicon("lexicon.toml")
    known = {f"{agent.name}.{operation.name}" for agent in AGENTS.values() for operation in agent.operations}
    assert lexicon.targets == known
