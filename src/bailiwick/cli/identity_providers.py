"""``bailiwick identity-providers``: what people log in with besides passwords and passkeys."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from bailiwick.cli.options import AsJson, Cursor, Limit, Yes
from bailiwick.cli.output import note, print_facts, print_json, print_more, print_table
from bailiwick.cli.session import operator, organization_of, with_installation
from bailiwick.identity.oidc import PRESETS, IdentityProvider, NewIdentityProvider, ProviderPolicy
from bailiwick.identity.oidc.providers import IdentityProviders
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError, NotFoundError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

Owner = Annotated[
    str | None,
    typer.Option("--org", metavar="NAME", help="The one organization whose provider it is; without it everybody's."),
]
Reference = Annotated[str, typer.Argument(metavar="PROVIDER", help="Its short name or id.")]
PolicyText = Annotated[
    str, typer.Argument(metavar="JSON|@FILE", help="Who is let in and with which role, as in the guide on signing in.")
]
SecretFile = Annotated[
    Path | None, typer.Option("--secret-file", help="The file that holds the client secret; without it you are asked.")
]
Work = Callable[[IdentityProviders, str], Awaitable[Any]]


@app.callback()
def identity_providers() -> None:
    """List, add, change and remove identity providers: OpenID Connect, Google, Microsoft, GitHub."""


@app.command("list")
def list_providers(org: Owner = None, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List the providers for everybody, or of one organization, newest first."""

    async def read(providers: IdentityProviders, owner: str) -> Page[IdentityProvider]:
        return await providers.list(owner, limit=limit, cursor=cursor)

    page: Page[IdentityProvider] = _with_providers(org, read)
    if as_json:
        print_json({"items": [_plain(one) for one in page.items], "next_cursor": page.next_cursor})
        return
    print_table(
        ("name", "issuer", "lets in", "made"),
        ((one.slug, one.issuer, _lets_in(one), one.created_at) for one in page.items),
        empty="no identity providers; begin with: bailiwick identity-providers add NAME --preset google --client-id ID",
    )
    print_more(page)


@app.command()
def show(provider: Reference, org: Owner = None, as_json: AsJson = False) -> None:
    """Show one provider with its policy and the redirect address to allow there."""

    async def read(installation: Installation) -> tuple[IdentityProvider, str]:
        found = await installation.ways_in.providers.get(await _owner(installation, org), provider)
        return found, installation.ways_in.oidc.callback_url(found)

    _print(*with_installation(read), as_json=as_json)


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its short name, part of the redirect address.")],
    client_id: Annotated[str, typer.Option("--client-id", help="Who the platform is at the provider.")],
    *,
    preset: Annotated[
        Literal["google", "microsoft", "github"] | None, typer.Option("--preset", help="A provider known beforehand.")
    ] = None,
    issuer: Annotated[str | None, typer.Option("--issuer", metavar="URL", help="Any other, by its issuer.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="For Microsoft: the id of your tenant.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="What people see.")] = None,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="What to ask for; may be repeated.")] = None,
    policy: Annotated[str, typer.Option("--policy", metavar="JSON|@FILE", help="Who is let in.")] = "{}",
    secret_file: SecretFile = None,
    public: Annotated[bool, typer.Option("--public", help="The client has no secret.")] = False,
    org: Owner = None,
    as_json: AsJson = False,
) -> None:
    """Add a provider; without a policy it lets in only whom people link themselves."""
    known = PRESETS.get(preset or "")
    place = issuer or (None if known is None else known.issuer_for(tenant))
    if place is None:
        raise InvalidInputError("say --preset google, microsoft or github, or --issuer URL")
    secret = None if public else _secret(secret_file)
    new = NewIdentityProvider(
        name, title or (name if known is None else known.name), place, client_id, secret, policy=_policy(policy)
    ).completed(known, scope)

    async def make(installation: Installation) -> tuple[IdentityProvider, str]:
        ways = installation.ways_in
        made = await ways.providers.add(await _owner(installation, org), new, actor=operator())
        return made, ways.oidc.callback_url(made)

    made, callback = with_installation(make)
    _print(made, callback, as_json=as_json)
    note("allow the redirect address at the provider")


