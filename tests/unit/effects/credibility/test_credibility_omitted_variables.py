"""Omitted-variable bounds: DoubleML's figures, closed forms, brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.unit.effects.credibility_blocks import part_of, simulate_block
from truelift.effects.credibility.blocks import (
    ContrastLines,
    CredibilityBlock,
    ShortNuisances,
    contrast_lines,
)
from truelift.effects.credibility.omitted_variables import (
    SensitivityElements,
    covariate_benchmark,
    omitted_variable_bounds,
    robustness_values,
    sensitivity_elements,
)
from truelift.effects.credibility.target import Target
from truelift.errors import ConfigError, DataError

# DoubleML 0.11.4, DoubleMLIRM with the predictions of ``sixty_units`` handed to it, scores 'ATE'
# and 'ATTE', sensitivity_analysis(cf_y=0.1, cf_d=0.05, rho=0.9, level=0.95), and gain_statistics
# against a model whose predictions are constants.
DOUBLEML = {
    "ATE": {
        "theta": 1.262038710105736, "sigma2": 0.7034977221875995, "nu2": 4.358354056311929,
        "lower": 1.147709208401393, "upper": 1.376368211810079,
        "se_lower": 0.20784586100337749, "se_upper": 0.20841838911149702,
        "ci_lower": 0.8058331900831359, "ci_upper": 1.7191859550635082,
        "rv": 0.5419773226527448, "rva": 0.43215737376746566,
        "gain": (0.5769338550707274, 0.0884538099923454, 0.9704913787108423, 0.3679599623962708),
    },
    "ATT": {
        "theta": 1.2541923861647277, "sigma2": 0.7034977221875995, "nu2": 4.553944319828369,
        "lower": 1.1373256501082394, "upper": 1.371059122221216,
        "se_lower": 0.21746874158946605, "se_upper": 0.21641754036128524,
        "ci_lower": 0.7796214017562337, "ci_upper": 1.7270342984203928,
        "rv": 0.5323966501244903, "rva": 0.39950903839912133,
        "gain": (0.5769338550707274, 0.13738210887161795, 0.7939940793251844, 0.37516073263424965),
    },
}  # fmt: skip


def sixty_units() -> tuple[CredibilityBlock, CredibilityBlock]:
    """Sixty units by formula with rough nuisances, and the same with constant nuisances."""
    i = np.arange(60)
    x, u = np.sin(1.7 * i), np.cos(2.3 * i * i)
    d = ((i * 37) % 60 + 0.5) / 60 < 1 / (1 + np.exp(-0.8 * x - 0.3 * u))
    y = 1.5 * d + x + 0.7 * u + np.sin(5.1 * i * i + 1)
    e = 1 / (1 + np.exp(-0.7 * x))
    regression = np.stack([0.9 * x + 0.1, x + 1.4])[:, None]
    keys = i.astype(np.uint64)
    block = CredibilityBlock(y[None], d.astype(int), np.stack([1 - e, e]), regression, keys, keys)
    flat = np.full(60, 1 / (1 + np.exp(-0.05)))
    short = ShortNuisances(
        np.stack([1 - flat, flat]), np.stack([np.full((1, 60), 0.05), np.full((1, 60), 1.6)])
    )
    return block, block.with_nuisances(short)


def elements_of(
    block: CredibilityBlock, target: Target, share_known: bool = False
) -> SensitivityElements:
    """Elements from sums over clusters."""
    lines = ContrastLines(len(block.propensity), len(block.outcome))
    keys, sums = cluster_sums(block)
    return sensitivity_elements(
        sums.sum(axis=1), sums @ sums.T, len(keys), lines, target, share_known
    )


def cluster_sums(block: CredibilityBlock) -> tuple[np.ndarray, np.ndarray]:
    """Sums of every line by cluster, cluster after cluster."""
    values = contrast_lines(block, ContrastLines(len(block.propensity), len(block.outcome)))
    keys = np.unique(block.cluster)
    return keys, np.array([values[:, block.cluster == key].sum(axis=1) for key in keys]).T


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_bounds_and_their_standard_errors_are_those_of_doubleml(estimand):
    expected = DOUBLEML[estimand]
    elements = elements_of(sixty_units()[0], Target(estimand), share_known=True)
    bounds = omitted_variable_bounds(elements, cf_y=0.1, cf_d=0.05, rho=0.9)
    for name, found in [
        ("theta", elements.estimate), ("sigma2", elements.sigma2), ("nu2", elements.nu2),
        ("lower", bounds.lower), ("upper", bounds.upper),
    ]:  # fmt: skip
        assert found == pytest.approx(expected[name], abs=1e-10), name
    # DoubleML has no factor G / (G - 1) and normal quantiles; ours are the t's with 59 degrees.
    strength = 0.9 * np.sqrt(0.1 * 0.05 / 0.95)
    errors = [elements.bound_error(strength, side) for side in (-1, 1)]
    scaled = [error * np.sqrt(59 / 60) for error in errors]
    # It also takes the error of each bound for the other's: its scaled score psi / E[psi_a] is
    # the influence function with the sign turned. The jackknife below decides.
    assert scaled == pytest.approx([expected["se_upper"], expected["se_lower"]], abs=1e-10)
    normal = stats.norm.ppf(0.95)
    assert bounds.lower - normal * scaled[1] == pytest.approx(expected["ci_lower"], abs=1e-10)
    t = stats.t.ppf(0.95, 59)
    assert bounds.ci_upper == pytest.approx(bounds.upper + t * errors[1], abs=1e-12)
    # DoubleML finds robustness values by minimisation, to five digits.
    assert bounds.robustness_value == pytest.approx(expected["rv"], abs=2e-5)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_gains_of_observed_covariates_are_those_of_doubleml(estimand):
    long, short = (elements_of(b, Target(estimand)) for b in sixty_units())
    found = covariate_benchmark(long, short, "x")
    assert (found.cf_y, found.cf_d, found.rho, found.change) == pytest.approx(
        DOUBLEML[estimand]["gain"], abs=1e-10
    )


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
@pytest.mark.parametrize("side", [-1, 1])
def test_standard_error_of_a_bound_is_that_of_the_jackknife_over_clusters(estimand, side):
    block, target = simulate_block(seed=3, units=1500, clusters=150, effect=1.0), Target(estimand)
    # Skewed errors let the estimate and its largest bias move together.
    skewed = replace(block, outcome=block.outcome + np.exp(0.4 * block.outcome) * block.arm)
    lines, strength = ContrastLines(2, 1), 0.5
    keys, sums = cluster_sums(skewed)
    total, cross = sums.sum(axis=1), sums @ sums.T
    without = []
    for g in range(len(keys)):
        part = sensitivity_elements(total - sums[:, g], cross, len(keys) - 1, lines, target)
        without.append(part.estimate + side * strength * part.bias)
    jackknife = np.sqrt((1 - 1 / len(keys)) * np.sum((without - np.mean(without)) ** 2))
    elements = elements_of(skewed, target)
    assert elements.bound_error(strength, side) == pytest.approx(jackknife, rel=0.03)
    assert elements.bound_error(strength, -side) != pytest.approx(jackknife, rel=0.1)


@given(
    st.floats(-5, 5), st.floats(0.01, 9), st.floats(0.1, 9), st.floats(1e-3, 1), st.floats(-1, 1),
    st.floats(0.05, 1), st.floats(-1, 1),
)  # fmt: skip
@settings(max_examples=100)
def test_at_the_robustness_values_the_bounds_meet_the_null(
    estimate, sigma2, nu2, error, correlation, rho, null
):
    elements = SensitivityElements(
        estimate, sigma2, nu2, error**2, (2 * error) ** 2, correlation * 2 * error**2, 50
    )
    value, confident = robustness_values(elements, rho, null)
    f = abs(estimate - null) / (rho * np.sqrt(sigma2 * nu2))
    assert value**2 == pytest.approx(f**2 * (1 - value), rel=1e-8, abs=1e-12)
    assert 0 <= confident <= value <= 1
    if 0 < confident < 0.999:
        at = omitted_variable_bounds(elements, confident, confident, rho, null)
        meets = at.ci_lower if estimate > null else at.ci_upper
        assert meets == pytest.approx(null, abs=1e-8)
    elif confident == 0:
        at = omitted_variable_bounds(elements, 0.0, 0.0, rho, null)
        assert at.ci_lower - 1e-8 <= null <= at.ci_upper + 1e-8


def test_a_planted_confounder_lies_within_the_bounds_of_its_own_strength():
    block = simulate_block(seed=5, units=200_000, clusters=200_000, effect=1.0, hidden=0.7)
    elements = elements_of_units(block)
    # The long regression has residual variance 2 (cluster and own error) beside 0.49 hidden.
    assert elements.estimate > 1.15
    bounds = omitted_variable_bounds(elements, cf_y=0.49 / 2.49, cf_d=0.12)
    assert bounds.lower < 1.0 < elements.estimate < bounds.upper


def elements_of_units(block: CredibilityBlock) -> SensitivityElements:
    """Elements where every unit is its own cluster."""
    lines = ContrastLines(2, 1)
    values = contrast_lines(block, lines)
    return sensitivity_elements(
        values.sum(axis=1), values @ values.T, values.shape[1], lines, Target()
    )


def test_scores_of_three_arms_use_the_residuals_of_the_contrast_alone():
    block = simulate_block(seed=1, arms=3, units=50)
    values = contrast_lines(block, ContrastLines(3, 1))
    lines = ContrastLines(3, 1)
    own = block.outcome_regression[block.arm, 0, np.arange(50)]
    inside = np.isin(block.arm, [0, 2])
    expected = inside * (block.outcome[0] - own) ** 2
    np.testing.assert_allclose(values[lines.residual(2, 0)], expected)
    assert len({*lines.riesz("ATE", 1), *lines.riesz("ATE", 2), *lines.riesz("ATT", 1)}) == 6


def test_a_riesz_square_that_is_not_positive_falls_back_to_the_plain_one():
    block = sixty_units()[0]
    rare = np.where(block.arm == 1, 0.02, 0.98)  # a propensity that is wrong everywhere
    wrong = block.with_nuisances(
        ShortNuisances(np.stack([1 - rare, rare]), block.outcome_regression)
    )
    elements = elements_of(wrong, Target())
    assert elements.plug_in
    assert elements.nu2 == pytest.approx(2500.0)
    assert not elements_of(block, Target()).plug_in


def test_impossible_strengths_and_too_few_clusters_are_refused():
    elements = elements_of(sixty_units()[0], Target())
    with pytest.raises(ConfigError, match=r"cf_d: found 1, expected a share in \[0, 1\)"):
        omitted_variable_bounds(elements, cf_d=1.0)
    with pytest.raises(ConfigError, match="rho: found 2"):
        omitted_variable_bounds(elements, rho=2.0)
    with pytest.raises(DataError, match="found 1 clusters"):
        elements_of(part_of(sixty_units()[0], np.array([0])), Target())


def test_the_result_says_what_a_confounder_would_need():
    bounds = omitted_variable_bounds(
        elements_of(sixty_units()[0], Target()), target=Target("ATE", outcome_name="y_spend")
    )
    assert repr(bounds).startswith(
        "ATE on y_spend: an unobserved confounder would need to explain at least 50.6% of the "
        "residual variance of both treatment and outcome to bring the estimate (1.262) to zero"
    )
