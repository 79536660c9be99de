"""``bailiwick submit``: add one task."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bailiwick.cli.options import HOME, AsJson, Org
from bailiwick.cli.output import note, print_document, print_json, screen
from bailiwick.cli.session import operator, with_organization
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.documents import MAX_PAYLOAD_BYTES, decode
from bailiwick.kernel.errors import InvalidPayloadError, NotFoundError, PayloadTooLargeError
from bailiwick.kernel.labels import NO_LABELS, untrusted
from bailiwick.tasks import NewTask
from bailiwick.tasks.model import FINAL_STATES, TaskState
from bailiwick.tasks.reader import TaskRecord

app = typer.Typer()

_LOOK_SECONDS = 0.1


@app.command()
def submit(
    kind: Annotated[str, typer.Argument(help="The kind of task, for example issue.handle.")],
    *,
    payload: Annotated[
        str, typer.Option("--payload", metavar="JSON|@FILE|-", help="Its input, as JSON; @FILE reads a file, - stdin.")
    ] = "{}",
    priority: Annotated[int, typer.Option("--priority", min=0, max=3, help="0 (P0, most urgent) to 3 (P3).")] = 2,
    key: Annotated[str | None, typer.Option("--key", help="The same key again adds nothing.")] = None,
    delay: Annotated[float | None, typer.Option("--delay", min=0, metavar="SECONDS", help="Start it later.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Who does it.")] = None,
    outside: Annotated[
        str | None,
        typer.Option("--outside", metavar="SOURCE", help="Whose text the input holds, if not your own: mail, crm."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end; needs a running worker.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=0, metavar="SECONDS", help="How long to wait.")] = 60.0,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Add one task; once its id is printed it survives any crash. With --wait: exit code 1 unless it completed."""
    document = read_payload(payload)
    labels = operator().labels | (NO_LABELS if outside is None else {untrusted(outside)})

    async def work(installation: Installation, organization: Organization) -> tuple[bool, TaskRecord]:
        installation.queue.kinds.get(kind).check_by_hand()
        agent_id = None if agent is None else (await installation.directory.get(organization.id, agent)).id
        new = NewTask(kind, document, priority=priority, key=key, delay_seconds=delay, agent_id=agent_id, labels=labels)
        added = await installation.queue.enqueue(organization.id, new)
        if wait:
            await _until_ended(installation, organization, added.task_id, timeout)
        return added.is_new, await installation.tasks.get(organization.id, added.task_id)

    is_new, task = with_organization(org, work)
    if as_json:
        print_json(
            {"task_id": task.id, "is_new": is_new, "state": task.state, "result": task.result, "reason": task.reason}
        )
    else:
        screen().print(task.id)
        if not is_new:
            note(f"the key {key!r} was used before; this is the task it made")
        if wait:
            note(f"{task.state}{f': {task.reason}' if task.reason else ''}")
            print_document("result", task.result)
    if wait and task.state is not TaskState.COMPLETED:
        raise typer.Exit(1)


def read_payload(text: str) -> dict[str, Any]:
    """Return the JSON object of an option: itself, ``@FILE`` or ``-``.

    Raises:
        NotFoundError, InvalidPayloadError, PayloadTooLargeError: with what to do.
    """
    if text == "-":
        data = sys.stdin.buffer.read(MAX_PAYLOAD_BYTES * 4)
    elif text.startswith("@"):
        data = _read_file(Path(text[1:]))
    else:
        data = text.encode("utf-8", "surrogateescape")
    if len(data) > MAX_PAYLOAD_BYTES * 2:
        raise PayloadTooLargeError(f"the payload is over the limit of {MAX_PAYLOAD_BYTES:,} bytes; send a reference")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidPayloadError(f"the payload is not UTF-8 (byte {error.start + 1})") from error
    document = decode(data)
    if not isinstance(document, dict):
        raise InvalidPayloadError("the payload must be a JSON object, for example '{\"number\": 7}'")
    return document


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_PAYLOAD_BYTES * 4)
    except FileNotFoundError as error:
        raise NotFoundError(f"no file {path}") from error
    except OSError as error:
        raise InvalidPayloadError(f"{path} cannot be read: {error.strerror}") from error


async def _until_ended(
    installation: Installation, organization: Organization, task_id: str, patience_seconds: float
) -> None:
    try:
        async with asyncio.timeout(patience_seconds):
            # Whoever does the task is another process; looking is all that can be done from here.
            while (await installation.tasks.get(organization.id, task_id)).state not in FINAL_STATES:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        note(f"not done after {patience_seconds:g} s; look again: bailiwick tasks show {task_id}", style="yellow")
