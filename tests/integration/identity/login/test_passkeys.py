"""Passkeys prove who somebody is; anything bent on the way proves nothing."""

import asyncio
from typing import Any

import orjson
import pytest

from bailiwick.audit import SYSTEM
from bailiwick.identity.factors.passkeys import MAX_PASSKEYS, Passkey
from bailiwick.identity.factors.relying_party import RelyingParty
from bailiwick.identity.people.accounts import User
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError, UnauthorizedError
from tests.integration.identity.login.conftest import PUBLIC_URL, Platform
from tests.support.authenticator import Authenticator, b64, unb64


async def registered(platform: Platform, key: Authenticator, user: User, name: str = "laptop") -> Passkey:
    passkeys = platform.ways.passkeys
    begun = await passkeys.begin_registration(user.id, user.email, user.name)
    return await passkeys.finish_registration(user.id, begun.ceremony, key.create(begun.options), name, actor=SYSTEM)


@pytest.fixture
async def maria(platform: Platform, key: Authenticator) -> User:
    """A user with one passkey."""
    user = await platform.person("maria")
    await registered(platform, key, user)
    return user


async def test_a_passkey_logs_in_without_a_user_name(platform: Platform, key: Authenticator, maria: User) -> None:
    begun = await platform.ways.passkeys.begin_use("login")
    assert begun.options["allowCredentials"] == []
    assert begun.options["userVerification"] == "required"
    assert await platform.ways.passkeys.finish_use("login", begun.ceremony, key.get(begun.options)) == maria.id
    listed = await platform.ways.passkeys.list(maria.id)
    assert [(one.name, one.transports) for one in listed] == [("laptop", ["internal", "usb"])]
    assert listed[0].last_used_at is not None


async def test_options_name_the_relying_party_and_what_is_known(
    platform: Platform, key: Authenticator, maria: User
) -> None:
    options = (await platform.ways.passkeys.begin_registration(maria.id, maria.email, maria.name)).options
    assert options["rp"] == {"id": "localhost", "name": "Bailiwick"}
    assert unb64(options["user"]["id"]).decode() == maria.id
    assert [one["id"] for one in options["excludeCredentials"]] == [b64(key.kept[0].credential_id)]
    assert options["attestation"] == "none"


async def test_a_passkey_may_be_a_second_factor_without_verifying_its_holder(
    platform: Platform, key: Authenticator, maria: User
) -> None:
    key.verifies_user = False
    passkeys = platform.ways.passkeys
    begun = await passkeys.begin_use("second_factor", user_id=maria.id)
    assert [one["id"] for one in begun.options["allowCredentials"]] == [b64(key.kept[0].credential_id)]
    answer = key.get(begun.options)
    assert await passkeys.finish_use("second_factor", begun.ceremony, answer, user_id=maria.id) == maria.id


async def test_alone_it_must_verify_its_holder(platform: Platform, key: Authenticator, maria: User) -> None:
    key.verifies_user = False
    begun = await platform.ways.passkeys.begin_use("login")
    with pytest.raises(UnauthorizedError):
        await platform.ways.passkeys.finish_use("login", begun.ceremony, key.get(begun.options))


@pytest.mark.parametrize(
    "bend",
    [
        {"origin": "http://localhost:8701"}, {"origin": "https://localhost:8700"}, {"origin": "http://evil.example"},
        {"challenge": b"x" * 64}, {"rp_id": "evil.example"}, {"user_handle": b"somebody else"},
    ],
    ids=str,
)  # fmt: skip
async def test_a_bent_answer_proves_nothing(
    platform: Platform, key: Authenticator, maria: User, bend: dict[str, Any]
) -> None:
    begun = await platform.ways.passkeys.begin_use("login")
    for name, value in bend.items():
        setattr(key, name, value)
    with pytest.raises(UnauthorizedError):
        await platform.ways.passkeys.finish_use("login", begun.ceremony, key.get(begun.options))


