"""One's own ways in: second factors, passkeys, and identities at outside providers."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field, SecretStr

from bailiwick.api.access import Acting, Address, Anybody, Platform
from bailiwick.api.authentication import Authentication
from bailiwick.api.login_cookie import give_browser_secret
from bailiwick.api.rest.pages import Request as Body
from bailiwick.api.rest.pages import problems
from bailiwick.api.rest.people import own_user
from bailiwick.identity.factors.passkeys import MAX_NAME_CHARACTERS, PasskeyOptions
from bailiwick.identity.factors.second_factors import FactorKind, Proof
from bailiwick.identity.factors.totp import Enrolment
from bailiwick.identity.login.confirmations import Wanted
from bailiwick.identity.people.accounts import User
from bailiwick.installation import Installation

router = APIRouter(prefix="/users/me", tags=["factors"])

_EXAMPLE = "3q2-7wHh8m1pVZc0uS5nJk4tYx6rEoLb9gQdFiAaWzM"
_ID = "0199b6ff-b66f-7000-8000-000000000020"

Code = Annotated[
    str, Field(min_length=1, max_length=64, description="What the authenticator shows.", examples=["492039"])
]
CeremonyToken = Annotated[
    str,
    Field(min_length=1, max_length=200, description="The `ceremony` that came with the options.", examples=[_EXAMPLE]),
]
Credential = Annotated[
    dict[str, Any],
    Field(
        description="What `navigator.credentials` returned, by `toJSON()`.",
        examples=[{"id": "pZr1...", "rawId": "pZr1...", "type": "public-key", "response": {}}],
    ),
]


class Confirmation(Body):
    """A fresh proof of who asks: a second factor, or the password where there is none."""

    kind: FactorKind = Field(default="totp", description="Which second factor it is.", examples=["totp"])
    code: str | None = Field(
        default=None, max_length=64, description="A one-time password or recovery code.", examples=["492039"]
    )
    ceremony: str | None = Field(
        default=None, max_length=200, description="For a passkey: of its challenge.", examples=[_EXAMPLE]
    )
    credential: dict[str, Any] | None = Field(
        default=None, description="For a passkey: the browser's answer.", examples=[{"id": "pZr1..."}]
    )
    password: SecretStr | None = Field(
        default=None, max_length=1000, description="Where there is no second factor yet.", examples=["what it is"]
    )

    def proof(self) -> Proof | None:
        """Return the second factor that was given, if one was."""
        if self.code is None and self.ceremony is None:
            return None
        return Proof(self.kind, self.code or "", self.ceremony or "", self.credential)


class EnrolmentView(BaseModel):
    """What an authenticator needs."""

    uri: str = Field(
        description="To be scanned or opened.", examples=["otpauth://totp/Bailiwick:maria%40example.org?secret=..."]
    )
    secret: str = Field(description="The secret in it, for typing.", examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])
    qr_svg: str = Field(description="The address as a QR code, an SVG document.", examples=["<svg ...></svg>"])


class RecoveryCodesView(BaseModel):
    """Recovery codes, shown only now."""

    recovery_codes: list[str] = Field(
        description="Each stands in for the authenticator once.", examples=[["h4pk-92xd-mq7v-c3ra"]]
    )


class PasskeyOptionsView(BaseModel):
    """What a browser's `navigator.credentials` needs."""

    ceremony: str = Field(description="Send it back with the answer, within five minutes.", examples=[_EXAMPLE])
    options: dict[str, Any] = Field(
        description="`publicKey`, in its JSON form.", examples=[{"challenge": "u7Xv...", "rpId": "ops.example.org"}]
    )


class PasskeyView(BaseModel):
    """A passkey."""

    id: str = Field(description="Its id.", examples=[_ID])
    name: str = Field(description="What its owner calls it.", examples=["laptop"])
    is_backed_up: bool = Field(description="Whether its authenticator keeps a copy elsewhere.", examples=[False])
    created_at: datetime = Field(description="When it was made (UTC).", examples=["2026-11-20T09:30:00Z"])
    last_used_at: datetime | None = Field(description="When it was used last (UTC).", examples=["2026-11-20T09:30:00Z"])


