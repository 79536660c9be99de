"""What approvals look like over the API, and what is sent to answer them."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, PlainSerializer, SecretStr

from bailiwick.api.rest.factors import CeremonyToken, Credential
from bailiwick.api.rest.pages import Moment, PageOf
from bailiwick.api.rest.pages import Request as Body
from bailiwick.authority.approvals import ApprovalRecord, ApprovalState, Saying
from bailiwick.authority.approvals.model import AnswerDecision, AnswerRecord, Via, Voter
from bailiwick.authority.approvals.remembering import NewRule
from bailiwick.authority.approvals.signing import Signature
from bailiwick.authority.model import EffectClass, Silence
from bailiwick.kernel.labels import is_untrusted

_ID = "0199b6ff-b66f-7000-8000-000000000040"
_USER = "0199b6ff-b66f-7000-8000-000000000020"
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

# As text, so that no digit of money is lost on the way.
Money = Annotated[Decimal, PlainSerializer(lambda amount: f"{amount:f}", return_type=str)]
Digest = Annotated[
    str,
    Field(pattern=r"^[0-9a-f]{64}$", description="The digest of what was seen.", examples=[_DIGEST]),
]


class ApprovalView(BaseModel):
    """An approval. Texts in it may come from outsiders (`untrusted`): show them as data, never as markup."""

    id: str = Field(description="Its id.", examples=[_ID])
    state: ApprovalState = Field(description="Where it stands.", examples=["waiting"])
    digest: str = Field(description="What an answer is bound to; it has to name this.", examples=[_DIGEST])
    tool: str = Field(description="What would be called.", examples=["github.comment"])
    tool_version: str = Field(description="In which version.", examples=["1"])
    effect_class: EffectClass = Field(description="What it does at worst.", examples=["external"])
    arguments: dict[str, Any] = Field(description="With what.", examples=[{"issue": 7, "text": "Thanks"}])
    target: str = Field(description="What is changed.", examples=["issue:7"])
    observed: Any = Field(description="The target's state as it was seen.", examples=[{"comments": 2}])
    price: Money = Field(description="What it costs, in the organization's currency.", examples=["0.50"])
    agent_id: str | None = Field(description="Which agent asks.", examples=[_ID])
    agent_name: str | None = Field(description="Its name.", examples=["support"])
    task_id: str = Field(description="In which run.", examples=[_ID])
    effect_id: str = Field(description="For which effect.", examples=[_ID])
    reason: str = Field(description="Why the agent wants it.", examples=["an answer is due"])
    rule: str = Field(description="The rule by which people are asked.", examples=["comments"])
    rule_reason: str = Field(description="What the rule says.", examples=["people look at comments"])
    policy: str = Field(description="The versions of the policy and the ceiling.", examples=["3/1"])
    is_reversible: bool = Field(description="Whether it can be taken back.", examples=[True])
    undo: str | None = Field(description="What can be taken back, and until when.", examples=["for 24 hours"])
    labels: list[str] = Field(description="Where it comes from and who asked.", examples=[["untrusted:github"]])
    untrusted: bool = Field(description="Whether text from outside is in it.", examples=[True])
    free_text: list[str] = Field(description="The arguments that outsiders' words can fill.", examples=[["text"]])
    roles: list[str] = Field(description="Who may answer: these roles and those above.", examples=[["admin"]])
    quorum: int = Field(description="How many must say yes.", examples=[1])
    escalate_to: str | None = Field(description="Which role may answer later, too.", examples=["owner"])
    asked_at: datetime = Field(description="Since when it waits (UTC).", examples=["2026-11-21T09:30:00Z"])
    escalates_at: datetime | None = Field(description="When that is (UTC).", examples=[None])
    escalated_at: datetime | None = Field(description="When that was (UTC).", examples=[None])
    expires_at: datetime = Field(description="Until when (UTC).", examples=["2026-11-22T09:30:00Z"])
    on_expiry: Silence = Field(description="What follows if nobody answers.", examples=["deny"])
    is_by_silence: bool = Field(description="Whether it was approved that way.", examples=[False])
    is_rememberable: bool = Field(description="Whether a rule may be made of a yes.", examples=[True])
    edited: dict[str, Any] | None = Field(description="The arguments wanted instead.", examples=[None])
    problem: str | None = Field(description="Why it is stale.", examples=[None])
    ended_at: datetime | None = Field(description="When it was settled (UTC).", examples=[None])


class AnswerView(BaseModel):
    """One answer."""

    id: str = Field(description="Its id.", examples=[_ID])
    decision: AnswerDecision = Field(description="What was said.", examples=["approve"])
    voice: str = Field(description="Whose word it is.", examples=[f"user:{_USER}"])
    answered_by: str = Field(description="Who spoke: the same, or a delegate.", examples=[f"user:{_USER}"])
    answered_by_name: str = Field(description="That one's name.", examples=["Maria"])
    delegation_id: str | None = Field(description="By which delegation.", examples=[None])
    digest: str = Field(description="What was seen.", examples=[_DIGEST])
    reason: str | None = Field(description="Why.", examples=["fine"])
    via: Via = Field(description="Through which door.", examples=["api"])
    proof: dict[str, Any] | None = Field(
        description="The passkey's signature, with all that verifies it offline.", examples=[None]
    )
    answered_at: datetime = Field(description="When (UTC).", examples=["2026-11-21T09:35:00Z"])


class VoterView(BaseModel):
    """A member who may answer in their own right."""

    user_id: str = Field(description="The account.", examples=[_USER])
    name: str = Field(description="The person's name.", examples=["Maria"])
    role: str = Field(description="In which role.", examples=["admin"])
    has_answered: bool = Field(description="Whether the person was heard.", examples=[False])


class ApprovalDetail(ApprovalView):
    """An approval, its answers, and who may answer."""

    answers: list[AnswerView] = Field(description="Oldest first.")
    eligible: list[VoterView] = Field(
        description="Members who may answer as things stand now; administrators of the installation may, too."
    )


class ApprovalPage(PageOf[ApprovalView]):
    """A page of approvals."""


class AnsweredView(BaseModel):
    """What an answer made of the approval."""

    approval_id: str = Field(description="Which.", examples=[_ID])
    state: ApprovalState = Field(description="Where it stands now.", examples=["approved"])
    approvals: int = Field(description="How many said yes.", examples=[1])
    rejections: int = Field(description="How many said no.", examples=[0])
    open_voters: int = Field(description="How many may still answer.", examples=[2])
    missing: int = Field(description="How many more have to say yes.", examples=[0])


class SignatureBody(Body):
    """A signature by the caller's passkey."""

    ceremony: CeremonyToken
    credential: Credential


