"""The table of permissions: complete, ordered, and closed to whatever it does not name."""

from importlib.resources import files
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.identity.people.permissions import (
    GRANTS,
    OPERATIONS,
    PERMISSIONS,
    ROLES,
    covers,
    highest_role,
    may,
    parse_role,
    read_table,
)
from bailiwick.kernel.errors import InternalError, InvalidInputError

_TABLE = files("bailiwick.identity.people").joinpath("permissions.toml").read_text(encoding="utf-8")

roles = st.sampled_from(ROLES)
permissions = st.sampled_from(sorted(PERMISSIONS))


@given(roles, roles, permissions)
def test_a_higher_role_may_everything_a_lower_one_may(one, other, permission):
    if covers(one, other) and may(other, permission):
        assert may(one, permission)


@given(roles, roles)
def test_roles_form_one_order(one, other):
    assert covers(one, other) or covers(other, one)
    assert (covers(one, other) and covers(other, one)) == (one == other)


@given(st.sets(permissions))
def test_nobody_gives_a_role_that_may_more_than_they_may(held):
    rank = highest_role(frozenset(held))
    assert rank is None or GRANTS[rank] <= held


def test_each_role_gives_itself():
    assert [highest_role(GRANTS[role]) for role in ROLES] == list(ROLES)


def test_each_role_adds_something_to_the_one_below():
    assert all(GRANTS[low] < GRANTS[high] for low, high in pairwise(ROLES))


def test_the_owner_may_everything_in_the_organization():
    assert GRANTS["owner"] == frozenset(PERMISSIONS)


def test_a_viewer_changes_nothing():
    assert all(permission.endswith(":read") for permission in GRANTS["viewer"])


def test_members_and_keys_are_for_administrators_and_owners():
    for permission in ("members:write", "keys:write", "audit:read", "privacy:write"):
        assert [role for role in ROLES if may(role, permission)] == ["admin", "owner"]


def test_every_permission_says_what_it_opens():
    assert all(len(meaning) >= 10 for meaning in PERMISSIONS.values())


def test_a_permission_nobody_decided_about_is_a_defect_and_not_a_no():
    with pytest.raises(InternalError, match="tasks:fly"):
        may("owner", "tasks:fly")


def test_an_unknown_role_is_refused_with_those_there_are():
    with pytest.raises(InvalidInputError, match="viewer, operator, developer, admin, owner"):
        parse_role("root")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"tasks:*", ', '"*", '),
        ('"tasks:*", ', '"*:read", '),
        ('"tasks:*", ', '"tasks:", '),
        ('"tasks:*", ', '"tasks:fly", '),
        ('"tasks:*", ', '"flights:*", '),
        ('get_task = "tasks:read"', 'get_task = "tasks:look"'),
        ('"viewer", "operator"', '"operator", "viewer"'),
        ("[roles.operator]", "[roles.superuser]"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused_at_import(old, new):
    assert old in _TABLE
    with pytest.raises(InternalError):
        read_table(_TABLE.replace(old, new, 1))


def test_what_asks_for_nobody_is_a_short_list():
    opened = {operation for operation, needed in OPERATIONS.items() if needed == "open"}
    assert {"get_health", "get_readiness", "set_up", "register", "reset_password", "accept_invitation"} <= opened
    assert not any(operation.startswith(("list_", "delete_", "update_")) for operation in opened)
