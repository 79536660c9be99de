"""What a provider's policy gives is what it says, and never more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bailiwick.identity.oidc import PRESETS, GroupRole, ProviderPolicy, RoleGrant
from bailiwick.identity.people.permissions import ROLES, Role, covers
from bailiwick.kernel.errors import InvalidInputError

GROUPS = st.sampled_from(["a", "b", "c", "d"])
ORGANIZATIONS = st.sampled_from(["acme", "rival"])
GRANTS = st.lists(st.builds(GroupRole, group=GROUPS, organization=ORGANIZATIONS, role=st.sampled_from(ROLES)))
DEFAULTS = st.none() | st.builds(RoleGrant, organization=ORGANIZATIONS, role=st.sampled_from(ROLES))


@given(GRANTS, DEFAULTS, st.sets(GROUPS))
def test_roles_are_the_highest_that_a_held_group_gives_and_nothing_else(
    grants: list[GroupRole], default: RoleGrant | None, held: set[str]
) -> None:
    policy = ProviderPolicy(group_roles=grants, default_role=default)
    given_roles = policy.roles_for(held)
    stated: list[tuple[str, Role]] = [(grant.organization, grant.role) for grant in grants if grant.group in held]
    if not stated:
        assert given_roles == ({} if default is None else {default.organization: default.role})
        return
    assert set(given_roles.items()) <= set(stated)
    assert set(given_roles) == {organization for organization, _ in stated}
    for organization, role in stated:
        assert covers(given_roles[organization], role)


@given(GRANTS, st.sets(st.text(max_size=3).filter(lambda text: text not in "abcd")))
def test_groups_that_are_not_named_give_nothing(grants: list[GroupRole], held: set[str]) -> None:
    assert ProviderPolicy(group_roles=grants).roles_for(held) == {}


@pytest.mark.parametrize(
    ("email", "is_spoken_for"),
    [
        ("maria@example.org", True), ("maria@EXAMPLE.org", True), ("maria@sub.example.org", False),
        ("maria@evil-example.org", False), ("maria@example.org@evil.example", False), ("maria", False),
    ],
)  # fmt: skip
def test_a_provider_speaks_for_exactly_its_domains(email: str, is_spoken_for: bool) -> None:
    assert ProviderPolicy(email_domains=["@Example.org"]).speaks_for(email) is is_spoken_for
    assert ProviderPolicy().speaks_for(email)


@pytest.mark.parametrize("domain", ["", "org", "a@b.org", "exämple.org"])
def test_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(ValidationError):
        ProviderPolicy(email_domains=[domain])


@pytest.mark.parametrize("tenant", [None, "common", "organizations", "consumers", "a/b", "", "evil.example/"])
def test_microsoft_needs_a_tenant_of_ones_own(tenant: str | None) -> None:
    with pytest.raises(InvalidInputError, match="tenant"):
        PRESETS["microsoft"].issuer_for(tenant)


def test_presets_name_the_issuers_of_the_providers() -> None:
    assert PRESETS["google"].issuer_for(None) == "https://accounts.google.com"
    tenant = "9188040D-6c67-4c5b-b112-36a304b66dad"
    assert PRESETS["microsoft"].issuer_for(tenant) == f"https://login.microsoftonline.com/{tenant.lower()}/v2.0"
