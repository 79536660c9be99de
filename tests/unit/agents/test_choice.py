"""The choice of an agent: bounded, explained, and moved by quality, price, load and ignorance."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.agents import Candidate, Weights, choose
from bailiwick.agents.choice import load_energy


def candidate(name: str, **fields: object) -> Candidate:
    plain = Candidate(agent_id=name, name=name, successes=0, failures=0, price=0.0, load=0, capacity=4, barred=None)
    return replace(plain, **fields)  # pyright: ignore[reportArgumentType] - fields by name


candidates = st.lists(
    st.builds(
        Candidate,
        agent_id=st.uuids().map(str),
        name=st.text(min_size=1, max_size=8),
        successes=st.integers(0, 10_000),
        failures=st.integers(0, 10_000),
        price=st.floats(0, 1e6),
        load=st.integers(0, 10_000),
        capacity=st.integers(1, 100),
        barred=st.one_of(st.none(), st.just("paused")),
    ),
    max_size=8,
    unique_by=lambda one: one.agent_id,
)


@given(candidates)
def test_every_term_is_bounded_and_the_least_energy_wins(given_candidates: list[Candidate]) -> None:
    weights = Weights()
    choice = choose(given_candidates, weights)
    for one in choice.weighed:
        assert 0 <= one.quality_term <= weights.quality
        assert 0 <= one.price_term <= weights.price
        assert -1e-9 <= one.load_term <= weights.load + 1e-9
        assert -weights.exploration / 2 <= one.exploration_term <= 0
    if choice.weighed:
        assert choice.agent_id == choice.weighed[0].agent_id
        assert choice.weighed[0].energy <= min(one.energy for one in choice.weighed) + 1e-9
    else:
        assert choice.agent_id is None


@given(candidates, st.randoms(use_true_random=False))
def test_the_order_of_candidates_does_not_matter(given_candidates: list[Candidate], random: object) -> None:
    shuffled = sorted(given_candidates, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert choose(given_candidates).agent_id == choose(shuffled).agent_id


@given(candidates)
def test_who_is_barred_is_never_chosen_and_the_reason_is_kept(given_candidates: list[Candidate]) -> None:
    choice = choose(given_candidates)
    barred = {one.agent_id for one in given_candidates if one.barred}
    assert choice.agent_id not in barred
    assert len(choice.barred) == len(barred)


def test_a_better_agent_is_preferred_once_it_has_shown_it() -> None:
    choice = choose([candidate("good", successes=95, failures=5), candidate("poor", successes=50, failures=50)])
    assert choice.agent_id == "good"
    assert "better quality" in choice.reason


def test_one_lucky_success_does_not_beat_a_long_record() -> None:
    weights = Weights(exploration=0.0)
    proven = candidate("proven", successes=98, failures=2)
    lucky = candidate("lucky", successes=1)
    assert choose([proven, lucky], weights).agent_id == "proven"


def test_of_equal_agents_the_cheaper_one_is_taken() -> None:
    choice = choose([candidate("dear", price=2.0), candidate("cheap", price=1.0)])
    assert choice.agent_id == "cheap"
    assert "lower price" in choice.reason


def test_a_busy_cheap_agent_yields_to_an_idle_dear_one() -> None:
    choice = choose([candidate("dear", price=1.0), candidate("cheap", price=0.5, load=16)])
    assert choice.agent_id == "dear"
    assert "less load" in choice.reason


def test_an_untried_agent_is_tried() -> None:
    tried = candidate("tried", successes=500, failures=500)
    assert choose([tried, candidate("new")]).agent_id == "new"


def test_load_spreads_in_proportion_to_capacity() -> None:
    hands = {"small": candidate("small", capacity=2), "large": candidate("large", capacity=6)}
    for _ in range(80):
        chosen = choose(list(hands.values())).agent_id
        assert chosen is not None
        hands[chosen] = replace(hands[chosen], load=hands[chosen].load + 1)
    assert hands["small"].load == pytest.approx(20, abs=2)


def test_nobody_to_choose_says_why() -> None:
    assert "no agent has this capability" in choose([]).reason
    assert "solo: disabled" in choose([candidate("solo", barred="disabled")]).reason


@pytest.mark.parametrize("parts", [(0.5, 0.5, 0.5), (1.2, -0.2, 0.0), (0.0, 0.0, 0.0)])
def test_weights_that_mean_nothing_are_refused(parts: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        Weights(*parts)


@given(st.floats(0, 1e6), st.floats(0, 1e3))
def test_load_energy_is_convex_with_a_slope_of_at_most_one(at: float, step: float) -> None:
    rise = load_energy(at + step) - load_energy(at)
    assert -1e-6 <= rise <= step + 1e-6
    middle = load_energy(at + step / 2)
    assert middle <= (load_energy(at) + load_energy(at + step)) / 2 + 1e-6
