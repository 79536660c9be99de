"""However a key is asked for, it never may what its maker may not."""

from hypothesis import given
from hypothesis import strategies as st

from bailiwick.identity import MACHINE, Caller
from bailiwick.identity.people.permissions import GRANTS, PERMISSIONS, ROLES, Role
from bailiwick.identity.tokens.key_bounds import KeyBounds, organization_bounds
from bailiwick.kernel.errors import ForbiddenError, InvalidInputError

PLACE = "0199b6ff-b66f-7000-8000-000000000002"
permissions = st.frozensets(st.sampled_from(sorted(PERMISSIONS)))
roles = st.none() | st.sampled_from(ROLES)


def effective(bounds: KeyBounds) -> frozenset[str]:
    assert bounds.role is not None
    whole = GRANTS[bounds.role]
    return whole if bounds.scopes is None else whole & frozenset(bounds.scopes)


@given(permissions, roles, st.none() | permissions, roles)
def test_a_key_never_exceeds_its_maker(
    allowed: frozenset[str], role: Role | None, scopes: frozenset[str] | None, account_role: Role | None
) -> None:
    maker = Caller("user", "1", "maker", grants={PLACE: allowed})
    try:
        bounds = organization_bounds(maker, PLACE, role, scopes, account_role=account_role)
    except (ForbiddenError, InvalidInputError):
        return
    assert effective(bounds) <= allowed
    if scopes is not None:
        assert effective(bounds) == scopes


@given(st.sampled_from(ROLES), permissions)
def test_a_bounded_administrators_key_makes_none_that_may_more(role: Role, scopes: frozenset[str]) -> None:
    maker = Caller("key", "1", "bounded", is_admin=True, scopes=scopes)
    try:
        bounds = organization_bounds(maker, PLACE, role, None)
    except ForbiddenError:
        assert not GRANTS[role] <= scopes
        return
    assert effective(bounds) <= scopes


@given(st.sampled_from(ROLES))
def test_whoever_runs_the_machine_gives_any_role(role: Role) -> None:
    assert effective(organization_bounds(MACHINE, PLACE, role, None)) == GRANTS[role]
    assert organization_bounds(MACHINE, PLACE, None, None) == KeyBounds("owner", None)
