"""Sessions: logins that are still good, the tokens that keep them alive, and their end."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from bailiwick.api.access import Acting, Address, Anybody, Platform
from bailiwick.api.authentication import Authentication
from bailiwick.api.cookies import take_session
from bailiwick.api.rest.pages import Cursor, Limit, PageOf, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.identity import Caller
from bailiwick.installation import Installation
from bailiwick.kernel.errors import ConflictError, ForbiddenError, InvalidInputError

router = APIRouter(tags=["sessions"])
# At the root, where verifiers look for it.
well_known = APIRouter(tags=["sessions"])

_ID = "0199b6ff-b66f-7000-8000-000000000010"


class TokenPairView(BaseModel):
    """The tokens of a program's session."""

    access: str = Field(description="Send it as `Authorization: Bearer ...`.", examples=["eyJhbGciOi..."])
    refresh: str = Field(description="Gets the next pair, once; keep it secret.", examples=["bwr_..."])
    expires_at: datetime = Field(description="When the access token ends (UTC).", examples=["2026-11-20T10:00:00Z"])
    refresh_expires_at: datetime = Field(
        description="When the refresh token ends (UTC).", examples=["2026-11-27T09:30:00Z"]
    )
    session_id: str = Field(description="The session they belong to.", examples=[_ID])


class RefreshBody(Body):
    """A refresh token to exchange."""

    refresh: str = Field(min_length=1, max_length=200, description="The newest one.", examples=["bwr_..."])


class RevocationBody(Body):
    """An access token to refuse."""

    token_id: UUID = Field(description="Its claim `jti`.", examples=[_ID])


class SessionView(BaseModel):
    """A login that is still good."""

    id: str = Field(description="Its id.", examples=[_ID])
    user_id: str = Field(description="Whose it is.", examples=["0199b6ff-b66f-7000-8000-000000000011"])
    methods: list[str] = Field(
        description="How its owner proved who they are (RFC 8176): `pwd`, `otp`, `hwk`, `fed`.",
        examples=[["pwd", "otp"]],
    )
    address: str | None = Field(description="The address last seen.", examples=["203.0.113.7"])
    user_agent: str | None = Field(description="The program last seen.", examples=["Mozilla/5.0"])
    is_browser: bool = Field(description="Whether it lives in a browser's cookie.", examples=[True])
    is_current: bool = Field(description="Whether this request belongs to it.", examples=[True])
    created_at: datetime = Field(description="When it began (UTC).", examples=["2026-11-20T09:30:00Z"])
    last_used_at: datetime = Field(
        description="When it was used, to the minute (UTC).", examples=["2026-11-20T09:55:00Z"]
    )
    expires_at: datetime = Field(description="When it ends unless used (UTC).", examples=["2026-11-27T09:55:00Z"])


class SessionPage(PageOf[SessionView]):
    """A page of sessions."""


class Revoked(BaseModel):
    """How many were ended."""

    count: int = Field(description="The sessions that ended just now.", examples=[2])


class SigningKeySet(BaseModel):
    """Public keys as a JWK Set (RFC 7517)."""

    keys: list[dict[str, Any]] = Field(
        description="The newest first; those of earlier rotations stay as long as a token may need them.",
        examples=[[{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "k1"}]],
    )


UserReference = Annotated[
    str | None,
    Query(
        min_length=1, max_length=254, description="The id or email address of whose sessions are meant; one's own if "
        "left out. For administrators of the installation.", examples=["maria@example.org"],
    ),
]  # fmt: skip


@well_known.get("/.well-known/jwks.json", summary="Get the keys that verify access tokens")
async def get_signing_keys(platform: Platform) -> SigningKeySet:
    """Return the public keys of all access tokens that may still be good."""
    return SigningKeySet(keys=await platform.signing.public_keys())


