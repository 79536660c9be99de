"""Keeps what is expected of an applied effect, so that somebody looks when its time has come."""

from datetime import timedelta

from bailiwick.effects.record import EffectRecord
from bailiwick.kernel.documents import encode
from bailiwick.kernel.ids import new_id
from bailiwick.storage.connections import Connection
from bailiwick.telemetry.redacting import redacted_json

# The table arms the timer itself: whoever states an expectation adds the task that looks.
_EXPECT = """
insert into outcomes (id, organization_id, effect_id, task_id, agent_id, effect_class, "check", claim, arguments,
                      check_at, step_key)
values (%(id)s, %(org)s, %(effect)s, %(task)s, %(agent)s, %(class)s, %(check)s, %(claim)s, %(arguments)s::jsonb,
        clock_timestamp() + %(after)s, %(key)s)
on conflict (organization_id, step_key) do nothing"""


async def expect(effect: EffectRecord, connection: Connection) -> None:
    """Set up the later look at an effect, in the transaction that says it was applied; nothing without expectation."""
    wanted = effect.expectation
    if wanted is None:
        return
    await connection.execute(
        _EXPECT,
        {
            "id": new_id(), "org": effect.organization_id, "effect": effect.id, "task": effect.task_id,
            "agent": effect.agent_id, "class": effect.effect_class, "check": wanted["check"],
            "claim": wanted["claim"], "after": timedelta(seconds=wanted["after_seconds"]),
            "arguments": redacted_json(encode(wanted["arguments"], what="arguments of an expectation")).decode(),
            "key": f"effect:{effect.id}",
        },
    )  # fmt: skip
