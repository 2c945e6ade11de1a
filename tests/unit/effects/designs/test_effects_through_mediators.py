"""``mediators:`` and ``front_door:`` from a table to its sentences, and their scores one unit at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from tests.unit.effects.panels import in_buckets, with_column
from truelift.effects.designs.through.mediators import share_of
from truelift.effects.designs.through.nested import NestedUnits
from truelift.effects.designs.through.scores import CrossedScores, FrontDoorScores
from truelift.effects.whole import estimate_all
from truelift.errors import ConfigError, DataError, TableError
from truelift.settings import EffectOptions
from truelift.settings.effect_sections import NuisanceSection
from truelift.simulate.worlds.designed import mediated
from truelift.typed import from_plain

ASKED = {
    "treatment": "treated", "outcomes": "y", "cluster": "user", "buckets": 6, "covariates": ["x_0", "x_1"],
}  # fmt: skip


def drawn(arms: int = 3, outcomes: int = 2, n: int = 40) -> NestedUnits:
    rng = np.random.default_rng(0)
    chances = [rng.dirichlet(np.ones(arms) * 3, n).T for _ in range(2)]
    return NestedUnits(
        rng.integers(0, arms, n), rng.normal(size=(outcomes, n)), *chances,
        rng.normal(size=(arms, outcomes, n)), rng.normal(size=(arms, arms, outcomes, n)),
    )  # fmt: skip


def test_crossed_scores_are_their_formula_unit_by_unit():
    u = drawn()
    found = CrossedScores()(u).reshape(3, 3, 2, 40)
    for (a, b, j, i), score in np.ndenumerate(found):
        mu, w = u.regression[a, j, i], u.nested[a, b, j, i]
        wanted = w + (u.arm[i] == b) / u.propensity[b, i] * (mu - w)
        ratio = u.with_mediators[b, i] / (u.with_mediators[a, i] * u.propensity[b, i])
        wanted += (u.arm[i] == a) * ratio * (u.outcome[j, i] - mu)
        assert score == pytest.approx(wanted)


def test_front_door_scores_are_their_formula_unit_by_unit():
    u = drawn()
    found = FrontDoorScores()(u).reshape(3, 2, 40)
    for (a, j, i), score in np.ndenumerate(found):
        d, p, pm = u.arm[i], u.propensity[:, i], u.with_mediators[:, i]
        ratio = pm[a] / p[a] * p[d] / pm[d]
        wanted = ratio * (u.outcome[j, i] - u.regression[d, j, i]) + u.nested[d, a, j, i]
        mean = sum(p[b] * (u.regression[b, j, i] - u.nested[b, a, j, i]) for b in range(3))
        assert score == pytest.approx(wanted + (d == a) / p[a] * mean)


def test_direct_and_indirect_effects_add_up_to_one_total_both_ways():
    result = tl.estimate_effects(mediated(2, 800, 200), mediators=["m_0", "m_1"], **ASKED)
    found = {e.estimand: e.estimate for e in result.estimates}
    total = found["NDE"] + found["NIE"]
    assert total == pytest.approx(found["total NDE"] + found["pure NIE"], abs=1e-9)
    assert total == pytest.approx(found["ATE"], abs=0.1)
    assert any("goes through m_0, m_1" in s for f in result.findings for s in f.sentences)
    assert any("nothing unmeasured moves both m_0, m_1" in c.text for c in result.cautions)


def test_the_share_has_the_roots_of_fiellers_quadratic():
    spread = np.array([[0.04, 0.01], [0.01, 0.09]])
    found = share_of(0.7, 1.2, spread, np.inf, 0.95)
    c = 1.959963984540054**2
    roots = np.sort(np.roots([1.44 - c * 0.09, -2 * (0.7 * 1.2 - c * 0.01), 0.49 - c * 0.04]).real)
    assert found.intervals[0] == pytest.approx(tuple(roots), rel=1e-6)
    assert not share_of(0.7, 0.3, spread, np.inf, 0.95).bounded


def test_the_front_door_finds_what_adjustment_misses():
    table = mediated(4, 2000, 500, front_door=True)
    result = tl.estimate_effects(table, front_door=["m_0", "m_1"], **ASKED)
    (effect,) = result.estimates
    assert effect.ci_lower < 0.4 < effect.ci_upper and result.supported
    adjusted = next(e for e in tl.estimate_effects(table, **ASKED).estimates if e.estimand == "ATE")
    assert adjusted.ci_lower > 0.6
    assert "the mediators carry all of the effect" in str(result)


def test_mediators_that_settle_the_arm_support_no_front_door_and_tell_no_shares():
    table = mediated(4, 600, 150)
    copied = with_column(table, "m_0", 2.0 * table["treated"].to_numpy() + 1.0)
    result = tl.estimate_effects(copied, front_door=["m_0", "m_1"], **ASKED)
    assert not result.supported
    assert "'m_0' tells the treatment" in result.support[0].reasons[0]
    found = tl.estimate_effects(copied, mediators=["m_0", "m_1"], **ASKED)
    assert "'m_0' tells the treatment" in found.not_made["mediators"]
    assert not {e.estimand for e in found.estimates} & {"NDE", "NIE"}


@pytest.mark.parametrize("values", ["same", 3.0])
def test_nothing_goes_through_a_constant(values):
    table = mediated(4, 300, 100)
    constant = with_column(table, "m_0", np.full(300, values))
    with pytest.raises(DataError, match=r"m_0 \(effects\.front_door\) are constant"):
        tl.estimate_effects(constant, front_door="m_0", **ASKED)
    found = tl.estimate_effects(constant, mediators="m_0", **ASKED)
    assert "they are constant" in found.not_made["mediators"]


def test_what_the_front_door_leaves_out_is_said():
    table = mediated(5, 400, 100, front_door=True)
    rng = np.random.default_rng(1)
    arms = np.where(rng.random(400) < 0.2, 2, table["treated"].to_numpy())
    gaps = np.where(np.arange(400) % 40 == 0, np.nan, table["m_0"].to_numpy())
    table = with_column(with_column(table, "treated", arms), "m_0", gaps)
    table = table.append_column("z", pa.array(gaps))
    asked = ASKED | {"outcomes": ["y", "z"], "arms": ["0", "1"]}
    result = tl.estimate_effects(table, front_door=["m_0", "m_1"], **asked)
    assert "those of the arms 0, 1 (1 more left out)" in result.selection
    told = " ".join(c.text for c in result.cautions)
    assert "The outcome 'z' is not looked at" in told
    assert "Some rows have no value of m_0" in told


@pytest.mark.parametrize(
    "key", [{"quantiles": [0.5]}, {"mediators": "m_0"}, {"robust": {"huber": 1.3}}]
)
def test_what_holds_at_one_look_is_not_asked_for_at_all_looks(key):
    with pytest.raises(ConfigError, match=r"effects\.inference\.anytime"):
        tl.estimate_effects(mediated(1, 60, 30), inference={"anytime": True}, **ASKED, **key)


def test_a_mediator_may_be_a_text():
    table = mediated(5, 800, 200)
    levels = np.where(table["m_0"].to_numpy() > 0.3, "high", "low")
    result = tl.estimate_effects(with_column(table, "m_0", levels), mediators="m_0", **ASKED)
    assert next(e for e in result.estimates if e.estimand == "NIE").estimate > 0


@pytest.mark.parametrize("key", ["mediators", "front_door"])
def test_names_of_units_are_no_mediators(key):
    table = mediated(5, 400, 100)
    named = with_column(table, "m_0", [f"page {i % 90}" for i in range(400)])
    with pytest.raises(
        DataError, match=rf"'m_0' \(effects.{key}\) has 90 values or more in 400 rows"
    ):
        tl.estimate_effects(named, **{key: "m_0"}, **ASKED)


@pytest.mark.parametrize("key", ["mediators", "front_door"])
def test_a_moment_is_no_mediator_for_as_a_category_it_carries_nothing(key):
    table = mediated(4, 600, 150)
    days = pa.array(np.arange(600) % 50, pa.int32()).cast(pa.date32())
    with pytest.raises(TableError, match=r"'m_0'.*date32.*days since"):
        tl.estimate_effects(with_column(table, "m_0", days), **{key: "m_0"}, **ASKED)


def test_what_identify_writes_is_estimated():
    found = tl.identify("x -> m; m -> y; x <-> y", "x -> y").effect_keys()
    assert from_plain(EffectOptions, found, "effects").front_door == ("m",)
    found = tl.identify("x -> m; m -> y; x -> y", "x -> y", mediators=["m"]).effect_keys()
    assert from_plain(EffectOptions, found, "effects").mediators == ("m",)


@pytest.mark.parametrize(
    ("key", "refused", "words"),
    [
        ({"mediators": "m_9"}, TableError, "effects.mediators"),
        ({"mediators": "x_0"}, DataError, "both covariate and mediator"),
        ({"front_door": "m_0", "instrument": "x_0"}, ConfigError, "effects.instrument"),
        ({"front_door": "m_0", "mediators": "m_1"}, ConfigError, "effects.front_door"),
        ({"front_door": "m_0", "estimands": ["ATE"]}, ConfigError, "front-door ATE"),
    ],
)
def test_a_mistake_is_one_message(key, refused, words):
    with pytest.raises(refused, match=words):
        tl.estimate_effects(mediated(1, 60, 30), **(ASKED | key))


def logistic(features: np.ndarray, arm: np.ndarray) -> np.ndarray:
    at = np.zeros(features.shape[1])
    for _ in range(25):
        chance = 1.0 / (1.0 + np.exp(-features @ at))
        spread = features.T @ (features * (chance * (1 - chance))[:, None])
        at = at + np.linalg.solve(spread, features.T @ (arm - chance))
    return at


def indirect_by_loops(table: pa.Table, fold: np.ndarray, folds: int) -> tuple[float, float]:
    """The NIE and its clustered error, nuisances refitted for every fold; the error without what fitting adds."""
    x = np.column_stack([np.ones(table.num_rows), table["x_0"], table["x_1"]])
    both = np.column_stack([x, table["m_0"], table["m_1"]])
    d, y = table["treated"].to_numpy(), table["y"].to_numpy()
    p, pm, mu, w = (np.zeros((2, len(d))) for _ in range(4))
    for k in range(folds):
        own, rest = fold == k, fold != k
        for features, chance in ((x, p), (both, pm)):
            index = features[own] @ logistic(features[rest], d[rest])
            chance[:, own] = 1.0 / (1.0 + np.exp([index, -index]))
        for a in (0, 1):
            at = rest & (d == a)
            mu[a, own] = both[own] @ np.linalg.lstsq(both[at], y[at], rcond=None)[0]
    for k in range(folds):
        own, rest = fold == k, fold != k
        for b in (0, 1):
            at = rest & (d == b)
            w[b, own] = x[own] @ np.linalg.lstsq(x[at], mu[1, at], rcond=None)[0]
    treated = [
        w[b] + (d == b) / p[b] * (mu[1] - w[b]) + (d == 1) * pm[b] / (pm[1] * p[b]) * (y - mu[1]) for b in (0, 1)
    ]  # fmt: skip
    score = treated[1] - treated[0]
    user = np.unique(table["user"].to_numpy(), return_inverse=True)[1]
    sums = np.bincount(user, weights=score - score.mean())
    groups = len(sums)
    return score.mean(), float(np.sqrt(np.sum(sums**2) * groups / (groups - 1)) / len(d))


def test_the_indirect_effect_is_that_of_loops_and_its_error_has_what_fitting_adds():
    table = mediated(6, 900, 225)
    source = in_buckets(table)
    options = EffectOptions(
        outcomes=("y",), cluster="user", covariates=("x_0", "x_1"), mediators=("m_0", "m_1"), estimands=("ATE",),
        nuisances=NuisanceSection(ridge=0.0, tolerance=1e-13),
    )  # fmt: skip
    folds = options.nuisances.folds
    effect, error = indirect_by_loops(table, table["bucket"].to_numpy() % folds, folds)
    found = next(e for e in estimate_all(source, options).result.estimates if e.estimand == "NIE")
    assert found.estimate == pytest.approx(effect, abs=1e-6)
    # Two models of 5 coefficients and two of 3, each k K / (K - 1) / n, more where clusters share their arm.
    added = (found.standard_error / error) ** 2 - 1
    alone = 16 * folds / (folds - 1) / 900
    assert 0.99 * alone < added < 1.3 * alone
