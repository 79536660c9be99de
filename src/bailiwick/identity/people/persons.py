"""Whose word is a person's: the one way to tell, for all that only people may say."""

from bailiwick.audit import Actor
from bailiwick.kernel.errors import ForbiddenError


def check_person(actor: Actor, what: str, *, in_person: bool = False, or_platform: bool = False) -> None:
    """Refuse the word of a program: a service account's, an agent's, that of a key which is nobody's.

    A person's own key stands for their script, but not ``in_person``: then they
    are logged in, or at the machine. ``or_platform`` also lets through what this
    process does by itself, such as what an extension furnishes; no door acts as
    the platform. ``what`` says what needs a person, as the beginning of a sentence.

    Raises:
        ForbiddenError: says how a person says it.
    """
    if actor.is_in_person or (actor.person is not None and not in_person):
        return
    if or_platform and actor.kind == "system" and not actor.id.startswith("task:"):
        return
    if in_person:
        raise ForbiddenError(f"{what} in person: log in, or use the command line on the machine")
    raise ForbiddenError(
        f"{what}, and service accounts, agents and keys that are nobody's are programs: log in, use a key of your "
        "own, or the command line on the machine"
    )
