"""What the evidence allows to believe of an agent: a Beta distribution of its chance to do right.

Acts are taken as Bernoulli trials of one chance p. Before there is evidence
every p is as likely as any other: the prior is Beta(1, 1), Bayes' and Laplace's
(Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.1), as if the agent
had been right once and wrong once. It lets the lower bound rise more slowly than
Jeffreys' Beta(1/2, 1/2) would. After s successes and f failures p is
distributed as Beta(1 + s, 1 + f); a bound of confidence c is its quantile.
"""

from dataclasses import dataclass

PRIOR_SUCCESSES = 1.0
PRIOR_FAILURES = 1.0


@dataclass(frozen=True, slots=True)
class Posterior:
    """Beta(1 + successes, 1 + failures)."""

    successes: int
    failures: int

    @property
    def mean(self) -> float:
        """The expected chance; Laplace's rule of succession."""
        right = self.successes + PRIOR_SUCCESSES
        return right / (right + self.failures + PRIOR_FAILURES)

    def lower(self, confidence: float) -> float:
        """Return what the chance exceeds with that confidence (0 to 1)."""
        return self.quantile(1.0 - confidence)

    def upper(self, confidence: float) -> float:
        """Return what the chance stays under with that confidence (0 to 1)."""
        return self.quantile(confidence)

    def quantile(self, probability: float) -> float:
        """Return under what the chance lies with that probability: the inverse regularized incomplete beta function."""
        from scipy.special import betaincinv  # noqa: PLC0415 - a tenth of a second that starting need not pay

        return float(betaincinv(self.successes + PRIOR_SUCCESSES, self.failures + PRIOR_FAILURES, probability))
