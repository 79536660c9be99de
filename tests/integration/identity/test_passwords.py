"""Passwords on a real database: who gets in, who waits, what is kept."""

import asyncio
import time

import pytest

from bailiwick.audit import SYSTEM
from bailiwick.audit.alarms import Alarms
from bailiwick.identity.login.login_throttle import TooManyAttemptsError
from bailiwick.identity.login.password_rules import PasswordRefusedError
from bailiwick.identity.login.passwords import Passwords
from bailiwick.identity.people.one_time_links import LinkRefusedError
from bailiwick.kernel.errors import ForbiddenError, UnauthorizedError
from bailiwick.kernel.ids import INSTALLATION
from tests.integration.identity.conftest import BETTER, GOOD, Town

EMAIL = "maria@example.org"
_PASS_A_DAY = "update login_failures set next_try_at = next_try_at - interval '1 day'"


async def _maria(town: Town):
    return await town.passwords.create_user(EMAIL, "Maria", GOOD, actor=SYSTEM)


async def test_the_right_password_lets_in_and_only_that(town: Town) -> None:
    maria = await _maria(town)
    assert (await town.passwords.authenticate(" MARIA@example.org", GOOD, address=None)).id == maria.id
    for wrong in (BETTER, GOOD + " ", "", GOOD.upper()):
        with pytest.raises(UnauthorizedError):
            await town.passwords.authenticate(EMAIL, wrong, address=None)


async def test_an_unknown_address_cannot_be_told_from_a_wrong_password(town: Town) -> None:
    await _maria(town)
    await town.user("ohne-passwort")
    answers: set[str] = set()
    for email in (EMAIL, "nobody@example.org", "no address", "ohne-passwort@example.org", "\ud800"):
        with pytest.raises(UnauthorizedError) as refused:
            await town.passwords.authenticate(email, BETTER, address=None)
        answers.add(str(refused.value))
    assert len(answers) == 1


async def test_an_unknown_address_takes_the_time_of_a_wrong_password(town: Town) -> None:
    passwords = Passwords(town.database, town.audit, town.accounts, Alarms(town.database), memory_mib=32)
    maria = await passwords.create_user(EMAIL, "Maria", GOOD, actor=SYSTEM)
    await passwords.check(None, BETTER)

    async def seconds(of_whom) -> float:
        spans: list[float] = []
        for _ in range(5):
            began = time.perf_counter()
            assert not await passwords.check(of_whom, BETTER)
            spans.append(time.perf_counter() - began)
        return min(spans)

    known, unknown = await seconds(maria), await seconds(None)
    # The same hash is computed for both; what differs is one look at a table.
    assert 0.5 < known / unknown < 2


async def test_guessing_slows_down_the_address_and_never_locks_it(town: Town) -> None:
    await _maria(town)
    for email in (EMAIL, "nobody@example.org"):
        for _ in range(5):
            with pytest.raises(UnauthorizedError):
                await town.passwords.authenticate(email, BETTER, address=None)
        with pytest.raises(TooManyAttemptsError) as waiting:
            await town.passwords.authenticate(email, GOOD, address=None)
        assert 0 < waiting.value.retry_after_seconds <= 1
    await town.as_superuser(_PASS_A_DAY)
    await town.passwords.authenticate(EMAIL, GOOD, address=None)
    # The right password clears the count.
    with pytest.raises(UnauthorizedError):
        await town.passwords.authenticate(EMAIL, BETTER, address=None)
    await town.passwords.authenticate(EMAIL, GOOD, address=None)


async def test_the_wait_doubles_up_to_a_quarter_of_an_hour(town: Town) -> None:
    waits: list[float] = []
    for _ in range(20):
        row = await town.database.fetch_one("select login_attempt(sha256('x')) as wait")
        assert row is not None
        assert row["wait"] == 0
        found = await town.database.fetch_one(
            "select extract(epoch from next_try_at - last_failed_at)::float as seconds from login_failures"
        )
        assert found is not None
        waits.append(round(found["seconds"]))
        await town.as_superuser(_PASS_A_DAY)
    assert waits[:8] == [0, 0, 0, 0, 1, 2, 4, 8]
    assert waits[-1] == max(waits) == 900


async def test_a_crowd_of_guesses_at_once_goes_no_faster_than_one_after_another(town: Town) -> None:
    await _maria(town)
    answers = await asyncio.gather(
        *(town.passwords.authenticate(EMAIL, f"guess number {n:04}", address=None) for n in range(30)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, UnauthorizedError) for answer in answers) <= 6
    assert all(isinstance(answer, UnauthorizedError | TooManyAttemptsError) for answer in answers)


async def test_failures_are_audited_without_what_was_typed(town: Town) -> None:
    maria = await _maria(town)
    for email in (EMAIL, "a password in the wrong field"):
        with pytest.raises(UnauthorizedError):
            await town.passwords.authenticate(email, BETTER, address="192.0.2.7")
    entries = (await town.audit.list(INSTALLATION)).items[:2]
    assert [(entry.action, entry.target, entry.actor.address) for entry in entries] == [
        ("login.failed", "user:unknown", "192.0.2.7"),
        ("login.failed", f"user:{maria.id}", "192.0.2.7"),
    ]
    rows = await town.database.fetch_all("select login_failures::text as row from login_failures")
    assert "wrong field" not in f"{entries}{rows}"
    assert BETTER not in f"{entries}{rows}"


