"""What is known of an effect where nothing identifies it, as a look: bounds without adjustment.

Of E[Y(a)] only the units of arm a tell something; of the others the outcome lies in its range [low, high] (Manski
1990): ``E[Y 1(D = a)] + low P(D != a)`` to ``E[Y 1(D = a)] + high P(D != a)``. If the treatment lowers nobody's outcome
(monotone response; Manski 1997), the effect is not below 0; if those who took it would have had more in either arm
(monotone selection; Manski & Pepper 2000), it is not above the naive difference. All are ratios of sums that the
scores pass has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from truelift.effects.designs.results import Named, family
from truelift.effects.look import Look, Sight, not_made
from truelift.effects.panel.columns import PanelColumns, number_column
from truelift.effects.panel.source import State
from truelift.effects.results import EffectsResult, Estimate, Finding
from truelift.effects.scores.estimands import covariance, influence_rows
from truelift.effects.scores.layout import Key
from truelift.effects.scores.ratios import UNIT, Estimand, Ratio, contrast
from truelift.effects.telling.figures import figure, places_of
from truelift.inference.bounds import bounded_interval
from truelift.settings import EffectOptions

LOWER, UPPER = "lower bound", "upper bound"
_WORDS = {
    "monotone_response": "the treatment lowers nobody's outcome",
    "monotone_selection": "the treated would have had no less than the others in either arm",
}


@dataclass(frozen=True)
class EndsKernel:
    """The greatest value of each outcome, and of its negative."""

    outcomes: tuple[str, ...]

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of one bucket."""
        found = np.full((2, len(self.outcomes)), -np.inf)
        for batch in batches:
            for j, name in enumerate(self.outcomes):
                values = number_column(batch, name)
                if len(values):
                    found[:, j] = np.maximum(found[:, j], (values.max(), -values.min()))
        return {"max_value": found[0], "max_negative": found[1]}


def _asked(options: EffectOptions, columns: PanelColumns) -> bool:  # noqa: ARG001
    return bool(options.bounds)


def _result(sight: Sight, found: None) -> EffectsResult:  # noqa: ARG001
    """The result with bounds of the ATE of every arm and outcome, and their interval in a sentence."""
    columns, section = sight.estimation.scoring.columns, sight.options.bounds
    labels = columns.arms.labels
    if len(labels) > 2:
        told = (
            f"bounds are made of two arms, and there are {len(labels)}: name two in effects.arms."
        )
        return not_made(sight.result, {"bounds": told})
    sight.progress("a pass for the ends of outcomes")
    seen = sight.source.sum(EndsKernel(columns.outcomes), columns.outcomes, columns.batch_rows())
    estimates: list[Estimate] = []
    sentences: list[str] = []
    figures: dict[str, float] = {}
    failed: dict[str, str] = {}
    for j, outcome in enumerate(columns.outcomes):
        least, most = -float(seen["max_negative"][j]), float(seen["max_value"][j])
        given = section.range.get(outcome)
        low, high = given or (least, most)
        if least < low or most > high:
            failed[f"bounds on {outcome}"] = (
                f"effects.bounds.range says {low:.6g} to {high:.6g}, and some rows have {least:.6g} or "
                f"{most:.6g}. Give the range that the outcome can have."
            )
            continue
        for assumed in _assumptions(section.assume):
            made, interval = _bounds(sight, j, low, high, assumed)
            estimates += made
            if_so = " and ".join(_WORDS[name] for name in assumed)
            ends = [e.estimate for e in made]
            places = places_of(max(e.standard_error for e in made) or 1.0, *interval)
            sentences.append(
                f"{f'If {if_so}' if assumed else 'Without any assumption on who took it'}, the effect of {labels[1]} on "
                f"{outcome} lies between {figure(ends[0], places)} and {figure(ends[1], places)} "
                f"({sight.options.inference.confidence:.0%} interval of the effect {figure(interval[0], places)} to "
                f"{figure(interval[1], places)}), for an outcome between {low:.6g} and {high:.6g}"
                f"{'' if given else ', the least and the greatest that were seen'}."
            )
            name = f"{outcome}, {' and '.join(assumed) or 'no assumption'}"
            figures |= {f"{name}: lower": interval[0], f"{name}: upper": interval[1]}
    finding = Finding("bounds", tuple(sentences), figures)
    result = replace(
        sight.result,
        estimates=(*sight.result.estimates, *estimates),
        findings=(*sight.result.findings, *([finding] if sentences else [])),
    )
    return not_made(result, failed)


def _assumptions(assume: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Nothing, each assumption alone, all together."""
    sets = [(), *((name,) for name in assume), *([assume] if len(assume) > 1 else [])]
    return [tuple(found) for found in sets]


def _bounds(
    sight: Sight, j: int, low: float, high: float, assumed: tuple[str, ...]
) -> tuple[list[Estimate], tuple[float, float]]:
    scoring, moments = sight.estimation.scoring, sight.estimation.cluster_moments
    centre, scale = float(scoring.outcomes.centre[j]), float(scoring.outcomes.scale[j])
    least, most = (low - centre) / scale, (high - centre) / scale
    labels = scoring.columns.arms.labels
    naive = Estimand(UPPER, j, (_mean(1, j, 1.0), _mean(0, j, -1.0)))
    worst = _manski(LOWER, j, least, most)
    best = naive if "monotone_selection" in assumed else _manski(UPPER, j, most, least)
    values, rows = influence_rows(moments.total, scoring.layout, [worst, best])
    # What the units of neither arm's outcome may be at most and at least.
    values += np.array([least - most, 0.0 if best is naive else most - least])
    if "monotone_response" in assumed:
        values[0], rows[0] = 0.0, 0.0
    spread = covariance(rows, moments) * scale**2
    values = values * scale
    told = " and ".join(_WORDS[name] for name in assumed) or "no assumption"
    named = [
        Named(name, scoring.columns.outcomes[j], labels[1], told, "bounds of the ATE", labels[0])
        for name in (LOWER, UPPER)
    ]
    made = [
        replace(e, p_value=None)
        for e in family(
            named, values, spread, sight.options, sight.result.n, moments.fewest_clusters
        )
    ]
    errors = np.sqrt(np.clip(np.diag(spread), 0.0, None))
    interval = bounded_interval(
        float(values[0]), float(values[1]), (float(errors[0]), float(errors[1])),
        sight.options.inference.confidence, moments.fewest_clusters - 1.0,
    )  # fmt: skip
    return made, interval


def _manski(name: str, j: int, of_arm: float, of_control: float) -> Estimand:
    """What the data tell, with the unseen outcomes of the arm and of the control at the ends of their range."""
    keys: list[tuple[Key, float]] = [
        (("raw", 1, j), 1.0), (("arm", 1), -of_arm), (("raw", 0, j), -1.0), (("arm", 0), of_control)
    ]  # fmt: skip
    return contrast(name, keys, UNIT, j)


def _mean(arm: int, j: int, sign: float) -> Ratio:
    return Ratio(((("raw", arm, j), 1.0),), ("arm", arm), sign)


BOUNDS = Look("bounds", _result, _asked)
