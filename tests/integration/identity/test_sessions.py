"""Sessions: refresh tokens rotate, replays end the family, and what ended opens nothing."""

import asyncio

import pytest

from bailiwick.audit import SYSTEM
from bailiwick.identity import TokenPair
from bailiwick.identity.people.permissions import GRANTS
from bailiwick.identity.tokens.session_tokens import Replay
from bailiwick.kernel.errors import NotFoundError, TokenRefusedError, UnauthorizedError
from bailiwick.kernel.ids import parse_id
from bailiwick.storage import Database
from tests.support.identity import Identity


@pytest.fixture
def identity(database: Database, login_url: str) -> Identity:
    return Identity.of(database, login_url)


async def begin(identity: Identity, user_id: str) -> TokenPair:
    return await identity.sessions.begin(user_id, methods=["pwd", "otp"], address="203.0.113.7", user_agent="test/1")


async def refresh(identity: Identity, token: str) -> TokenPair:
    return await identity.sessions.refresh(token, address="203.0.113.8", user_agent="test/2")


def let_seconds_pass(identity: Identity, seconds: int) -> None:
    """Move every refresh token's use into the past."""
    identity.as_superuser("update refresh_tokens set used_at = used_at - make_interval(secs => %s)", seconds)


async def test_a_login_opens_the_organizations_of_its_user_with_their_roles(identity: Identity) -> None:
    user = await identity.user(acme="developer", rival="viewer")
    pair = await begin(identity, user.id)
    caller, expires_at = await identity.sessions.authenticate_token(pair.access)
    assert (caller.kind, caller.id, caller.session_id) == ("user", user.id, pair.session_id)
    assert expires_at == pair.expires_at
    assert set(caller.grants.values()) == {GRANTS["developer"], GRANTS["viewer"]}
    acme = await identity.organizations.get("acme")
    assert caller.may("agents:write", acme.id)
    assert not caller.may("limits:write", acme.id)
    assert not caller.is_admin


async def test_nothing_that_is_stored_opens_anything(identity: Identity) -> None:
    user = await identity.user()
    pair = await begin(identity, user.id)
    browser = await identity.sessions.begin_in_browser(user.id, methods=["hwk"], address=None, user_agent=None)
    following = await refresh(identity, pair.refresh)
    key = await identity.keys.issue("ci", organization_id=(await identity.organizations.ensure("acme")).id)
    tables = ("sessions", "refresh_tokens", "api_keys", "signing_keys", "audit_entries", "denied_tokens")
    stored = str([identity.as_superuser(f"select t::text as row from {table} t") for table in tables])
    for secret in (pair.refresh, following.refresh, browser.token, browser.csrf, key, pair.access):
        assert secret not in stored
        assert secret.encode().hex() not in stored
        random = secret.partition("_")[2]
        assert not random or random.encode().hex() not in stored


async def test_a_refresh_token_gets_the_next_pair_of_the_same_session(identity: Identity) -> None:
    user = await identity.user()
    first = await begin(identity, user.id)
    second = await refresh(identity, first.refresh)
    third = await refresh(identity, second.refresh)
    assert {first.session_id} == {second.session_id, third.session_id}
    assert len({first.refresh, second.refresh, third.refresh}) == 3
    record = (await identity.sessions.list(user.id)).items[0]
    assert (record.address, record.user_agent, record.methods) == ("203.0.113.8", "test/2", ["pwd", "otp"])


async def test_a_replayed_refresh_token_ends_the_whole_family(identity: Identity) -> None:
    heard: list[Replay] = []

    async def hear(replay: Replay) -> None:
        heard.append(replay)

    identity.sessions.on_replay.append(hear)
    user = await identity.user()
    stolen = await begin(identity, user.id)
    second = await refresh(identity, stolen.refresh)
    third = await refresh(identity, second.refresh)
    for _ in range(2):
        with pytest.raises(TokenRefusedError, match="used before"):
            await refresh(identity, stolen.refresh)
    with pytest.raises(TokenRefusedError):
        await refresh(identity, third.refresh)
    for pair in (stolen, second, third):
        with pytest.raises(TokenRefusedError, match="session of this token has ended"):
            await identity.sessions.authenticate_token(pair.access)
    assert heard == [Replay(user.id, stolen.session_id, "203.0.113.8")]
    [act] = identity.acts("session.replayed")
    assert act["target"] == f"session:{stolen.session_id}"
    assert (await identity.sessions.list(user.id)).items == []


