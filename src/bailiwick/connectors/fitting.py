"""Making an issue fit the size limit of an event, and saying what was left out."""

from pydantic import ValidationError

from bailiwick.connectors.issues import IssueComment, IssueRecord
from bailiwick.kernel.documents import MAX_PAYLOAD_BYTES, encode
from bailiwick.kernel.errors import InvalidPayloadError, PayloadTooLargeError

ATTRIBUTE_CHARACTERS = 2000
MAX_ATTRIBUTES = 64
# What our own field names and one more attribute add to the source's bytes, at most.
_OVERHEAD_BYTES = 4096


def describe(error: ValidationError) -> str:
    """Return the first few faults of a record in words, without its values."""
    faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_input=False)[:3]]
    return "; ".join(faults)


def attribute_text(value: str) -> str:
    """Return ``value``, cut where it is longer than an attribute may be, and saying so."""
    if len(value) <= ATTRIBUTE_CHARACTERS:
        return value
    return f"{value[:ATTRIBUTE_CHARACTERS]}… ({len(value):,} characters)"


def fit(record: IssueRecord) -> IssueRecord:
    """Return ``record`` as it can be stored, with as many of its first comments as fit.

    Comments are the only part that grows without bound, and the first ones
    describe the problem. What was left out is said in
    ``attributes["comments_kept"]`` (``"12 of 80"``).

    Raises:
        PayloadTooLargeError: title, body and attributes alone exceed the limit.
        InvalidPayloadError: it holds U+0000.
    """
    try:
        encode(record, what="the issue")
    except PayloadTooLargeError:
        return _with_fewer_comments(record)
    return record


def may_need_fitting(data: bytes) -> bool:
    """Say from the source's bytes whether the record could be refused; False is certain."""
    return len(data) + _OVERHEAD_BYTES > MAX_PAYLOAD_BYTES or b"\\u0000" in data


def _with_fewer_comments(record: IssueRecord) -> IssueRecord:
    bare = record.model_copy(update={"comments": ()})
    try:
        room = MAX_PAYLOAD_BYTES - _OVERHEAD_BYTES - len(encode(bare, what="the issue without its comments"))
    except PayloadTooLargeError as error:
        raise PayloadTooLargeError(f"{error}; shorten its text") from error
    kept: list[IssueComment] = []
    for comment in record.comments:
        room -= len(encode(comment, what="a comment", limit=1 << 30)) + 1
        if room < 0:
            break
        kept.append(comment)
    said = {"comments_kept": f"{len(kept)} of {len(record.comments)}"}
    smaller = record.model_copy(update={"comments": tuple(kept), "attributes": {**record.attributes, **said}})
    try:
        encode(smaller, what="the issue")
    except PayloadTooLargeError as error:
        raise InvalidPayloadError(f"the issue cannot be made to fit: {error}") from error
    return smaller
