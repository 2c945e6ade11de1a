"""An evaluation as flat names and numbers, for MLflow."""

from __future__ import annotations

from collections.abc import Sequence

from truelift.evaluation.results import Measure, RankingMetrics


def flat(name: str) -> str:
    """A model's or segment's name as part of a metric's name."""
    return name.lower().replace(" ", "_").replace("(", "").replace(")", "")


def named_metrics(test: Sequence[RankingMetrics], prefix: str = "test") -> dict[str, float]:
    """``test.ndcg.basket_gru`` and so on.

    Metrics at the headline's own cut-off go without it (``test.ndcg.MODEL``), others with it
    (``test.ndcg@20.MODEL``); the first model has all of them, its segments and its difference
    to the best baseline, the others the headline's cut-off alone.
    """
    found: dict[str, float] = {}
    for number, metrics in enumerate(test):
        model = flat(metrics.model)
        found[f"{prefix}.ndcg.{model}"] = metrics.ndcg
        found[f"{prefix}.hit_rate.{model}"] = metrics.hit_rate
        found[f"{prefix}.ndcg.{model}.ci_lower"] = metrics.ndcg_ci_lower
        found[f"{prefix}.ndcg.{model}.ci_upper"] = metrics.ndcg_ci_upper
        for measure in metrics.measures:
            if number == 0 or measure.k in (metrics.k, None):
                found[f"{prefix}.{_label(measure, metrics.k)}.{model}"] = measure.value
        if number > 0:
            continue
        for segment in metrics.segments:
            for measure in segment.measures:
                label = _label(measure, metrics.k)
                found[f"{prefix}.{label}.{model}.{flat(segment.segment)}"] = measure.value
        for difference in metrics.differences:
            name = f"{prefix}.{difference.name}_gain_over_best_baseline"
            found |= {
                name: difference.mean,
                f"{name}.ci_lower": difference.ci_lower,
                f"{name}.ci_upper": difference.ci_upper,
                f"{name}.p_value": difference.p_value,
            }
    return found


def _label(measure: Measure, k: int) -> str:
    return measure.name if measure.k in (k, None) else measure.label