@app.command()
def policy(provider: Reference, policy: PolicyText, org: Owner = None, as_json: AsJson = False) -> None:
    """Replace who is let in and with which role; it holds from the next login on."""
    wanted = _policy(policy)

    async def change(providers: IdentityProviders, owner: str) -> IdentityProvider:
        return await providers.set_policy(owner, provider, wanted, actor=operator())

    changed = _with_providers(org, change)
    if as_json:
        print_json(_plain(changed))
    else:
        note(f"{changed.slug} now lets in: {_lets_in(changed)}")


@app.command()
def secret(provider: Reference, secret_file: SecretFile = None, org: Owner = None, as_json: AsJson = False) -> None:
    """Replace the client secret."""
    wanted = _secret(secret_file)

    async def change(providers: IdentityProviders, owner: str) -> IdentityProvider:
        return await providers.set_secret(owner, provider, wanted, actor=operator())

    _said(_with_providers(org, change), "has its new secret", as_json=as_json)


@app.command()
def enable(provider: Reference, org: Owner = None, as_json: AsJson = False) -> None:
    """Let people log in through a provider again."""

    async def change(providers: IdentityProviders, owner: str) -> IdentityProvider:
        return await providers.set_enabled(owner, provider, True, actor=operator())

    _said(_with_providers(org, change), "lets people in again", as_json=as_json)


@app.command()
def disable(provider: Reference, org: Owner = None, as_json: AsJson = False) -> None:
    """Let nobody log in through a provider any more; sessions go on until they are ended."""

    async def change(providers: IdentityProviders, owner: str) -> IdentityProvider:
        return await providers.set_enabled(owner, provider, False, actor=operator())

    _said(_with_providers(org, change), "lets nobody in", as_json=as_json)


@app.command()
def remove(provider: Reference, org: Owner = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Forget a provider and whom it linked; accounts and memberships stay."""
    if not yes:
        typer.confirm(f"Remove {provider} and every link to it?", abort=True, err=True)

    async def end(providers: IdentityProviders, owner: str) -> None:
        await providers.remove(owner, provider, actor=operator())

    _with_providers(org, end)
    if as_json:
        print_json({"removed": provider})
    else:
        note(f"{provider} is gone")


def _with_providers(org: str | None, work: Work) -> Any:
    async def opened(installation: Installation) -> Any:
        return await work(installation.ways_in.providers, await _owner(installation, org))

    return with_installation(opened)


async def _owner(installation: Installation, org: str | None) -> str:
    return INSTALLATION if org is None else (await organization_of(installation, org)).id


def _policy(text: str) -> ProviderPolicy:
    try:
        return ProviderPolicy.model_validate_json(_read(Path(text[1:])) if text.startswith("@") else text)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'policy'}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        )
        raise InvalidInputError(f"the policy cannot be used: {faults}") from error


def _secret(path: Path | None) -> str:
    text = typer.prompt("Client secret", hide_input=True, err=True) if path is None else _read(path)
    if not text.strip():
        raise InvalidInputError("the client secret is empty; use --public for a client without one")
    return text.strip()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFoundError(f"no file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} cannot be read: {error}") from error


def _lets_in(provider: IdentityProvider) -> str:
    chosen = provider.policy
    if not provider.is_enabled:
        return "nobody (disabled)"
    ways = [
        name
        for name, is_on in (("new accounts", chosen.creates_accounts), ("known addresses", chosen.links_by_email))
        if is_on
    ]
    return ", ".join([*ways, "whom people linked"])


def _said(provider: IdentityProvider, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_plain(provider))
    else:
        note(f"{provider.slug} {what}")


def _print(provider: IdentityProvider, callback_url: str, *, as_json: bool) -> None:
    document = {**_plain(provider), "callback_url": callback_url}
    if as_json:
        print_json(document)
        return
    print_facts(document.items())


def _plain(provider: IdentityProvider) -> dict[str, Any]:
    fields = {name: getattr(provider, name) for name in provider.__slots__}
    return {**fields, "policy": provider.policy.model_dump(mode="json")}
