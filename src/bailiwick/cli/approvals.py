"""``bailiwick approvals``: what waits for people. Here the installation's administrator answers."""

from typing import Annotated, get_args

import typer
from rich.text import Text

from bailiwick.audit import ADMINISTRATOR
from bailiwick.authority.approvals import Answered, Answerer, ApprovalRecord, ApprovalState, Saying
from bailiwick.authority.approvals.model import AnswerDecision, AnswerRecord, Voter
from bailiwick.authority.approvals.signing import verify_answer
from bailiwick.cli.legible import legible, legible_document
from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import ago, note, plain, print_json, print_more, print_table, screen
from bailiwick.cli.session import operator, with_organization
from bailiwick.cli.values import amount, moment
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.documents import decode
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.labels import by, is_untrusted
from bailiwick.storage.pages import Page

app = typer.Typer(no_args_is_help=True)

# What a key or service account asked for that was made here.
_OF_THE_MACHINE = by("maker", ADMINISTRATOR)

ApprovalId = Annotated[str, typer.Argument(metavar="APPROVAL_ID", help="The approval.")]
Digest = Annotated[
    str, typer.Option("--digest", metavar="HEX", help="The digest that 'show' printed: what you say yes or no to.")
]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; it is kept in the audit log.")]

_STYLES: dict[ApprovalState, str] = {
    "waiting": "yellow", "approved": "green", "rejected": "red", "expired": "dim", "stale": "dim", "edited": "cyan",
}  # fmt: skip
_AS_WHOM = "answered as the installation's administrator, in the name of {}"


@app.callback()
def approvals() -> None:
    """List, show and answer approvals; delegate; see and revoke remembered rules.

    Whoever has this machine administers the installation: answers count as the
    administrator's one voice, however many people use it. People answer with
    accounts of their own over the API.
    """


