"""Login: password, second factor and passkey. Each way ends in a session."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, SecretStr

from bailiwick.api.access import Address, Platform
from bailiwick.api.authentication import Authentication
from bailiwick.api.cookies import give_session
from bailiwick.api.rest.factors import (
    CeremonyToken,
    Code,
    Credential,
    EnrolmentView,
    PasskeyOptionsView,
    enrolment_view,
    options_view,
)
from bailiwick.api.rest.pages import Request as Body
from bailiwick.api.rest.pages import problems
from bailiwick.api.rest.people import UserView, view_of_user
from bailiwick.api.rest.sessions import TokenPairView
from bailiwick.identity.factors.second_factors import FactorKind, Proof
from bailiwick.identity.login.logins import LoggedIn, LoginStep, SecondFactorNeeded
from bailiwick.installation import Installation
from bailiwick.kernel.ids import INSTALLATION

router = APIRouter(prefix="/login", tags=["login"])

_EXAMPLE = "3q2-7wHh8m1pVZc0uS5nJk4tYx6rEoLb9gQdFiAaWzM"

SessionKind = Annotated[
    Literal["tokens", "browser"],
    Field(
        description="`tokens` for a program, in the answer; `browser` for cookies, which no script can read.",
        examples=["tokens"],
    ),
]
Continuation = Annotated[
    str,
    Field(
        min_length=1, max_length=200, description="What the first step answered with; good for five minutes.",
        examples=[_EXAMPLE],
    ),
]  # fmt: skip


class PasswordLogin(Body):
    """Email address and password."""

    email: str = Field(min_length=1, max_length=254, description="The account's.", examples=["maria@example.org"])
    password: SecretStr = Field(min_length=1, max_length=1000, description="Its password.", examples=["what it is"])
    session: SessionKind = "tokens"


class Continued(Body):
    """A login under way."""

    continuation: Continuation


class CodeLogin(Continued):
    """A code as the second factor."""

    code: Code
    session: SessionKind = "tokens"


class PasskeyStart(Body):
    """Which login a passkey is for."""

    continuation: str | None = Field(
        default=None, max_length=200, description="For a second factor; none to log in with nothing else.",
        examples=[_EXAMPLE],
    )  # fmt: skip


class PasskeyLogin(PasskeyStart):
    """A passkey, alone or as the second factor."""

    ceremony: CeremonyToken
    credential: Credential
    session: SessionKind = "tokens"


class LoginView(BaseModel):
    """How far a login has come."""

    state: Literal["done", "second_factor", "enrolment"] = Field(
        description="`second_factor`: give one of `factors`; `enrolment`: set one up first, an organization wants it.",
        examples=["done"],
    )
    user: UserView | None = Field(default=None, description="Who is logged in.")
    tokens: TokenPairView | None = Field(default=None, description="A program's session.")
    continuation: str | None = Field(default=None, description="Send it with the next step.", examples=[_EXAMPLE])
    factors: list[FactorKind] = Field(
        default_factory=list, description="The second factors that will do.", examples=[["totp", "recovery_code"]]
    )
    recovery_codes: list[str] | None = Field(
        default=None, description="Of a second factor just set up; shown only now.", examples=[["h4pk-92xd-mq7v-c3ra"]]
    )


class ProviderChoice(BaseModel):
    """An identity provider to log in with."""

    id: str = Field(description="Its id.", examples=["0199b6ff-b66f-7000-8000-000000000021"])
    name: str = Field(description="What to show on the button.", examples=["Google"])
    start: str = Field(
        description="Where a browser begins.",
        examples=["/api/v1/login/oidc/0199b6ff-b66f-7000-8000-000000000021/start"],
    )


class LoginMethods(BaseModel):
    """The ways in."""

    providers: list[ProviderChoice] = Field(description="Identity providers, besides password and passkey.")


@router.get("/methods", summary="List the ways in")
async def show_login_methods(
    platform: Platform,
    at: Annotated[
        str | None,
        Query(max_length=200, description="An organization whose own providers are shown too.", examples=["acme"]),
    ] = None,
) -> LoginMethods:
    """Return the identity providers to log in with, for everybody and of one organization."""
    ways = platform.ways_in
    found = list((await ways.providers.list(INSTALLATION, enabled_only=True)).items)
    # An organization that does not exist looks like one without providers.
    organization = None if at is None else await platform.organizations.find(at)
    if organization is not None:
        found += (await ways.providers.list(organization.id, enabled_only=True)).items
    return LoginMethods(
        providers=[
            ProviderChoice(id=one.id, name=one.name, start=f"/api/v1/login/oidc/{one.id}/start") for one in found
        ]
    )


@router.post("", summary="Log in with a password", responses=problems(401, 403, 429))
async def log_in(
    platform: Platform, request: Request, response: Response, address: Address, body: PasswordLogin
) -> LoginView:
    """Check address and password; begin a session, or say which second factor is needed.

    An unknown address and a wrong password get the same answer after the same work.
    """
    await request.app.state.rates.login(request.scope, body.email)
    step = await platform.ways_in.logins.with_password(body.email, body.password.get_secret_value(), address=address)
    return await answer_to(step, request, response, body.session)


@router.post("/totp", summary="Give a one-time password", responses=problems(401, 403, 409, 429))
async def log_in_with_totp(
    platform: Platform, request: Request, response: Response, address: Address, body: CodeLogin
) -> LoginView:
    """Finish a login with an authenticator's code; each code works once."""
    proof = Proof("totp", body.code)
    step = await platform.ways_in.logins.with_second_factor(body.continuation, proof, address=address)
    return await answer_to(step, request, response, body.session)