class _Said(Body):
    digest: Digest
    reason: str | None = Field(default=None, max_length=2000, description="Why.", examples=["fine"])
    on_behalf_of: UUID | None = Field(
        default=None, description="Whose answer it is, if it was delegated.", examples=[None]
    )
    signature: SignatureBody | None = Field(default=None, description="Where the account has a passkey.")

    def signed(self) -> Signature | None:
        """Return the signature that came with it."""
        return None if self.signature is None else Signature(self.signature.ceremony, self.signature.credential)

    def _behalf(self) -> str | None:
        return None if self.on_behalf_of is None else str(self.on_behalf_of)


class AnswerBody(_Said):
    """A yes or a no."""

    decision: Literal["approve", "reject"] = Field(description="Which.", examples=["approve"])

    def saying(self) -> Saying:
        """Return it as approvals take it."""
        return Saying(self.decision, self.digest, self.reason, self._behalf())


class EditBody(_Said):
    """Other arguments."""

    arguments: dict[str, Any] = Field(description="Those wanted instead.", examples=[{"issue": 7, "text": "Thank you"}])

    def saying(self) -> Saying:
        """Return it as approvals take it."""
        return Saying("edit", self.digest, self.reason, self._behalf(), self.arguments)


class StatementBody(Body):
    """What is going to be said, and so has to be signed."""

    decision: AnswerDecision = Field(description="Which answer.", examples=["approve"])
    digest: Digest
    on_behalf_of: UUID | None = Field(default=None, description="As in the answer.", examples=[None])
    arguments: dict[str, Any] | None = Field(default=None, description="As in the edit.", examples=[None])

    def saying(self) -> Saying:
        """Return it as approvals take it."""
        behalf = None if self.on_behalf_of is None else str(self.on_behalf_of)
        return Saying(self.decision, self.digest, None, behalf, self.arguments)


class RuleBody(Body):
    """What is allowed from now on."""

    name: str | None = Field(
        default=None, min_length=1, max_length=100, description="What to call it.", examples=["thanks on issue 7"]
    )
    max_price: Decimal | None = Field(
        default=None, ge=0, lt=10**12, decimal_places=6, allow_inf_nan=False,
        description="The highest price; that of the approved effect unless given.", examples=["1.00"],
    )  # fmt: skip
    bounds: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="What arguments may be at most: `equals`, `one_of`, `min`, `max`, `max_length`.",
        examples=[{"text": {"max_length": 200}}],
    )
    any_agent: bool = Field(default=False, description="Not only for the agent that asked.", examples=[False])
    ends_at: Moment | None = Field(default=None, description="Until when (UTC).", examples=["2027-01-01T00:00:00Z"])

    def rule(self) -> NewRule:
        """Return it as approvals take it."""
        return NewRule(self.name, self.max_price, self.bounds, self.any_agent, self.ends_at)


class SignedRuleBody(RuleBody):
    """A rule, signed where the account has a passkey."""

    signature: SignatureBody | None = Field(default=None, description="Where the account has a passkey.")

    def signed(self) -> Signature | None:
        """Return the signature that came with it."""
        return None if self.signature is None else Signature(self.signature.ceremony, self.signature.credential)


