"""Refresh tokens: a family for each session, in which every token is exchanged once for the next."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bailiwick.identity.tokens.session_tokens import REFRESH_PREFIX, hash_of, new_token, unveiled, veiled
from bailiwick.storage.connections import Connection, Row

# Unused for this long, a session ends; so does a refresh token.
IDLE_LIFETIME = timedelta(days=7)
# However much it is used, a session ends then, and its owner proves again who they are.
LONGEST_LIFETIME = timedelta(days=90)
# For so long a used token is answered again with the same successor, if that was never used: the answer was lost on
# its way, or two tabs asked at once.
LOST_ANSWER_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Exchange:
    """What became of a refresh token that belongs to a session.

    ``successor`` follows it; None where it is not good any more. ``is_replay``
    says that it was used before and is no repetition for a lost answer.
    """

    session_id: str
    user_id: str
    methods: list[str]
    successor: str | None
    is_replay: bool


async def begin_family(connection: Connection, session_id: str, expires_at: datetime) -> str:
    """Store the first token of a session and return it."""
    token = new_token(REFRESH_PREFIX)
    await connection.execute(
        "insert into refresh_tokens (token_hash, session_id, expires_at) values (%s, %s, %s)",
        (hash_of(token), session_id, expires_at),
    )
    return token


async def exchange(connection: Connection, token: str) -> Exchange | None:
    """Exchange a token for the next in the transaction of ``connection``; None if nobody knows it.

    Exchanges of one token at once come one after another here. The caller ends
    the session of a replay.
    """
    cursor = await connection.execute(
        "select r.session_id, r.used_at, r.successor, s.user_id, s.methods, "
        "r.expires_at > now() and s.revoked_at is null and s.expires_at > now() and not u.is_disabled as is_good, "
        "r.used_at > now() - make_interval(secs => %s) as is_recent "
        "from refresh_tokens r join sessions s on s.id = r.session_id join users u on u.id = s.user_id "
        "where r.token_hash = %s for update of r, s",
        (LOST_ANSWER_SECONDS, hash_of(token)),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    is_used = row["used_at"] is not None
    successor = None
    if row["is_good"]:
        successor = await (_given_again(connection, row, token) if is_used else _next(connection, row, token))
    return Exchange(row["session_id"], row["user_id"], row["methods"], successor, is_used and successor is None)


async def _next(connection: Connection, row: Row, token: str) -> str:
    successor = new_token(REFRESH_PREFIX)
    await connection.execute(
        "update refresh_tokens set used_at = now(), successor = %s where token_hash = %s",
        (veiled(successor, token), hash_of(token)),
    )
    await connection.execute(
        "insert into refresh_tokens (token_hash, session_id, expires_at) select %s, id, "
        "least(now() + %s, created_at + %s) from sessions where id = %s",
        (hash_of(successor), IDLE_LIFETIME, LONGEST_LIFETIME, row["session_id"]),
    )
    return successor


async def _given_again(connection: Connection, row: Row, token: str) -> str | None:
    successor = unveiled(row["successor"], token)
    cursor = await connection.execute("select used_at from refresh_tokens where token_hash = %s", (hash_of(successor),))
    following = await cursor.fetchone()
    return successor if row["is_recent"] and following is not None and following["used_at"] is None else None