async def test_a_disabled_user_learns_it_only_with_the_right_password(town: Town) -> None:
    maria = await _maria(town)
    await town.accounts.disable(maria.id, actor=SYSTEM)
    with pytest.raises(UnauthorizedError):
        await town.passwords.authenticate(EMAIL, BETTER, address=None)
    with pytest.raises(ForbiddenError, match="disabled"):
        await town.passwords.authenticate(EMAIL, GOOD, address=None)
    await town.accounts.enable(maria.id, actor=SYSTEM)
    await town.passwords.authenticate(EMAIL, GOOD, address=None)


async def test_a_login_brings_an_old_hash_up_to_todays_cost(town: Town) -> None:
    maria = await _maria(town)
    dearer = Passwords(town.database, town.audit, town.accounts, Alarms(town.database), memory_mib=2)

    async def cost() -> str:
        row = await town.database.fetch_one("select hash from passwords where user_id = %s", (maria.id,))
        assert row is not None
        return row["hash"].split("$")[3]

    assert await cost() == "m=1024,t=3,p=4"
    with pytest.raises(UnauthorizedError):
        await dearer.authenticate(EMAIL, BETTER, address=None)
    assert await cost() == "m=1024,t=3,p=4"
    await dearer.authenticate(EMAIL, GOOD, address=None)
    assert await cost() == "m=2048,t=3,p=4"
    await dearer.authenticate(EMAIL, GOOD, address=None)


async def test_changing_a_password_takes_the_old_one_and_the_rules(town: Town) -> None:
    maria = await _maria(town)
    with pytest.raises(ForbiddenError):
        await town.passwords.change(maria, BETTER, BETTER, actor=SYSTEM)
    for refused in ("short", GOOD, "maria was here for tea"):
        with pytest.raises(PasswordRefusedError):
            await town.passwords.change(maria, GOOD, refused, actor=SYSTEM)
    await town.as_superuser(_PASS_A_DAY)
    await town.passwords.change(maria, GOOD, BETTER, actor=SYSTEM)
    assert await town.passwords.check(maria, BETTER)
    assert not await town.passwords.check(maria, GOOD)
    assert (await town.acts())[-1] == "password.set"


async def test_a_wrong_old_password_is_a_failed_login(town: Town) -> None:
    """Otherwise whoever has found an open session tries passwords unseen."""
    maria = await _maria(town)
    with pytest.raises(ForbiddenError):
        await town.passwords.change(maria, BETTER, GOOD, actor=SYSTEM)
    assert (await town.acts())[-1] == "login.failed"
    for _ in range(3):
        with pytest.raises(ForbiddenError):
            await town.passwords.change(maria, BETTER, GOOD, actor=SYSTEM)
    with pytest.raises((TooManyAttemptsError, ForbiddenError)):
        await town.passwords.change(maria, BETTER, GOOD, actor=SYSTEM)
    with pytest.raises(TooManyAttemptsError):
        await town.passwords.change(maria, GOOD, BETTER, actor=SYSTEM)


async def test_a_reset_link_works_once_and_ends_the_one_before(town: Town) -> None:
    maria = await _maria(town)
    first = await town.resets.issue(maria, actor=SYSTEM)
    token = await town.resets.issue(maria, actor=SYSTEM)
    with pytest.raises(LinkRefusedError):
        await town.resets.redeem(first, BETTER, address=None)
    with pytest.raises(PasswordRefusedError):
        await town.resets.redeem(token, "short", address=None)
    answers = await asyncio.gather(
        *(town.resets.redeem(token, BETTER, address=None) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["LinkRefusedError", "User"]
    assert await town.passwords.check(maria, BETTER)


async def test_a_reset_link_lets_a_slowed_down_user_in_and_no_disabled_one(town: Town) -> None:
    maria = await _maria(town)
    for _ in range(5):
        with pytest.raises(UnauthorizedError):
            await town.passwords.authenticate(EMAIL, "wrong", address=None)
    await town.resets.redeem(await town.resets.issue(maria, actor=SYSTEM), BETTER, address=None)
    await town.passwords.authenticate(EMAIL, BETTER, address=None)
    token = await town.resets.issue(maria, actor=SYSTEM)
    await town.accounts.disable(maria.id, actor=SYSTEM)
    with pytest.raises(LinkRefusedError):
        await town.resets.redeem(token, GOOD, address=None)


async def test_links_end_after_a_day(town: Town) -> None:
    maria = await _maria(town)
    token = await town.resets.issue(maria, actor=SYSTEM)
    await town.as_superuser("update one_time_links set expires_at = expires_at - interval '24 hours 1 second'")
    with pytest.raises(LinkRefusedError):
        await town.resets.redeem(token, BETTER, address=None)
