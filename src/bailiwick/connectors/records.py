"""The streaming readers: a file or stream in, one record or one rejection at a time out."""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from bailiwick.connectors.fitting import may_need_fitting
from bailiwick.connectors.framing import Frame, line_frames, value_frames
from bailiwick.connectors.github.payload import issue_from_document
from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.connectors.sources import ByteSource, PathOrStream, not_utf8, open_source
from bailiwick.kernel.errors import InvalidInputError, InvalidPayloadError

# A second value for one of these would make it unclear which issue is meant.
_IDENTITY_KEYS = (b'"number"', b'"title"', b'"body"', b'"state"')
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SEEMS = (
    (b"<", "HTML or XML"),
    (b"---", "YAML"),
    (b"%", "a document format"),
)


def read_github_issues(
    path_or_stream: PathOrStream, *, repository: str | None = None
) -> Iterator[IssueRecord | RejectedRecord]:
    """Yield each issue of a JSON array or JSON lines file, gzip or plain, and each record that is refused.

    The form is told from the content, never from the name. Memory stays
    bounded by one record (at most 4 MiB) whatever the size of the input.
    ``repository`` is used for records that do not name theirs. A stream is
    left open.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it is a directory, unreadable, empty, or not JSON at
            all. Raised at the first step of the iteration.
    """
    with open_source(path_or_stream) as source:
        ordinal = 0
        for frame in json_frames(source):
            for result in _issues(frame, ordinal + 1, repository):
                ordinal += 1
                yield result


def json_frames(source: ByteSource) -> Iterator[Frame]:
    """Return the frames of a JSON input in the form its first bytes show.

    Raises:
        InvalidInputError: it is empty or does not begin like JSON.
    """
    source.check_text()
    head = source.head.lstrip()
    if head.startswith(b"["):
        return value_frames(source)
    if head.startswith(b"{"):
        return value_frames(source) if _one_value_over_lines(head) else line_frames(source)
    if source.fault is not None or any(line.lstrip().startswith(b"{") for line in head.splitlines()):
        return line_frames(source)
    raise InvalidInputError(f"{source.name} is not JSON: {_seems(head)}. Give a JSON array or one object per line")


def decode_object(frame: Frame) -> dict[str, Any]:
    """Return the JSON object of a frame.

    Raises:
        InvalidPayloadError: with what is wrong and, where it helps, what to do.
    """
    if frame.fault is not None:
        raise InvalidPayloadError(frame.fault)
    try:
        value = orjson.loads(frame.data)
    except orjson.JSONDecodeError as error:
        raise InvalidPayloadError(_json_fault(frame.data, error)) from error
    if not isinstance(value, dict):
        raise InvalidPayloadError(f"an object was expected, not {_kind(value)}")
    return value


def rejection(frame: Frame, error: Exception) -> RejectedRecord:
    """Return the rejection of ``frame`` for ``error``."""
    return RejectedRecord.of(frame.data, str(error), line=frame.line, ordinal=frame.ordinal, truncated=frame.truncated)


def _issues(frame: Frame, ordinal: int, repository: str | None) -> Iterator[IssueRecord | RejectedRecord]:
    frame = Frame(frame.line, ordinal, frame.data, frame.fault, frame.truncated)
    try:
        document = decode_object(frame)
    except InvalidInputError as error:
        yield rejection(frame, error)
        return
    items = document.get("items")
    if "title" in document or not isinstance(items, list):
        yield _issue(frame, document, repository)
        return
    # A page of GitHub's search holds its issues in a list under this key.
    for place, item in enumerate(items, start=ordinal):
        part = Frame(frame.line, place, orjson.dumps(item))
        yield _issue(part, item, repository)


def _issue(frame: Frame, document: object, repository: str | None) -> IssueRecord | RejectedRecord:
    try:
        if not isinstance(document, dict):
            raise InvalidPayloadError(f"an object was expected, not {_kind(document)}")
        if any(frame.data.count(key) > 1 for key in _IDENTITY_KEYS):
            _refuse_repeated_keys(frame.data)
        return issue_from_document(document, repository=repository, check_size=may_need_fitting(frame.data))
    except InvalidInputError as error:
        return rejection(frame, error)


def _one_value_over_lines(head: bytes) -> bool:
    """Say whether a first object goes on over several lines, as pretty-printers write it."""
    lines = [line for line in head.split(b"\n", 20)[:20] if line.strip()]
    if len(lines) == 1:
        return False
    return not lines[1].lstrip().startswith(b"{") and not _is_json(lines[0])


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def _seems(head: bytes) -> str:
    for start, seems in _SEEMS:
        if head.startswith(start):
            return f"it seems to be {seems}"
    first_line = head.split(b"\n", 1)[0]
    if any(byte < ord("\t") for byte in head[:512]):
        return "it seems to be binary data"
    if any(first_line.count(mark) > 1 for mark in (b",", b";", b"\t")):
        return "it seems to be CSV; use the CSV import"
    return f"it begins with {first_line[:40].decode('utf-8', 'backslashreplace')!r}"


def _json_fault(data: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return not_utf8(data)
    if b"\0" in data:
        return "holds a NUL byte, which JSON does not allow; remove it"
    if _LONE_SURROGATE.search(data) and "surrogate" in str(error):
        return "holds half of a surrogate pair (\\ud800 to \\udfff), which is no character; remove it"
    if "depth limit" in str(error) or "ecursion" in str(error):
        return "is nested too deeply (limit: 1,024 levels)"
    return f"is not valid JSON: {error}"


def _kind(value: object) -> str:
    names: dict[type, str] = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _refuse_repeated_keys(data: bytes) -> None:
    outermost: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> None:
        # The decoder hands over inner objects first, so the last call is the record itself.
        outermost[:] = pairs

    try:
        json.loads(data, object_pairs_hook=keep)
    except (ValueError, RecursionError) as error:
        raise InvalidPayloadError("is nested too deeply to check its keys") from error
    keys = [key for key, _ in outermost]
    repeated = sorted(key for key in ("number", "title", "body", "state") if keys.count(key) > 1)
    if repeated:
        raise InvalidPayloadError(f'the key "{repeated[0]}" occurs twice; it is unclear which one counts')
