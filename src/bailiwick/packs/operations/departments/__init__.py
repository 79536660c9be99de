"""The departments of the operations pack: what each agent computes on an issue.

``OPERATIONS`` maps the kind of an agent to its operations; each reads an issue
and a ``Desk`` and changes nothing. What to do with a result (comment, label,
close) is decided by the lifecycle.
"""

from collections.abc import Mapping
from types import MappingProxyType

from bailiwick.packs.operations.departments import qa
from bailiwick.packs.operations.departments.analytics_description import analyse_data
from bailiwick.packs.operations.departments.analytics_forecast import forecast_series
from bailiwick.packs.operations.departments.analytics_kpis import track_kpis
from bailiwick.packs.operations.departments.analytics_meters import (
    DaySummary,
    ReadingCheck,
    ReadingFault,
    check_reading,
    summarize_day,
)
from bailiwick.packs.operations.departments.analytics_reporting import write_report
from bailiwick.packs.operations.departments.desk import (
    AgentRow,
    Article,
    Attempt,
    Desk,
    EventRow,
    IssueFilter,
    IssueRow,
    Member,
    SimilarIssue,
)
from bailiwick.packs.operations.departments.project_manager_allocation import allocate_resources
from bailiwick.packs.operations.departments.project_manager_escalation import escalate_issue
from bailiwick.packs.operations.departments.project_manager_kpis import review_kpis
from bailiwick.packs.operations.departments.project_manager_oversight import Assignment, Oversight, oversee
from bailiwick.packs.operations.departments.project_manager_planning import plan_strategy
from bailiwick.packs.operations.departments.security_access import review_access
from bailiwick.packs.operations.departments.security_audit import audit_records
from bailiwick.packs.operations.departments.security_compliance import check_compliance
from bailiwick.packs.operations.departments.security_threats import detect_threats
from bailiwick.packs.operations.departments.support_answers import answer_inquiry, serve_knowledge
from bailiwick.packs.operations.departments.support_bugs import take_bug_report
from bailiwick.packs.operations.departments.support_escalations import weigh_escalation
from bailiwick.packs.operations.departments.support_wishes import weigh_request
from bailiwick.packs.operations.departments.work import Evidence, Operation, WorkResult

OPERATIONS: Mapping[str, Mapping[str, Operation]] = MappingProxyType(
    {
        "project-manager": MappingProxyType(
            {
                "strategic-planning": plan_strategy,
                "resource-allocation": allocate_resources,
                "escalation": escalate_issue,
                "kpi-review": review_kpis,
            }
        ),
        "support": MappingProxyType(
            {
                "customer-inquiry": answer_inquiry,
                "knowledge-base": serve_knowledge,
                "bug-reports": take_bug_report,
                "feature-requests": weigh_request,
                "escalations": weigh_escalation,
            }
        ),
        "security": MappingProxyType(
            {
                "threat-detection": detect_threats,
                "compliance": check_compliance,
                "access-control": review_access,
                "audit": audit_records,
            }
        ),
        "qa": MappingProxyType(
            {
                "testing": qa.judge_quality,
                "flaky-tests": qa.find_flaky_tests,
                "static-analysis": qa.scan_source,
                "performance-testing": qa.measure_performance,
                "coverage": qa.measure_coverage,
            }
        ),
        "analytics": MappingProxyType(
            {
                "reporting": write_report,
                "data-analysis": analyse_data,
                "kpi-tracking": track_kpis,
                "forecasting": forecast_series,
            }
        ),
    }
)
"""Every operation of the departments that do real work so far, by agent kind and operation name."""

__all__ = [
    "OPERATIONS",
    "AgentRow",
    "Article",
    "Assignment",
    "Attempt",
    "DaySummary",
    "Desk",
    "EventRow",
    "Evidence",
    "IssueFilter",
    "IssueRow",
    "Member",
    "Operation",
    "Oversight",
    "ReadingCheck",
    "ReadingFault",
    "SimilarIssue",
    "WorkResult",
    "check_reading",
    "oversee",
    "summarize_day",
]