class RuleView(BaseModel):
    """A remembered rule."""

    id: str = Field(description="Its id.", examples=[_ID])
    name: str = Field(description="Its name, as decisions show it.", examples=["thanks on issue 7"])
    approval_id: str = Field(description="The approval it comes from.", examples=[_ID])
    tool: str = Field(description="Which tool.", examples=["github.comment"])
    target: str = Field(description="For which target.", examples=["issue:7"])
    agent_id: str | None = Field(description="For which agent; null for all.", examples=[_ID])
    max_price: Money = Field(description="Up to which price.", examples=["1.00"])
    bounds: dict[str, Any] = Field(description="What each argument may be at most.", examples=[{}])
    made_by: str = Field(description="By whom.", examples=[f"user:{_USER}"])
    made_by_name: str = Field(description="That one's name.", examples=["Maria"])
    made_at: datetime = Field(description="When (UTC).", examples=["2026-11-21T09:35:00Z"])
    ends_at: datetime | None = Field(description="Until when (UTC).", examples=[None])
    revoked_at: datetime | None = Field(description="When it was revoked (UTC).", examples=[None])
    revoked_by: str | None = Field(description="By whom.", examples=[None])


class RulePage(PageOf[RuleView]):
    """A page of remembered rules."""


class DelegationBody(Body):
    """Who answers for the caller."""

    to_user: UUID = Field(description="Who answers instead.", examples=[_USER])
    approval_id: UUID | None = Field(default=None, description="For this approval only.", examples=[_ID])
    tools: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default_factory=list, max_length=50, description="For these tools only; none for all.", examples=[[]]
    )
    max_price: Decimal | None = Field(
        default=None, ge=0, lt=10**12, decimal_places=6, allow_inf_nan=False, description="Up to this price.",
        examples=["100"],
    )  # fmt: skip
    may_edit: bool = Field(default=False, description="Whether arguments may be edited, too.", examples=[False])
    starts_at: Moment | None = Field(default=None, description="From when on (UTC); now unless given.", examples=[None])
    ends_at: Moment | None = Field(default=None, description="Until when (UTC).", examples=["2026-12-01T00:00:00Z"])
    reason: str | None = Field(default=None, max_length=2000, description="Why.", examples=["holidays"])


class DelegationView(BaseModel):
    """A delegation."""

    id: str = Field(description="Its id.", examples=[_ID])
    from_user: str = Field(description="Whose word it is.", examples=[_USER])
    to_user: str = Field(description="Who speaks.", examples=[_USER])
    approval_id: str | None = Field(description="For which approval; null for a time.", examples=[None])
    tools: list[str] = Field(description="For which tools; none for all.", examples=[[]])
    max_price: Money | None = Field(description="Up to which price.", examples=["100"])
    may_edit: bool = Field(description="Whether arguments may be edited, too.", examples=[False])
    reason: str | None = Field(description="Why.", examples=["holidays"])
    starts_at: datetime = Field(description="From when on (UTC).", examples=["2026-11-21T09:30:00Z"])
    ends_at: datetime | None = Field(description="Until when (UTC).", examples=["2026-12-01T00:00:00Z"])
    made_at: datetime = Field(description="When it was made (UTC).", examples=["2026-11-21T09:30:00Z"])
    revoked_at: datetime | None = Field(description="When it was ended (UTC).", examples=[None])


class DelegationPage(PageOf[DelegationView]):
    """A page of delegations."""


class LinkBody(Body):
    """Whom a link is for."""

    user_id: UUID = Field(description="The person.", examples=[_USER])


class LinkView(BaseModel):
    """A link; its token is shown only now."""

    id: str = Field(description="Its id.", examples=[_ID])
    approval_id: str = Field(description="Where it leads.", examples=[_ID])
    user_id: str = Field(description="For whom.", examples=[_USER])
    expires_at: datetime = Field(description="Until when (UTC).", examples=["2026-11-22T09:30:00Z"])
    token: str = Field(
        description="To be sent to the person.", examples=["3q2-7wHh8m1pVZc0uS5nJk4tYx6rEoLb9gQdFiAaWzM"]
    )


class RedeemBody(Body):
    """A link's token."""

    token: SecretStr = Field(min_length=1, max_length=200, description="From the link.", examples=["3q2-7wHh8m1p"])


class RedeemedView(BaseModel):
    """Where a link leads."""

    organization_id: str = Field(description="The organization.", examples=[_ID])
    approval_id: str = Field(description="The approval.", examples=[_ID])


def view_of(approval: ApprovalRecord) -> ApprovalView:
    """Return an approval as it is shown."""
    return ApprovalView.model_validate(_fields(approval))


def detail_of(approval: ApprovalRecord, answers: Sequence[AnswerRecord], voters: Sequence[Voter]) -> ApprovalDetail:
    """Return an approval as it is shown with its answers and voters."""
    shown = [AnswerView.model_validate(one, from_attributes=True) for one in answers]
    eligible = [VoterView.model_validate(one, from_attributes=True) for one in voters]
    return ApprovalDetail.model_validate(_fields(approval) | {"answers": shown, "eligible": eligible})


def _fields(approval: ApprovalRecord) -> dict[str, Any]:
    fields = {name: getattr(approval, name) for name in ApprovalView.model_fields if name != "untrusted"}
    return fields | {"untrusted": is_untrusted(approval.labels)}
