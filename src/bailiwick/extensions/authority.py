"""What authority registers, as an extension like any other: its facts, and the work that keeps them true."""

from pathlib import Path

from bailiwick import __version__
from bailiwick.authority.approvals import facts as approval_facts
from bailiwick.authority.approvals import sweeping as approval_sweeping
from bailiwick.authority.autonomy import facts as autonomy_facts
from bailiwick.authority.budgets import facts as budget_facts
from bailiwick.authority.budgets import sweeping
from bailiwick.authority.policy.facts import EVENT_TYPES as POLICY_EVENTS
from bailiwick.extensions.registrar import Registrar


class AuthorityExtension:
    """Policies, approvals, autonomy, budgets."""

    name = "authority"
    version = __version__
    migrations: Path | None = None

    def register(self, registrar: Registrar) -> None:
        """Register the event types, kinds and schedules of authority."""
        for event_type in (*POLICY_EVENTS, *approval_facts.EVENT_TYPES, *autonomy_facts.EVENT_TYPES):
            registrar.event_type(event_type)
        registrar.event_type(budget_facts.TYPE)
        registrar.task_kind(sweeping.sweep_kind(registrar.kernel.budgets))
        registrar.schedule(sweeping.SCHEDULE, scope="installation")
        registrar.task_kind(approval_sweeping.sweep_kind(registrar.kernel.approvals))
        registrar.schedule(approval_sweeping.SCHEDULE)


extension = AuthorityExtension()
