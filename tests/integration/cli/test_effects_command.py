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
