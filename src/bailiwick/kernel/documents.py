"""JSON documents: one encoder, one size rule, one error for what cannot be kept.

PostgreSQL's ``jsonb`` cannot hold the character U+0000, and UTF-8 cannot hold
lone surrogates. Both are refused here, at the door, with the reason.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from bailiwick.kernel.errors import InvalidPayloadError, PayloadTooLargeError

JsonObject = dict[str, Any]
Schema = TypeVar("Schema", bound=BaseModel)

MAX_PAYLOAD_BYTES = 256 * 1024
MAX_RESULT_BYTES = 1024 * 1024


def encode(value: object, *, what: str = "payload", limit: int = MAX_PAYLOAD_BYTES) -> bytes:
    """Return ``value`` as JSON bytes that the database can hold.

    Datetimes, UUIDs, enums, dataclasses and pydantic models are encoded too.

    Raises:
        InvalidPayloadError: it holds something JSON or PostgreSQL cannot.
        PayloadTooLargeError: it is longer than ``limit`` bytes.
    """
    try:
        data = (
            value.__pydantic_serializer__.to_json(value)
            if isinstance(value, BaseModel)
            else orjson.dumps(value, default=_default)
        )
    except (orjson.JSONEncodeError, PydanticSerializationError, RecursionError) as error:
        raise InvalidPayloadError(f"{what} is not JSON: {error}") from error
    if len(data) > limit:
        raise PayloadTooLargeError(
            f"{what} is {len(data):,} bytes, the limit is {limit:,}; store it elsewhere and send a reference"
        )
    if b"\\u0000" in data:
        _refuse_nul(data, what)
    return data


def encode_checked(schema: type[Schema], payload: BaseModel | Mapping[str, Any], *, what: str) -> tuple[Schema, bytes]:
    """Return a payload as its model and as JSON once it fits ``schema``.

    Raises:
        InvalidPayloadError: it does not fit; the message lists every misfit.
        PayloadTooLargeError: it is longer than ``MAX_PAYLOAD_BYTES``.
    """
    if not isinstance(payload, schema):
        payload = validated(schema, payload, f"{what} is invalid", whole="payload")
    return payload, encode(payload, what=what)


def validated(schema: type[Schema], given: Any, refusal: str, *, whole: str) -> Schema:
    """Return what is given in a schema.

    Raises:
        InvalidPayloadError: it does not fit: ``refusal``, then what :func:`misfits` says.
    """
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise InvalidPayloadError(f"{refusal}: {misfits(error, whole=whole)}") from error


def misfits(error: ValidationError, *, whole: str, most: int = 10) -> str:
    """Return where something does not fit its schema and why, never what was given; ``whole`` names the root."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or whole}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False)[:most]
    )


def decode(data: bytes | str) -> Any:
    """Return the value of a JSON text.

    Raises:
        InvalidPayloadError: it is not JSON, with the position of the fault.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidPayloadError(f"not valid JSON: {error}") from error


def _default(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _refuse_nul(data: bytes, what: str) -> None:
    # An escaped backslash before "u0000" is the text \u0000, which is harmless.
    position = data.find(b"\\u0000")
    while position >= 0:
        before = position
        while before > 0 and data[before - 1 : before] == b"\\":
            before -= 1
        if (position - before) % 2 == 0:
            raise InvalidPayloadError(f"{what} holds the character U+0000, which PostgreSQL cannot store; remove it")
        position = data.find(b"\\u0000", position + 1)
