"""Designs checked on one's own past: moments of a table, and experiments drawn from it.

A drawn experiment takes clusters of the table with replacement and assigns them by chance. Without an
effect (A/A) it shows whether the test keeps its level on such data, heavy tails and clusters as they
are; an effect that is added to every treated unit shows the power. All of it is sums over clusters, so
that one matrix product makes hundreds of experiments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import special

from truelift.arrays.keys import count_nameless, hash_keys, mix
from truelift.errors import DataError
from truelift.experiments.baseline import Baseline
from truelift.experiments.design_results import Design, HistoryCheck, PowerPoint
from truelift.experiments.metrics import ROWS, Metric
from truelift.experiments.spec import ExperimentSpec
from truelift.inference.clusters import ClusterSums

# Clusters that experiments are drawn from; of a larger table those with the lowest hashes.
_MOST_CLUSTERS = 20_000
_CHUNK = 2**22


@dataclass(frozen=True, eq=False)
class History:
    """Past outcomes.

    Parameters
    ----------
    clusters : ndarray, 4 x G
        By cluster: units, upper and lower sum of the metric, sum from before.
    cross : ndarray, 4 x 4
        Sums over units of the products of a unit's four numbers.
    metric : Metric
    has_before : bool
    density : float
        Of a quantile, at it; NaN otherwise.
    value : float
        The metric.
    """

    clusters: np.ndarray
    cross: np.ndarray
    metric: Metric
    has_before: bool
    density: float
    value: float

    @property
    def units(self) -> float:
        """How many units there are."""
        return float(self.clusters[0].sum())


def read_history(rows: pa.Table, spec: ExperimentSpec) -> History:
    """Sums of the primary metric by unit and cluster.

    Parameters
    ----------
    rows : pyarrow.Table
        With the columns that :func:`history_columns` names.
    spec : ExperimentSpec

    Raises
    ------
    DataError
        If there are fewer than ten clusters, or the metric does not vary.
    """
    metric = spec.metric(spec.decides)
    _check_names(rows, spec)
    unit = unit_hashes(rows, spec)
    if metric.kind == "answer":
        value, lower = given_answers(rows, metric.column)
    else:
        value = numbers(rows, metric.column)
        lower = np.ones(len(value)) if metric.per == ROWS else numbers(rows, metric.per)
    before, given = np.zeros((2, len(value)))
    if metric.before:
        before = numbers(rows, metric.before)
        given = rows[metric.before].is_valid().to_numpy().astype(float)
    density = float("nan")
    if metric.kind == "quantile":
        cut = float(np.quantile(value, metric.quantile))
        density, upper = density_at(value, metric.quantile), (value > cut).astype(float)
    else:
        cut, upper = float("nan"), value
    sums = ClusterSums(5)
    sums.add(unit, np.stack([np.ones(len(value)), upper, lower, before, given]))
    keys, by_unit = sums.finish()
    _, upper, lower, before, given = by_unit
    # Units without it say nothing: they count as the mean of those that have it (an analysis gives
    # them a mean of their own).
    before = before / np.maximum(given, 1.0)
    before[given == 0] = before[given > 0].mean() if given.any() else 0.0
    if metric.kind in ("mean", "proportion"):
        lower = np.ones(len(keys))
        if metric.kind == "proportion":
            upper = (upper > 0).astype(float)
        elif metric.winsorise < 1:
            upper = np.minimum(upper, np.quantile(upper, metric.winsorise))
    each = np.stack([np.ones(len(keys)), upper, lower, before])
    clusters = each
    if spec.cluster and spec.cluster not in spec.units_of:
        first = np.full(len(keys), 0, np.uint64)
        first[np.searchsorted(keys, unit)] = hash_keys(rows[spec.cluster])
        grouped = ClusterSums(4)
        grouped.add(first, each)
        _, clusters = grouped.finish()
    if clusters.shape[1] < 10:
        raise DataError(
            f"The table of past outcomes has {clusters.shape[1]} clusters; expected at least 10."
        )
    value_of = cut if metric.kind == "quantile" else float(upper.sum() / lower.sum())
    found = History(clusters, each @ each.T, metric, bool(metric.before), density, value_of)
    if not _residuals(found).any():
        raise DataError(f"{metric.column!r} does not vary between the clusters of the table.")
    return found


def _check_names(rows: pa.Table, spec: ExperimentSpec) -> None:
    for name in dict.fromkeys(n for n in (*spec.units_of, spec.cluster) if n):
        if nameless := count_nameless(rows[name].combine_chunks())[0]:
            raise DataError(
                f"The table of past outcomes, column {name!r}: {nameless:,} rows are null, NaN or blank; "
                "together they would count as one. Fill them in, or leave these rows out."
            )


def history_columns(spec: ExperimentSpec) -> tuple[str, ...]:
    """Columns that a table of past outcomes needs."""
    metric = spec.metric(spec.decides)
    names = [*spec.units_of, spec.cluster, metric.column, metric.before]
    names += [metric.per] if metric.kind == "ratio" and metric.per != ROWS else []
    return tuple(dict.fromkeys(name for name in names if name))


def unit_hashes(rows: pa.Table | pa.RecordBatch, spec: ExperimentSpec) -> np.ndarray:
    """One hash a row of the columns that name the unit."""
    found = hash_keys(rows[spec.units_of[0]])
    for name in spec.units_of[1:]:
        with np.errstate(over="ignore"):
            found = mix(found * np.uint64(3) + hash_keys(rows[name]))
    return found


def numbers(rows: pa.Table | pa.RecordBatch, name: str) -> np.ndarray:
    """A column as floats; missing values are zeros, as what did not happen."""
    column = rows[name]
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    found = pc.fill_null(column.cast(pa.float64(), safe=False), 0.0)
    values = np.asarray(found.to_numpy(zero_copy_only=False) if isinstance(found, pa.Array) else found.to_numpy())  # fmt: skip
    if not np.all(np.isfinite(values)):
        raise DataError(
            f"Column {name!r} has {np.count_nonzero(~np.isfinite(values)):,} values that are not "
            "finite; fill or remove such rows."
        )
    return values


def density_at(values: np.ndarray, quantile: float) -> float:
    """The density at a quantile, by the distance of two quantiles around it."""
    width = 0.5 * min(quantile, 1 - quantile) * len(values) ** -0.2
    low, high = np.quantile(values, [quantile - width, quantile + width])
    if not high > low:
        raise DataError(
            f"Quantile {quantile:g}: a share of {2 * width:.1%} of the values around it are equal, so it "
            "has no density; choose a mean or a proportion."
        )
    return float(2 * width / (high - low))


def with_history(spec: ExperimentSpec, history: History) -> ExperimentSpec:
    """The specification with a baseline from the past, where it does not state one."""
    return _where_not_stated(spec, _baseline(history))


def with_answers(spec: ExperimentSpec, rows: pa.Table, table: str) -> ExperimentSpec:
    """The same of a rating that some gave, whose mean is a ratio: of answers' sum to their number.

    No experiments are drawn: who would have answered in another arm no table says.

    Raises
    ------
    DataError
        For fewer than ten answers or clusters, and answers that are all the same.
    """
    name = spec.metric(spec.decides).column
    value, told = given_answers(rows, name)
    answers = value[told]
    if len(answers) < 10 or np.ptp(answers) == 0:
        raise DataError(
            f"{table}, column {name!r}: found {len(answers):,} answers{', all the same' if len(answers) else ''}; "
            "expected at least 10 that differ."
        )
    history = read_history(rows, spec)
    found, response = _baseline(history), len(answers) / rows.num_rows
    # So that units' variance and what they have in common are those of the ratio, of units of several rows too.
    cross = history.cross
    weights = np.array([0.0, 1.0, -history.value, 0.0])
    spread = float(weights @ cross @ weights) * history.units / cross[0, 2] ** 2
    found = replace(
        found, mean=history.value, sd=float(np.sqrt(spread * response)), response=response, explained=0.0,
        icc=min(found.icc / response, 1.0),
    )  # fmt: skip
    return _where_not_stated(spec, found)


def given_answers(rows: pa.Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Ratings, 0 where there is none, and whether there is one: a finite number (n each)."""
    column = rows[name].cast(pa.int8()) if pa.types.is_boolean(rows[name].type) else rows[name]
    value = column.cast(pa.float64(), safe=False).to_numpy()
    told = np.isfinite(value)
    return np.where(told, value, 0.0), told


