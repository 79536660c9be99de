"""An installation: every service of the platform, wired once per process."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bailiwick import __version__
from bailiwick.agents import AgentDirectory
from bailiwick.audit import SYSTEM, Actor, AuditLog
from bailiwick.audit.alarms import Alarm, Alarms
from bailiwick.audit.keys import AuditKeys
from bailiwick.audit.roots import AuditRoots
from bailiwick.authority import Authority, Policies
from bailiwick.authority.approvals import Approvals
from bailiwick.authority.approvals.signing import Signing
from bailiwick.authority.autonomy import Autonomy
from bailiwick.authority.autonomy.standing import Standings
from bailiwick.authority.budgets import Budgets
from bailiwick.connectors.connections import Connections
from bailiwick.connectors.intake import Intake
from bailiwick.effects.acting import EffectActing
from bailiwick.effects.ledger import Effects
from bailiwick.effects.rewinding import Rewinding
from bailiwick.effects.toolbox import Toolbox
from bailiwick.events import EventLog
from bailiwick.events.reader import EventReader, Retention
from bailiwick.events.rejections import Rejections
from bailiwick.extensions import (
    Extension,
    ExtensionStatus,
    Kernel,
    Registrar,
    Registry,
    register_extensions,
)
from bailiwick.extensions.rewinding import rewinder_of
from bailiwick.identity import Keys, Organization, Organizations, ServiceAccounts, Sessions, SigningKeys
from bailiwick.identity.login.password_resets import PasswordResets
from bailiwick.identity.login.passwords import Passwords
from bailiwick.identity.people.accounts import Accounts
from bailiwick.identity.people.invitations import Invitations
from bailiwick.identity.people.memberships import Memberships
from bailiwick.identity.people.owner_link import OwnerLink
from bailiwick.identity.quotas import Metering, Plans, Quotas, RateLimiter
from bailiwick.identity.quotas.keeper import QuotaKeeper
from bailiwick.installation.collector import relax_collector
from bailiwick.installation.database_urls import Progress, database_urls, say_nothing
from bailiwick.installation.hiding import hide_secrets_of
from bailiwick.installation.installed import installed
from bailiwick.installation.master_key import master_key_source
from bailiwick.installation.recovery import backups_of
from bailiwick.installation.settings import Settings
from bailiwick.installation.warming import Warming
from bailiwick.installation.ways_in import WaysIn
from bailiwick.kernel.errors import ConflictError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.orchestrator.auditing import event_of
from bailiwick.orchestrator.quotas import QuotaTeller
from bailiwick.outbound import AllowList
from bailiwick.outcomes import Expecting, Outcomes
from bailiwick.outcomes.reporting import OutcomeReports
from bailiwick.privacy import Privacy
from bailiwick.replay.exporting import RunExporter
from bailiwick.replay.rehearsals import Rehearsals
from bailiwick.storage import Database, migrate
from bailiwick.storage.waking import ERASED, Wakeups
from bailiwick.tasks import TaskQueue, Upkeep, Worker, WorkerSettings
from bailiwick.tasks.control import TaskControl
from bailiwick.tasks.limits import AgentBreakers, Limits
from bailiwick.tasks.reader import TaskReader
from bailiwick.tasks.scheduler import Scheduler
from bailiwick.tasks.schedules import Schedules
from bailiwick.tasks.services import EngineServices
from bailiwick.vault import Vault

HOME = "home"


class Installation:
    """The platform as one object. Doors get it and nothing else.

    Opened by ``Installation.open``; ``run_worker`` makes this process do work.
    """

    def __init__(
        self, url: str, settings: Settings, registry: Registry, *, admin_url: str, migrations: Sequence[Path] = ()
    ) -> None:
        self.url = url
        self.admin_url = admin_url
        self.settings = settings
        self.registry = registry
        self.extensions: Sequence[ExtensionStatus] = ()
        self.database = Database(url)
        self.wakeups = Wakeups(url)
        self.organizations = Organizations(self.database)
        self.vault = Vault(self.database, master_key_source(settings))
        self.audit = AuditLog(self.database)
        self.audit_roots = AuditRoots(self.database, AuditKeys(self.database, self.vault))
        self.alarms = Alarms(self.database, rules=settings.alarm_rules, tell=self._tell)
        self.keys = Keys(self.database, self.audit)
        self.service_accounts = ServiceAccounts(self.database, self.audit)
        self.signing = SigningKeys(self.database, self.vault, self.audit, issuer="bailiwick")
        self.sessions = Sessions(self.database, self.signing, self.audit)
        self.accounts = Accounts(self.database, self.audit)
        self.memberships = Memberships(self.database, self.audit)
        self.passwords = Passwords(
            self.database,
            self.audit,
            self.accounts,
            self.alarms,
            memory_mib=settings.password_memory_mib,
            breached_file=settings.breached_passwords_file,
        )
        people = (self.database, self.audit, self.accounts, self.memberships, self.passwords)
        self.invitations = Invitations(*people)
        self.owner_link = OwnerLink(*people)
        self.password_resets = PasswordResets(self.database, self.audit, self.accounts, self.passwords)
        self.queue = TaskQueue(url, registry.kinds, self.wakeups)
        self.tasks = TaskReader(self.database)
        self.control = TaskControl(self.database, self.wakeups)
        self.limits = Limits(self.database, self.wakeups)
        self.schedules = Schedules(self.database, registry.kinds, self.wakeups)
        self.events = EventLog(url, registry.event_types, self.wakeups, registry.subscriptions.follow)
        self.event_reader = EventReader(self.database)
        self.retention = Retention(self.database)
        self.rejections = Rejections(self.database)
        self.connections = Connections(self.database, self.vault)
        self.directory = AgentDirectory(self.database, registry.agent_kinds)
        self.outbound = AllowList.parse(settings.outbound_allowed)
        self.privacy = Privacy(
            database=self.database, vault=self.vault, audit=self.audit, events=self.events, queue=self.queue,
            wakeups=self.wakeups, data_map=registry.data_map, admin_url=admin_url,
        )  # fmt: skip
        self.events.guard = self.privacy.consents.require
        self._furnish_authority()
        self.runs = RunExporter(self.database, self.audit, self.audit_roots)
        self.rehearsals = Rehearsals(self.database, registry.tools)
        self.ways_in = WaysIn(self)
        self.approvals.signing = Signing(self.ways_in.passkeys)
        self.rates = RateLimiter(url)
        self.metering = Metering(self.database)
        self.plans = Plans(self.database, self.audit)
        self.quotas = Quotas(self.database, self.plans, self.audit)
        self.backups = backups_of(settings, self.database, self.audit, admin_url=admin_url, migrations=migrations)
        self.worker: Worker | None = None
        self._warming = Warming(())

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings | None = None,
        *,
        progress: Progress = say_nothing,
        extra: Sequence[Extension] = (),
    ) -> AsyncGenerator["Installation"]:
        """Start or join the database, migrate it, load extensions, and close all at the end.

        ``extra`` are extensions besides the installed ones.

        Raises:
            DatabaseUnavailableError, DiskFullError: with what to do about it.
        """
        settings = settings or Settings()
        async with database_urls(settings, progress) as (url, admin_url):
            hide_secrets_of(settings, (url, admin_url))
            extensions, failed = installed(settings, extra)
            folders = [extension.migrations for extension in extensions if extension.migrations is not None]
            progress("checking the database's schema")
            await asyncio.to_thread(migrate, admin_url, locations=folders)
            installation = cls(url, settings, Registry(), admin_url=admin_url, migrations=folders)
            await installation._start(extensions, failed)
            try:
                yield installation
            finally:
                await installation._stop()

    def intake(self, organization_id: str) -> Intake:
        """Return what brings records from files into an organization."""
        return Intake(self.events, self.rejections, organization_id)

    async def home(self) -> Organization:
        """Return the organization made at first start."""
        return await self.organizations.ensure(HOME)

    async def create_organization(self, name: str, *, slug: str | None = None, actor: Actor = SYSTEM) -> Organization:
        """Make an organization with its agents and schedules.

        Raises:
            ConflictError: one of that slug exists.
        """
        organization = await self.organizations.create(name, slug=slug, actor=actor)
        await self.furnish(organization)
        return organization

    async def ensure_organization(self, name: str) -> Organization:
        """Return the organization of that name or slug, made and furnished if it is missing."""
        organization = await self.organizations.ensure(name)
        await self.furnish(organization)
        return organization

    async def furnish(self, organization: Organization) -> None:
        """Give an organization the agents and schedules that every one gets; what it has stays."""
        for agent in self.registry.staff:
            with suppress(ConflictError):
                await self.directory.create(
                    organization.id, agent.kind, agent.name,
                    configuration=agent.configuration, price=agent.price, capacity=agent.capacity,
                )  # fmt: skip
        wanted = [
            schedule
            for schedule, scope in self.registry.schedules
            if scope == "organization" or organization.slug == HOME
        ]
        if wanted:
            await self.schedules.furnish(organization.id, wanted)

    async def first_start(self) -> str | None:
        """Make the home organization; return the administrator's key if it was made just now."""
        await self.furnish(await self.home())
        if await self.keys.has_admin():
            return None
        async with self.database.transaction() as connection:
            # Of processes that start at once for the first time, one makes the key.
            await connection.execute("select pg_advisory_xact_lock(hashtextextended('first start', 0))")
            return None if await self.keys.has_admin() else await self.keys.issue("local admin")

    @asynccontextmanager
    async def run_worker(self, *, name: str = "", concurrency: int | None = None) -> AsyncGenerator[Worker]:
        """Execute tasks, fire schedules and keep the engine going while the block runs; then drain."""
        worker = Worker(
            self.url,
            self.registry.kinds,
            EngineServices(
                self.queue,
                self.events,
                self.database,
                self.acting(),
                expecting=Expecting(self.database, self.registry.checks),
            ),
            self.wakeups,
            WorkerSettings(
                concurrency=concurrency or self.settings.worker_concurrency,
                lease_seconds=self.settings.worker_lease_seconds,
                drain_seconds=self.settings.drain_seconds,
                code_version=__version__,
                name=name,
            ),
        )
        breakers = AgentBreakers(self.limits)
        worker.observers.append(breakers.observe)
        worker.guard_by(self.privacy.consents.require)
        upkeep = Upkeep(self.url, self.wakeups, worker_id=lambda: worker.id)
        scheduler = Scheduler(self.database, self.wakeups)
        teller = QuotaTeller(self.database, self.metering, self.events, self.audit)
        keeper = QuotaKeeper(self.metering, teller.tell)
        relax_collector()
        await worker.start()
        await upkeep.start()
        await scheduler.start()
        await keeper.start()
        self.worker = worker
        self.queue.hand_to(worker)
        warming = self._warming = Warming(self.registry.warmers if self.settings.warm_start else ())
        warming.start()
        try:
            yield worker
        finally:
            warming.stop()
            self.worker = None
            self.queue.hand_to(None)
            await keeper.stop()
            await scheduler.stop()
            await worker.stop()
            await upkeep.stop()
            await breakers.drain()

    async def warmed(self) -> None:
        """Wait until what the worker's first work needs is loaded, for whoever measures work and not starting."""
        await self._warming.wait()

    def _furnish_authority(self) -> None:
        self.policies = Policies(self.database, self.audit, self.events)
        self.authority = Authority(self.database, self.policies, consents=self.privacy.consents.is_granted)
        self.authority.knows_tool = self.registry.tools.knows
        self.autonomy = Autonomy(self.database, self.audit, self.events, self.registry.agent_versions)
        self.standings = Standings(self.database)
        self.authority.levels = self.autonomy
        self.budgets = Budgets(self.database, self.events, self.audit)
        self.approvals = Approvals(self.database, self.events, self.audit, Toolbox(self.registry.tools))
        self.approvals.learning = self.autonomy
        self.authority.memory = self.approvals
        self.effects = Effects(self.database, self.events, self.audit, approvals=self.approvals, budgets=self.budgets)
        self.rewinding = Rewinding(
            self.database, self.effects, self.registry.tools, self.queue, self.audit,
            agent_of=rewinder_of(self.directory),
        )  # fmt: skip
        self.outcomes = Outcomes(self.database, self.effects, self.events, self.audit)
        self.outcome_reports = OutcomeReports(self.database)

    def acting(self) -> EffectActing:
        """Return who carries out the effects of runs."""
        return EffectActing(
            self.database, self.registry.tools, self.effects, authority=self.authority, approvals=self.approvals,
            budgets=self.budgets, validate=Expecting(self.database, self.registry.checks).validate,
        )  # fmt: skip

    def register(self, extensions: Sequence[Extension], failed: Sequence[ExtensionStatus]) -> None:
        """Let each extension register, which needs no database; done by ``open``."""
        kernel = Kernel(
            self.database, self.events, self.event_reader, self.retention, self.queue, self.tasks,
            self.limits, self.schedules, self.directory, self.organizations, self.rejections, self.connections,
            self.registry, self.outbound, self.backups, self.audit, self.audit_roots, self.alarms,
            self.privacy, self.sessions, self.policies, self.authority, self.autonomy, self.outcomes,
            self.budgets, self.effects, self.approvals,
        )  # fmt: skip
        self.extensions = [*register_extensions(extensions, Registrar(self.registry, kernel)), *failed]
        self.registry.failed += [f"{one.name}: {one.error}" for one in self.extensions if one.state == "failed"]

    async def _start(self, extensions: Sequence[Extension], failed: Sequence[ExtensionStatus]) -> None:
        await self.database.open()
        await self.retention.prepare()
        self.register(extensions, failed)
        await self.metering.keep_kinds(self.registry.kinds.metered())
        for forget in self.registry.forgetters:
            self.wakeups.listen(ERASED, forget)
        await self.wakeups.start()
        await self.queue.open()
        await self.events.open()
        await self.audit.open()

    async def _tell(self, alarm: Alarm) -> None:
        """Record an alarm as an event; those about the installation in the home organization."""
        told = (await self.home()).id if alarm.organization_id == INSTALLATION else alarm.organization_id
        await self.events.publish(told, [event_of(alarm)])

    async def _stop(self) -> None:
        await self.metering.close()
        await self.rates.close()
        await self.alarms.close()
        await self.audit.close()
        await self.events.close()
        await self.queue.close()
        await self.wakeups.close()
        await self.database.close()
