"""Learners, estimands and looks that another package brings, run end to end on a panel in memory."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel
from truelift.effects.estimate import estimate_panel
from truelift.effects.job import metrics_of
from truelift.effects.look import check_columns, look_further
from truelift.effects.results import EffectsResult, Estimate
from truelift.effects.scores.quantities import arm_scores, clipped
from truelift.errors import ConfigError, TableError
from truelift.report.estimates import by_outcome
from truelift.settings import EffectOptions
from truelift.typed import from_plain, to_plain

MEANS = """
from dataclasses import dataclass
import numpy as np
from truelift.effects.nuisances.learners.learner import Learner
from truelift.effects.nuisances.fitted import Fitted, Predictions

@dataclass(frozen=True)
class Options:
    share: float = 0.5

@dataclass(frozen=True, eq=False)
class Constants:
    share: float
    means: np.ndarray  # A x J
    name: str = "means"

    def predict(self, block, fold):
        n = block.shape[1]
        chances = np.array([1 - self.share, self.share])
        return Predictions(np.outer(chances, np.ones(n)), np.repeat(self.means[..., None], n, axis=2))

def fit(source, moments, options, progress):
    def sums(batch, fold):
        arm = moments.columns.arms.codes(batch)
        outcome = moments.outcomes.rows(batch, np.empty((len(moments.outcomes.names), batch.num_rows)))
        return np.array([[(arm == a).sum(), *outcome[:, arm == a].sum(axis=1)] for a in (0, 1)])

    total = sum(source.blocks(sums, moments.columns.of_moments(), options.folds))
    chosen = options.of_learner(MEANS)
    return Fitted(Constants(chosen.share, total[:, 1:] / total[:, :1]), True, {"share": chosen.share}, 2)

MEANS = Learner("means", fit, Options)
"""


def test_a_learner_of_another_package_is_named_parsed_and_run(bring):
    bring("truelift.learners", MEANS, means="MEANS")
    panel = in_buckets(simulate_panel(units=600, clusters=150))
    options = EffectOptions(learner="means", learners={"means": {"share": 0.4}}, estimands=("ATE",))
    result = estimate_panel(panel, options).result
    assert result.learner == "means" and result.nuisance["share"] == 0.4
    # Constant nuisances leave the weighted difference of the arms as they are.
    y, t = (simulate_panel(units=600, clusters=150)[c].to_numpy() for c in ("y_spend", "treated"))
    means = y[t == 0].mean(), y[t == 1].mean()
    weighted = [
        m + ((t == a) * (y - m)).mean() / chance
        for a, (m, chance) in enumerate(zip(means, (0.6, 0.4), strict=True))
    ]
    assert result.estimates[0].estimate == pytest.approx(weighted[1] - weighted[0])
    with pytest.raises(
        ConfigError, match=r"effects\.nuisances\.learners\.means\.shre.*Did you mean .*share"
    ):
        EffectOptions(learner="means", learners={"means": {"shre": 0.4}})


def test_a_learner_whose_module_is_missing_is_refused_before_anything_is_read(bring):
    text = MEANS.replace("fit, Options)", 'fit, Options, needs=("no_such_module",))')
    bring("truelift.learners", text, means="MEANS")
    with pytest.raises(ConfigError, match="'means' needs the package no_such_module"):
        estimate_panel(None, EffectOptions(learner="means"))


ON_CONTROLS = """
from truelift.effects.scores.kinds.kind import EstimandKind
from truelift.effects.scores.layout import OwnSums
from truelift.effects.scores.ratios import contrast
from truelift.inference.clusters import Summands

def keys(layout):
    for a in range(1, layout.arms):
        yield from layout.over("on controls", a)

def summands(units, layout, propensity, scores):
    for a in range(1, layout.arms):
        left = units.outcome - units.outcome_regression[a]
        share = (units.arm == a) * propensity[0] / propensity[a] - (units.arm == 0)
        yield Summands(share * left, layout.lines(layout.over("on controls", a)))

def build(columns, options, j):
    labels = columns.arms.labels
    for a in range(1, len(labels)):
        key = ("on controls", a, j)
        yield contrast("ATC", [(key, 1.0)], ("arm", 0), j, arm=labels[a], versus=labels[0],
                       population="the untreated")