def _where_not_stated(spec: ExperimentSpec, found: Baseline) -> ExperimentSpec:
    stated, empty = spec.design.baseline, Baseline()
    given = {
        name: value
        for name, value in vars(stated).items()
        if value is not None and value != getattr(empty, name)
    }
    return replace(spec, design=replace(spec.design, baseline=replace(found, **given)))


def _baseline(history: History) -> Baseline:
    n, metric = history.units, history.metric
    mean = history.cross[0] / n
    covariance = history.cross / n - np.outer(mean, mean)
    count = history.clusters.shape[1]
    sizes = history.clusters[0]
    quantile = metric.kind == "quantile"
    by_cluster = count < n
    return Baseline(
        mean=history.value if quantile else float(mean[1]),
        sd=float(np.sqrt(covariance[1, 1])) or None,
        per_mean=float(mean[2]),
        per_sd=float(np.sqrt(max(covariance[2, 2], 0.0))),
        correlation=_correlation(covariance),
        density=_unit_density(history, covariance, mean) if quantile else None,
        explained=_explained(history),
        cluster_size=float(sizes.mean()),
        cluster_size_cv=float(sizes.std() / sizes.mean()),
        icc=_icc(history) if by_cluster else 0.0,
    )


def _unit_density(history: History, covariance: np.ndarray, mean: np.ndarray) -> float:
    """The density with which ``q (1 - q) / f^2`` is the variance of a unit, which may have many rows."""
    q = history.metric.quantile
    ratio = history.clusters[1].sum() / history.clusters[2].sum()
    weights = np.array([0.0, 1.0, -ratio, 0.0])
    spread = float(weights @ covariance @ weights) / mean[2] ** 2
    return float(history.density * np.sqrt(q * (1 - q) / spread))