async def test_a_replay_ends_only_the_session_it_belongs_to(identity: Identity) -> None:
    user = await identity.user()
    stolen, other = await begin(identity, user.id), await begin(identity, user.id)
    await refresh(identity, (await refresh(identity, stolen.refresh)).refresh)
    with pytest.raises(TokenRefusedError):
        await refresh(identity, stolen.refresh)
    assert (await refresh(identity, other.refresh)).session_id == other.session_id


async def test_a_lost_answer_is_given_again_until_its_token_is_used(identity: Identity) -> None:
    user = await identity.user()
    first = await begin(identity, user.id)
    lost = await refresh(identity, first.refresh)
    again = await refresh(identity.another_process(), first.refresh)
    assert again.refresh == lost.refresh
    await refresh(identity, again.refresh)
    with pytest.raises(TokenRefusedError, match="used before"):
        await refresh(identity, first.refresh)


async def test_a_late_repetition_is_a_replay_even_if_the_successor_was_never_used(identity: Identity) -> None:
    user = await identity.user()
    first = await begin(identity, user.id)
    await refresh(identity, first.refresh)
    let_seconds_pass(identity, 11)
    with pytest.raises(TokenRefusedError, match="used before"):
        await refresh(identity, first.refresh)


async def test_parallel_exchanges_of_one_token_give_one_successor(identity: Identity) -> None:
    user = await identity.user()
    first = await begin(identity, user.id)
    pairs = await asyncio.gather(*(refresh(identity, first.refresh) for _ in range(8)))
    assert len({pair.refresh for pair in pairs}) == 1
    [stored] = identity.as_superuser("select count(*) as count from refresh_tokens")
    assert stored["count"] == 2
    assert await refresh(identity, pairs[0].refresh)


