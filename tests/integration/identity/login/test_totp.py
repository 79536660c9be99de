"""One-time passwords and recovery codes: each is accepted once, and nobody guesses them."""

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from pyotp.totp import TOTP

from bailiwick.audit import SYSTEM
from bailiwick.identity.factors.second_factors import MAX_FAILURES, Proof, TooManyCodesError
from bailiwick.kernel.errors import ConflictError, InvalidInputError, UnauthorizedError
from tests.integration.identity.login.conftest import Platform

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


async def enrolled(platform: Platform, name: str = "maria") -> tuple[str, TOTP, list[str]]:
    """A user with an authenticator, confirmed a minute before noon."""
    user = await platform.person(name)
    enrolment = await platform.ways.totp.enrol(user.id, user.email)
    authenticator = TOTP(enrolment.secret)
    before = NOON - timedelta(minutes=1)
    codes = await platform.ways.totp.confirm(user.id, authenticator.at(before), actor=SYSTEM, at=before)
    return user.id, authenticator, codes


async def test_an_enrolment_is_what_authenticators_read(platform: Platform) -> None:
    user = await platform.person("maria")
    enrolment = await platform.ways.totp.enrol(user.id, user.email)
    address = urlsplit(enrolment.uri)
    query = parse_qs(address.query)
    assert (address.scheme, address.netloc, address.path) == ("otpauth", "totp", "/Bailiwick:maria%40example.org")
    assert (query["secret"], query["issuer"]) == ([enrolment.secret], ["Bailiwick"])
    # RFC 4226 recommends 160 bits; the defaults (SHA-1, 6 digits, 30 s) are left out of the address.
    assert len(enrolment.secret) == 32
    assert not {"algorithm", "digits", "period"} & query.keys()


async def test_the_secret_is_stored_sealed(platform: Platform) -> None:
    user = await platform.person("maria")
    enrolment = await platform.ways.totp.enrol(user.id, user.email)
    row = await platform.installation.database.fetch_one("select sealed_secret from totp_secrets")
    assert row is not None
    assert enrolment.secret.encode() not in row["sealed_secret"]


async def test_an_authenticator_counts_only_after_its_first_code(platform: Platform) -> None:
    totp = platform.ways.totp
    user = await platform.person("maria")
    first = TOTP((await totp.enrol(user.id, user.email)).secret)
    assert not await totp.check(user.id, first.at(NOON), at=NOON)
    with pytest.raises(InvalidInputError, match="next one"):
        await totp.confirm(user.id, "000000", actor=SYSTEM, at=NOON)
    second = TOTP((await totp.enrol(user.id, user.email)).secret)
    with pytest.raises(InvalidInputError):
        await totp.confirm(user.id, first.at(NOON), actor=SYSTEM, at=NOON)
    assert len(await totp.confirm(user.id, second.at(NOON), actor=SYSTEM, at=NOON)) == 10
    with pytest.raises(ConflictError, match="remove it first"):
        await totp.enrol(user.id, user.email)
    with pytest.raises(ConflictError, match="no authenticator waits"):
        await totp.confirm(user.id, second.at(NOON), actor=SYSTEM, at=NOON)


async def test_the_first_code_cannot_be_guessed(platform: Platform) -> None:
    """An enrolment that somebody gave up waits for whoever gets hold of the session."""
    user = await platform.person("maria")
    enrolment = await platform.ways.totp.enrol(user.id, user.email)
    for _ in range(MAX_FAILURES):
        with pytest.raises(InvalidInputError):
            await platform.ways.factors.confirm_totp(user.id, "no code", actor=SYSTEM)
    with pytest.raises(TooManyCodesError):
        await platform.ways.factors.confirm_totp(user.id, TOTP(enrolment.secret).now(), actor=SYSTEM)


@pytest.mark.parametrize(("seconds", "is_accepted"), [(-61, False), (-30, True), (0, True), (30, True), (61, False)])
async def test_a_code_of_the_step_before_or_after_is_accepted(
    platform: Platform, seconds: int, is_accepted: bool
) -> None:
    user_id, authenticator, _ = await enrolled(platform)
    code = authenticator.at(NOON + timedelta(seconds=seconds))
    assert await platform.ways.totp.check(user_id, code, at=NOON) is is_accepted


async def test_a_code_is_accepted_once_and_none_before_it_afterwards(platform: Platform) -> None:
    user_id, authenticator, _ = await enrolled(platform)
    totp = platform.ways.totp
    assert await totp.check(user_id, authenticator.at(NOON), at=NOON)
    assert not await totp.check(user_id, authenticator.at(NOON), at=NOON)
    assert not await totp.check(user_id, authenticator.at(NOON - timedelta(seconds=30)), at=NOON)
    assert await totp.check(user_id, authenticator.at(NOON + timedelta(seconds=30)), at=NOON)


