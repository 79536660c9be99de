"""Whatever people try in whatever order, an organization keeps an owner and nobody rises above their own role."""

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from bailiwick.audit import Actor
from bailiwick.identity.people.permissions import ROLES, Role, covers
from bailiwick.kernel.errors import ConflictError, ForbiddenError, NotFoundError
from bailiwick.storage import Database
from tests.integration.identity.conftest import Town

PEOPLE = ("ada", "ben", "cleo", "dan")
_numbers = itertools.count(1)

people = st.sampled_from(PEOPLE)
roles = st.sampled_from(ROLES)
others = st.dictionaries(st.sampled_from(PEOPLE[1:]), roles, max_size=2)


class OneOrganization(RuleBasedStateMachine):
    """Its people act on each other; the model says what must come of it."""

    runner: ClassVar[asyncio.Runner]
    town: ClassVar[Town]

    @initialize(others=others)
    def found(self, others: dict[str, Role]) -> None:
        self.model: dict[str, Role] = {"ada": "owner", **others}
        self.organization = self.run(self.town.organization(f"Machine {next(_numbers)}", **self.model))
        self.ids = {name: self.run(_id_of(self.town, name)) for name in PEOPLE}

    @rule(actor=people, subject=people, role=roles)
    def change(self, actor: str, subject: str, role: Role) -> None:
        rank, before = self.model.get(actor), self.model.get(subject)
        if rank is None:
            return
        is_above = not covers(rank, role) or (before is not None and not covers(rank, before))
        act = self.town.memberships.change_role(
            self.organization, self.ids[subject], role, actor=self.actor(actor), rank=rank
        )
        if self.is_done(
            act,
            (before is None, NotFoundError),
            (is_above, ForbiddenError),
            (role != "owner" and self.is_last_owner(subject), ConflictError),
        ):
            self.model[subject] = role

    @rule(actor=people, subject=people)
    def remove(self, actor: str, subject: str) -> None:
        rank, before = self.model.get(actor), self.model.get(subject)
        if rank is None:
            return
        is_above = before is not None and actor != subject and not covers(rank, before)
        act = self.town.memberships.remove(self.organization, self.ids[subject], actor=self.actor(actor), rank=rank)
        if self.is_done(
            act,
            (before is None, NotFoundError),
            (is_above, ForbiddenError),
            (self.is_last_owner(subject), ConflictError),
        ):
            del self.model[subject]

    @rule(actor=people, subject=people, role=roles)
    def add(self, actor: str, subject: str, role: Role) -> None:
        rank = self.model.get(actor)
        if rank is None:
            return
        act = self.town.memberships.add(self.organization, self.ids[subject], role, actor=self.actor(actor), rank=rank)
        if self.is_done(act, (subject in self.model, ConflictError), (not covers(rank, role), ForbiddenError)):
            self.model[subject] = role

    @rule(first=people, second=people)
    def step_down_at_once(self, first: str, second: str) -> None:
        """Owners demote themselves in the same moment; one may have to stay."""
        owners = sorted({name for name in (first, second) if self.model.get(name) == "owner"})
        answers = self.run(_all_of([
            self.town.memberships.change_role(
                self.organization, self.ids[name], "viewer", actor=self.actor(name), rank="owner"
            )
            for name in owners
        ]))  # fmt: skip
        for name, answer in zip(owners, answers, strict=True):
            assert isinstance(answer, ConflictError) or answer.role == "viewer"
            if not isinstance(answer, ConflictError):
                self.model[name] = "viewer"

    @invariant()
    def an_owner_stays_and_the_model_holds(self) -> None:
        page = self.run(self.town.memberships.list(self.organization))
        stored = {member.name: member.role for member in page.items}
        assert stored == self.model
        assert "owner" in stored.values()

    def run(self, act: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(act)

    def is_done(self, act: Coroutine[Any, Any, Any], *refusals: tuple[bool, type[Exception]]) -> bool:
        """Do it; it is refused exactly for a reason that holds."""
        expected = tuple(error for holds, error in refusals if holds)
        if not expected:
            self.run(act)
            return True
        with pytest.raises(expected):
            self.run(act)
        return False

    def actor(self, name: str) -> Actor:
        return Actor("user", self.ids[name], name)

    def is_last_owner(self, name: str) -> bool:
        return [one for one, role in self.model.items() if role == "owner"] == [name]


async def _all_of(acts: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    return await asyncio.gather(*acts, return_exceptions=True)


async def _id_of(town: Town, name: str) -> str:
    found = await town.accounts.find_by_email(f"{name}@example.org")
    return (found or await town.user(name)).id


def test_never_without_an_owner_and_never_above_ones_own_role(database_url: str, login_url: str) -> None:
    with asyncio.Runner() as runner:
        database = Database(database_url)
        runner.run(database.open())
        machine = type("Machine", (OneOrganization,), {"runner": runner, "town": Town(database, login_url)})
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=40, stateful_step_count=20, suppress_health_check=[HealthCheck.too_slow]
                ),
            )
        finally:
            runner.run(database.close())
