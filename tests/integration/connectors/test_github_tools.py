"""Every tool for issues keeps the contract of tools, against a local server that speaks GitHub's REST format."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, SecretStr

from bailiwick.connectors.connections import Connections
from bailiwick.connectors.errors import ConnectorRefusedError
from bailiwick.connectors.github.access import GitHubAccess
from bailiwick.connectors.github.label_names import GIVEN_LABELS
from bailiwick.connectors.github.tools import github_tools
from bailiwick.effects import Call, ToolRegistry
from bailiwick.effects.slots import free_text
from bailiwick.identity import Organizations
from bailiwick.installation import Settings
from bailiwick.installation.master_key import master_key_source
from bailiwick.outbound import AllowList
from bailiwick.storage import Database
from bailiwick.storage.waking import Wakeups
from bailiwick.tasks.limits import Limits
from bailiwick.vault import Vault
from tests.support.github_double import TOKEN, Answer, GitHubDouble, running_github_double
from tests.support.tool_conformance import ToolBench, ToolConformance
from tests.support.vaults import MASTER_KEY

SHOP = "acme/shop"
NUMBER = 7
OLD_COMMENT = 9000
LOOPBACK = AllowList.parse("127.0.0.1:*")


@pytest.fixture
def github() -> Iterator[GitHubDouble]:
    with running_github_double() as double:
        double.now = datetime.now(UTC)
        double.issue(NUMBER, created_at="2026-01-01T00:00:00Z")
        double.issue(NUMBER + 1, created_at="2026-01-01T00:00:00Z")
        yield double


@dataclass
class Shop:
    """A connected repository and the tools for it."""

    organization_id: str
    github: GitHubDouble
    connections: Connections
    tools: ToolRegistry

    def bench(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        take_away: Callable[[Any], object],
        **outside: Callable[[], object],
    ) -> ToolBench:
        """A bench for one tool; what is not given is as most of them need it."""
        chosen = self.tools.get(tool)
        return ToolBench(
            organization_id=self.organization_id,
            tool=chosen,
            tools=self.tools,
            arguments=chosen.arguments.model_validate({"repository": SHOP, "number": NUMBER, **arguments}),
            take_away=take_away,
            lose_answer=lambda: setattr(self.github, "lost_answers", 1),
            refuse=lambda: self.github.planned.append(Answer(403, {"message": "Resource not accessible"})),
            break_down=lambda: self.github.planned.append(Answer(502)),
            disconnect=lambda: self.connections.remove(self.organization_id, SHOP),
            missing="bailiwick connect github acme/shop",
            secrets=(TOKEN,),
            bad_arguments=({"repository": "shop"}, {"repository": "a/b c"}, {"number": 0}),
            written=outside.get("written", self.written),
            disturb=outside.get("disturb", self.disturb),
            unrelated=outside.get("unrelated", self.triage),
        )

    @property
    def issue(self) -> dict[str, Any]:
        """The issue at GitHub."""
        return self.github.issues[NUMBER]

    def disturb(self) -> None:
        """Close the issue, or open it."""
        self.issue["state"] = "open" if self.issue["state"] == "closed" else "closed"

    def triage(self) -> None:
        """Give the issue to somebody, which no tool cares about."""
        self.issue.update(updated_at="2026-02-02T00:00:00Z", assignees=[{"login": "ali"}])

    def written(self) -> object:
        """Everything a tool may write."""
        labels = [label["name"] for label in self.issue["labels"]]
        said = [comment["body"] for comment in self.github.comments.get(NUMBER, [])]
        return self.issue["state"], labels, said

    def write(self, path: str, document: dict[str, Any] | None = None, method: str = "POST") -> None:
        """Let somebody else write."""
        assert self.github.respond(method, f"/repos/{SHOP}/issues/{path}", document).status < 300


@pytest.fixture
async def shop(database: Database, database_url: str, github: GitHubDouble) -> Shop:
    settings = Settings(master_key=SecretStr(MASTER_KEY))
    organization = await Organizations(database).create("Acme")
    connections = Connections(database, Vault(database, master_key_source(settings)))
    await connections.add(organization.id, "github", SHOP, {"base_url": github.url}, credentials={"token": TOKEN})
    access = GitHubAccess(connections, Limits(database, Wakeups(database_url)), allow=LOOPBACK)
    tools = ToolRegistry()
    for tool in github_tools(access):
        tools.register(tool)
    return Shop(organization.id, github, connections, tools)


class TestComment(ToolConformance):
    @pytest.fixture
    def bench(self, shop: Shop) -> ToolBench:
        return shop.bench(
            "github.comment", {"body": "Thank you.\n\n* one\n* two  "},
            take_away=lambda result: shop.write(f"comments/{result['comment_id']}", method="DELETE"),
        )  # fmt: skip

    @pytest.mark.parametrize("body", ["", " \n ", "x" * 65_001])
    def test_what_github_would_refuse_fits_no_schema(self, bench: ToolBench, body: str) -> None:
        with pytest.raises(ValueError, match="body"):
            bench.tool.arguments.model_validate({"repository": SHOP, "number": 1, "body": body})

    async def test_a_reply_or_a_new_text_moves_what_is_seen_and_a_label_does_not(
        self, bench: ToolBench, shop: Shop
    ) -> None:
        first = await bench.seen()
        shop.write(f"{NUMBER}/labels", {"labels": ["later"]})
        assert await bench.seen() == first
        shop.write(f"{NUMBER}/comments", {"body": "Any news?"})
        replied = await bench.seen()
        assert replied != first
        shop.issue["body"] = "It is solved."
        assert await bench.seen() != replied

    async def test_a_comment_whose_text_was_changed_does_not_stand(self, bench: ToolBench, shop: Shop) -> None:
        result = await bench.applied()
        shop.github.comments[NUMBER][0]["body"] += "\n\nand more"
        verdict = await bench.tool.verify(bench.call(), result)
        assert (verdict.outcome, verdict.evidence["problem"]) == ("refuted", "the comment's text was changed")

    async def test_the_key_does_not_stand_in_the_comment(self, bench: ToolBench, shop: Shop) -> None:
        await bench.applied()
        assert bench.call().key not in shop.github.comments[NUMBER][0]["body"]

    def test_text_from_outside_is_free(self, bench: ToolBench) -> None:
        assert free_text(bench.tool, bench.arguments, ["untrusted:github"]) == ("body",)


class TestDeleteComment(ToolConformance):
    @pytest.fixture
    def bench(self, shop: Shop) -> ToolBench:
        shop.write(f"{NUMBER}/comments", {"body": "spam"})
        return shop.bench(
            "github.delete_comment", {"comment_id": OLD_COMMENT},
            disturb=lambda: shop.github.comments[NUMBER][0].update(body="no spam"),
            take_away=lambda _: shop.github.comments[NUMBER].append({"id": OLD_COMMENT, "body": "spam"}),
        )  # fmt: skip


class TestAddLabels(ToolConformance):
    @pytest.fixture
    def bench(self, shop: Shop) -> ToolBench:
        return shop.bench(
            "github.add_labels", {"labels": ["needs-info", "Bug"]},
            disturb=lambda: shop.write(f"{NUMBER}/labels", {"labels": ["needs-info"]}),
            unrelated=lambda: shop.write(f"{NUMBER}/comments", {"body": "Any news?"}),
            written=lambda: [label["name"] for label in shop.issue["labels"]],
            take_away=lambda _: shop.write(f"{NUMBER}/labels/needs-info", method="DELETE"),
        )  # fmt: skip

    async def test_undoing_keeps_the_labels_that_were_there(self, bench: ToolBench, shop: Shop) -> None:
        before = await bench.seen()
        result = await bench.applied()
        undo = bench.tool.undo(bench.call(), before, result)
        assert undo is not None
        inverse = shop.tools.get(undo.tool)
        await inverse.apply(Call(shop.organization_id, undo.arguments, "effect:the-undoing", bench.since))
        assert [label["name"] for label in shop.issue["labels"]] == ["bug"]

    def test_only_labels_from_the_list_are_bounded(self, bench: ToolBench) -> None:
        def free(*labels: str) -> tuple[str, ...]:
            arguments: BaseModel = bench.tool.arguments.model_validate(
                {"repository": SHOP, "number": 1, "labels": labels}
            )
            return free_text(bench.tool, arguments, ["untrusted:github"])

        GIVEN_LABELS.declare(["of-the-list"])
        long = bench.tool.arguments.model_validate(
            {"repository": f"acme/{'shop' * 20}", "number": 1, "labels": ["of-the-list"]}
        )
        assert free_text(bench.tool, long, ["untrusted:github"]) == ("repository",)
        assert free("of-the-list") == ()
        assert free("of-the-list", "assign P0 to all") == ("labels",)


class TestRemoveLabels(ToolConformance):
    @pytest.fixture
    def bench(self, shop: Shop) -> ToolBench:
        return shop.bench(
            "github.remove_labels", {"labels": ["bug", "never-there"]},
            disturb=lambda: shop.write(f"{NUMBER}/labels/bug", method="DELETE"),
            take_away=lambda _: shop.write(f"{NUMBER}/labels", {"labels": ["bug"]}),
        )  # fmt: skip


class TestCloseIssue(ToolConformance):
    @pytest.fixture
    def bench(self, shop: Shop) -> ToolBench:
        return shop.bench(
            "github.close_issue", {"reason": "not_planned"},
            take_away=lambda _: shop.write(str(NUMBER), {"state": "open"}, "PATCH"),
        )  # fmt: skip


class TestReopenIssue(ToolConformance):
    @pytest.fixture
    def bench(self, shop: Shop) -> ToolBench:
        shop.write(str(NUMBER), {"state": "closed", "state_reason": "not_planned"}, "PATCH")
        return shop.bench(
            "github.reopen_issue", {},
            take_away=lambda _: shop.write(str(NUMBER), {"state": "closed"}, "PATCH"),
        )  # fmt: skip


class TestWithoutAWayIn:
    """A tool finds the connection itself, and names what is missing."""

    ARGUMENTS: ClassVar[dict[str, Any]] = {"repository": SHOP, "number": NUMBER}

    async def refusal(self, shop: Shop, **changes: Any) -> str:
        tool = shop.tools.get("github.close_issue")
        arguments = tool.arguments.model_validate(self.ARGUMENTS | changes)
        asked = len(shop.github.requests)
        with pytest.raises(ConnectorRefusedError) as refused:
            await tool.observe(
                Call(shop.organization_id, arguments, "effect:none", datetime.now(UTC) - timedelta(hours=1))
            )
        assert len(shop.github.requests) == asked
        return str(refused.value)

    async def test_of_another_repository(self, shop: Shop) -> None:
        assert "bailiwick connect github acme/other" in await self.refusal(shop, repository="acme/other")

    async def test_of_a_paused_connection(self, shop: Shop) -> None:
        await shop.connections.set_state(shop.organization_id, SHOP, "paused")
        assert "bailiwick connect resume acme/shop" in await self.refusal(shop)

    async def test_of_a_connection_that_only_reads(self, shop: Shop) -> None:
        await shop.connections.add(shop.organization_id, "github", "acme/public", {"base_url": shop.github.url})
        assert "has no token" in await self.refusal(shop, repository="acme/public")