async def test_the_confirming_code_is_no_second_factor(platform: Platform) -> None:
    user_id, authenticator, _ = await enrolled(platform)
    before = NOON - timedelta(minutes=1)
    assert not await platform.ways.totp.check(user_id, authenticator.at(before), at=before)


async def test_of_many_who_send_the_same_code_at_once_one_is_let_in(platform: Platform) -> None:
    user_id, authenticator, _ = await enrolled(platform)
    code = authenticator.at(NOON)
    answers = await asyncio.gather(*(platform.ways.totp.check(user_id, code, at=NOON) for _ in range(12)))
    assert sum(answers) == 1


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "12 34 5", "-12345", "1e4567"])
async def test_what_is_no_code_is_refused(platform: Platform, code: str) -> None:
    user_id, _, _ = await enrolled(platform)
    assert not await platform.ways.totp.check(user_id, code, at=NOON)


async def test_a_code_may_be_typed_with_a_space(platform: Platform) -> None:
    user_id, authenticator, _ = await enrolled(platform)
    code = authenticator.at(NOON)
    assert await platform.ways.totp.check(user_id, f"{code[:3]} {code[3:]}", at=NOON)


async def test_ten_recovery_codes_open_once_each_however_they_are_typed(platform: Platform) -> None:
    user_id, _, codes = await enrolled(platform)
    recovery = platform.ways.factors.recovery_codes
    assert len(set(codes)) == 10
    assert await recovery.spend(user_id, codes[0].upper().replace("-", " "))
    assert not await recovery.spend(user_id, codes[0])
    assert sum(await asyncio.gather(*(recovery.spend(user_id, codes[1]) for _ in range(8)))) == 1
    assert await recovery.count_left(user_id) == 8
    stored = await platform.installation.database.fetch_all("select code_hash from recovery_codes")
    assert not {code.encode() for code in codes} & {row["code_hash"] for row in stored}


async def test_new_recovery_codes_replace_the_old_ones(platform: Platform) -> None:
    user_id, _, codes = await enrolled(platform)
    fresh = await platform.ways.totp.new_recovery_codes(user_id, actor=SYSTEM)
    recovery = platform.ways.factors.recovery_codes
    assert not await recovery.spend(user_id, codes[0])
    assert await recovery.spend(user_id, fresh[0])


async def test_another_users_codes_open_nothing(platform: Platform) -> None:
    _, _, codes = await enrolled(platform)
    other, _, _ = await enrolled(platform, "paul")
    assert not await platform.ways.factors.recovery_codes.spend(other, codes[0])


async def test_guessing_is_stopped_over_all_logins_and_a_right_code_clears_the_count(platform: Platform) -> None:
    user_id, authenticator, codes = await enrolled(platform)
    factors = platform.ways.factors
    for _ in range(MAX_FAILURES - 1):
        with pytest.raises(UnauthorizedError):
            await factors.check(user_id, Proof("totp", "000000"), at=NOON)
    await factors.check(user_id, Proof("recovery_code", codes[0]))
    for _ in range(MAX_FAILURES):
        with pytest.raises(UnauthorizedError):
            await factors.check(user_id, Proof("recovery_code", "wrong"), at=NOON)
    with pytest.raises(TooManyCodesError) as refused:
        await factors.check(user_id, Proof("totp", authenticator.at(NOON)), at=NOON)
    assert 890 < refused.value.retry_after_seconds <= 900
    await platform.installation.database.execute(
        "update second_factor_failures set window_began_at = window_began_at - interval '16 minutes'"
    )
    await factors.check(user_id, Proof("totp", authenticator.at(NOON)), at=NOON)
    assert ("login.failed", "wrong one-time password") in await platform.acts()


async def test_simultaneous_guesses_get_no_more_tries(platform: Platform) -> None:
    user_id, _, _ = await enrolled(platform)
    guesses = (platform.ways.factors.check(user_id, Proof("totp", "000000"), at=NOON) for _ in range(30))
    answers = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(answer, UnauthorizedError) for answer in answers) == MAX_FAILURES
    assert sum(isinstance(answer, TooManyCodesError) for answer in answers) == 20


async def test_removing_forgets_authenticator_and_codes(platform: Platform) -> None:
    user_id, authenticator, codes = await enrolled(platform)
    assert await platform.ways.totp.remove(user_id, actor=SYSTEM)
    assert not await platform.ways.totp.remove(user_id, actor=SYSTEM)
    assert not await platform.ways.totp.check(user_id, authenticator.at(NOON), at=NOON)
    assert not await platform.ways.factors.recovery_codes.spend(user_id, codes[0])
    assert [action for action, _ in await platform.acts()][-2:] == ["second_factor.added", "second_factor.removed"]
