"""Why an answer is not taken."""

from collections.abc import Mapping

from bailiwick.kernel.errors import BailiwickError, ConflictError, ForbiddenError, NotFoundError


class ApprovalChangedError(ConflictError):
    """What was seen is not what is asked now, or what is kept is not what was asked; look again."""

    code = "approval.changed"


class ApprovalOverError(ConflictError):
    """Others have settled it, its time is over, or what it was about has moved."""

    code = "approval.over"


class NoApproverError(ForbiddenError):
    """This person may not answer this approval."""

    code = "approval.not_yours"


class SignatureNeededError(ForbiddenError):
    """The account has a passkey, so the answer needs its signature."""

    code = "approval.signature_needed"


_REFUSED: Mapping[str, tuple[type[BailiwickError], str]] = {
    "over": (ApprovalOverError, "this approval is settled already; nothing is left to answer"),
    "changed": (ApprovalChangedError, "the digest you saw is not that of this approval; look again, then answer"),
    "lapsed": (ApprovalOverError, "the time of this approval is over; what follows then was shown with it"),
    "requester": (
        NoApproverError,
        "who asked for the work, or brought it to run again, does not approve it, nor who made the key that did; "
        "somebody else has to answer",
    ),
    "undelegated": (NoApproverError, "that person has not delegated this answer to you, or no longer"),
    "again": (ApprovalOverError, "this person was heard on this approval; nobody counts twice"),
    "unsigned": (
        SignatureNeededError,
        "your account has a passkey, so the answer needs its signature: ask for options to sign, sign, answer",
    ),
    "stranger": (NoApproverError, "you have none of the roles that this approval asks for; it lists who has"),
}


def missing(approval_id: str) -> NotFoundError:
    """Return the error for an approval that is not there, or another organization's."""
    return NotFoundError(
        f"no approval {approval_id[:50]!r} in this organization; list them with: bailiwick approvals list"
    )


def refusal(outcome: str) -> BailiwickError:
    """Return the error for what the database function ``approval_answer`` refused."""
    kind, message = _REFUSED[outcome]
    return kind(message)
