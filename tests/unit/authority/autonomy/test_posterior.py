"""The posterior agrees with scipy's beta distribution, with closed forms, and with a published table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bailiwick.authority.autonomy import Posterior

trials = st.integers(min_value=0, max_value=5000)
confidences = st.floats(min_value=0.51, max_value=0.999)


@given(trials, trials, confidences)
def test_bounds_are_those_of_scipys_beta_distribution(successes: int, failures: int, confidence: float) -> None:
    posterior = Posterior(successes, failures)
    theirs = stats.beta(1 + successes, 1 + failures)
    assert posterior.lower(confidence) == pytest.approx(theirs.ppf(1 - confidence), abs=1e-9)
    assert posterior.upper(confidence) == pytest.approx(theirs.ppf(confidence), abs=1e-9)
    assert posterior.mean == pytest.approx(theirs.mean())


@given(trials, confidences)
def test_without_failures_the_lower_bound_is_the_root_of_one_minus_the_confidence(n: int, confidence: float) -> None:
    # Beta(n + 1, 1) has the distribution function p ** (n + 1).
    assert Posterior(n, 0).lower(confidence) == pytest.approx((1 - confidence) ** (1 / (n + 1)), abs=1e-9)


def test_the_mean_is_laplaces_rule_of_succession() -> None:
    # The sun that rose on 1,826,213 days rises again with odds of 1,826,214 to one (Laplace, 1814).
    assert Posterior(1_826_213, 0).mean == pytest.approx(1_826_214 / 1_826_215)


def test_the_interval_of_placenta_praevia_births_is_the_published_one() -> None:
    # Gelman et al., Bayesian Data Analysis, section 2.4: 437 girls of 980 births, uniform prior:
    # posterior mean 0.446, central 95% interval [0.415, 0.477].
    posterior = Posterior(437, 543)
    assert round(posterior.mean, 3) == 0.446
    assert tuple(round(bound, 3) for bound in (posterior.quantile(0.025), posterior.quantile(0.975))) == (0.415, 0.477)


@given(trials, trials, confidences)
def test_a_success_raises_the_bound_and_a_failure_lowers_it(successes: int, failures: int, confidence: float) -> None:
    here = Posterior(successes, failures).lower(confidence)
    assert Posterior(successes + 1, failures).lower(confidence) >= here
    assert Posterior(successes, failures + 1).lower(confidence) <= here
