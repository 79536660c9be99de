"""One run in one file: parts of JSON lines in a zip, and a signed manifest with the SHA-256 of each.

The parts are stored, not packed, and nothing in the container varies: it is
built again from what was read and compared byte by byte, so that not even a
date in it can be changed unseen. Packing would depend on the version of a
library; what is stored also looks the same to whoever keeps archives in git.
"""

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson

from bailiwick.audit.canonical import canonical, digest
from bailiwick.audit.checking import BrokenChainError, check_keys, read_key
from bailiwick.audit.ed25519 import PublicKey, SigningKey, from_text, to_text
from bailiwick.audit.lines import key_document
from bailiwick.audit.verifying import Verdict, verify_lines
from bailiwick.kernel.errors import InvalidInputError, NotFoundError

FORMAT = "bailiwick-run/1"
MANIFEST, SIGNATURE, PROOF = "manifest.json", "signature.json", "audit-proof.jsonl"
MAX_ARCHIVE_BYTES = 512 * 1024 * 1024

_MODE = 0o100644 << 16
_UNIX = 3
# The first day that a zip can say.
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_UNREADABLE = (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, OSError, struct.error)
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError)

Document = dict[str, Any]


class TamperedArchiveError(InvalidInputError):
    """An archive is not as it was written; the message names the part."""

    code = "archive.tampered"

    def __init__(self, part: str, fault: str) -> None:
        super().__init__(f"this archive is not as it was exported: {part}: {fault}; ask for a fresh export")
        self.part = part


@dataclass(frozen=True, slots=True)
class Archive:
    """What an archive holds: the manifest, and each part's documents in order.

    ``proof`` are the lines of an audit export, if it came with one, and ``audit``
    what their verification found. ``is_signed`` tells whether a key of some
    installation signed the manifest, ``is_pinned`` whether it was the one asked for.
    """

    manifest: Document
    parts: Mapping[str, Sequence[Document]]
    proof: bytes | None = None
    audit: Verdict | None = None
    is_signed: bool = False
    is_pinned: bool = False
    hidden: Mapping[str, int] = field(default_factory=dict[str, int])

    def part(self, name: str) -> Sequence[Document]:
        """Return the documents of a part; none where the run had nothing of it."""
        return self.parts.get(name, ())

    @property
    def task(self) -> Document:
        """The task itself."""
        return self.part("task")[0]


def write_archive(
    manifest: Mapping[str, Any],
    parts: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    proof: bytes | None = None,
    key: SigningKey | None = None,
    keys: Sequence[PublicKey] = (),
) -> bytes:
    """Return an archive's bytes: the same for the same contents.

    ``manifest`` says everything but what the parts are, which is added here.
    ``keys`` are the installation's line of public keys, ``key`` signs.
    """
    files = {f"{name}.jsonl": _lines(documents) for name, documents in parts.items()}
    if proof is not None:
        files[PROOF] = proof
    described = {
        name: {"sha256": digest(data), "bytes": len(data), "documents": data.count(b"\n")}
        for name, data in files.items()
    }
    whole = {**manifest, "format": FORMAT, "parts": described, "keys": [key_document(one) for one in keys]}
    content = canonical(orjson.loads(orjson.dumps(whole, default=str)))
    signature = None if key is None else {"kid": key.kid, "signature": to_text(key.sign(content))}
    return _container({MANIFEST: content, SIGNATURE: canonical(signature), **files})


def read_archive(path: Path, *, key: bytes | None = None) -> Archive:
    """Read an archive and prove that it is as it was written; needs no database and no network.

    ``key`` is the public key of the installation it should come from, known from elsewhere.

    Raises:
        NotFoundError, InvalidInputError: there is no such file, or it cannot be read.
        TamperedArchiveError: something was changed; the message says which part.
    """
    try:
        if path.stat().st_size > MAX_ARCHIVE_BYTES:
            raise InvalidInputError(
                f"{path} is larger than {MAX_ARCHIVE_BYTES >> 20} MiB, so it is no archive of a run; "
                "give a file that `bailiwick run export` wrote"
            )
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"no file {path}; make one with: bailiwick run export RUN --out {path}") from error
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror or error}") from error
    return parse_archive(data, key=key)


def parse_archive(data: bytes, *, key: bytes | None = None) -> Archive:
    """Read an archive from its bytes; see `read_archive`."""
    files = _files(data)
    content = files.pop(MANIFEST, None)
    signature = files.pop(SIGNATURE, None)
    if content is None or signature is None:
        raise TamperedArchiveError(MANIFEST if content is None else SIGNATURE, "it is missing")
    manifest = _manifest(content)
    is_signed = _check_signature(manifest, content, signature, key)
    _check_parts(manifest, files)
    if _container({MANIFEST: content, SIGNATURE: signature, **files}) != data:
        raise TamperedArchiveError("the container", "it holds bytes beside its parts that were not written with them")
    proof = files.pop(PROOF, None)
    parts = {name.removesuffix(".jsonl"): _documents(name, lines) for name, lines in files.items()}
    if len(parts.get("task", ())) != 1:
        raise TamperedArchiveError("task.jsonl", "it does not hold one task")
    audit = None if proof is None else _check_proof(proof, parts.get("audit", ()), key)
    return Archive(manifest, parts, proof, audit, is_signed, key is not None, manifest.get("hidden", {}))


