"""What agents can do to issues of connected GitHub repositories, each as a tool with a declared contract."""

from typing import Any

from bailiwick.connectors.github.access import GitHubAccess
from bailiwick.connectors.github.comment_tools import Comment, DeleteComment
from bailiwick.connectors.github.label_tools import AddLabels, RemoveLabels
from bailiwick.connectors.github.state_tools import CloseIssue, ReopenIssue
from bailiwick.effects import Tool

__all__ = ["AddLabels", "CloseIssue", "Comment", "DeleteComment", "RemoveLabels", "ReopenIssue", "github_tools"]


def github_tools(access: GitHubAccess) -> list[Tool[Any]]:
    """Return every tool for issues."""
    return [tool(access) for tool in (Comment, DeleteComment, AddLabels, RemoveLabels, CloseIssue, ReopenIssue)]
