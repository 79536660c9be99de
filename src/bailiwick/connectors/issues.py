"""The issue as every connector hands it over, whatever system it came from."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bailiwick.kernel.clock import Moment

# Where text of issues comes from, for whoever reads it from where it is kept.
ISSUES = "issues"

Name = Annotated[str, Field(max_length=255)]


class IssueComment(BaseModel):
    """One comment on an issue; ``body`` is untrusted text."""

    model_config = ConfigDict(frozen=True)

    author: Name | None = None
    body: str = ""
    created_at: Moment | None = None


class IssueRecord(BaseModel):
    """A source-neutral issue: payload of ``issue.opened``, ``issue.closed`` and ``issue.imported``.

    ``title``, ``body`` and ``comments`` are untrusted text from outside.
    ``attributes`` keeps source columns that have no field of their own.
    """

    model_config = ConfigDict(frozen=True)

    source: Name
    repository: Name
    number: int = Field(ge=0)
    external_id: Name | None = None
    url: str | None = Field(default=None, max_length=2000)
    title: str = Field(min_length=1, max_length=1000)
    body: str = ""
    labels: tuple[Name, ...] = ()
    state: Literal["open", "closed"] = "open"
    state_reason: Name | None = None
    author: Name | None = None
    assignees: tuple[Name, ...] = ()
    comments_count: int = Field(default=0, ge=0)
    comments: tuple[IssueComment, ...] = ()
    created_at: Moment
    updated_at: Moment | None = None
    closed_at: Moment | None = None
    is_pull_request: bool = False
    attributes: dict[str, str] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        """The correlation key of this issue: ``owner/name#number``."""
        return f"{self.repository}#{self.number}"

    @property
    def resolution_seconds(self) -> float | None:
        """Seconds from creation to closing, or None while it is open."""
        closed: datetime | None = self.closed_at
        return None if closed is None else (closed - self.created_at).total_seconds()
