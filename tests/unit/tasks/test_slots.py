"""A worker's slots: never more than there are, and never all of them for one organization."""

from hypothesis import given
from hypothesis import strategies as st

from bailiwick.tasks.slots import Slots


@given(st.integers(1, 200), st.lists(st.sampled_from("abc"), max_size=400))
def test_taking_what_has_room_never_exceeds_the_slots_or_the_share(total: int, wishes: list[str]) -> None:
    slots = Slots(total)
    taken: list[str] = []
    for organization in wishes:
        if slots.has_room(organization):
            slots.take(organization)
            taken.append(organization)
    assert len(taken) <= total
    assert slots.free == total - len(taken)
    assert all(taken.count(one) <= slots.share for one in "abc")
    for organization in taken:
        slots.leave(organization)
    assert slots.free == total
    assert slots.rooms() == {}


@given(st.integers(2, 200))
def test_a_flood_of_one_organization_leaves_room_for_another(total: int) -> None:
    slots = Slots(total)
    while slots.has_room("loud"):
        slots.take("loud")
    assert slots.has_room("quiet")


def test_rooms_say_how_many_more_and_capped_who_may_have_more() -> None:
    slots = Slots(5)
    slots.take("a")
    assert slots.share == 4
    assert slots.rooms() == {"a": 3}
    assert slots.capped([], {"a": 3}) == []
    assert slots.capped([], {"a": 0}) == ["a"]