@router.post("/token/refresh", summary="Exchange a refresh token", responses=problems(401))
async def refresh_token(platform: Platform, request: Request, address: Address, body: RefreshBody) -> TokenPairView:
    """Return the next pair of tokens; the refresh token that was sent is used up.

    Sent a second time it ends its session, because somebody else may have it.
    Only within ten seconds, and only while its successor is unused, the same
    successor is returned again: the first answer may have been lost.
    """
    pair = await platform.sessions.refresh(body.refresh, address=address, user_agent=request.headers.get("user-agent"))
    return TokenPairView.model_validate(pair, from_attributes=True)


@router.post("/token/revoke", status_code=204, summary="Revoke an access token")
async def revoke_token(
    platform: Platform, request: Request, caller: Anybody, actor: Acting, body: RevocationBody
) -> None:
    """Refuse an access token from now on: the one of this request, or, for an administrator, any."""
    token_id = str(body.token_id)
    if token_id != caller.token_id and not caller.is_unbounded_admin:
        raise ForbiddenError("only the token of this request can be revoked; end a session to revoke its tokens")
    await platform.sessions.revoke_token(token_id, actor=actor)
    _forget(request)


@router.post("/logout", status_code=204, summary="Log out", responses=problems(409))
async def log_out(platform: Platform, request: Request, response: Response, caller: Anybody, actor: Acting) -> None:
    """End the session of this request with all its tokens; a browser forgets its cookies."""
    if caller.session_id is None:
        raise ConflictError("a key has no session to end; revoke the key instead")
    await platform.sessions.revoke(caller.session_id, actor=actor, reason="logged out")
    take_session(response, request.scope, _forget(request).proxies)


@router.get("/sessions", summary="List sessions", responses=problems(404))
async def list_sessions(
    platform: Platform, caller: Anybody, *, user: UserReference = None, limit: Limit = 50, cursor: Cursor = None
) -> SessionPage:
    """Return the sessions of a user that are still good, newest first."""
    page = await platform.sessions.list(await _user_id(platform, caller, user), limit=limit, cursor=cursor)
    views = [
        SessionView.model_validate(
            {**{name: getattr(one, name) for name in one.__slots__}, "is_current": one.id == caller.session_id}
        )
        for one in page.items
    ]
    return SessionPage(items=views, next_cursor=page.next_cursor)


@router.delete("/sessions", summary="End sessions", responses=problems(404))
async def revoke_sessions(
    platform: Platform,
    request: Request,
    caller: Anybody,
    actor: Acting,
    *,
    user: UserReference = None,
    keep_current: Annotated[
        bool, Query(description="Whether the session of this request goes on.", examples=[True])
    ] = False,
) -> Revoked:
    """End all sessions of a user with all their tokens."""
    user_id = await _user_id(platform, caller, user)
    keep = caller.session_id if keep_current else None
    count = await platform.sessions.revoke_all(user_id, actor=actor, keep=keep)
    _forget(request)
    return Revoked(count=count)


@router.delete("/sessions/{session_id}", status_code=204, summary="End a session", responses=problems(404))
async def revoke_session(
    platform: Platform,
    request: Request,
    caller: Anybody,
    actor: Acting,
    session_id: Annotated[str, Path(max_length=100, description="Its id.", examples=[_ID])],
) -> None:
    """End one session with all its tokens: one's own, or, for an administrator, anybody's."""
    owner = None if caller.is_unbounded_admin else await _user_id(platform, caller, None)
    await platform.sessions.revoke(session_id, actor=actor, user_id=owner)
    _forget(request)


async def _user_id(platform: Installation, caller: Caller, user: str | None) -> str:
    if user is None:
        if caller.kind != "user":
            raise InvalidInputError("sessions are of people, and a key is none; say whose with ?user=")
        return caller.id
    if not caller.is_unbounded_admin:
        raise ForbiddenError("the sessions of others are for administrators of the installation; leave ?user= out")
    if "@" in user:
        return (await platform.accounts.get_by_email(user)).id
    return (await platform.accounts.get(user)).id


def _forget(request: Request) -> Authentication:
    # Elsewhere within a second, here at once.
    authentication: Authentication = request.app.state.authentication
    authentication.forget()
    return authentication