async def test_parallel_replays_end_the_session_once(identity: Identity) -> None:
    user = await identity.user()
    first = await begin(identity, user.id)
    await refresh(identity, (await refresh(identity, first.refresh)).refresh)
    outcomes = await asyncio.gather(*(refresh(identity, first.refresh) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(outcome, TokenRefusedError) for outcome in outcomes)
    assert len(identity.acts("session.replayed")) == 1


@pytest.mark.parametrize("token", ["", "bwr_", "bwr_wrong", "x" * 5000, "bwr_é", "bws_something"])
async def test_unknown_refresh_tokens_are_refused(identity: Identity, token: str) -> None:
    with pytest.raises(TokenRefusedError, match="not known here"):
        await refresh(identity, token)


async def test_an_expired_refresh_token_is_refused_and_is_no_replay(identity: Identity) -> None:
    user = await identity.user()
    pair = await begin(identity, user.id)
    identity.as_superuser("update refresh_tokens set expires_at = now() - interval '1 second'")
    with pytest.raises(TokenRefusedError, match="expired"):
        await refresh(identity, pair.refresh)
    assert identity.acts("session.replayed") == []


async def test_a_refresh_token_lives_seven_days_and_no_session_longer_than_ninety(identity: Identity) -> None:
    user = await identity.user()
    pair = await begin(identity, user.id)
    record = (await identity.sessions.list(user.id)).items[0]
    assert (pair.refresh_expires_at - record.created_at).days == 7
    identity.as_superuser("update sessions set created_at = now() - interval '88 days'")
    renewed = await refresh(identity, pair.refresh)
    assert 1 <= (renewed.refresh_expires_at - record.created_at).total_seconds() / 86400 < 2.1


async def test_a_browsers_session_slides_with_use_at_most_once_a_minute(identity: Identity) -> None:
    user = await identity.user()
    browser = await identity.sessions.begin_in_browser(user.id, methods=["pwd"], address=None, user_agent=None)
    before = identity.as_superuser("select last_used_at, expires_at from sessions")
    assert (await identity.sessions.authenticate_cookie(browser.token)).id == user.id
    assert identity.as_superuser("select last_used_at, expires_at from sessions") == before
    identity.as_superuser(
        "update sessions set last_used_at = last_used_at - interval '2 days', "
        "expires_at = expires_at - interval '2 days'"
    )
    await identity.sessions.authenticate_cookie(browser.token)
    [after] = identity.as_superuser("select last_used_at, expires_at from sessions")
    assert after["last_used_at"] >= before[0]["last_used_at"]
    assert after["expires_at"] >= before[0]["expires_at"]
    identity.as_superuser("update sessions set expires_at = now() - interval '1 second'")
    with pytest.raises(UnauthorizedError, match="ended"):
        await identity.sessions.authenticate_cookie(browser.token)


async def test_a_disabled_user_is_shut_out_at_once(identity: Identity) -> None:
    user = await identity.user()
    pair = await begin(identity, user.id)
    browser = await identity.sessions.begin_in_browser(user.id, methods=["pwd"], address=None, user_agent=None)
    await identity.accounts.disable(user.id, actor=SYSTEM)
    with pytest.raises(TokenRefusedError):
        await identity.sessions.authenticate_token(pair.access)
    with pytest.raises(UnauthorizedError):
        await identity.sessions.authenticate_cookie(browser.token)
    with pytest.raises(TokenRefusedError):
        await refresh(identity, pair.refresh)
    with pytest.raises(UnauthorizedError, match="disabled"):
        await begin(identity, user.id)


async def test_one_access_token_can_be_revoked_by_its_id(identity: Identity) -> None:
    user = await identity.user()
    pair = await begin(identity, user.id)
    caller, _ = await identity.sessions.authenticate_token(pair.access)
    assert caller.token_id is not None
    await identity.sessions.revoke_token(caller.token_id, actor=SYSTEM)
    with pytest.raises(TokenRefusedError, match="revoked"):
        await identity.sessions.authenticate_token(pair.access)
    renewed = await refresh(identity, pair.refresh)
    assert (await identity.sessions.authenticate_token(renewed.access))[0].id == user.id
    assert identity.acts("token.revoked")[0]["target"] == f"token:{caller.token_id}"


async def test_one_session_or_all_of_a_user_can_be_ended(identity: Identity) -> None:
    maria, other = await identity.user("maria"), await identity.user("olaf")
    pairs = [await begin(identity, maria.id) for _ in range(3)]
    kept = await begin(identity, other.id)
    await identity.sessions.revoke(pairs[0].session_id, actor=SYSTEM, user_id=maria.id)
    with pytest.raises(NotFoundError):
        await identity.sessions.revoke(pairs[0].session_id, actor=SYSTEM)
    with pytest.raises(NotFoundError):
        await identity.sessions.revoke(kept.session_id, actor=SYSTEM, user_id=maria.id)
    assert await identity.sessions.revoke_all(maria.id, actor=SYSTEM, keep=pairs[2].session_id) == 1
    assert [one.id for one in (await identity.sessions.list(maria.id)).items] == [pairs[2].session_id]
    assert await identity.sessions.revoke_all(maria.id, actor=SYSTEM) == 1
    for pair in pairs:
        with pytest.raises(TokenRefusedError):
            await refresh(identity, pair.refresh)
    assert await refresh(identity, kept.refresh)
    assert len(identity.acts("session.revoked")) == 3


async def test_sessions_are_listed_in_pages(identity: Identity) -> None:
    user = await identity.user()
    begun = [(await begin(identity, user.id)).session_id for _ in range(5)]
    found: list[str] = []
    cursor = None
    while True:
        page = await identity.sessions.list(user.id, limit=2, cursor=cursor)
        found += [one.id for one in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == begun[::-1]
    assert all(parse_id(one) for one in found)


async def test_what_ended_long_ago_is_removed(identity: Identity) -> None:
    user = await identity.user()
    old, ended = await begin(identity, user.id), await begin(identity, user.id)
    current = await begin(identity, user.id)
    await identity.sessions.revoke(ended.session_id, actor=SYSTEM)
    await identity.sessions.revoke_token(old.session_id, actor=SYSTEM)
    identity.as_superuser("update sessions set expires_at = now() - interval '31 days' where id = %s", old.session_id)
    identity.as_superuser("update denied_tokens set expires_at = now() - interval '1 second'")
    assert await identity.sessions.remove_ended() == 1
    left = {row["id"] for row in identity.as_superuser("select id::text from sessions")}
    assert left == {ended.session_id, current.session_id}
    assert identity.as_superuser("select 1 from denied_tokens") == []