ATC = EstimandKind(
    "ATC", "atc", "ATC: those who were left out", build, OwnSums(keys, summands), order=45,
    priority=15, reading="Had {population} got {arm}, {outcome} would have changed by {change}.",
)
"""


def test_an_estimand_of_another_package_is_summed_estimated_logged_and_read_out(bring):
    bring("truelift.estimands", ON_CONTROLS, ATC="ATC")
    panel = in_buckets(simulate_panel())
    options = EffectOptions(estimands=("ATE", "ATT", "ATC"), outcomes=("y_spend",))
    result = estimate_panel(panel, options).result
    ate, att, atc = result.estimates
    assert (ate.estimand, att.estimand, atc.estimand) == ("ATE", "ATT", "ATC")
    # With the arms the other way round it is the effect on those who had the arm.
    turned = EffectOptions(estimands=("ATT",), outcomes=("y_spend",), control="1")
    mirror = estimate_panel(panel, turned).result.estimates[0]
    assert atc.estimate == pytest.approx(-mirror.estimate, rel=1e-6)
    assert atc.standard_error == pytest.approx(mirror.standard_error, rel=1e-3)
    assert metrics_of(result)["atc.y_spend"] == atc.estimate
    said = "Had the untreated got treated, y_spend would have changed by +"
    assert said in result.summary()
    assert [e.estimand for e in by_outcome(result)["y_spend"]] == ["ATE", "ATT", "ATC"]
    assert result.supports(atc) == result.supports(ate)


def test_an_estimand_that_is_not_there_is_refused_as_the_options_are_made():
    with pytest.raises(
        ConfigError, match=r"effects\.estimands: found 'ATF', expected one of APO, ATE"
    ):
        EffectOptions(estimands=("ATE", "ATF"))


def test_an_estimate_whose_package_is_gone_is_read_in_plain_words():
    found = Estimate("odd one", "y", 1.0, 0.5, 0.0, 2.0, 0.04, 10, 10, 0.95, "", "b", "a")
    assert "odd one: b against a changes y by +1.0" in found.sentence()


GAINERS = """
from dataclasses import dataclass, replace
from typing import Any
import numpy as np
from truelift.effects.look import Look, NamedColumn, Pass
from truelift.effects.results import Finding
from truelift.effects.scores.quantities import arm_scores, clipped

@dataclass(frozen=True, eq=False)
class Kernel:
    scoring: Any
    above: float

    def __call__(self, bucket, batches):
        state = {"count": np.zeros(2)}
        for batch in batches:
            _, units = self.scoring.units(batch, bucket)
            scores = arm_scores(units, clipped(units.propensity, self.scoring.clip))
            gain = scores[1, 0] - scores[0, 0]
            state["count"] += (np.count_nonzero(gain > self.above), len(gain))
        return state

def passes(sight):
    scoring = sight.estimation.scoring
    # The second pass looks where the first one says.
    first = yield Pass(Kernel(scoring, 0.0))
    second = yield Pass(Kernel(scoring, float(first["count"][0] / first["count"][1])))
    return first["count"][0], second["count"][0]

def result(sight, found):
    finding = Finding("gainers", (f"{found[0]:.0f} scores are above zero.",), {"above": found[1]})
    return replace(sight.result, findings=(*sight.result.findings, finding))

GAINERS = Look("gainers", result, passes=passes,
               columns=lambda options: {"looks: gainers": NamedColumn("x_0", True)},
               metrics=lambda result: {f.look: f.figures["above"] for f in result.findings})
"""


def test_a_look_of_another_package_reads_what_it_wants_and_is_told_with_the_others(bring):
    bring("truelift.looks", GAINERS, gainers="GAINERS")
    panel = in_buckets(simulate_panel())
    options = EffectOptions(looks=("gainers",), outcomes=("y_spend",), estimands=("ATE",))
    estimation = estimate_panel(panel, options)
    further = look_further(panel, estimation, options)
    scores = np.concatenate(
        [
            arm_scores(units, clipped(units.propensity, 0.01))[:, 0]
            for bucket, table in panel.buckets.items()
            for batch in table.to_batches()
            for _, units in [estimation.scoring.units(batch, bucket)]
        ],
        axis=1,
    )
    gain = scores[1] - scores[0]
    above = np.count_nonzero(gain > np.mean(gain > 0))
    assert f"{np.count_nonzero(gain > 0)} scores are above zero." in further.result.summary()
    assert metrics_of(further.result)["gainers"] == above
    assert list(further.seconds) == ["gainers"]
    again = from_plain(EffectsResult, json.loads(json.dumps(to_plain(further.result))))
    assert again.findings == further.result.findings


def test_columns_that_a_look_names_are_missed_before_anything_is_read(bring):
    bring("truelift.looks", GAINERS, gainers="GAINERS")
    schema = simulate_panel(units=50).drop_columns(["x_0"]).schema
    options = EffectOptions(looks=("gainers",))
    with pytest.raises(TableError, match=r"panel has no column 'x_0' \(effects\.looks: gainers\)"):
        check_columns(schema, options, "panel")
    check_columns(schema, EffectOptions(), "panel")


def test_a_look_that_is_not_there_is_refused_as_the_options_are_made():
    with pytest.raises(ConfigError, match=r"effects\.looks: found 'gainrs', expected one of lifts"):
        EffectOptions(looks=("gainrs",))
