"""What is kept about a connected repository: where its secrets are, and what is asked of it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bailiwick.connectors.errors import SecretMissingError
from bailiwick.connectors.github.coordinator import POLL_INTERVAL_SECONDS
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.telemetry.redacting import hide

KIND = "github"


class GitHubConnection(BaseModel):
    """The ``configuration`` of a connection of kind ``github``.

    It says where secrets are: ``sealed`` names those kept in the vault (``token``,
    ``webhook_secret``), ``token_variable`` and ``secret_variable`` are environment
    variables of the processes that do the work, a ``..._file`` is read instead
    where it is given. Without any token none is sent, which is enough for a
    public repository.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sealed: tuple[Literal["token", "webhook_secret"], ...] = ()
    token_variable: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    token_file: Path | None = None
    secret_variable: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    secret_file: Path | None = None
    base_url: str | None = Field(default=None, pattern=r"^https?://")
    interval_seconds: int = Field(default=POLL_INTERVAL_SECONDS, ge=10, le=86_400)
    include_history: bool = False
    include_pull_requests: bool = False

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> Self:
        """Read a stored configuration.

        Raises:
            InvalidInputError: it does not fit; the message says where.
        """
        try:
            return cls.model_validate(configuration)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            raise InvalidInputError(
                f"the connection's configuration cannot be used: {'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            ) from error

    def token(self, credentials: Mapping[str, str]) -> str | None:
        """Return the token, or None where none is configured; ``credentials`` are those from the vault.

        Raises:
            SecretMissingError: it is not where the configuration says.
        """
        return credentials.get("token") or _secret("token", self.token_variable, self.token_file)

    def secret(self, credentials: Mapping[str, str]) -> str | None:
        """Return the secret that signs webhooks; otherwise as `token`."""
        return credentials.get("webhook_secret") or _secret("webhook secret", self.secret_variable, self.secret_file)


def _secret(what: str, variable: str | None, file: Path | None) -> str | None:
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SecretMissingError(
                f"the {what} cannot be read from {file}: {type(error).__name__}; mend the file, nothing was asked"
            ) from error
        where = str(file)
    elif variable is not None:
        text = os.environ.get(variable, "").strip()
        where = f"the environment variable {variable}"
    else:
        return None
    if not text:
        raise SecretMissingError(f"the {what} is missing: {where} is empty; set it and start this worker again")
    for line in text.splitlines():
        hide(line)
    return text
