"""Login at an outside identity provider: there, and back."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from bailiwick.api.access import Address, Platform
from bailiwick.api.authentication import Authentication
from bailiwick.api.client_address import TrustedProxies
from bailiwick.api.login_cookie import browser_secret, give_browser_secret, take_browser_secret
from bailiwick.api.rest.login import LoginView, answer_to
from bailiwick.api.rest.pages import problems
from bailiwick.kernel.errors import ForbiddenError, UnauthorizedError

router = APIRouter(prefix="/login/oidc", tags=["login"])
# Providers add parameters of their own to the way back.
callbacks = APIRouter(prefix="/login/oidc", tags=["login"])

_MOVED = {303: {"description": "To the provider, or back to the page that began the login."}}

Provider = Annotated[
    str, Path(max_length=100, description="The provider's id, or the name of one for everybody.", examples=["google"])
]
_Said = Annotated[str | None, Query(max_length=4000, description="As the provider sends it.", examples=["abc"])]


@router.get(
    "/{provider}/start",
    status_code=303,
    summary="Go to an identity provider",
    response_class=RedirectResponse,
    responses={**problems(404, 503), **_MOVED},
)
async def start_oidc_login(
    platform: Platform,
    request: Request,
    provider: Provider,
    return_to: Annotated[
        str | None,
        Query(
            max_length=500,
            pattern=r"^/([A-Za-z0-9._~%?=&+-][A-Za-z0-9/._~%?=&+-]*)?$",
            description="The page of ours to come back to; without one the way back ends in a JSON document.",
            examples=["/tasks"],
        ),
    ] = None,
) -> RedirectResponse:
    """Send the browser to the provider; it comes back to the callback, in this browser only."""
    found = await platform.ways_in.providers.for_login(provider)
    started = await platform.ways_in.oidc.start(found, return_to=return_to)
    moved = RedirectResponse(started.url, 303)
    give_browser_secret(moved, request.scope, started.browser_secret, _proxies(request))
    return moved


@callbacks.get(
    "/{provider}/callback",
    summary="Come back from an identity provider",
    responses={**problems(401, 403, 404, 503), **_MOVED},
)
async def finish_oidc_login(
    platform: Platform,
    request: Request,
    address: Address,
    provider: Provider,
    *,
    code: _Said = None,
    state: _Said = None,
    iss: _Said = None,
    error: _Said = None,
) -> LoginView:
    """Check what the provider says, find or make the account as its policy allows, and begin a browser's session.

    With a page to come back to, what is still needed travels in its fragment
    (`#continuation=...`), which no server sees.
    """
    ways = platform.ways_in
    found = await ways.providers.for_login(provider)
    said = {"code": code, "state": state, "iss": iss, "error": error}
    answer = {name: value for name, value in said.items() if value is not None}
    try:
        asserted = await ways.oidc.finish(
            found, answer, browser_secret=browser_secret(request.scope, _proxies(request))
        )
        user = await ways.admissions.admit(asserted, address=address)
    except (UnauthorizedError, ForbiddenError) as refusal:
        await ways.logins.note_failure(None, address, reason=f"identity provider {found.slug}: {refusal.code}")
        raise
    ended = Response()
    if asserted.link_to is not None:
        view = LoginView(state="done")
    else:
        trusted_by = found.organization_id if found.policy.trusts_second_factor else None
        step = await ways.logins.with_identity(user, trusted_by=trusted_by)
        view = await answer_to(step, request, ended, "browser")
    take_browser_secret(ended, request.scope, _proxies(request))
    return _sent_back(view, asserted.return_to, ended)  # type: ignore[return-value] - the document is told of, the answer carries cookies


def _sent_back(view: LoginView, return_to: str | None, ended: Response) -> Response:
    """Return the answer with the cookies of ``ended``: a redirect where a page waits, else the document."""
    if return_to is None:
        answer: Response = JSONResponse(view.model_dump(mode="json"))
    else:
        left = {"continuation": view.continuation, "state": view.state, "factors": ",".join(view.factors)}
        fragment = "" if view.state == "done" else "#" + urlencode(left)
        answer = RedirectResponse(return_to + fragment, 303)
    for name, value in ended.raw_headers:
        if name == b"set-cookie":
            answer.raw_headers.append((name, value))
    return answer


def _proxies(request: Request) -> TrustedProxies:
    authentication: Authentication = request.app.state.authentication
    return authentication.proxies