@pytest.mark.parametrize(
    "bend", [{"origin": "http://evil.example"}, {"challenge": b"x" * 64}, {"rp_id": "evil.example"}]
)
async def test_a_bent_registration_is_refused(platform: Platform, key: Authenticator, bend: dict[str, Any]) -> None:
    user = await platform.person("maria")
    for name, value in bend.items():
        setattr(key, name, value)
    with pytest.raises(InvalidInputError, match="no passkey made for http://localhost:8700"):
        await registered(platform, key, user)
    assert await platform.ways.passkeys.list(user.id) == []


@pytest.mark.parametrize("part", ["signature", "authenticatorData", "clientDataJSON"])
async def test_a_changed_byte_anywhere_breaks_the_proof(
    platform: Platform, key: Authenticator, maria: User, part: str
) -> None:
    begun = await platform.ways.passkeys.begin_use("login")
    answer = key.get(begun.options)
    data = bytearray(unb64(answer["response"][part]))
    data[-1] ^= 1
    answer["response"][part] = b64(bytes(data))
    with pytest.raises(UnauthorizedError):
        await platform.ways.passkeys.finish_use("login", begun.ceremony, answer)


async def test_a_challenge_is_answered_once(platform: Platform, key: Authenticator, maria: User) -> None:
    key.counts = False
    passkeys = platform.ways.passkeys
    begun = await passkeys.begin_use("login")
    answer = key.get(begun.options)
    answers = await asyncio.gather(
        *(passkeys.finish_use("login", begun.ceremony, answer) for _ in range(6)), return_exceptions=True
    )
    assert answers.count(maria.id) == 1
    assert sum(isinstance(one, UnauthorizedError) for one in answers) == 5


async def test_a_wrong_answer_uses_the_challenge_up(platform: Platform, key: Authenticator, maria: User) -> None:
    begun = await platform.ways.passkeys.begin_use("login")
    wrong = key.get({**begun.options, "challenge": b64(b"y" * 64)})
    with pytest.raises(UnauthorizedError):
        await platform.ways.passkeys.finish_use("login", begun.ceremony, wrong)
    with pytest.raises(UnauthorizedError, match="is over"):
        await platform.ways.passkeys.finish_use("login", begun.ceremony, key.get(begun.options))


async def test_a_challenge_lapses_after_five_minutes(platform: Platform, key: Authenticator, maria: User) -> None:
    begun = await platform.ways.passkeys.begin_use("login")
    row = await platform.installation.database.fetch_one(
        "update login_ceremonies set expires_at = expires_at - interval '5 minutes' "
        "returning expires_at <= now() as is_over"
    )
    assert row == {"is_over": True}
    with pytest.raises(UnauthorizedError, match="is over"):
        await platform.ways.passkeys.finish_use("login", begun.ceremony, key.get(begun.options))


async def test_a_challenge_is_for_one_purpose_and_one_user(platform: Platform, key: Authenticator, maria: User) -> None:
    passkeys, other = platform.ways.passkeys, await platform.person("paul")
    begun = await passkeys.begin_use("second_factor", user_id=maria.id)
    with pytest.raises(UnauthorizedError, match="is over"):
        await passkeys.finish_use("login", begun.ceremony, key.get(begun.options))
    with pytest.raises(UnauthorizedError):
        await passkeys.finish_use("second_factor", begun.ceremony, key.get(begun.options), user_id=other.id)
    begun = await passkeys.begin_registration(maria.id, maria.email, maria.name)
    with pytest.raises(UnauthorizedError, match="somebody else"):
        await passkeys.finish_registration(other.id, begun.ceremony, key.create(begun.options), "x", actor=SYSTEM)


async def test_anothers_passkey_is_no_second_factor(platform: Platform, key: Authenticator, maria: User) -> None:
    theirs, other = Authenticator(PUBLIC_URL), await platform.person("paul")
    await registered(platform, theirs, other)
    begun = await platform.ways.passkeys.begin_use("second_factor", user_id=maria.id)
    with pytest.raises(UnauthorizedError):
        await platform.ways.passkeys.finish_use(
            "second_factor", begun.ceremony, theirs.get(begun.options), user_id=maria.id
        )