class IdentityView(BaseModel):
    """An identity at an outside provider that logs one in."""

    provider_id: str = Field(description="The provider.", examples=[_ID])
    email: str | None = Field(description="The address it had there last.", examples=["maria@example.org"])
    created_at: datetime = Field(description="When the two were linked (UTC).", examples=["2026-11-20T09:30:00Z"])
    last_login_at: datetime | None = Field(
        description="When it was used last (UTC).", examples=["2026-11-20T09:30:00Z"]
    )


class FactorsView(BaseModel):
    """One's ways in besides the password."""

    totp: bool = Field(description="Whether an authenticator is set up.", examples=[True])
    recovery_codes_left: int = Field(description="How many recovery codes are unused.", examples=[10])
    passkeys: list[PasskeyView] = Field(description="Passkeys, oldest first.")
    identities: list[IdentityView] = Field(description="Identities at outside providers.")
    confirmation: Wanted = Field(
        description="What changes here have to be confirmed with: a second factor, the password, or nothing.",
        examples=["factor"],
    )


class FirstCode(Body):
    """The first code of an authenticator."""

    code: Code


class NewPasskey(Body):
    """A passkey that a browser made."""

    ceremony: CeremonyToken
    credential: Credential
    name: str = Field(min_length=1, max_length=MAX_NAME_CHARACTERS, description="What to call it.", examples=["laptop"])


class LinkStart(BaseModel):
    """Where to log in at the provider, to link the two."""

    url: str = Field(description="Open it in this browser.", examples=["https://idp.example.org/authorize?..."])


def enrolment_view(enrolment: Enrolment) -> EnrolmentView:
    """Return an enrolment with its QR code."""
    import segno  # noqa: PLC0415 - only who enrols needs it

    svg = segno.make(enrolment.uri, error="m", micro=False).svg_inline(scale=4)
    return EnrolmentView(uri=enrolment.uri, secret=enrolment.secret, qr_svg=svg)


def options_view(options: PasskeyOptions) -> PasskeyOptionsView:
    """Return a passkey's options as the API shows them."""
    return PasskeyOptionsView(ceremony=options.ceremony, options=options.options)


@router.get("/factors", summary="Show one's ways in", responses=problems(403))
async def get_factors(platform: Platform, caller: Anybody) -> FactorsView:
    """Return one's second factors, passkeys and linked identities."""
    user, ways = await own_user(platform, caller), platform.ways_in
    return FactorsView(
        totp=await ways.totp.is_set_up(user.id),
        recovery_codes_left=await ways.factors.recovery_codes.count_left(user.id),
        passkeys=[PasskeyView.model_validate(one, from_attributes=True) for one in await ways.passkeys.list(user.id)],
        identities=[
            IdentityView.model_validate(one, from_attributes=True) for one in await ways.admissions.list(user.id)
        ],
        confirmation=await ways.confirmations.wanted(user.id),
    )


@router.post("/factors/challenge", summary="Begin to confirm with a passkey", responses=problems(403))
async def challenge_passkey(platform: Platform, caller: Anybody) -> PasskeyOptionsView:
    """Return what a browser needs to confirm a change with a passkey."""
    user = await own_user(platform, caller)
    return options_view(await platform.ways_in.passkeys.begin_use("second_factor", user_id=user.id))


@router.post("/factors/totp", summary="Begin to set up an authenticator", responses=problems(403, 409))
async def enrol_totp(platform: Platform, caller: Anybody, address: Address, body: Confirmation) -> EnrolmentView:
    """Return a secret for an authenticator; it counts once its first code is confirmed."""
    user = await _confirmed(platform, await own_user(platform, caller), body, address)
    return enrolment_view(await platform.ways_in.totp.enrol(user.id, user.email))


@router.post("/factors/totp/confirm", summary="Finish setting up an authenticator", responses=problems(403, 409))
async def confirm_totp(platform: Platform, caller: Anybody, actor: Acting, body: FirstCode) -> RecoveryCodesView:
    """Make an authenticator count by its first code; return ten recovery codes, shown only now."""
    user = await own_user(platform, caller)
    return RecoveryCodesView(
        recovery_codes=await platform.ways_in.factors.confirm_totp(user.id, body.code, actor=actor)
    )


