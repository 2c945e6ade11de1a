"""One pass for all checks: states add up, layouts do not matter, results read as sentences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.effects.credibility_blocks import FOLDS, in_buckets, part_of, simulate_block
from truelift.effects.credibility.assessment import AssessmentOptions, assess
from truelift.effects.credibility.blocks import ContrastLines, ShortNuisances, contrast_lines
from truelift.effects.credibility.kernel import (
    CredibilityKernel,
    CredibilityOptions,
    credibility_state,
)
from truelift.effects.credibility.placebo import PlaceboOptions
from truelift.effects.scores.kinds.att import ATT
from truelift.effects.scores.layout import ScoreLayout
from truelift.effects.scores.quantities import UnitBlock, quantities
from truelift.errors import ConfigError, DataError
from truelift.lake.states import add_states, pack_state, unpack_state

OPTIONS = CredibilityOptions(
    outcomes=2, folds=FOLDS, placebo=PlaceboOptions(replicates=20), halves=20,
    random_covariates=3, group_levels=(4,), benchmarks=1,
)  # fmt: skip
ASSESSMENT = AssessmentOptions(
    outcomes=("y_spend", "y_before"), scales=(10.0, 2.0), groups=("campaign",),
    group_levels=(("a", "b", "c", "d"),), benchmarks=("x_0",),
    negative_controls={"y_before": 0.0},
)  # fmt: skip


def panel_block(seed: int = 1, units: int = 800, arms: int = 2):
    """Two outcomes, one group column, and predictions without the only covariate."""
    block = simulate_block(seed, units, clusters=100, outcomes=2, effect=0.7, arms=arms)
    shares = np.repeat(block.members.mean(axis=1)[:, None], units, axis=1)
    means = np.array([block.outcome[:, block.arm == a].mean(axis=1) for a in range(arms)])
    return replace(block, short=(ShortNuisances(shares, np.repeat(means[:, :, None], units, 2)),))


def state_of(block, options=OPTIONS, batches=1):
    """The state, summed over ten buckets."""
    return add_states(
        credibility_state(parts, fold, options) for fold, parts in in_buckets(block, 10, batches)
    )


@pytest.mark.parametrize("arms", [2, 3])
def test_the_scores_of_the_checks_are_those_of_the_estimates(arms):
    block = panel_block(arms=arms)
    layout = ScoreLayout(arms, 2, own=(ATT.sums,))
    units = UnitBlock(block.arm, block.outcome, block.propensity, block.outcome_regression)
    summed = np.zeros((len(layout), 1))
    for part in quantities(units, layout, clip=0.0):
        part.add_up(np.zeros(len(block), int), summed)
    lines = ContrastLines(arms, 2)
    found = contrast_lines(block, lines).sum(axis=1)
    for estimand, a, j in lines.estimates():
        top, bottom = lines.estimate(estimand, a, j)
        total = {key: summed[layout.place(*key), 0] for key in layout.keys}
        if estimand == "ATE":
            assert found[top] == pytest.approx(total["apo", a, j] - total["apo", 0, j], rel=1e-11)
            assert found[bottom] == total["unit",]
        else:
            assert found[top] == pytest.approx(total["att", a, j], rel=1e-11)
            assert found[bottom] == total["arm", a]


@pytest.mark.parametrize("arms", [2, 3])
def test_the_state_does_not_depend_on_batches_or_on_the_order_of_rows(arms):
    options = replace(OPTIONS, arms=arms)
    block = panel_block(arms=arms)
    one = state_of(block, options)
    shuffled = part_of(block, np.random.default_rng(0).permutation(len(block)))
    other = state_of(shuffled, options, batches=3)
    assert one.keys() == other.keys()
    for name, value in one.items():
        spread = np.abs(value).max() or 1.0
        np.testing.assert_allclose(other[name], value, rtol=1e-11, atol=1e-12 * spread)


def test_the_state_survives_its_way_to_the_driver_and_stays_small():
    state = state_of(panel_block())
    back = unpack_state(pack_state(state))
    assert all(np.array_equal(back[name], value) for name, value in state.items())
    larger = state_of(panel_block(units=8000))
    assert len(pack_state(larger)) == len(pack_state(state))


def test_the_kernel_hands_batches_and_the_fold_of_the_bucket_to_the_block_function():
    block, folds = simulate_block(units=60, outcomes=2), []

    def of_batch(batch: pa.RecordBatch, fold: int):
        folds.append(fold)
        return part_of(block, batch.column(0).to_numpy(), fold)

    options = replace(OPTIONS, benchmarks=0)
    batches = [
        pa.record_batch({"row": np.arange(s, s + n)}) for s, n in ((0, 25), (25, 0), (25, 35))
    ]
    state = CredibilityKernel(of_batch, options)(8, iter(batches))
    assert folds == [3, 3]
    assert state["fold_total"][:, 0].tolist() == [0, 0, 0, 60, 0]
    whole = credibility_state([replace(block, fold=3)], 3, options)
    np.testing.assert_allclose(state["cross"], whole["cross"])
    empty = CredibilityKernel(of_batch, options)(9, iter([]))
    assert empty.keys() == state.keys() and all(e.shape == s.shape for e, s in zip(
        empty.values(), state.values(), strict=True
    ))  # fmt: skip


def test_every_check_is_made_of_the_one_state_in_the_outcomes_units():
    block = panel_block()
    found = assess(state_of(block), OPTIONS, ASSESSMENT)
    counts = [len(getattr(found, name)) for name in found.__dataclass_fields__]
    assert counts == [4, 2, 2, 2, 2, 4, 4, 4, 1]
    spend = found.omitted_variables[0]
    rows = block.members / block.propensity
    residual = block.outcome - block.outcome_regression
    scores = block.outcome_regression + rows[:, None] * residual
    expected = (scores[1] - scores[0]).mean(axis=1)
    assert spend.estimate == pytest.approx(10.0 * expected[0])
    assert found.negative_controls[0].estimate == pytest.approx(2.0 * expected[1])
    within = np.concatenate([
        block.outcome[1, block.arm == a] - block.outcome[1, block.arm == a].mean() for a in (0, 1)
    ])  # fmt: skip
    deviation = 2.0 * np.sqrt(np.sum(within**2) / (len(block) - 2))
    assert found.negative_controls[0].margin == pytest.approx(0.1 * deviation)
    naive = block.outcome[0, block.arm == 1].mean() - block.outcome[0, block.arm == 0].mean()
    assert found.benchmarks[0].change == pytest.approx(10.0 * (naive - expected[0]))
    assert found.groups[0].standard_error == pytest.approx(spend.standard_error)


def test_all_results_read_as_sentences_and_most_as_tables():
    found = assess(state_of(panel_block()), OPTIONS, ASSESSMENT)
    text = repr(found)
    for part in (
        "ATE on y_spend (treated against control): an unobserved confounder would need to explain",
        "A confounder as strong as x_0", "placebo treatments are found significant",
        "Negative control y_before", "random halves", "leaving out one campaign of 4",
        "cross-fitting folds", "random covariates moves the estimate",
    ):  # fmt: skip
        assert part in text
    assert "nan" not in text
    for name in found.__dataclass_fields__:
        assert all(len(part.to_pandas()) >= 1 for part in getattr(found, name))


def test_checks_that_are_not_asked_for_are_left_out():
    options = CredibilityOptions(
        folds=FOLDS, placebo=PlaceboOptions(replicates=0), halves=0, random_covariates=0
    )
    block = replace(simulate_block(), groups=())
    found = assess(state_of(block, options), options, AssessmentOptions(("y",), (1.0,)))
    assert not found.placebos and not found.random_causes and not found.halves
    assert len(found.omitted_variables) == len(found.folds) == 2


def test_a_pass_without_rows_and_unknown_controls_are_refused():
    with pytest.raises(DataError, match="found no rows"):
        assess({}, OPTIONS, ASSESSMENT)
    wrong = replace(ASSESSMENT, negative_controls={"y_none": 0.0})
    with pytest.raises(DataError, match="'y_none' not among the outcomes y_spend, y_before"):
        assess(state_of(panel_block()), OPTIONS, wrong)


@pytest.mark.parametrize(
    "wrong", [{"arms": 1}, {"halves": -1}, {"placebo": PlaceboOptions(shares=(0.2, 0.3, 0.5))}]
)
def test_wrong_options_of_the_pass_are_refused(wrong):
    with pytest.raises(ConfigError, match="Credibility options"):
        CredibilityOptions(**wrong)
