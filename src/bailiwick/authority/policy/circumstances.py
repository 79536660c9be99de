"""What a rule may ask about: the proposal, and what is known around it."""

from bailiwick.authority.model import Proposal
from bailiwick.authority.risk import risk_of, score_of


class Circumstances:
    """A proposal with the agent's level and the consent of the person concerned.

    What is None cannot be determined. Risk and score are computed when the
    first rule asks for them. ``organization`` holds the names the organization
    goes by: its id and its slug.
    """

    __slots__ = ("_risk", "_score", "consent", "level", "organization", "proposal")

    def __init__(
        self, proposal: Proposal, level: int, *, consent: bool | None = None, organization: tuple[str, ...] = ()
    ) -> None:
        self.proposal = proposal
        self.level = level
        self.consent = consent
        self.organization = organization or (proposal.organization_id,)
        self._risk: float | bool | None = False
        self._score: float | bool | None = False

    @property
    def risk(self) -> float | None:
        """Return the risk (0 to 10), or None where an input of it is missing."""
        if self._risk is False:
            self._risk = risk_of(self.proposal)
        return self._risk

    @property
    def score(self) -> float | None:
        """Return the decision score (0 to 1), or None where an input of it is missing."""
        if self._score is False:
            self._score = score_of(self.proposal)
        return self._score
