"""Where links lead that people are handed: a few words on how to use one, until the dashboard shows a form here."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse

from bailiwick.identity.people.one_time_links import MAX_TOKEN_CHARACTERS

router = APIRouter(tags=["entrance"], default_response_class=PlainTextResponse)

_Token = Annotated[
    str,
    Query(
        max_length=MAX_TOKEN_CHARACTERS,
        description="The link's token; it is neither read nor used up here.",
        examples=["b7tRk0cJ9nqQW1m3Zx5vY8uLh2sAe4dFg6pTi0oKjMw"],
    ),
]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "How to use the link.",
        "content": {"text/plain": {"example": "This link sets your password."}},
    }
}
_TEXT = """{what}

Send the token of this link to the API, for example:

  curl -X POST {url} -H 'Content-Type: application/json' \\
       -d '{body}'

It works once.
"""


@router.get("/setup", summary="Show how to become the administrator", responses=_ANSWERS)
async def show_setup(request: Request, token: _Token = "") -> PlainTextResponse:
    """Tell in plain text how to become the first administrator."""
    del token
    return _page(
        request,
        "This link makes the first administrator of this installation.",
        "/api/v1/setup",
        '{"token": "TOKEN", "email": "you@example.org", "name": "You", "password": "..."}',
    )


@router.get("/invitation", summary="Show how to accept an invitation", responses=_ANSWERS)
async def show_invitation(request: Request, token: _Token = "") -> PlainTextResponse:
    """Tell in plain text how to accept an invitation."""
    del token
    return _page(
        request,
        "This link is an invitation to an organization. If you have an account here, log in and send the token to "
        "/api/v1/users/me/memberships instead.",
        "/api/v1/invitations/accept",
        '{"token": "TOKEN", "name": "You", "password": "..."}',
    )


@router.get("/password", summary="Show how to set a password", responses=_ANSWERS)
async def show_password(request: Request, token: _Token = "") -> PlainTextResponse:
    """Tell in plain text how to set a password."""
    del token
    return _page(
        request, "This link sets your password.", "/api/v1/password/reset", '{"token": "TOKEN", "password": "..."}'
    )


def _page(request: Request, what: str, path: str, body: str) -> PlainTextResponse:
    return PlainTextResponse(_TEXT.format(what=what, url=f"{str(request.base_url).rstrip('/')}{path}", body=body))
