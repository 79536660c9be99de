"""The ceiling that comes with the platform: in force until an installation puts one of its own."""

from functools import cache
from importlib.resources import files

from bailiwick.authority.policy.index import RuleIndex
from bailiwick.authority.policy.reading import read_policy


def built_in_ceiling_source() -> str:
    """Return its text, to begin an own ceiling with."""
    return (files("bailiwick.authority.policy") / "data" / "ceiling.yaml").read_text(encoding="utf-8")


@cache
def built_in_ceiling() -> RuleIndex:
    """Return its rules, as version 0 of the ceiling."""
    return RuleIndex(read_policy(built_in_ceiling_source(), is_ceiling=True))
