"""``bailiwick issues``: the issues of the operations pack, and a person's decision on one that is held."""

import getpass
from typing import Annotated, Any, Literal

import orjson
import typer
from rich.text import Text

from bailiwick.audit import Act
from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import note, print_json, print_more, print_table, screen
from bailiwick.cli.session import operator, with_organization
from bailiwick.events import NewEvent, Published
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.errors import ConflictError, InvalidInputError
from bailiwick.packs.operations.event_types import IssueReleased
from bailiwick.packs.operations.priority import Priority
from bailiwick.packs.operations.reader import IssueDetail, IssueFilterBy, IssueReader, IssueSummary
from bailiwick.packs.operations.status import STATUSES
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

Key = Annotated[str, typer.Argument(metavar="KEY", help="The issue, by its key such as owner/name#7, or id.")]
_STYLES = {"done": "green", "in-progress": "bold cyan", "blocked": "yellow", "failed": "bold red", "error": "bold red"}
_MAX_WHAT = 60
_HELD = (
    "select 1 as one from tasks where organization_id = %s and wait_event = 'issue.released' and wait_key = %s limit 1"
)


@app.callback()
def issues() -> None:
    """List and show issues; release those that are held for a person."""


@app.command("list")
def list_issues(
    *,
    status: Annotated[str | None, typer.Option("--status", help=f"One of {', '.join(STATUSES)}.")] = None,
    department: Annotated[str | None, typer.Option("--department", help="Whose work it is, e.g. support.")] = None,
    priority: Annotated[str | None, typer.Option("--priority", metavar="P0-P3", help="How urgent it is.")] = None,
    late: Annotated[bool, typer.Option("--late", help="Those whose deadline was missed.")] = False,
    history: Annotated[bool, typer.Option("--history", help="Those too that came in closed.")] = False,
    org: Org = HOME,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List issues, newest on record first."""
    if status is not None and status not in STATUSES:
        raise InvalidInputError(f"no status {status!r}; there are: {', '.join(STATUSES)}")
    wanted = IssueFilterBy(
        status=status, department=department, priority=_priority(priority), is_late=True if late else None,
        include_history=history,
    )  # fmt: skip

    async def read(installation: Installation, organization: Organization) -> Page[IssueSummary]:
        return await IssueReader(installation.database).list(organization.id, wanted, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("key", "status", "P", "department", "due", "title", "reason"),
        (
            (
                issue.key, _status(issue.status), issue.priority, issue.department,
                None if issue.done_at else issue.deadline_at, issue.title, issue.status_reason,
            )
            for issue in page.items
        ),
        empty="no such issues here",
    )  # fmt: skip
    print_more(page)


@app.command()
def show(key: Key, org: Org = HOME, as_json: AsJson = False) -> None:
    """Show one issue: why it was classified so, what became of it, results, what agents would do outside."""

    async def read(installation: Installation, organization: Organization) -> IssueDetail:
        return await IssueReader(installation.database).get(organization.id, key)

    found = with_organization(org, read)
    if as_json:
        print_json(found)
        return
    _print_head(found)
    print_table(
        ("at", "from", "to", "by", "reason"),
        (
            (one["at"], one["from_status"], _status(one["to_status"]), f"{one['actor_kind']} {one['actor']}",
             one["reason"])
            for one in found.transitions
        ),
        empty="no transitions", title="\ntransitions",
    )  # fmt: skip
    print_table(
        ("at", "agent", "operation", "status", "detail"),
        (
            (one["at"], one["agent_kind"], one["operation"], one["status"], one["summary"])
            for one in found.results
        ),
        empty="no results", title="\nresults",
    )  # fmt: skip
    print_table(
        ("at", "tool", "state", "what", "why not"),
        (
            (one["at"], one["tool"], one["state"], _what(one["arguments"]), one["problem"])
            for one in found.proposed_effects
        ),
        empty="no effects", title="\neffects (bailiwick why EFFECT-ID tells who decided)",
    )  # fmt: skip


@app.command()
def release(
    key: Key,
    *,
    decision: Annotated[str, typer.Option("--decision", metavar="proceed|stop", help="Begin the work, or not.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with the issue.")] = "",
    person: Annotated[
        str | None, typer.Option("--person", metavar="NAME", help="Who decides; by default who is logged in here.")
    ] = None,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Decide on an issue that is held for a person: publishes issue.released."""
    decided = _decision(decision)
    who = person or getpass.getuser()

    async def publish(installation: Installation, organization: Organization) -> tuple[str, Published]:
        found = (await IssueReader(installation.database).get(organization.id, key)).summary
        held = await installation.database.fetch_one(
            _HELD, (organization.id, found.key), organization_id=organization.id
        )
        if held is None:
            raise ConflictError(f"{found.key} is not held for a person; it is {found.status}: {found.status_reason}")
        fact = IssueReleased(key=found.key, decision=decided, person=who, reason=reason)
        event = NewEvent("issue.released", fact, labels=operator().labels)
        (published,) = await installation.events.publish(organization.id, [event])
        # Behind the event: a decision that was published must not be lost for want of its entry.
        after = {"decision": decided, "person": who, "event_id": published.event_id}
        act = Act(
            organization.id, "issue.released", operator(), f"issue:{found.key}", after=after, reason=reason or None
        )
        await installation.audit.record(act)
        return found.key, published

    released, published = with_organization(org, publish)
    if as_json:
        print_json({"key": released, "decision": decided, "person": who, "event_id": published.event_id})
    else:
        note(f"{released}: {decided}, decided by {who}", style="")


def _decision(text: str) -> Literal["proceed", "stop"]:
    if text == "proceed":
        return "proceed"
    if text == "stop":
        return "stop"
    raise InvalidInputError(f"no decision {text!r}; use proceed or stop")


def _priority(name: str | None) -> int | None:
    if name is None:
        return None
    if name.upper() not in Priority.__members__:
        raise InvalidInputError(f"no priority {name!r}; use {', '.join(Priority.__members__)}")
    return int(Priority[name.upper()])


def _print_head(found: IssueDetail) -> None:
    issue = found.summary
    console = screen()
    console.print(Text.assemble((issue.key, "bold"), "  ", issue.title))
    facts: list[tuple[str, object]] = [
        ("status", Text.assemble(_status(issue.status), f": {issue.status_reason}")),
        ("whose", _whose(issue)),
        ("evidence", ", ".join(_evidence(found)) or None),
        ("urgency", " ".join(one for one in (issue.priority, _priority_source(found)) if one) or None),
        ("due", issue.deadline_at),
        ("chosen", (found.choice or {}).get("reason")),
        ("duplicate of", issue.duplicate_of),
    ]
    print_table(("", ""), (fact for fact in facts if fact[1] is not None), empty="")


def _whose(issue: IssueSummary) -> str | None:
    if issue.department is None:
        return None
    sure = "" if issue.confidence is None else f" ({issue.confidence:.0%} sure)"
    return f"{issue.department}, {issue.operation}{sure}"


def _evidence(found: IssueDetail) -> list[str]:
    return [str(one.get("term")) for one in (found.classification or {}).get("evidence", [])]


def _priority_source(found: IssueDetail) -> str:
    source = (found.classification or {}).get("priority_source")
    return f"(from {source})" if source else ""


def _status(status: str) -> Text:
    return Text(status, style=_STYLES.get(status, ""))


def _what(arguments: dict[str, Any]) -> str:
    """Return in one line what is done to the issue, without saying which issue again."""
    told = [_plain(value) for name, value in arguments.items() if name not in ("repository", "number")]
    line = " ".join(" ".join(told).split())
    return line if len(line) <= _MAX_WHAT else f"{line[: _MAX_WHAT - 1]}…"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