@router.post("/recovery-code", summary="Give a recovery code", responses=problems(401, 403, 409, 429))
async def log_in_with_recovery_code(
    platform: Platform, request: Request, response: Response, address: Address, body: CodeLogin
) -> LoginView:
    """Finish a login with a recovery code, which is used up."""
    proof = Proof("recovery_code", body.code)
    step = await platform.ways_in.logins.with_second_factor(body.continuation, proof, address=address)
    return await answer_to(step, request, response, body.session)


@router.post("/passkey/options", summary="Begin with a passkey", responses=problems(401, 409))
async def begin_passkey_login(platform: Platform, body: PasskeyStart) -> PasskeyOptionsView:
    """Return what a browser needs to log in with a passkey, or to give one as the second factor."""
    logins = platform.ways_in.logins
    if body.continuation is None:
        return options_view(await logins.begin_passkey())
    return options_view(await logins.begin_second_passkey(body.continuation))


@router.post("/passkey", summary="Log in with a passkey", responses=problems(401, 403, 409, 429))
async def log_in_with_passkey(
    platform: Platform, request: Request, response: Response, address: Address, body: PasskeyLogin
) -> LoginView:
    """Check what a browser's passkey answered: alone, where it verified its owner, or as the second factor."""
    logins = platform.ways_in.logins
    if body.continuation is None:
        step = await logins.with_passkey(body.ceremony, body.credential, address=address)
    else:
        proof = Proof("passkey", ceremony=body.ceremony, credential=body.credential)
        step = await logins.with_second_factor(body.continuation, proof, address=address)
    return await answer_to(step, request, response, body.session)


@router.post("/enrolment", summary="Begin to set up the second factor of a login", responses=problems(401, 403, 409))
async def begin_login_enrolment(platform: Platform, body: Continued) -> EnrolmentView:
    """Return a secret for an authenticator, in a login that an organization lets nobody finish without one."""
    return enrolment_view(await platform.ways_in.logins.begin_enrolment(body.continuation))


@router.post("/enrolment/confirm", summary="Finish such a login", responses=problems(401, 403, 409))
async def finish_login_enrolment(
    platform: Platform, request: Request, response: Response, address: Address, body: CodeLogin
) -> LoginView:
    """Finish the login with the authenticator's first code; the recovery codes come with the answer."""
    step = await platform.ways_in.logins.finish_enrolment(body.continuation, body.code, address=address)
    return await answer_to(step, request, response, body.session)


async def answer_to(step: LoginStep, request: Request, response: Response, kind: str) -> LoginView:
    """Begin the session of a finished login; otherwise say what is needed next."""
    if isinstance(step, SecondFactorNeeded):
        state = "second_factor" if step.kinds else "enrolment"
        return LoginView(state=state, continuation=step.continuation, factors=list(step.kinds))
    tokens = await _begin(step, request, response, kind)
    codes = list(step.recovery_codes) or None
    return LoginView(state="done", user=view_of_user(step.user), tokens=tokens, recovery_codes=codes)


async def _begin(done: LoggedIn, request: Request, response: Response, kind: str) -> TokenPairView | None:
    platform: Installation = request.app.state.installation
    authentication: Authentication = request.app.state.authentication
    address, agent = request.state.address, request.headers.get("user-agent")
    await platform.accounts.note_login(done.user.id)
    if kind == "tokens":
        pair = await platform.sessions.begin(done.user.id, methods=done.methods, address=address, user_agent=agent)
        return TokenPairView.model_validate(pair, from_attributes=True)
    session = await platform.sessions.begin_in_browser(
        done.user.id, methods=done.methods, address=address, user_agent=agent
    )
    give_session(response, request.scope, session, authentication.proxies)
    return None
