"""The ten purposes, and the machine that a consent is."""

from hypothesis import given
from hypothesis import strategies as st

from bailiwick.privacy.purposes import MOVES, PERIODS, ConsentState, Periods, Purpose, may_become

STATES = st.sampled_from(ConsentState)


def test_there_are_the_ten_purposes_with_their_periods() -> None:
    assert [str(purpose) for purpose in Purpose] == [
        "collection", "processing", "sharing", "marketing", "analytics", "cookies", "location", "biometric",
        "third_party", "ai_processing",
    ]  # fmt: skip
    assert PERIODS[Purpose.COLLECTION] == Periods(365, 7 * 365)
    assert PERIODS[Purpose.MARKETING].expiry_days == 2 * 365
    assert PERIODS[Purpose.ANALYTICS] == Periods(365, 2 * 365)
    assert PERIODS.keys() == set(Purpose)


def test_every_state_is_in_the_machine_and_none_is_the_end() -> None:
    assert MOVES.keys() == {None, *ConsentState}
    assert all(MOVES.values())


@given(st.lists(STATES, max_size=30))
def test_no_way_leads_to_a_grant_but_a_grant(wishes: list[ConsentState]) -> None:
    state: ConsentState | None = None
    granted_last = False
    for wish in wishes:
        if may_become(state, wish):
            granted_last = wish is ConsentState.GRANTED
            state = wish
        assert (state is ConsentState.GRANTED) == granted_last


@given(st.lists(STATES, max_size=30))
def test_whoever_never_consented_cannot_have_withdrawn(wishes: list[ConsentState]) -> None:
    state: ConsentState | None = None
    history: list[ConsentState] = []
    for wish in wishes:
        if may_become(state, wish):
            state = wish
            history.append(wish)
    for place, reached in enumerate(history):
        if reached is ConsentState.WITHDRAWN:
            assert history[place - 1] is ConsentState.GRANTED
        if reached is ConsentState.EXPIRED:
            assert history[place - 1] in (ConsentState.GRANTED, ConsentState.PENDING)


@given(STATES)
def test_a_person_who_refused_or_withdrew_can_always_consent_again(state: ConsentState) -> None:
    assert may_become(state, ConsentState.GRANTED)
