"""A forge for the demo that stands in for GitHub: issues, comments and labels of one repository, in GitHub's shapes.

Paths, documents and status codes are those of GitHub's REST API (issues,
issue comments, labels and events of issues); who speaks to it is the ordinary connector.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

Issue = dict[str, Any]
Comment = dict[str, Any]
Event = dict[str, Any]

_NOT_FOUND = {"message": "Not Found", "documentation_url": "https://docs.github.com/rest"}
_ISSUE_SEGMENTS = 5
FIRST_COMMENT = 9000


@dataclass(frozen=True, slots=True)
class Reply:
    """What the forge answers to one request."""

    status: int
    document: Any = None


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Forge:
    """One repository. It keeps state and knows nothing of HTTP; ``respond`` answers one request."""

    repository: str
    url: str = ""
    issues: dict[int, Issue] = field(default_factory=dict[int, Issue])
    comments: dict[int, list[Comment]] = field(default_factory=dict[int, list[Comment]])
    # Who did what to each issue, oldest first.
    events: dict[int, list[Event]] = field(default_factory=dict[int, list[Event]])
    author: str = "bailiwick[bot]"
    clock: Callable[[], datetime] = _now

    def put_issue(self, number: int, *, created_at: str, updated_at: str | None = None, **changes: Any) -> Issue:
        """Put an issue into the repository, as GitHub would show it."""
        document = {
            "id": 1000 + number,
            "node_id": f"I_{number}",
            "number": number,
            "url": f"{self.url}/repos/{self.repository}/issues/{number}",
            "repository_url": f"{self.url}/repos/{self.repository}",
            "html_url": f"https://github.com/{self.repository}/issues/{number}",
            "title": "",
            "body": None,
            "user": {"login": "maria", "id": 5, "type": "User"},
            "labels": [],
            "state": "open",
            "state_reason": None,
            "locked": False,
            "assignees": [],
            "comments": 0,
            "created_at": created_at,
            "updated_at": updated_at or created_at,
            "closed_at": None,
            "author_association": "NONE",
        }
        self.issues[number] = document | changes
        return self.issues[number]

    def respond(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> Reply:
        """Answer a request that writes, or reads one thing; a path it does not have is 404."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if (method, parts) == ("GET", ["user"]):
            return self._whoami()
        if parts[:4] != ["repos", *self.repository.split("/"), "issues"] or len(parts) < _ISSUE_SEGMENTS:
            return Reply(404, _NOT_FOUND)
        if parts[4] == "comments":
            return self._one_comment(method, parts[5:])
        if not parts[4].isdecimal() or int(parts[4]) not in self.issues:
            return Reply(404, _NOT_FOUND)
        return self._one_issue(method, int(parts[4]), parts[5:], document or {})

    def by_hand(self, login: str, method: str, path: str, document: Mapping[str, Any] | None = None) -> Reply:
        """Answer a request that somebody else makes: in a browser, or with a program of theirs."""
        own, self.author = self.author, login
        try:
            return self.respond(method, path, document)
        finally:
            self.author = own

    @property
    def _is_app(self) -> bool:
        return self.author.endswith("[bot]")

    def _whoami(self) -> Reply:
        # An app's token is nobody's account.
        if self._is_app:
            return Reply(403, {"message": "Resource not accessible by integration"})
        return Reply(200, {"login": self.author, "type": "User"})

    def _note(self, number: int, event: str, **what: Any) -> None:
        """Log what was done, as GitHub does."""
        app = {"slug": self.author.removesuffix("[bot]")} if self._is_app else None
        self.events.setdefault(number, []).append(
            {
                "id": sum(map(len, self.events.values())) + 1,
                "actor": {"login": self.author, "type": "Bot" if self._is_app else "User"},
                "event": event,
                "commit_id": None,
                "created_at": self._moment(),
                "performed_via_github_app": app,
                **what,
            }
        )

    def _one_issue(self, method: str, number: int, rest: list[str], document: Mapping[str, Any]) -> Reply:
        reply = Reply(404, _NOT_FOUND)
        match method, rest:
            case "GET", []:
                reply = Reply(200, self.issues[number])
            case "PATCH", []:
                reply = self._change(number, document)
            case "GET", ["comments"]:
                reply = Reply(200, self.comments.get(number, []))
            case "GET", ["events"]:
                reply = Reply(200, self.events.get(number, []))
            case "POST", ["assignees"]:
                reply = self._assign(number, [str(name) for name in document["assignees"]])
            case "POST", ["comments"]:
                reply = self._comment(number, str(document["body"]))
            case "POST", ["labels"]:
                reply = self._label(number, [str(name) for name in document["labels"]])
            case "DELETE", ["labels", name]:
                reply = self._unlabel(number, name)
            case _:
                pass
        return reply

    def _change(self, number: int, document: Mapping[str, Any]) -> Reply:
        issue = self.issues[number]
        state = document.get("state", issue["state"])
        if state != issue["state"]:
            closed_at = self._moment() if state == "closed" else None
            issue |= {"state": state, "state_reason": document.get("state_reason"), "closed_at": closed_at}
            event = "closed" if state == "closed" else "reopened"
            self._note(number, event, state_reason=document.get("state_reason") if state == "closed" else None)
            self._touch(number)
        return Reply(200, issue)

    def _assign(self, number: int, logins: list[str]) -> Reply:
        issue = self.issues[number]
        for login in logins:
            issue["assignees"].append({"login": login})
            self._note(number, "assigned", assignee={"login": login})
        self._touch(number)
        return Reply(201, issue)

    def _comment(self, number: int, body: str) -> Reply:
        known = [int(comment["id"]) for comments in self.comments.values() for comment in comments]
        comment_id, moment = max(known, default=FIRST_COMMENT - 1) + 1, self._moment()
        comment: Comment = {
            "id": comment_id,
            "url": f"{self.url}/repos/{self.repository}/issues/comments/{comment_id}",
            "html_url": f"https://github.com/{self.repository}/issues/{number}#issuecomment-{comment_id}",
            "issue_url": f"{self.url}/repos/{self.repository}/issues/{number}",
            "body": body,
            "user": {"login": self.author},
            "created_at": moment,
            "updated_at": moment,
        }
        self.comments.setdefault(number, []).append(comment)
        self._recount(number)
        return Reply(201, comment)

    def _one_comment(self, method: str, rest: list[str]) -> Reply:
        found = next(
            ((n, one) for n, all_of in self.comments.items() for one in all_of if [str(one["id"])] == rest), None
        )
        if found is None or method not in ("GET", "DELETE"):
            return Reply(404, _NOT_FOUND)
        number, comment = found
        if method == "GET":
            return Reply(200, comment)
        self.comments[number].remove(comment)
        self._recount(number)
        return Reply(204)

    def _label(self, number: int, names: list[str]) -> Reply:
        labels: list[dict[str, Any]] = self.issues[number]["labels"]
        # GitHub tells labels apart without regard to case.
        there = {str(label["name"]).casefold() for label in labels}
        added = [name for name in dict.fromkeys(names) if name.casefold() not in there]
        labels += [{"id": len(labels) + place, "name": name} for place, name in enumerate(added)]
        for name in added:
            self._note(number, "labeled", label={"name": name})
        if added:
            self._touch(number)
        return Reply(200, labels)

    def _unlabel(self, number: int, name: str) -> Reply:
        labels: list[dict[str, Any]] = self.issues[number]["labels"]
        found = next((label for label in labels if str(label["name"]).casefold() == name.casefold()), None)
        if found is None:
            return Reply(404, {"message": "Label does not exist"})
        labels.remove(found)
        self._note(number, "unlabeled", label={"name": str(found["name"])})
        self._touch(number)
        return Reply(200, labels)

    def _recount(self, number: int) -> None:
        self.issues[number]["comments"] = len(self.comments[number])
        self._touch(number)

    def _touch(self, number: int) -> None:
        self.issues[number]["updated_at"] = self._moment()

    def _moment(self) -> str:
        return self.clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    def to_json(self) -> str:
        """Return what stands in the repository, to be kept between two demos."""
        return json.dumps({"issues": list(self.issues.values()), "comments": self.comments, "events": self.events})

    def restore(self, text: str) -> None:
        """Put back what `to_json` returned."""
        kept = json.loads(text)
        self.issues = {issue["number"]: issue for issue in kept["issues"]}
        self.comments = {int(number): comments for number, comments in kept["comments"].items()}
        self.events = {int(number): events for number, events in kept["events"].items()}
