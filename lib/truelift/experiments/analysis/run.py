"""An analysis: a few passes over the rows, then arithmetic on sums."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from truelift.effects.panel.arms import label_in, label_of
from truelift.effects.panel.source import PanelSource
from truelift.errors import ConfigError, DataError
from truelift.experiments.analysis.adjusted import NOT_ADJUSTED, adjusted_effects
from truelift.experiments.analysis.answered import NO_ANSWERS, answer_effects
from truelift.experiments.analysis.cells import broken_down
from truelift.experiments.analysis.decide import decide
from truelift.experiments.analysis.effects import (
    before_p_value,
    differ_before,
    guardrail_checks,
    metric_effects,
    quantile_effects,
    with_looks,
)
from truelift.experiments.analysis.kernels import MomentsKernel, State, SumsKernel
from truelift.experiments.analysis.layout import (
    Layout,
    Scaling,
    adjusted_of,
    check_table,
    columns_of,
    layout_of,
    quantiles_of,
    scaling_of,
    surveys_of,
    winsorised_of,
)
from truelift.experiments.analysis.looks import LookRule
from truelift.experiments.analysis.order_statistics import Target, order_statistics
from truelift.experiments.analysis.results import (
    Analysis,
    ArmSize,
    Look,
    MetricEffect,
    that_counts,
)
from truelift.experiments.design import design_experiment
from truelift.experiments.metrics import LINEAR
from truelift.experiments.spec import ExperimentSpec
from truelift.fingerprints import fingerprint_of
from truelift.inference.experiment_estimates import ratio_of_sums
from truelift.inference.experiments import ExperimentSums
from truelift.inference.sample_ratio import ratio_of_counts
from truelift.progress import Tell
from truelift.typed import to_plain

_BATCH_ROWS = 65536
# Standard errors of the share between the two quantiles from which a density is taken.
_AROUND = 1.959963984540054


def analyze(
    source: PanelSource,
    spec: ExperimentSpec,
    earlier: tuple[Look, ...] = (),
    progress: Tell = lambda text: None,
) -> Analysis:
    """Estimate an experiment and apply its rule.

    Parameters
    ----------
    source : PanelSource
        Rows in buckets of whole clusters.
    spec : ExperimentSpec
    earlier : tuple of Look
        What was seen before, by time. Looks at as many units or more are this one, made again.
    progress : callable, optional

    Returns
    -------
    Analysis

    Raises
    ------
    UserError
        For a missing column or arm, an arm that was not promised, or units in two arms.
    """
    check_table(source.schema, source.name, spec)
    _check_arms(source, spec)
    layout = layout_of(spec)
    columns = columns_of(spec)

    def read(kernel: Callable[..., State | None]) -> State:
        return source.sum(kernel, columns, _BATCH_ROWS)

    progress("counting units")
    moments = read(MomentsKernel(spec, layout))
    _check_units(moments, spec, source.name)
    dropped = int(moments["several"][0]) if spec.several_arms == "drop" else 0
    scaling = scaling_of(layout, moments["total"], moments["square"], float(moments["kept"][0]))
    progress("quantiles") if quantiles_of(spec) or winsorised_of(spec) else None
    caps, cuts = _cuts(read, spec, layout)
    progress("sums by cluster")
    sums = ExperimentSums.from_state(read(SumsKernel(spec, layout, scaling, cuts, caps)), 0)
    units = int(np.rint(sums.units.sum()))
    rule, planned = _rule(spec, sums, units, earlier)
    effects, failed = metric_effects(spec, sums, layout, scaling, rule, caps)
    for name in quantiles_of(spec):
        effects += _quantile(read, spec, layout, scaling, sums, name, cuts, rule)
    learnt = NOT_ADJUSTED
    if adjusted_of(spec):
        learnt = adjusted_effects(source, spec, columns, caps, rule, progress)
    effects += learnt.effects
    failed |= learnt.failed
    answers = NO_ANSWERS
    if surveys_of(spec):
        answers = answer_effects(source, spec, columns, rule, progress)
    effects += answers.effects
    failed |= answers.failed
    past = tuple(look for look in earlier if look.units < units)
    order = list(spec.metrics)
    effects = tuple(sorted(effects, key=lambda e: order.index(e.metric)))  # stable: methods as made
    effects = _of_looks(spec, effects, rule, past)
    guardrails = guardrail_checks(spec, effects, rule)
    ratio = ratio_of_counts(
        np.rint(sums.units), np.array(spec.shares), spec.decision.sample_ratio_level
    )
    leading = _deciding(spec, effects, failed)
    final = planned is None or units >= planned
    unlike = answers.doubt or learnt.doubt
    if before_p_value(sums, layout.places[spec.decides].before) < spec.decision.sample_ratio_level:
        unlike = differ_before(spec.metric(spec.decides))
    decided = decide(spec, leading, guardrails, ratio.p_value, units, final, unlike)
    breakdowns, thin = broken_down(read, source, spec, layout, scaling, caps, moments, progress)
    own = next(e for e in leading if e.arm == decided.arm)
    fixed = rule_of(spec)
    look = Look(
        number=len(past) + 1, units=units, at=_now(), estimate=own.estimate,
        statistic=own.better * own.estimate / own.standard_error if own.standard_error else 0.0,
        lower=own.lower, upper=own.upper, arm=own.arm, decision=decided.decision,
        reason=decided.reasons[0], rule=fixed,
    )  # fmt: skip
    return Analysis(
        name=spec.name,
        table=source.name,
        table_version=source.version,
        unit=" and ".join(spec.units_of),
        units=units,
        clusters=sums.cluster_count,
        arms=tuple(
            ArmSize(arm, observed, expected)
            for arm, observed, expected in zip(
                spec.labels, ratio.observed, ratio.expected, strict=True
            )
        ),
        sample_ratio_p_value=ratio.p_value,
        in_several_arms=dropped,
        without_arm=int(moments["without"][0]),
        primary=spec.decides,
        level=spec.level,
        method=spec.looks.method,
        look=look.number,
        planned_units=planned,
        fraction=None if planned is None else min(units / planned, 1.0),
        final=final,
        critical=None if spec.looks.method == "none" else rule.critical(own.degrees_of_freedom),
        effects=effects,
        guardrails=guardrails,
        breakdowns=breakdowns + answers.breakdowns,
        decision=decided.decision,
        arm=decided.arm,
        reasons=decided.reasons,
        supported=ratio.p_value >= spec.decision.sample_ratio_level and not unlike,
        rule=fixed,
        cautions=(
            *_cautions(spec, moments, dropped, failed, past, fixed, units, planned),
            *thin,
            *answers.thin,
            *answers.said,
        ),
        looks=(*past, look),
        sizes_as_promised=ratio.p_value >= spec.decision.sample_ratio_level,
    )


def rule_of(spec: ExperimentSpec) -> str:
    """Fingerprint of what has to be fixed before the first look."""
    # Keys that came later leave the fingerprints of metrics without them as they were.
    metrics = {name: dict(to_plain(metric)) for name, metric in spec.metrics.items()}
    for plain in metrics.values():
        if not plain["covariates"]:
            del plain["covariates"]
        if plain["learner"] == LINEAR:
            del plain["learner"]
    return fingerprint_of(
        metrics=metrics, primary=spec.decides, guardrails=spec.guardrails, arms=spec.arms,
        level=spec.level, alternative=spec.alternative, correction=spec.correction,
        looks=spec.looks, decision=spec.decision, unit=spec.units_of, cluster=spec.cluster,
    )  # fmt: skip


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _check_arms(source: PanelSource, spec: ExperimentSpec) -> None:
    values = source.distinct([spec.arm])[spec.arm]
    found = [value if isinstance(value, str) else label_of(value) for value in values]
    # A text is the arm of that name; a number or a truth value, the arm that is written like it.
    named = {
        name: name if isinstance(value, str) else label_in(name, spec.labels)
        for name, value in zip(found, values, strict=True)
    }
    missing = [arm for arm in spec.labels if arm not in named.values()]
    if missing:
        raise DataError(
            f"{source.name}, column {spec.arm!r}: no rows of the arm {', '.join(map(repr, missing))}; "
            f"found {', '.join(map(repr, found[:10])) or 'none'}."
        )
    unknown = [name for name, arm in named.items() if arm not in spec.labels]
    if unknown:
        raise DataError(
            f"{source.name}, column {spec.arm!r}: found {', '.join(map(repr, unknown[:10]))}, which "
            f"the experiment {spec.name} does not promise; its arms are {', '.join(spec.labels)}."
        )


def _check_units(moments: State, spec: ExperimentSpec, table: str) -> None:
    if nameless := int(moments["no_cluster"][0]):
        raise DataError(
            f"{table}, column {spec.cluster!r} (cluster): {nameless:,} rows are null, NaN or blank; "
            "together they would count as one cluster. Expected in every row what its unit belongs to: "
            "fill it in, or leave these rows out."
        )
    several = int(moments["several"][0])
    if several and spec.several_arms == "refuse":
        raise DataError(
            f"{table}: {several:,} of {int(moments['units'].sum()) - several:,} units are in more than "
            f"one arm of {spec.name} (column {spec.arm!r} by {', '.join(spec.units_of)}). Find out how "
            "they got there; several_arms: drop leaves them out, which is sound only if the treatment "
            "did not put them there."
        )


def _cuts(
    read: Callable[..., State], spec: ExperimentSpec, layout: Layout
) -> tuple[dict[str, float], np.ndarray]:
    """Caps of the winsorised metrics, and the arms' quantiles."""
    capped, quantiles = winsorised_of(spec), quantiles_of(spec)
    arms = range(len(spec.labels))
    targets = tuple(Target(name, -1, metric.winsorise) for name, metric in capped.items())
    targets += tuple(Target(n, arm, m.quantile) for n, m in quantiles.items() for arm in arms)
    found = order_statistics(read, spec, layout, targets)
    caps = dict(zip(capped, map(float, found[: len(capped)]), strict=True))
    return caps, found[len(capped) :].reshape(len(quantiles), len(spec.labels))