@app.command("list")
def list_approvals(
    org: Org = HOME,
    *,
    state: Annotated[str | None, typer.Option("--state", help="Only those in this state, such as waiting.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List approvals, newest first."""
    wanted = next((one for one in get_args(ApprovalState) if one == state), None)
    if state is not None and wanted is None:
        raise InvalidInputError(f"there is no state {state!r}; there are: {', '.join(get_args(ApprovalState))}")

    async def read(platform: Installation, organization: Organization) -> Page[ApprovalRecord]:
        return await platform.approvals.list(organization.id, state=wanted, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "state", "tool", "target", ">price", "agent", "asked", "until", "then"),
        (
            (
                one.id, Text(one.state, style=_STYLES[one.state]), one.tool, legible(one.target), one.price,
                legible(one.agent_name or "-"), one.asked_at, one.expires_at, one.on_expiry,
            )
            for one in page.items
        ),
        empty="no approvals here; nothing waits for people",
    )  # fmt: skip
    print_more(page)


@app.command()
def show(approval_id: ApprovalId, org: Org = HOME, as_json: AsJson = False) -> None:
    """Show everything that an answer is about, the answers so far, and who may answer."""

    async def read(
        platform: Installation, organization: Organization
    ) -> tuple[ApprovalRecord, list[AnswerRecord], list[Voter]]:
        found = await platform.approvals.get(organization.id, approval_id)
        answers = await platform.approvals.answers(organization.id, found.id)
        return found, answers, await platform.approvals.electorate(organization.id, found.id)

    found, answers, voters = with_organization(org, read)
    if as_json:
        print_json(plain(found) | {"answers": plain(answers), "eligible": plain(voters)})
        return
    _print_shown(found)
    print_table(
        ("answer", "by", "for", "when", "reason"),
        (
            (one.decision, legible(one.answered_by_name), one.voice, one.answered_at, legible(one.reason or "-"))
            for one in answers
        ),
        empty="nobody has answered",
    )
    print_table(
        ("may answer", "role", "was heard"),
        ((legible(one.name), one.role, "yes" if one.has_answered else "no") for one in voters),
        empty=_nobody(found),
    )
    if found.state == "waiting" and (voters or not _is_own(found)):
        note(f"answer with: bailiwick approvals approve|reject {found.id} --digest {found.digest}")


@app.command()
def approve(
    approval_id: ApprovalId, digest: Digest, org: Org = HOME, *, reason: Reason = None, as_json: AsJson = False
) -> None:
    """Say yes to exactly what 'show' printed."""
    _answer(approval_id, Saying("approve", digest, reason), org, as_json=as_json)


@app.command()
def reject(
    approval_id: ApprovalId, digest: Digest, org: Org = HOME, *, reason: Reason = None, as_json: AsJson = False
) -> None:
    """Say no to it."""
    _answer(approval_id, Saying("reject", digest, reason), org, as_json=as_json)


@app.command()
def edit(
    approval_id: ApprovalId,
    arguments: Annotated[str, typer.Option("--arguments", metavar="JSON", help="All arguments, as they should be.")],
    digest: Digest,
    org: Org = HOME,
    *,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Ask for other arguments; they must fit the tool, and a fresh proposal of them is asked about anew."""
    given = decode(arguments)
    if not isinstance(given, dict):
        raise InvalidInputError("--arguments is one JSON object with every argument of the tool")
    _answer(approval_id, Saying("edit", digest, reason, arguments=given), org, as_json=as_json)


@app.command()
def verify(approval_id: ApprovalId, org: Org = HOME, as_json: AsJson = False) -> None:
    """Check what is kept of an approval: its digest, and the signatures of its answers. Needs no other system."""

    async def check(platform: Installation, organization: Organization) -> tuple[bool, list[tuple[AnswerRecord, bool]]]:
        found = await platform.approvals.get(organization.id, approval_id)
        answers = await platform.approvals.answers(organization.id, found.id)
        fits = platform.approvals.digest_of(found) == found.digest
        return fits, [(one, await verify_answer(found, one)) for one in answers]

    fits, answers = with_organization(org, check)
    if as_json:
        signed = [{"answer": one.id, "by": one.answered_by, "is_signed": is_signed} for one, is_signed in answers]
        print_json({"digest_fits": fits, "answers": signed})
    else:
        print_table(
            ("answer", "by", "signed"),
            ((one.decision, legible(one.answered_by_name), "by a passkey" if ok else "no") for one, ok in answers),
            empty="nobody has answered",
        )
        note("what is kept fits the digest" if fits else "what is kept does NOT fit the digest", style="")
    if not fits:
        raise typer.Exit(1)


def _answer(approval_id: str, saying: Saying, org: str, *, as_json: bool) -> None:
    async def say(platform: Installation, organization: Organization) -> Answered:
        answerer = Answerer(operator(), None, "cli")
        return await platform.approvals.answer(organization.id, approval_id, saying, answerer)

    answered = with_organization(org, say)
    note(_AS_WHOM.format(operator().name), style="")
    if as_json:
        print_json(answered)
    else:
        note(_told(answered, saying.decision), style="")


def _told(answered: Answered, decision: AnswerDecision) -> str:
    if answered.state == "waiting":
        return f"{decision} is recorded; {answered.missing} more must say yes, {answered.open_voters} may still answer"
    return f"the approval is {answered.state}"


def _print_shown(found: ApprovalRecord) -> None:
    """Print what an answerer has to see; everything that others wrote is escaped and set apart."""
    silence = "it is carried out" if found.on_expiry == "allow" else "it is not done"
    rows: list[tuple[str, str]] = [
        ("state", found.state + (" (nobody answered)" if found.is_by_silence else "")),
        ("tool", f"{found.tool} {found.tool_version} ({found.effect_class})"),
        ("target", legible(found.target)),
        ("price", amount(found.price)),
        ("asked by", f"{legible(found.agent_name or 'a run without an agent')}, task {found.task_id}"),
        ("why", legible(found.reason)),
        ("decided by", f"{legible(found.rule)}: {legible(found.rule_reason)} (policy {found.policy})"),
        ("can be undone", legible(found.undo) if found.undo else "no"),
        ("comes from", ", ".join(found.labels) or "this organization"),
        ("who may", f"{found.quorum} of: {', '.join(found.roles)} and above" + _escalation(found)),
        ("until", f"{moment(found.expires_at)} ({ago(found.expires_at)}); if nobody answers, {silence}"),
        ("digest", found.digest),
    ]
    console = screen()
    for name, value in rows:
        console.print(Text(f"{name:<14}", style="bold") + Text(value), soft_wrap=True)
    if is_untrusted(found.labels):
        words = (
            f"outsiders' words can stand in: {', '.join(found.free_text)}" if found.free_text else "none is free text"
        )
        console.print(
            Text(f"Text from outside went into this; {words}. Read it as data, not as advice.", style="yellow")
        )
    for title, document in (("arguments", found.arguments), ("observed", found.observed), ("edited", found.edited)):
        if document is not None:
            console.print(Text(title, style="bold"))
            console.print(
                Text("\n".join(f"  | {line}" for line in legible_document(document).split("\n"))), soft_wrap=True
            )


def _nobody(found: ApprovalRecord) -> str:
    if _is_own(found):
        return "nobody may answer: it was asked for at the machine; make somebody a member: bailiwick members add"
    return "no member may answer; the installation's administrator may, here"


def _is_own(found: ApprovalRecord) -> bool:
    """Tell whether the work was asked for at the machine, whose voice then does not count."""
    return any(label.startswith("by:system:account:") or label == _OF_THE_MACHINE for label in found.labels)


def _escalation(found: ApprovalRecord) -> str:
    if found.escalated_at is not None:
        return f"; since {moment(found.escalated_at)} {found.escalate_to}, too"
    if found.escalates_at is not None:
        return f"; from {moment(found.escalates_at)} on {found.escalate_to}, too"
    return ""
