"""How long what was promised must last before a look at it is proof, and not a glance."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import LiteralString

RESULT = "result"
"""The class of what a task promises of its own result."""

LASTS: Mapping[str, timedelta] = {
    "write": timedelta(days=1), "external": timedelta(days=1), "spend": timedelta(days=7),
    "destructive": timedelta(days=7), RESULT: timedelta(days=1),
}  # fmt: skip
"""By class of effect. Our choice, argued in docs/explanation/proof.md: people must have had a day to object, and a week
where money or data is gone. Classes that are not here prove nothing."""

LASTED: LiteralString = """coalesce(o.check_at - o.expected_at >= make_interval(
    secs => (%(lasts)s::jsonb ->> coalesce(o.effect_class, 'result'))::float8), false)"""
"""Whether the look at the outcome ``o`` was promised for late enough; SQL that is given ``LASTS_JSON`` as ``lasts``."""

LASTS_JSON = json.dumps({name: period.total_seconds() for name, period in LASTS.items()})


def is_late_enough(effect_class: str, after_seconds: float) -> bool:
    """Tell whether a look so long after the deed is proof.

    The promised time counts, not that of the look: what happened after it is
    no evidence, however late the look.
    """
    least = LASTS.get(effect_class)
    return least is not None and after_seconds >= least.total_seconds()
