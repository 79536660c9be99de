"""Effects as rows, for tests of what only shows them: put there by the superuser, past the rules of their birth."""

import psycopg

from bailiwick.kernel.ids import new_id


def put_effect(login_url: str, organization_id: str, state: str = "unknown", *, tool: str = "folder.append") -> str:
    """Insert an effect in a state with its life so far, and return its id."""
    effect_id, task_id = new_id(), new_id()
    ended = None if state in ("proposed", "waiting", "executing") else "now"
    began = None if state in ("proposed", "waiting", "declined") else "now"
    with psycopg.connect(login_url) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(
            "insert into effects (id, organization_id, task_id, seq, fence, tool, tool_version, effect_class, "
            "arguments, target, digest, state, reason, problem, began_at, ended_at) values (%s, %s, %s, 0, 1, %s, '1', "
            "'write', '{\"name\": \"file\"}', 'file:file', repeat('a', 64), %s, 'a test wants it', 'nobody can tell', "
            "%s::timestamptz, %s::timestamptz)",
            (effect_id, organization_id, task_id, tool, state, began, ended),
        )
        for seq, past in enumerate(("proposed", "executing", state)):
            connection.execute(
                "insert into effect_moves (organization_id, effect_id, seq, state, at) values (%s, %s, %s, %s, now())",
                (organization_id, effect_id, seq, past),
            )
    return effect_id
