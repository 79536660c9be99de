"""Labels at the door: where content comes from, and who asks."""

from typing import Annotated

from pydantic import Field

from bailiwick.identity import Caller
from bailiwick.kernel.labels import untrusted

Labels = Annotated[
    list[str],
    Field(
        description="Where it comes from (`untrusted:SOURCE`) and who asked for it (`by:KIND:ID`).",
        examples=[["by:user:0199b6ff-b66f-7000-8000-000000000002", "untrusted:github"]],
    ),
]
Outside = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_.-]{0,62}$", max_length=63)]


def door_labels(caller: Caller, outside: str | None, *, is_declared: bool) -> frozenset[str]:
    """Return the labels of what a caller hands in.

    It is the caller's word, unless the caller says whose it is or its type is
    declared to carry text from outside.
    """
    source = outside or ("api" if is_declared else None)
    return caller.labels if source is None else caller.labels | {untrusted(source)}
