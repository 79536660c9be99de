"""Names that nobody registered are refused with those that were."""

import pytest
from pydantic import BaseModel

from bailiwick.events import EventRegistry, EventType
from bailiwick.kernel.errors import InvalidPayloadError, UnknownKindError
from bailiwick.tasks import KindRegistry, Run, TaskKind


class Mail(BaseModel):
    to: str


async def send(run: Run, mail: Mail) -> None:
    del run, mail


def test_an_unknown_task_kind_names_the_known_ones() -> None:
    kinds = KindRegistry()
    with pytest.raises(UnknownKindError, match="unknown task kind 'mail'; known: none"):
        kinds.get("mail")
    kinds.register(TaskKind("mail.send", send, Mail))
    kinds.register(TaskKind("mail.read", send, Mail))
    with pytest.raises(UnknownKindError, match=r"known: mail\.read, mail\.send"):
        kinds.encode_payload("mail", {})


def test_an_unknown_event_type_names_the_known_ones() -> None:
    types = EventRegistry()
    types.register(EventType("mail.received", 1, Mail))
    with pytest.raises(UnknownKindError, match=r"unknown event type 'mail'; known: mail\.received"):
        types.get("mail")


def test_a_name_is_registered_once() -> None:
    kinds, types = KindRegistry(), EventRegistry()
    kinds.register(TaskKind("mail.send", send, Mail))
    types.register(EventType("mail.received", 1, Mail))
    with pytest.raises(ValueError, match="twice"):
        kinds.register(TaskKind("mail.send", send, Mail))
    with pytest.raises(ValueError, match="twice"):
        types.register(EventType("mail.received", 2, Mail))


def test_a_payload_is_checked_against_its_kind() -> None:
    kinds = KindRegistry()
    kinds.register(TaskKind("mail.send", send, Mail))
    assert kinds.encode_payload("mail.send", {"to": "a@example.org"}) == b'{"to":"a@example.org"}'
    with pytest.raises(InvalidPayloadError, match=r"payload of task mail\.send is invalid: to: "):
        kinds.encode_payload("mail.send", {})
