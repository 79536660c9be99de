"""The application: resources, doorkeeper and documentation put together."""

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute

from bailiwick import __version__
from bailiwick.api import documentation, health, links, problems, scraping
from bailiwick.api.access import OrganizationMemory, known_query_only
from bailiwick.api.authentication import Authentication
from bailiwick.api.client_address import TrustedProxies
from bailiwick.api.doorkeeper import Doorkeeper
from bailiwick.api.rate_limiting import RateLimiting
from bailiwick.api.realtime import EventBell
from bailiwick.api.rest import (
    agents,
    approval_rules,
    approvals,
    archives,
    audit,
    autonomy,
    budgets,
    catalogue,
    decisions,
    effects,
    entrance,
    event_stream,
    events,
    factors,
    identity_providers,
    issues,
    keys,
    limits,
    login,
    login_rules,
    members,
    oidc,
    organizations,
    outcomes,
    policies,
    privacy,
    quotas,
    rehearsals,
    rejected,
    rewinds,
    runs,
    schedules,
    service_accounts,
    sessions,
    task_actions,
    tasks,
    users,
    webhooks,
)
from bailiwick.connectors.github.webhook import DeliveryWindow
from bailiwick.installation import Installation

# In the order of the flow. A fixed path comes before one with a parameter in its place.
_RESOURCES: tuple[APIRouter, ...] = (
    organizations.router, event_stream.router, events.router, task_actions.router, tasks.router, runs.router,
    archives.router,
    rewinds.router,
    agents.router, effects.effects, effects.tools, outcomes.router, autonomy.router,
    policies.router, decisions.decisions, decisions.why, rehearsals.router,
    schedules.router, limits.router, quotas.usage, quotas.quotas, quotas.plans, catalogue.router,
    privacy.router, budgets.router, approvals.router, approval_rules.rules, approval_rules.delegations,
    issues.router, rejected.router, webhooks.router, audit.router,
    entrance.router, login.router, oidc.router, factors.router, identity_providers.router, login_rules.router,
    users.router, members.router, members.invitations,
    sessions.router, keys.router, service_accounts.router,
)  # fmt: skip


def create_app(installation: Installation) -> FastAPI:
    """Return the API of an open installation, as an ASGI application.

    Serve it with ``bailiwick.api.serving.Server``; it starts nothing itself.
    """
    app = FastAPI(
        title="Bailiwick",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.installation = installation
    app.state.organizations = OrganizationMemory(installation)
    app.state.authentication = Authentication(
        installation.keys, installation.sessions, TrustedProxies.parse(installation.settings.trusted_proxies)
    )
    app.state.deliveries = DeliveryWindow()
    app.state.bell = EventBell(installation.wakeups)
    problems.install(app)
    app.state.rates = RateLimiting.of(installation)
    app.add_middleware(Doorkeeper, authentication=app.state.authentication, rates=app.state.rates)
    documentation.install(app)
    strict = [Depends(known_query_only)]
    app.include_router(health.router)
    app.include_router(links.router)
    app.include_router(sessions.well_known, dependencies=strict)
    app.include_router(scraping.router, dependencies=strict)
    app.include_router(oidc.callbacks, prefix="/api/v1")
    for router in _RESOURCES:
        app.include_router(router, prefix="/api/v1", dependencies=strict)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