def _quantile(
    read: Callable[..., State],
    spec: ExperimentSpec,
    layout: Layout,
    scaling: Scaling,
    sums: ExperimentSums,
    name: str,
    cuts: np.ndarray,
    rule: LookRule,
) -> tuple[MetricEffect, ...]:
    place, metric = layout.places[name].ratio, spec.metric(name)
    factor, _ = scaling.ratio(place)
    shares = ratio_of_sums(sums, place, confidence=1 - spec.level)
    shares = replace(shares, covariance=factor**2 * shares.covariance)
    errors = np.sqrt(np.diag(shares.covariance))
    ends = [
        Target(name, arm, float(np.clip(metric.quantile + side * _AROUND * error, 1e-9, 1 - 1e-9)))
        for arm, error in enumerate(errors)
        for side in (-1, 1)
    ]
    found = order_statistics(read, spec, layout, tuple(ends)).reshape(-1, 2)
    between = np.array([high.quantile - low.quantile for low, high in zip(ends[::2], ends[1::2], strict=True)])  # fmt: skip
    slopes = (found[:, 1] - found[:, 0]) / between
    values = cuts[list(quantiles_of(spec)).index(name)]
    return tuple(quantile_effects(spec, name, values, shares, slopes, rule))


def _rule(
    spec: ExperimentSpec, sums: ExperimentSums, units: int, earlier: tuple[Look, ...]
) -> tuple[LookRule, int | None]:
    planned = spec.looks.units
    if planned is None and (spec.design.effect is not None or spec.design.lift is not None):
        planned = round(design_experiment(spec).units)
    if planned is None and spec.looks.grouped:
        raise ConfigError(
            f"looks.units: found none, and {spec.looks.method} shares the level over planned units. "
            "Give it, or a design with an effect."
        )
    fractions: tuple[float, ...] = ()
    if planned is not None:
        seen = sorted({look.units for look in earlier if look.units < units})
        shares = [u / planned for u in seen if u < planned]
        fractions = (*shares, min(units / planned, 1.0))
    per_unit = sums.cluster_count / max(units, 1)
    expected = per_unit * (planned or units)
    return LookRule(spec, sums.cluster_count, fractions, max(expected, 2.0)), planned


