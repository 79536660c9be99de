"""One of everything in an organization, and requests to every operation about it."""

import re
from typing import Any

import httpx

from bailiwick.audit import SYSTEM
from bailiwick.events import NewEvent
from bailiwick.events.rejections import NewRejection
from bailiwick.installation import Installation
from bailiwick.kernel.ids import new_id
from bailiwick.tasks import NewTask
from bailiwick.tasks.schedules import NewSchedule
from tests.support.api import Operation

MARK = "belongs-to-acme"
# Every body is valid, so that only the key can be what an answer depends on.
BODIES: dict[str, Any] = {
    "create_organization": {"name": "Intruder"},
    "publish_events": {"events": [{"type": "note.written", "payload": {}}]},
    "submit_task": {"kind": "note.keep"},
    "fork_task": {"from_step": 0},
    "create_agent": {"kind": "noter", "name": "intruder"},
    "put_schedule": {"kind": "note.keep", "interval_seconds": 3600},
    "put_limit": {"max_concurrency": 0},
    "create_key": {"name": "intruder"},
    "create_service_account": {"name": "intruder", "role": "viewer"},
    "put_service_account_role": {"role": "viewer"},
    "change_member": {"role": "viewer"},
    "invite_member": {"email": "intruder@example.org", "role": "viewer"},
    "revoke_token": {"token_id": "0199b6ff-b66f-7000-8000-000000000010"},
}
# These make something of the caller's own under a name that is free for everybody.
MAKES_BY_NAME = {"put_schedule", "put_limit", "pause_subject"}


class Names(dict[str, str]):
    """What stands for each path parameter; for one of which there is nothing, an id that is nobody's."""

    def __missing__(self, name: str) -> str:
        return new_id()

    def are_all_there(self, operation: Operation) -> bool:
        """Whether an operation's address names only what was furnished."""
        return all(name in self for name in re.findall(r"{(\w+)", operation.path))


async def furnish(installation: Installation, acme: str) -> Names:
    """Give Acme one of everything; return what stands for each path parameter."""
    agent = await installation.directory.create(acme, "noter", MARK, configuration={"mark": MARK})
    task = await installation.queue.enqueue(acme, NewTask("note.keep", {"text": MARK}, agent_id=agent.id))
    event = (await installation.events.publish(acme, [NewEvent("note.written", {"text": MARK})]))[0]
    await installation.schedules.put(acme, NewSchedule(MARK, "note.keep", {"text": MARK}, interval_seconds=3600.0))
    await installation.limits.set(acme, f"kind:{MARK}", max_concurrency=1)
    await installation.rejections.keep(acme, [NewRejection("github", 1, MARK, MARK)])
    rejected = (await installation.rejections.list(acme)).items[0]
    connection = await installation.connections.add(acme, "github", f"acme/{MARK}", {})
    user = await installation.accounts.create("marked@acme.example", MARK, actor=SYSTEM)
    await installation.memberships.add(acme, user.id, "owner", actor=SYSTEM)
    session = await installation.sessions.begin(user.id, methods=["pwd"], address=None, user_agent=MARK)
    account = await installation.service_accounts.create(acme, MARK, "viewer")
    key = await installation.keys.make(MARK, organization_id=acme, service_account=account.id)
    return Names(
        {
            "organization_ref": "acme",
            "task_id": task.task_id,
            "event_id": event.event_id,
            "agent": agent.id,
            "schedule": MARK,
            "subject": f"kind:{MARK}",
            "rejected_id": rejected.id,
            "connection_id": connection.id,
            "issue": f"acme/{MARK}%237",
            "member": user.id,
            "user_id": user.id,
            "session_id": session.session_id,
            "account": account.id,
            "key": key.record.id,
        }
    )


def addressed(operation: Operation, names: Names) -> str:
    return operation.path.format_map(names)


def body_of(operation: Operation, names: Names) -> Any:
    if operation.name == "act_on_tasks":
        return {"action": "cancel", "task_ids": [names["task_id"]]}
    return BODIES.get(operation.name)


async def ask(client: httpx.AsyncClient, operation: Operation, names: Names, query: str = "") -> httpx.Response:
    path = addressed(operation, names) + query
    return await client.request(operation.method.upper(), path, json=body_of(operation, names))