async def test_a_counter_that_does_not_rise_is_a_copy(platform: Platform, key: Authenticator, maria: User) -> None:
    passkeys = platform.ways.passkeys
    for counter, is_good in ((5, True), (5, False), (3, False), (6, True)):
        key.kept[0].counter = counter - 1
        begun = await passkeys.begin_use("login")
        if is_good:
            assert await passkeys.finish_use("login", begun.ceremony, key.get(begun.options)) == maria.id
        else:
            with pytest.raises(UnauthorizedError):
                await passkeys.finish_use("login", begun.ceremony, key.get(begun.options))


async def test_a_passkey_without_a_counter_works_as_often_as_it_is_asked(
    platform: Platform, key: Authenticator, maria: User
) -> None:
    key.counts = False
    for _ in range(3):
        begun = await platform.ways.passkeys.begin_use("login")
        assert await platform.ways.passkeys.finish_use("login", begun.ceremony, key.get(begun.options)) == maria.id


async def test_several_passkeys_are_named_listed_and_removed(
    platform: Platform, key: Authenticator, maria: User
) -> None:
    passkeys = platform.ways.passkeys
    second = await registered(platform, key, maria, "key ring")
    assert [one.name for one in await passkeys.list(maria.id)] == ["laptop", "key ring"]
    other = await platform.person("paul")
    with pytest.raises(NotFoundError):
        await passkeys.remove(other.id, second.id, actor=SYSTEM)
    await passkeys.remove(maria.id, second.id, actor=SYSTEM)
    with pytest.raises(NotFoundError):
        await passkeys.remove(maria.id, second.id, actor=SYSTEM)
    begun = await passkeys.begin_use("login")
    with pytest.raises(UnauthorizedError):
        await passkeys.finish_use("login", begun.ceremony, key.get(begun.options, which=1))
    assert [one.name for one in await passkeys.list(maria.id)] == ["laptop"]


async def test_one_passkey_is_one_users(platform: Platform, key: Authenticator, maria: User) -> None:
    other = await platform.person("paul")
    begun = await platform.ways.passkeys.begin_registration(other.id, other.email, other.name)
    answer = key.create(begun.options)
    await platform.ways.passkeys.finish_registration(other.id, begun.ceremony, answer, "mine", actor=SYSTEM)
    again = await platform.ways.passkeys.begin_registration(maria.id, maria.email, maria.name)
    client_data = {"type": "webauthn.create", "challenge": again.options["challenge"], "origin": PUBLIC_URL}
    answer["response"]["clientDataJSON"] = b64(orjson.dumps(client_data))
    with pytest.raises(ConflictError, match="known here already"):
        await platform.ways.passkeys.finish_registration(maria.id, again.ceremony, answer, "stolen", actor=SYSTEM)


async def test_nobody_has_more_than_the_limit(platform: Platform, key: Authenticator, maria: User) -> None:
    for number in range(MAX_PASSKEYS - 1):
        await registered(platform, key, maria, f"key {number}")
    with pytest.raises(ConflictError, match="remove one first"):
        await platform.ways.passkeys.begin_registration(maria.id, maria.email, maria.name)


@pytest.mark.parametrize(
    ("public_url", "party", "origin"),
    [
        ("https://Ops.Example.org", "ops.example.org", "https://ops.example.org"),
        ("https://ops.example.org:443/", "ops.example.org", "https://ops.example.org"),
        ("https://ops.example.org:8443", "ops.example.org", "https://ops.example.org:8443"),
        ("http://localhost:8700", "localhost", "http://localhost:8700"),
        ("http://ops.localhost", "ops.localhost", "http://ops.localhost"),
    ],
)
def test_the_relying_party_is_the_public_address(public_url: str, party: str, origin: str) -> None:
    found = RelyingParty.of(public_url)
    assert (found.id, found.origin) == (party, origin)


@pytest.mark.parametrize("public_url", ["http://ops.example.org", "http://127.0.0.1:8700", "https://[::1]", "ops"])
def test_where_browsers_make_no_passkeys_the_setting_is_named(public_url: str) -> None:
    with pytest.raises(InvalidInputError, match="BAILIWICK_PUBLIC_URL"):
        RelyingParty.of(public_url)
