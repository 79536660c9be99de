"""The scanner: looks for values in every column of every table and in the files we write, as the administrator.

It trusts no declaration: it walks the catalogue. Values are found as they are,
in small and capital letters, as JSON escapes them, as base64 at any offset, as
hexadecimal digits, and inside gzip, zlib and zip data. It cannot see into what
is encrypted, nor into PostgreSQL's own files: rows that were deleted or changed
and not yet vacuumed, its log of changes, and copies made before.
"""

import asyncio
import base64
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from bailiwick.kernel.errors import DatabaseUnavailableError, InvalidInputError
from bailiwick.privacy.residue import RESIDUE
from bailiwick.storage.connections import unavailable

MAX_VALUES = 100
_SHORTEST = 4
_CHUNK_BYTES = 1 << 20
# The server's own files, and copies of programs.
_NOT_OURS = frozenset({"postgres", "engine"})
_MAGIC = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"PK")

_COLUMNS = """
select c.relname, a.attname, t.typname = 'bytea' as is_bytes
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'm')
  and (t.typcategory in ('S', 'A', 'E', 'I', 'U') or t.typname in ('json', 'jsonb', 'bytea', 'uuid', 'xml'))
order by c.relname, a.attnum"""


@dataclass(frozen=True, slots=True)
class Hit:
    """A place where a value was found: a table's column with the number of rows, or a file."""

    place: str
    value: str
    rows: int


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What was searched and what was found; ``not_searched`` says where nobody can look."""

    hits: tuple[Hit, ...]
    columns: int
    files: int
    not_searched: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Needle:
    value: str
    # As patterns for LIKE, whatever the case; as exact text; as bytes.
    likes: tuple[str, ...]
    exact: tuple[str, ...]
    data: tuple[bytes, ...]

    @classmethod
    def of(cls, value: str) -> "_Needle":
        cases = dict.fromkeys((value, value.lower(), value.upper()))
        plain = [form for case in cases for form in dict.fromkeys((case, json.dumps(case)[1:-1], _raw_json(case)))]
        coded = [form for case in cases for form in _coded(case.encode())]
        likes = tuple(f"%{_escaped(form.lower())}%" for form in plain)
        hexed = [case.encode().hex() for case in cases]
        data = tuple(dict.fromkeys(form.encode() for form in (*plain, *coded, *hexed)))
        return cls(value, likes, (*coded, *hexed, *plain), data)


class Scanner:
    """Searches a database, and a folder if one is given."""

    def __init__(self, admin_url: str, folder: Path | None = None) -> None:
        self._admin_url = admin_url
        self._folder = folder

    async def scan(self, values: Sequence[str]) -> ScanReport:
        """Search for values of at least four characters.

        Raises:
            InvalidInputError: no values, too many, or one too short to mean anything.
            DatabaseUnavailableError: nobody answers, or this login may not read everything.
        """
        if not 1 <= len(values) <= MAX_VALUES or any(len(value) < _SHORTEST for value in values):
            raise InvalidInputError(f"give 1 to {MAX_VALUES} values of at least {_SHORTEST} characters each")
        needles = [_Needle.of(value) for value in values]
        try:
            async with await psycopg.AsyncConnection.connect(
                self._admin_url, autocommit=True, application_name="bailiwick scan", connect_timeout=10
            ) as connection:
                await _check_rights(connection)
                hits, columns = await _scan_tables(connection, needles)
        except psycopg.OperationalError as error:
            raise unavailable(error) from error
        found, files = await asyncio.to_thread(_scan_files, self._folder, needles)
        return ScanReport((*hits, *found), columns, files, {**RESIDUE, "sealed": "what is encrypted shows no value"})


async def _check_rights(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
    cursor = await connection.execute("select rolsuper or rolbypassrls from pg_roles where rolname = current_user")
    row = await cursor.fetchone()
    if row is None or not row[0]:
        raise DatabaseUnavailableError(
            "this login is held to row-level security, so it would miss rows; "
            "set BAILIWICK_DATABASE_ADMIN_URL to a superuser's login, or one with BYPASSRLS, and scan again"
        )


async def _scan_tables(
    connection: psycopg.AsyncConnection[tuple[object, ...]], needles: Sequence[_Needle]
) -> tuple[list[Hit], int]:
    cursor = await connection.execute(_COLUMNS)
    columns = [(str(table), str(column), bool(is_bytes)) for table, column, is_bytes in await cursor.fetchall()]
    hits: list[Hit] = []
    for table, column, is_bytes in columns:
        packed = await _unpacked_columns(connection, table, column) if is_bytes else []
        for needle in needles:
            rows = await _count(connection, table, column, needle, is_bytes=is_bytes)
            rows += sum(any(form in data for form in needle.data) for data in packed)
            if rows:
                hits.append(Hit(f"{table}.{column}", needle.value, rows))
    return hits, len(columns)


async def _count(
    connection: psycopg.AsyncConnection[tuple[object, ...]], table: str, column: str, needle: _Needle, *, is_bytes: bool
) -> int:
    if is_bytes:
        condition = sql.SQL("exists (select from unnest(%(data)s::bytea[]) as f where position(f in {}) > 0)")
    else:
        condition = sql.SQL(
            "(lower({0}::text) like any(%(likes)s) "
            "or exists (select from unnest(%(exact)s::text[]) as f where position(f in {0}::text) > 0))"
        )
    cursor = await connection.execute(
        sql.SQL("select count(*) from {} where {}").format(
            sql.Identifier(table), condition.format(sql.Identifier(column))
        ),
        {"data": list(needle.data), "likes": list(needle.likes), "exact": list(needle.exact)},
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(str(row[0]))


async def _unpacked_columns(
    connection: psycopg.AsyncConnection[tuple[object, ...]], table: str, column: str
) -> list[bytes]:
    cursor = await connection.execute(
        sql.SQL("select {0} from {1} where substring({0} from 1 for 2) = any(%s)").format(
            sql.Identifier(column), sql.Identifier(table)
        ),
        (list(_MAGIC),),
    )
    return [part async for (data,) in cursor if isinstance(data, bytes) for part in _unpacked(data)]


def _scan_files(folder: Path | None, needles: Sequence[_Needle]) -> tuple[list[Hit], int]:
    if folder is None:
        return [], 0
    hits: list[Hit] = []
    files = 0
    for file in sorted(folder.rglob("*")):
        if file.relative_to(folder).parts[0] in _NOT_OURS or not file.is_file():
            continue
        files += 1
        found = {needle.value for chunk in _chunks(file) for needle in needles if _is_in(needle, chunk)}
        hits += [Hit(str(file), value, 1) for value in sorted(found)]
    return hits, files


def _is_in(needle: _Needle, data: bytes) -> bool:
    return any(form in data for form in needle.data)


def _chunks(file: Path) -> Iterator[bytes]:
    """Yield a file in pieces that overlap, and what is packed in it."""
    with file.open("rb") as stream:
        if stream.read(2) in _MAGIC:
            yield from _unpacked(file.read_bytes())
        stream.seek(0)
        tail = b""
        while piece := stream.read(_CHUNK_BYTES):
            yield tail + piece
            tail = piece[-4096:]


def _unpacked(data: bytes) -> Iterator[bytes]:
    try:
        if data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield from (archive.read(name) for name in archive.namelist())
        elif data.startswith(b"\x1f\x8b"):
            yield gzip.decompress(data)
        else:
            yield zlib.decompress(data)
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, RuntimeError):
        # It only begins like packed data; as bytes it is searched anyway.
        return


def _raw_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _coded(data: bytes) -> list[str]:
    """Return the base64 of ``data`` at each of the three offsets it may stand at, less what its neighbours decide."""
    forms: list[str] = []
    for offset in range(3):
        whole = base64.b64encode(bytes(offset) + data)
        # What shares a letter with a neighbour is left out: bits before, and bits and padding behind.
        behind = (0, 3, 2)[(offset + len(data)) % 3]
        form = whole[(0, 2, 3)[offset] : len(whole) - behind].decode()
        forms += [form, form.replace("+", "-").replace("/", "_")]
    return list(dict.fromkeys(forms))


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "%_\\" else letter for letter in text)