def _correlation(covariance: np.ndarray) -> float:
    scale = np.sqrt(max(covariance[1, 1] * covariance[2, 2], 0.0))
    return float(np.clip(covariance[1, 2] / scale, -1, 1)) if scale > 0 else 0.0


def _residuals(history: History) -> np.ndarray:
    """Of each cluster, what its upper sum is above the ratio times its lower one."""
    _, upper, lower, _ = history.clusters
    return upper - upper.sum() / lower.sum() * lower


def _icc(history: History) -> float:
    """One-way analysis of variance of the units' residuals (Donner & Klar 2000)."""
    sizes, count = history.clusters[0], history.clusters.shape[1]
    n = history.units
    ratio = history.clusters[1].sum() / history.clusters[2].sum()
    weights = np.array([0.0, 1.0, -ratio, 0.0])
    total = float(weights @ history.cross @ weights)
    between = float((_residuals(history) ** 2 / sizes).sum())
    mean_between, mean_within = between / (count - 1), (total - between) / (n - count)
    typical = (n - (sizes**2).sum() / n) / (count - 1)
    found = (mean_between - mean_within) / (mean_between + (typical - 1) * mean_within)
    return float(np.clip(found, 0.0, 1.0))


def _slope(history: History) -> float:
    """Theta of CUPED, on clusters."""
    if not history.has_before:
        return 0.0
    sizes, before = history.clusters[0], history.clusters[3]
    centred = before - before.sum() / sizes.sum() * sizes
    square = float(centred @ centred)
    return float(centred @ _residuals(history)) / square if square > 0 else 0.0


def _explained(history: History) -> float:
    sizes, before = history.clusters[0], history.clusters[3]
    centred = before - before.sum() / sizes.sum() * sizes
    residuals = _residuals(history)
    left = residuals - _slope(history) * centred
    return float(np.clip(1 - (left @ left) / (residuals @ residuals), 0.0, 0.999))


def resampled(
    spec: ExperimentSpec, design: Design, history: History, table: str, repetitions: int = 500
) -> HistoryCheck:
    """How often experiments that are drawn from the past find no effect, and the one looked for.

    The control against the first other arm, at one look.

    Parameters
    ----------
    spec : ExperimentSpec
    design : Design
        Of that specification.
    history : History
    table : str
    repetitions : int
    """
    clusters = history.clusters
    if clusters.shape[1] > _MOST_CLUSTERS:
        step = clusters.shape[1] / _MOST_CLUSTERS
        clusters = clusters[:, (np.arange(_MOST_CLUSTERS) * step).astype(int)]
    sizes, upper, lower, before = clusters
    mean_before = before.sum() / sizes.sum()
    upper = upper - _slope(history) * (before - mean_before * sizes)
    scale = 1.0 / history.density if history.metric.kind == "quantile" else 1.0
    shares = spec.shares[:2]
    drawn = int(max(round(design.clusters * sum(shares)), 4))
    of_control = round(drawn * shares[0] / sum(shares))
    random = np.random.default_rng(mix(hash_keys(pa.array([spec.name]))))
    summands = np.stack([upper, lower, upper**2, upper * lower, lower**2])
    ratios, variances = np.empty((2, repetitions)), np.empty((2, repetitions))
    for arm, count in enumerate((of_control, drawn - of_control)):
        chunk = max(1, _CHUNK // count)
        for start in range(0, repetitions, chunk):
            stop = min(start + chunk, repetitions)
            chosen = random.integers(0, len(upper), (stop - start, count))
            u, v, uu, uv, vv = (line[chosen].sum(axis=1) for line in summands)
            ratio = u / v
            spread = uu - 2 * ratio * uv + ratio**2 * vv
            ratios[arm, start:stop] = ratio * scale
            variances[arm, start:stop] = scale**2 * spread / v**2 * count / max(count - 1, 1)
    difference = ratios[1] - ratios[0]
    error = np.sqrt(variances.sum(axis=0))
    counts = np.array([of_control, drawn - of_control])
    welch = variances.sum(axis=0) ** 2 / (variances**2 / (counts - 1)[:, None]).sum(axis=0)
    level = design.level_of_each

    def found(effect: float) -> float:
        t = (difference + effect * spec.design.take_up) / error
        if spec.two_sided:
            return float((2 * special.stdtr(welch, -np.abs(t)) <= level).mean())
        sign = spec.metric(spec.decides).sign
        return float((special.stdtr(welch, -sign * t) <= level).mean())

    return HistoryCheck(
        table=table,
        units=int(history.units),
        clusters=history.clusters.shape[1],
        drawn=drawn,
        repetitions=repetitions,
        false_positives=found(0.0),
        power=found(design.effect),
        curve=tuple(PowerPoint(point.effect, found(point.effect)) for point in design.curve),
    )