@router.post("/factors/totp/remove", status_code=204, summary="Remove the authenticator", responses=problems(403))
async def remove_totp(platform: Platform, caller: Anybody, actor: Acting, address: Address, body: Confirmation) -> None:
    """Forget the authenticator and its recovery codes, confirmed by a second factor."""
    user = await _confirmed(platform, await own_user(platform, caller), body, address)
    await platform.ways_in.totp.remove(user.id, actor=actor)


@router.post("/factors/recovery-codes", summary="Replace the recovery codes", responses=problems(403, 409))
async def replace_recovery_codes(
    platform: Platform, caller: Anybody, actor: Acting, address: Address, body: Confirmation
) -> RecoveryCodesView:
    """Return ten new recovery codes; the earlier ones open nothing any more."""
    user = await _confirmed(platform, await own_user(platform, caller), body, address)
    return RecoveryCodesView(recovery_codes=await platform.ways_in.totp.new_recovery_codes(user.id, actor=actor))


@router.post("/passkeys/options", summary="Begin to make a passkey", responses=problems(403, 409))
async def begin_passkey(
    platform: Platform, caller: Anybody, address: Address, body: Confirmation
) -> PasskeyOptionsView:
    """Return what a browser needs to make a passkey."""
    user = await _confirmed(platform, await own_user(platform, caller), body, address)
    return options_view(await platform.ways_in.passkeys.begin_registration(user.id, user.email, user.name))


@router.post("/passkeys", status_code=201, summary="Keep a passkey", responses=problems(401, 403, 409))
async def add_passkey(platform: Platform, caller: Anybody, actor: Acting, body: NewPasskey) -> PasskeyView:
    """Keep the passkey that a browser made."""
    user = await own_user(platform, caller)
    made = await platform.ways_in.passkeys.finish_registration(
        user.id, body.ceremony, body.credential, body.name, actor=actor
    )
    return PasskeyView.model_validate(made, from_attributes=True)


@router.post("/passkeys/{passkey_id}/remove", status_code=204, summary="Remove a passkey", responses=problems(403, 404))
async def remove_passkey(
    platform: Platform,
    caller: Anybody,
    actor: Acting,
    address: Address,
    *,
    passkey_id: Annotated[str, Path(max_length=100, description="The passkey's id.", examples=[_ID])],
    body: Confirmation,
) -> None:
    """Forget a passkey, confirmed by a second factor."""
    user = await _confirmed(platform, await own_user(platform, caller), body, address)
    await platform.ways_in.passkeys.remove(user.id, passkey_id, actor=actor)


@router.post("/identities/{provider}/link", summary="Begin to link an identity", responses=problems(403, 404, 503))
async def link_identity(
    platform: Platform,
    request: Request,
    response: Response,
    caller: Anybody,
    *,
    address: Address,
    provider: Annotated[str, Path(max_length=100, description="The provider's id or name.", examples=["google"])],
    body: Confirmation,
) -> LinkStart:
    """Return where to log in at a provider; coming back from there links that identity to this account."""
    user = await _confirmed(platform, await own_user(platform, caller), body, address)
    found = await platform.ways_in.providers.for_login(provider)
    started = await platform.ways_in.oidc.start(found, link_to=user.id)
    authentication: Authentication = request.app.state.authentication
    give_browser_secret(response, request.scope, started.browser_secret, authentication.proxies)
    return LinkStart(url=started.url)


@router.delete("/identities/{provider_id}", status_code=204, summary="Unlink an identity", responses=problems(403, 404))
async def unlink_identity(
    platform: Platform,
    caller: Anybody,
    actor: Acting,
    provider_id: Annotated[str, Path(max_length=100, description="The provider's id.", examples=[_ID])],
) -> None:
    """Let an identity log in as this user no more; memberships stay."""
    user = await own_user(platform, caller)
    await platform.ways_in.admissions.unlink(user.id, provider_id, actor=actor)


async def _confirmed(platform: Installation, user: User, body: Confirmation, address: str | None) -> User:
    password = None if body.password is None else body.password.get_secret_value()
    await platform.ways_in.confirmations.check(user, proof=body.proof(), password=password, address=address)
    return user
