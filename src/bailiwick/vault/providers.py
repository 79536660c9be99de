"""Master keys: what wraps data keys. A key in our memory, or a command in front of a key service."""

import base64
import binascii
import hashlib
import hmac
import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Protocol

from bailiwick.vault.errors import MasterKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_BYTES = 32
_NONCE_BYTES = 12
HOW_TO_MAKE_ONE = "make one with: openssl rand -base64 32"
_CONTEXT = b"bailiwick data key 1"
_COMMAND_SECONDS = 30.0


class KeyProvider(Protocol):
    """A master key, wherever it lives. Methods may block and are called in a thread.

    Whatever keeps keys can take part by these three; what is wrapped is 48
    bytes long, the id of a data key and the key.
    """

    @property
    def id(self) -> str:
        """What tells this master key from every other, without telling anything about it; at most 200 characters."""
        ...

    def wrap(self, data_key: bytes) -> bytes:
        """Return a data key encrypted and authenticated; what comes back opens only with this master key."""
        ...

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the data key.

        Raises:
            MasterKeyError: it was wrapped by another master key, was changed, or the key service does not answer.
        """
        ...


class LocalKey:
    """A 256-bit master key in this process' memory."""

    def __init__(self, key: bytes) -> None:
        """Take 32 random bytes.

        Raises:
            MasterKeyError: they are not 32.
        """
        if len(key) != _KEY_BYTES:
            raise MasterKeyError(f"a master key is {_KEY_BYTES} bytes, this one is {len(key)}; {HOW_TO_MAKE_ONE}")
        self._key = key
        # One way, and of 256 random bits: nobody gets from here to the key.
        self._id = "local:" + hmac.new(key, b"bailiwick master key id", hashlib.sha256).hexdigest()[:16]

    @classmethod
    def from_text(cls, text: str, *, where: str) -> "LocalKey":
        """Read a master key written as base64; ``where`` names its place in errors.

        Raises:
            MasterKeyError: it is not the base64 of 32 bytes.
        """
        try:
            key = base64.b64decode(text.strip().encode(), altchars=b"-_" if "-" in text or "_" in text else None,
                                   validate=True)  # fmt: skip
        except (binascii.Error, ValueError) as error:
            raise MasterKeyError(f"the master key in {where} is not base64; {HOW_TO_MAKE_ONE}") from error
        if len(key) != _KEY_BYTES:
            raise MasterKeyError(
                f"the master key in {where} is {len(key)} bytes long, not {_KEY_BYTES}; {HOW_TO_MAKE_ONE}"
            )
        return cls(key)

    @property
    def id(self) -> str:
        """A digest of the key."""
        return self._id

    def wrap(self, data_key: bytes) -> bytes:
        """Return a data key under AES-256-GCM."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher().encrypt(nonce, data_key, _CONTEXT)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the data key, or raise MasterKeyError."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as below

        try:
            return self._cipher().decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _CONTEXT)
        except (InvalidTag, ValueError) as error:
            raise MasterKeyError(
                f"a data key does not open with master key {self._id}, though it names it; it was changed in the "
                "database: restore table data_keys from a backup"
            ) from error

    def _cipher(self) -> "AESGCM":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - start does not wait for it

        return AESGCM(self._key)


class CommandKey:
    """A master key behind a command, as the hook for a key service (KMS) or a hardware module.

    ``COMMAND id`` prints what names the key, ``COMMAND wrap`` and ``COMMAND
    unwrap`` read base64 from standard input and print base64. No shell is in
    between, and the command sees none of our own settings, which hold secrets.
    It has 30 s.
    """

    def __init__(self, command: str) -> None:
        """Take a program and its fixed arguments as one would type them."""
        self._command = shlex.split(command)
        self._id: str | None = None
        if not self._command:
            raise MasterKeyError("BAILIWICK_MASTER_KEY_COMMAND is empty; name a program, or unset it")

    @property
    def id(self) -> str:
        """What the command calls its key; asked once."""
        if self._id is None:
            self._id = self._named()
        return self._id

    def _named(self) -> str:
        name = self._run("id", "").strip()
        if not 0 < len(name) <= 192 or not name.isprintable():
            raise MasterKeyError(f"{self._command[0]} id printed no usable name of a key: one line, at most 192 signs")
        return f"command:{name}"

    def wrap(self, data_key: bytes) -> bytes:
        """Return a data key as the command wraps it."""
        return self._exchange("wrap", data_key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return a data key as the command unwraps it."""
        return self._exchange("unwrap", wrapped)

    def _exchange(self, verb: str, data: bytes) -> bytes:
        answer = self._run(verb, base64.b64encode(data).decode())
        try:
            return base64.b64decode("".join(answer.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise MasterKeyError(f"{self._command[0]} {verb} printed something that is not base64") from error

    def _run(self, verb: str, text: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BAILIWICK_")}
        try:
            done = subprocess.run(  # noqa: S603 - the administrator's own program, without a shell
                [*self._command, verb],
                input=text, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False, env=environment,
            )  # fmt: skip
        except (OSError, UnicodeDecodeError, subprocess.TimeoutExpired) as error:
            raise MasterKeyError(
                f"the key command {self._command[0]} {verb} did not answer: {type(error).__name__}"
            ) from error
        if done.returncode != 0:
            # Its output may hold a key, so none of it is repeated.
            raise MasterKeyError(
                f"the key command {self._command[0]} {verb} failed with exit code {done.returncode}; "
                "run it by hand to see why"
            )
        return done.stdout
