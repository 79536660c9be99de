"""Approvals against a model of them: whoever answers, delegates, loses a role, and whatever time passes."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from bailiwick.audit import SYSTEM
from bailiwick.authority.approvals import ApprovalRecord
from bailiwick.authority.approvals.delegating import NewDelegation
from bailiwick.identity.people.permissions import ROLES, Role
from bailiwick.kernel.clock import ManualClock
from bailiwick.kernel.errors import BailiwickError
from bailiwick.storage import Database
from tests.integration.authority.approvals.conftest import NOON, Room, approvals_of

HOUR = 3600.0
_PEOPLE: dict[str, Role] = {
    "owner": "owner", "ann": "admin", "bob": "admin", "cid": "operator", "dot": "developer", "eve": "owner",
    "vic": "viewer",
}  # fmt: skip
_NAMES = st.sampled_from(sorted(_PEOPLE))
_VOICES = st.sampled_from([None, *sorted(_PEOPLE)])


@dataclass
class Model:
    """What approvals promise, as simply as it can be said."""

    roles: dict[str, Role]
    quorum: int
    wanted: tuple[Role, ...]
    asker: str
    on_expiry: str
    escalate_to: Role
    age: float = 0.0
    escalated: bool = False
    state: str = "waiting"
    said: dict[str, str] = field(default_factory=dict[str, str])
    spoke: set[str] = field(default_factory=set[str])
    delegations: list[tuple[str, str, float]] = field(default_factory=list[tuple[str, str, float]])

    def votes(self, name: str) -> bool:
        """Whether a person may answer in their own right."""
        roles = (*self.wanted, self.escalate_to) if self.escalated else self.wanted
        lowest = min(ROLES.index(one) for one in roles)
        return name != self.asker and ROLES.index(self.roles[name]) >= lowest

    def accepts(self, who: str | None, voice: str | None) -> bool:
        """Whether an answer is taken."""
        if self.state != "waiting" or self.age >= 8 * HOUR:
            return False
        if who is None:
            return "administrator" not in self.spoke
        voice = voice or who
        if self.asker in (who, voice) or who in self.spoke or voice in self.said or not self.votes(voice):
            return False
        return who == voice or any(
            (giver, taker) == (voice, who) and self.age < end for giver, taker, end in self.delegations
        )

    def answer(self, who: str | None, voice: str | None, decision: str) -> None:
        """Take an answer."""
        self.spoke.add(who or "administrator")
        self.said[voice or who or "administrator"] = decision
        counts = [said for name, said in self.said.items() if name == "administrator" or self.votes(name)]
        still = [name for name in self.roles if self.votes(name) and name not in self.said]
        if counts.count("approve") >= self.quorum:
            self.state = "approved"
        elif decision == "reject" and counts.count("approve") + len(still) < self.quorum:
            self.state = "rejected"

    def pass_time(self, seconds: float) -> None:
        """Let time pass and the sweep look."""
        self.age += seconds
        if self.state == "waiting" and self.age >= 8 * HOUR:
            self.state = "approved" if self.on_expiry == "allow" else "expired"
        elif self.state == "waiting" and self.age >= 4 * HOUR:
            self.escalated = True


class ApprovalMachine(RuleBasedStateMachine):
    """Whatever people do in whatever order, the approval stands where the model says."""

    room: Room
    superuser: psycopg.Connection
    loop: asyncio.AbstractEventLoop
    ids: dict[str, str]

    model: Model
    approval: ApprovalRecord

    @initialize(
        quorum=st.integers(1, 3),
        wanted=st.sampled_from([("admin",), ("owner",), ("operator", "owner"), ("developer",)]),
        asker=_NAMES,
        on_expiry=st.sampled_from(["deny", "allow"]),
        escalate_to=st.sampled_from(["operator", "owner"]),
    )
    def ask(self, quorum: int, wanted: tuple[Role, ...], asker: str, on_expiry: Any, escalate_to: Role) -> None:
        self.model = Model(dict(_PEOPLE), quorum, wanted, asker, on_expiry, escalate_to)
        self.superuser.execute("delete from approval_delegations")
        for name, role in _PEOPLE.items():
            self._set_role(name, role)
        self.room.clock = ManualClock(NOON)
        self.room.approvals = approvals_of(self.room.database, self.room.clock)
        self.approval = self._run(
            self.room.ask(
                quorum=quorum, roles=wanted, on_expiry=on_expiry, expires_hours=8.0, escalate_to=escalate_to,
                escalate_hours=4.0, labels=frozenset({f"by:user:{self.ids[asker]}"}),
            )
        )  # fmt: skip

    @rule(who=_VOICES, voice=_VOICES, decision=st.sampled_from(["approve", "approve", "reject"]))
    def answer(self, who: str | None, voice: str | None, decision: str) -> None:
        voice = None if who is None or voice == who else voice
        expected = self.model.accepts(who, voice)
        try:
            behalf = None if voice is None else self.ids[voice]
            self._run(
                self.room.say(self.approval, decision, None if who is None else self.ids[who], on_behalf_of=behalf)
            )
            taken = True
        except BailiwickError:
            taken = False
        assert taken == expected
        if taken:
            self.model.answer(who, voice, decision)

    @rule(giver=_NAMES, taker=_NAMES, hours=st.integers(1, 6))
    def delegate(self, giver: str, taker: str, hours: int) -> None:
        ends = self.room.clock.now() + timedelta(hours=hours)
        wanted = NewDelegation(self.ids[giver], self.ids[taker], ends_at=ends)
        try:
            self._run(self.room.approvals.delegations.make(self.room.organization_id, wanted, actor=SYSTEM))
        except BailiwickError:
            assert giver == taker or "viewer" in (self.model.roles[giver], self.model.roles[taker])
        else:
            self.model.delegations.append((giver, taker, self.model.age + hours * HOUR))

    @rule(name=st.sampled_from(["ann", "bob", "cid"]), role=st.sampled_from(["viewer", "operator", "admin"]))
    def change_role(self, name: str, role: Role) -> None:
        self._set_role(name, role)
        self.model.roles[name] = role

    @rule(minutes=st.sampled_from([1, 60, 119, 121, 240]))
    def pass_time(self, minutes: int) -> None:
        self.room.clock.advance(seconds=minutes * 60)
        self._run(self.room.approvals.sweep(self.room.organization_id))
        self.model.pass_time(minutes * 60)

    @invariant()
    def stands_where_the_model_says(self) -> None:
        if not hasattr(self, "approval"):
            return
        assert self._run(self.room.state(self.approval)) == self.model.state
        told = [state for kind, state in self._run(self.room.events(self.approval)) if kind == "approval.answered"]
        assert told == ([] if self.model.state == "waiting" else [self.model.state]), "the run hears of it once"

    def _set_role(self, name: str, role: Role) -> None:
        self.superuser.execute("update memberships set role = %s where user_id = %s", (role, self.ids[name]))

    def _run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def test_approvals_keep_to_the_model(database_url: str, login_url: str, loop: asyncio.AbstractEventLoop) -> None:
    database = Database(database_url)

    async def furnish() -> tuple[Room, dict[str, str]]:
        await database.open()
        room = await Room.furnished(database)
        [founder] = (await room.memberships.list(room.organization_id)).items
        others = {name: await room.person(name, role) for name, role in _PEOPLE.items() if name != "owner"}
        return room, {"owner": founder.user_id, **others}

    made, people = loop.run_until_complete(furnish())

    class Bound(ApprovalMachine):
        room = made
        ids = people

    Bound.loop = loop
    try:
        with psycopg.connect(login_url, autocommit=True) as Bound.superuser:
            run_state_machine_as_test(
                Bound,
                settings=settings(
                    max_examples=15, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
                ),
            )
    finally:
        loop.run_until_complete(database.close())
