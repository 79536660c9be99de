"""Who a provider may let in, and with which role: the part of its configuration that a person decides."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bailiwick.identity.people.permissions import Role, covers


def _domain(text: str) -> str:
    domain = text.strip().lower().lstrip("@")
    if not domain.isascii() or "@" in domain or "." not in domain:
        raise ValueError("a domain looks like example.org; write other letters in the xn-- form")
    return domain


Domain = Annotated[str, Field(max_length=253, examples=["example.org"]), AfterValidator(_domain)]


class RoleGrant(BaseModel):
    """A role in an organization."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    organization: str = Field(
        min_length=1, max_length=200, description="The organization, by its short name or id.", examples=["acme"]
    )
    role: Role = Field(description="The role in it.", examples=["operator"])


class GroupRole(RoleGrant):
    """The role that members of a provider's group have."""

    group: str = Field(
        min_length=1, max_length=500, description="The group, as the provider writes it.", examples=["acme/operations"]
    )


class ProviderPolicy(BaseModel):
    """Who is let in and with which role. Left alone, it lets nobody in who was not linked by hand."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    creates_accounts: bool = Field(
        default=False,
        description="Whether somebody whom nobody here knows gets an account; only with a verified email address.",
        examples=[True],
    )
    links_by_email: bool = Field(
        default=False,
        description="Whether an account with the same verified email address is taken to be the same person's.",
        examples=[False],
    )
    email_domains: list[Domain] = Field(
        default_factory=list,
        max_length=100,
        description="The domains whose addresses the provider may speak for; none stands for all. An "
        "organization's own provider must name them to make or link accounts.",
        examples=[["example.org"]],
    )
    trusts_email: bool = Field(
        default=False,
        description="Whether every email address of the provider counts as verified although it does not say so: "
        "for a directory of your own, where people cannot change their address.",
        examples=[False],
    )
    trusts_second_factor: bool = Field(
        default=False,
        description="Whether the provider asks for a second factor itself, so that none is asked for here.",
        examples=[False],
    )
    group_claim: str = Field(
        default="groups",
        min_length=1,
        max_length=200,
        description="The claim that lists somebody's groups.",
        examples=["groups"],
    )
    group_roles: list[GroupRole] = Field(
        default_factory=list, max_length=1000, description="Which role each group gives."
    )
    default_role: RoleGrant | None = Field(
        default=None, description="The role of whoever is in none of these groups; without one they are refused."
    )

    @property
    def maps_roles(self) -> bool:
        """Tell whether roles come from the provider at all; otherwise they are given by hand."""
        return bool(self.group_roles) or self.default_role is not None

    def roles_for(self, groups: Iterable[str]) -> Mapping[str, Role]:
        """Return the role in each organization for somebody in these groups: the highest that any group gives.

        The default role counts only where no group gives anything.
        """
        held = set(groups)
        roles: dict[str, Role] = {}
        for grant in self.group_roles:
            if grant.group in held:
                before = roles.get(grant.organization)
                if before is None or covers(grant.role, before):
                    roles[grant.organization] = grant.role
        if not roles and self.default_role is not None:
            roles[self.default_role.organization] = self.default_role.role
        return roles

    def speaks_for(self, email: str) -> bool:
        """Tell whether the provider may speak for the owner of an address."""
        return not self.email_domains or email.rpartition("@")[2].lower() in self.email_domains