def _lines(documents: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(canonical(document) + b"\n" for document in documents)


def _documents(name: str, lines: bytes) -> list[Document]:
    try:
        found = [orjson.loads(line) for line in lines.splitlines()]
    except orjson.JSONDecodeError as error:
        raise TamperedArchiveError(name, "it is not JSON lines") from error
    if not all(isinstance(document, dict) for document in found):
        raise TamperedArchiveError(name, "a line is no object")
    return found


def _container(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as container:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, _NO_DATE)
            entry.create_system, entry.external_attr = _UNIX, _MODE
            container.writestr(entry, data)
    return made.getvalue()


def _files(data: bytes) -> dict[str, bytes]:
    try:
        container = zipfile.ZipFile(io.BytesIO(data))
    except _UNREADABLE as error:
        raise TamperedArchiveError("the container", "it is no archive, or it is cut or damaged") from error
    files: dict[str, bytes] = {}
    with container:
        # Parts within parts could be a thousand times their container, too.
        if sum(entry.file_size for entry in container.infolist()) > len(data):
            raise TamperedArchiveError("the container", "its parts overlap")
        for entry in container.infolist():
            # What is packed could be a thousand times its size; we never pack.
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > len(data) or entry.filename in files:
                raise TamperedArchiveError(entry.filename, "it was written by something else")
            try:
                files[entry.filename] = container.read(entry)
            except _UNREADABLE as error:
                raise TamperedArchiveError(entry.filename, "its bytes were changed") from error
    return files


def _manifest(content: bytes) -> Document:
    try:
        manifest = orjson.loads(content)
        is_canonical = isinstance(manifest, dict) and canonical(manifest) == content
    except orjson.JSONDecodeError as error:
        raise TamperedArchiveError(MANIFEST, "it is not JSON") from error
    if not is_canonical or not isinstance(manifest.get("parts"), dict):
        raise TamperedArchiveError(MANIFEST, "it was not written by an export")
    if manifest.get("format") != FORMAT:
        raise InvalidInputError(
            f"this archive's format is {str(manifest.get('format'))[:50]!r}; this version reads {FORMAT}; "
            "open it with the version that wrote it"
        )
    return cast("Document", manifest)


def _check_signature(manifest: Document, content: bytes, signature: bytes, key: bytes | None) -> bool:
    try:
        keys = [read_key(one) for one in manifest["keys"]]
        signed = orjson.loads(signature)
        check_keys(keys, key)
        if signed is None:
            if keys:
                raise TamperedArchiveError(SIGNATURE, "it was taken out")
            return False
        by = next((one for one in keys if one.kid == signed["kid"]), None)
        if (
            by is None
            or set(signed) != {"kid", "signature"}
            or not by.verifies(from_text(signed["signature"]), content)
        ):
            raise TamperedArchiveError(MANIFEST, "its signature does not fit it")
    except BrokenChainError as error:
        raise TamperedArchiveError(MANIFEST, str(error)) from error
    except _MALFORMED as error:
        raise TamperedArchiveError(SIGNATURE, "it is malformed") from error
    return True


def _check_parts(manifest: Document, files: Mapping[str, bytes]) -> None:
    described = cast("dict[str, Any]", manifest["parts"])
    for name in described:
        if name not in files:
            raise TamperedArchiveError(name, "it is missing")
    for name, data in files.items():
        if name not in described:
            raise TamperedArchiveError(name, "it was added")
        if not isinstance(described[name], dict) or described[name].get("sha256") != digest(data):
            raise TamperedArchiveError(name, "its SHA-256 is not the one in the manifest, so it was changed")


def _check_proof(proof: bytes, entries: Sequence[Document], key: bytes | None) -> Verdict:
    lines = proof.splitlines(keepends=True)
    verdict = verify_lines(lines, key=key)
    if verdict.error is not None:
        raise TamperedArchiveError(PROOF, verdict.error)
    hashes = {line["content"]["seq"]: line["hash"] for line in map(orjson.loads, lines) if line.get("type") == "entry"}
    for entry in entries:
        if hashes.get(entry["seq"]) != entry["hash"]:
            raise TamperedArchiveError("audit.jsonl", f"entry {entry['seq']} is not the one that the proof holds")
    return verdict
