"""Budgets against a model of them: whatever is reserved, settled and released, in whatever order."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from bailiwick.audit import SYSTEM, AuditLog
from bailiwick.authority.budgets import Budgets, NewBudget
from bailiwick.authority.budgets.model import parsed_rung
from bailiwick.identity.organizations import Organizations
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from tests.integration.authority.budgets.conftest import Purse, log_of

_START = datetime(2026, 3, 31, 22, tzinfo=UTC)
_AGENTS = (new_id(), new_id())
_RUNS = (new_id(), new_id())
_AMOUNTS = st.decimals(min_value=0, max_value=8, places=2)
_SPECS: tuple[tuple[str, str, str | None, str, str, str], ...] = (
    ("org-day", "organization", None, "day", "12", "0.8:tell 1:ask 1.2:stop"),
    ("org-month", "organization", None, "month", "40", "1:stop"),
    ("each-agent", "agent", None, "day", "8", "0.5:tell 1:stop"),
    ("first-agent", "agent", _AGENTS[0], "month", "20", "1:ask"),
    ("each-run", "run", None, "life", "15", "0.9:ask 1.1:stop"),
)


@dataclass
class Spending:
    """A reservation of the model, with the accounts it counts in."""

    accounts: list[tuple[str, Any, Any]]
    amount: Decimal
    state: str = "reserved"
    settled: Decimal = Decimal(0)


@dataclass
class Model:
    """What budgets promise, as simply as it can be said."""

    spendings: dict[str, Spending] = field(default_factory=dict[str, Spending])

    def used(self, account: tuple[str, Any, Any]) -> Decimal:
        """Everything reserved and settled in an account."""
        found = [one for one in self.spendings.values() if account in one.accounts]
        held = sum((one.amount for one in found if one.state == "reserved"), Decimal(0))
        return held + sum((one.settled for one in found if one.state == "settled"), Decimal(0))

    def accounts(self, organization: str, agent: str, run: str, now: datetime) -> list[tuple[str, Any, Any]]:
        """The accounts that bound a spending."""
        found: list[tuple[str, Any, Any]] = []
        for name, scope, subject, period, _, _ in _SPECS:
            holder = {"organization": organization, "agent": agent, "run": run}[scope]
            if subject in (None, holder):
                began = {"day": now.date(), "month": (now.year, now.month), "life": None}[period]
                found.append((name, holder, began))
        return found

    def answer(self, accounts: list[tuple[str, Any, Any]], amount: Decimal, *, is_approved: bool) -> str:
        """What a reservation is answered."""
        says: set[str] = set()
        for account in accounts:
            _, _, _, _, limit, ladder = next(spec for spec in _SPECS if spec[0] == account[0])
            for share, do in (text.split(":") for text in ladder.split()):
                if amount and self.used(account) + amount > Decimal(share) * Decimal(limit):
                    says.add(do)
        if "stop" in says:
            return "deny"
        return "ask" if "ask" in says and not is_approved else "ok"


class BudgetMachine(RuleBasedStateMachine):
    """Does at random what agents and time do, and compares everything with the model."""

    login_url: str
    database_url: str
    loop: asyncio.AbstractEventLoop

    @initialize()
    def open(self) -> None:
        self.now = _START
        self.model = Model()
        self.keys = 0
        self.run_(self._open())

    async def _open(self) -> None:
        self.database = Database(self.database_url)
        await self.database.open()
        organization = await Organizations(self.database).create(f"Acme {new_id()[-12:]}")
        budgets = Budgets(self.database, log_of(self.database), AuditLog(self.database))
        self.purse = Purse(budgets, self.database, self.login_url, organization.id)
        for name, scope, subject, period, amount, ladder in _SPECS:
            rungs = tuple(parsed_rung(text) for text in ladder.split())
            wanted = NewBudget(name, scope, "money", Decimal(amount), period, subject, ladder=rungs)  # type: ignore[arg-type]
            await budgets.set(organization.id, wanted, actor=SYSTEM, now=self.now)

    def run_(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    @rule(
        agent=st.sampled_from(_AGENTS), run=st.sampled_from(_RUNS), amount=_AMOUNTS, is_approved=st.booleans(),
        weigh_first=st.booleans(),
    )  # fmt: skip
    def reserve(self, agent: str, run: str, amount: Decimal, is_approved: bool, weigh_first: bool) -> None:
        self.keys += 1
        key = f"k{self.keys}"
        accounts = self.model.accounts(self.purse.organization_id, agent, run, self.now)
        if weigh_first:
            weighed = self.run_(
                self.purse.budgets.weigh(
                    self.purse.organization_id, agent_id=agent, task_id=run, unit="money", amount=amount, now=self.now
                )
            )
            assert weighed.state == self.model.answer(accounts, amount, is_approved=False)
        expected = self.model.answer(accounts, amount, is_approved=is_approved)
        made = self.run_(
            self.purse.reserve(str(amount), key, agent_id=agent, task_id=run, is_approved=is_approved, now=self.now)
        )
        assert made.state == expected
        if expected == "ok":
            self.model.spendings[key] = Spending(accounts, amount)

    @rule(number=st.integers(1, 40), amount=_AMOUNTS)
    def settle(self, number: int, amount: Decimal) -> None:
        spending = self.model.spendings.get(f"k{number}")
        if spending is None:
            return
        self.run_(self.purse.settle(f"k{number}", str(amount), now=self.now))
        spending.state, spending.settled = "settled", amount

    @rule(number=st.integers(1, 40))
    def release(self, number: int) -> None:
        self.run_(self.purse.release(f"k{number}"))
        spending = self.model.spendings.get(f"k{number}")
        if spending is not None and spending.state == "reserved":
            spending.state = "released"

    @rule(number=st.integers(1, 40))
    def reserve_the_same_again(self, number: int) -> None:
        spending = self.model.spendings.get(f"k{number}")
        if spending is not None and spending.state in ("reserved", "settled"):
            assert self.run_(self.purse.reserve(str(spending.amount), f"k{number}", now=self.now)).state == "ok"

    @rule(hours=st.integers(1, 30))
    def let_time_pass(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @invariant()
    def everything_agrees(self) -> None:
        if hasattr(self, "purse"):
            self.run_(self._agrees())

    async def _agrees(self) -> None:
        organization = self.purse.organization_id
        for name, *_ in _SPECS:
            found = await self.purse.budgets.accounts(organization, name=name, now=self.now)
            for account in found:
                began: Any = None
                if account.ends_at is not None and account.began_at is not None:
                    is_day = account.ends_at - account.began_at == timedelta(days=1)
                    began = self.now.date() if is_day else (self.now.year, self.now.month)
                assert account.used == self.model.used((name, account.holder, began))
        # Conserved: each account is the sum of the reservations that count in it.
        assert not await self.purse.rows(_DIFFERENCES, organization)
        assert await self.purse.spend_of(organization) == sum(
            (one.settled for one in self.model.spendings.values() if one.state == "settled"), Decimal(0)
        )

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.run_(self.database.close())


_DIFFERENCES = """
select a.budget_id from budget_accounts a
left join budget_holds h using (organization_id, budget_id, holder, began_at)
left join budget_reservations r on r.organization_id = h.organization_id and r.key = h.key
where a.organization_id = %s
group by a.budget_id, a.holder, a.began_at, a.reserved, a.settled
having a.reserved <> coalesce(sum(r.reserved) filter (where r.state = 'reserved'), 0)
    or a.settled <> coalesce(sum(r.settled), 0)"""


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def test_budgets_do_what_the_model_says(database_url: str, login_url: str, loop: asyncio.AbstractEventLoop) -> None:
    BudgetMachine.database_url, BudgetMachine.login_url, BudgetMachine.loop = database_url, login_url, loop
    run_state_machine_as_test(
        BudgetMachine,
        settings=settings(
            max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