def _of_looks(
    spec: ExperimentSpec,
    effects: tuple[MetricEffect, ...],
    rule: LookRule,
    past: tuple[Look, ...],
) -> tuple[MetricEffect, ...]:
    """The primary metric's p-values with what earlier looks saw of the same arm."""
    if not spec.looks.grouped or not past:
        return effects
    found = []
    for effect in effects:
        seen = tuple(look.statistic for look in past if look.arm == effect.arm)
        known = effect.metric == spec.decides and len(seen) == len(rule.fractions) - 1
        found.append(with_looks(effect, rule, seen) if known else effect)
    return tuple(found)


def _deciding(
    spec: ExperimentSpec, effects: tuple[MetricEffect, ...], failed: dict[str, str]
) -> tuple[MetricEffect, ...]:
    """Of every arm the primary metric's effect that decides."""
    own = [e for e in effects if e.metric == spec.decides]
    if not own:
        why = next((text for key, text in failed.items() if key.endswith(spec.decides)), "")
        raise DataError(f"The primary metric {spec.decides} cannot be estimated: {why}")
    return tuple(that_counts([e for e in own if e.arm == arm]) for arm in spec.labels[1:])


def _cautions(
    spec: ExperimentSpec,
    moments: State,
    dropped: int,
    failed: dict[str, str],
    past: tuple[Look, ...],
    fixed: str,
    units: int,
    planned: int | None,
) -> tuple[str, ...]:
    said = [f"Not made: {key} ({why})" for key, why in failed.items()]
    if dropped:
        said.append(
            f"{dropped:,} units were in more than one arm and are left out (several_arms: drop)."
        )
    if without := int(moments["without"][0]):
        said.append(f"{without:,} rows without an arm or a unit are left out.")
    if any(look.rule and look.rule != fixed for look in past):
        said.append(
            "The rule, the metrics or the arms are not those of an earlier look: what was fixed in "
            "advance has been changed, and the promised level holds no more."
        )
    if planned is not None and spec.looks.grouped and units > planned:
        said.append(
            f"There are {units:,} units, more than the {planned:,} that were planned: all of the level "
            "is spent."
        )
    if any(metric.winsorise < 1 for metric in spec.metrics.values()):
        said.append("Capped means are effects on what is capped, not on all of it.")
    return tuple(said)
