"""The settings of an installation, from the environment."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from bailiwick.audit.alarms import AlarmRule, RuleName


class Settings(BaseSettings):
    """Everything that can be set, each as ``BAILIWICK_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="BAILIWICK_", extra="ignore")

    database_url: SecretStr | None = Field(
        default=None, description="An external PostgreSQL, 15 or newer; without it the embedded server is used."
    )
    database_admin_url: SecretStr | None = Field(
        default=None,
        description="The login that may make roles and migrate an external PostgreSQL; without it that of the "
        "database URL does both.",
    )
    data_dir: Path | None = Field(default=None, description="Where the embedded server keeps its data.")
    master_key: SecretStr | None = Field(
        default=None,
        description="The key that wraps all other keys, 32 random bytes as base64; without it and the two below "
        "the embedded server's data folder has a file master.key.",
    )
    master_key_file: Path | None = Field(default=None, description="The file that holds the master key instead.")
    master_key_command: str | None = Field(
        default=None,
        description="The program that wraps and unwraps keys instead: called with id, wrap or unwrap; speaks base64.",
    )
    host: str = Field(default="127.0.0.1", description="The address the API listens on.")
    trusted_proxies: str = Field(
        default="",
        description="Addresses and networks of the reverse proxies in front, separated by commas; only what they say "
        "in X-Forwarded-For and X-Forwarded-Proto is believed.",
    )
    rate_limits: bool = Field(default=True, description="Whether the API limits how often it is asked.")
    address_rate_per_minute: int = Field(
        default=60, ge=1, le=1_000_000,
        description="Requests without good credentials that one address may send per minute.",
    )  # fmt: skip
    login_rate_per_minute: int = Field(
        default=10, ge=1, le=1_000_000, description="Attempts to log in per minute, of one address and for one account."
    )
    port: int = Field(default=8700, ge=0, le=65535, description="The API's port; 0 takes a free one.")
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s?#]+/?$",
        description="The address under which people reach the platform; default http://HOST:PORT. Links, passkeys and "
        "logins at identity providers are made for it.",
    )
    worker_concurrency: int = Field(default=100, ge=1, le=5000, description="Tasks one worker executes at once.")
    worker_lease_seconds: float = Field(
        default=10.0, ge=1, le=600, description="How long after its last sign of life a worker counts as dead."
    )
    drain_seconds: float = Field(default=20.0, ge=0, le=3600, description="How long a stopping worker waits for runs.")
    warm_start: bool = Field(
        default=True,
        description="Whether a worker loads the agents' libraries when it is ready, not at the first work.",
    )
    health_seconds: float = Field(default=60.0, ge=1, le=86400, description="How often the platform checks itself.")
    retention_months: int = Field(default=12, ge=1, le=240, description="How many months of events and tasks stay.")
    backup_dir: Path | None = Field(
        default=None,
        description="Where backups go; setting it switches on the daily backup, its weekly drill and, for the "
        "embedded server, the archive of its write-ahead log.",
    )
    backup_keep_daily: int = Field(default=7, ge=0, le=1000, description="How many days keep their newest backup.")
    backup_keep_weekly: int = Field(default=4, ge=0, le=1000, description="How many weeks keep their newest backup.")
    backup_keep_monthly: int = Field(default=6, ge=0, le=1000, description="How many months keep their newest backup.")
    outbound_allowed: str = Field(
        default="",
        description="Hosts and networks of your own that may be called over HTTP, separated by commas: "
        "github.corp.example, 10.20.0.0/16, idp.corp.example:8443.",
    )
    open_registration: bool = Field(
        default=False,
        description="Whether anybody may make an account; it belongs to no organization until it is invited.",
    )
    password_memory_mib: int = Field(
        default=64, ge=12, le=4096, description="The memory that checking one password takes (argon2id), in MiB."
    )
    breached_passwords_file: Path | None = Field(
        default=None, description="Pwned Passwords as a sorted file of SHA1:COUNT; passwords in it are refused."
    )
    tls_certificate: Path | None = Field(
        default=None, description="The API's certificate chain as a PEM file; with it and its key HTTPS only is spoken."
    )
    tls_key: Path | None = Field(default=None, description="The private key of the certificate, a PEM file.")
    alarm_login_failures: int = Field(
        default=5, ge=1, le=1_000_000, description="Failed logins of an account or address that raise an alarm."
    )
    alarm_login_minutes: float = Field(default=15.0, ge=1, le=1440, description="Within how many minutes.")
    alarm_reads: int = Field(
        default=100, ge=1, le=1_000_000_000, description="Records that one caller reads before an alarm is raised."
    )
    alarm_read_minutes: float = Field(default=60.0, ge=1, le=1440, description="Within how many minutes.")
    log_level: str = Field(default="info", pattern="(?i)^(debug|info|warning|error)$", description="What is logged.")

    @property
    def alarm_rules(self) -> dict[RuleName, AlarmRule]:
        """The alarm rules of the installation, which an organization may replace by its own."""
        return {
            "login_failures": AlarmRule(self.alarm_login_failures, self.alarm_login_minutes * 60),
            "mass_reads": AlarmRule(self.alarm_reads, self.alarm_read_minutes * 60),
        }

    def address(self, port: int | None = None) -> str:
        """Return the address under which people reach the platform, without a slash at its end.

        ``port`` is the one that is listened on, where the settings leave it open.
        """
        if self.public_url is not None:
            return self.public_url.rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{port or self.port}"
