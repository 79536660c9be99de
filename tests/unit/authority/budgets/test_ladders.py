"""Which ladders and budgets can hold."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.authority.budgets import DEFAULT_LADDER, NewBudget, Reservation, Rung
from bailiwick.authority.budgets.model import checked_budget, checked_ladder, parsed_rung
from bailiwick.kernel.errors import InvalidInputError

_SHARES = st.decimals(min_value="0.000001", max_value="100", places=6)
_RUNGS = st.builds(Rung, _SHARES, st.sampled_from(["tell", "ask", "stop"]))


@given(st.lists(_RUNGS, max_size=6))
def test_a_ladder_holds_if_it_rises_and_ends_with_its_only_stop_or_a_question(ladder: list[Rung]) -> None:
    rises = all(lower.at < upper.at for lower, upper in pairwise(ladder))
    ends = bool(ladder) and ladder[-1].do != "tell" and all(rung.do != "stop" for rung in ladder[:-1])
    try:
        checked_ladder(ladder)
    except InvalidInputError:
        assert not (rises and ends)
    else:
        assert rises
        assert ends


def test_the_default_ladder_tells_asks_and_stops() -> None:
    checked_ladder(DEFAULT_LADDER)
    assert [(str(rung.at), rung.do) for rung in DEFAULT_LADDER] == [("0.8", "tell"), ("1", "ask"), ("1.2", "stop")]


@pytest.mark.parametrize("text", ["", "0.8", "tell", "x:tell", "0.8:shout", ":", "0.8:tell:ask"])
def test_what_is_no_rung_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInputError, match="write it like"):
        parsed_rung(text)


@pytest.mark.parametrize("share", ["NaN", "Infinity", "0", "-1", "101", "0.0000001"])
def test_a_share_that_means_nothing_is_refused(share: str) -> None:
    with pytest.raises(InvalidInputError, match="a rung stands at a share"):
        checked_ladder([Rung(Decimal(share), "stop")])


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"scope": "team"}, "no scope 'team'"),
        ({"unit": "apples"}, "no unit 'apples'"),
        ({"period": "week"}, "no period 'week'"),
        ({"period": "life"}, "a run's budget is for its life"),
        ({"scope": "run"}, "a run's budget is for its life"),
        ({"subject": "0199b6ff-b66f-7000-8000-000000000003"}, "names no agent or run"),
        ({"scope": "agent", "subject": "Bob"}, "by its id"),
        ({"amount": Decimal("NaN")}, "a number from 0"),
        ({"amount": Decimal(-1)}, "a number from 0"),
        ({"zone": "Mars/Olympus"}, "no time zone"),
        ({"name": "Daily!"}, "small letters"),
    ],
)
def test_a_budget_that_cannot_hold_is_refused_with_the_reason(changed: dict[str, object], problem: str) -> None:
    fields: dict[str, object] = {
        "name": "daily", "scope": "organization", "unit": "money", "amount": Decimal(10), "period": "day",
    }  # fmt: skip
    with pytest.raises(InvalidInputError, match=problem):
        checked_budget(NewBudget(**{**fields, **changed}))  # type: ignore[arg-type]


def test_a_decision_is_told_which_budget_and_rung_stand_in_the_way() -> None:
    asked = Reservation("k", "ask", "money", Decimal(1), "daily", Rung(Decimal(1), "ask"), Decimal(10), Decimal(10))
    assert (asked.answer.state, asked.answer.rung) == ("ask", "daily:ask")
    assert Reservation("k", "ok", "money", Decimal(1)).answer.state == "ok"
