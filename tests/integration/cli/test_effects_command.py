"""``bailiwick effects`` and ``bailiwick tools``."""

import psycopg

from tests.integration.cli.conftest import Command
from tests.support.effects_rows import put_effect


def test_effects_are_listed_shown_and_settled(bailiwick: Command, login_url: str) -> None:
    assert bailiwick("effects", "list", "--json").document == {"items": [], "next_cursor": None}
    with psycopg.connect(login_url) as connection:
        row = connection.execute("select id from organizations where slug = 'home'").fetchone()
    assert row is not None
    effect = put_effect(login_url, str(row[0]))
    assert effect in bailiwick("effects", "list", "--state", "unknown").out
    shown = bailiwick("effects", "show", effect, "--json").document
    assert (shown["state"], len(shown["moves"])) == ("unknown", 3)
    assert "nobody can tell" in bailiwick("effects", "show", effect).out
    assert bailiwick("effects", "settle-unknown", effect, "maybe", "--reason", "so").code == 2
    settled = bailiwick("effects", "settle-unknown", effect, "applied", "--reason", "I looked", "--json")
    assert settled.document["state"] == "applied"
    again = bailiwick("effects", "settle-unknown", effect, "failed", "--reason", "I looked again")
    assert (again.code, "is applied" in again.err) == (1, True)
    assert bailiwick("effects", "list", "--state", "nonsense").code == 2


def test_tools_are_listed_and_shown(bailiwick: Command) -> None:
    tools = bailiwick("tools", "--json").document["items"]
    assert "github.comment" in [tool["name"] for tool in tools]
    assert "github.comment" in bailiwick("tools").out
    one = bailiwick("tools", "github.comment", "--json").document
    assert one["arguments"]["type"] == "object"
    assert bailiwick("tools", "nothing.such").code == 2


def test_effects_of_an_agent_that_is_not_there_are_an_error_and_of_a_filter_an_answer(bailiwick: Command) -> None:
    unknown = bailiwick("effects", "list", "--agent", "nobody")
    assert (unknown.code, "nobody" in unknown.err) == (1, True)
    nothing = bailiwick("effects", "list", "--tool", "no.such")
    assert (nothing.code, nothing.out) == (0, "")
    assert "see all with: bailiwick effects list" in nothing.err


def test_what_is_not_there_is_told_with_how_to_list_what_is(bailiwick: Command) -> None:
    missing = "0199b6ff-b66f-7000-8000-000000000001"
    for arguments, advice in (
        (("effects", "show", missing), "bailiwick effects list"),
        (("outcomes", "show", missing), "bailiwick outcomes list"),
        (("approvals", "show", missing), "bailiwick approvals list"),
        (("autonomy", "show", "nobody"), "bailiwick agents list"),
        (("autonomy", "confirm", missing), "bailiwick autonomy promotions"),
        (("budgets", "set", "x", "--amount", "y"), "write it like 50 or 12.50"),
        (("run", "export", missing), "bailiwick tasks list"),
        (("run", "open", "/nowhere.run.zip"), "bailiwick run export RUN"),
    ):
        ran = bailiwick(*arguments)
        assert ran.code in (1, 2), arguments
        assert advice in ran.err, (arguments, ran.err)
