"""The primary metric's effect by groups and over time, with what the cells have in common."""

from __future__ import annotations

import numpy as np
from scipy import special

from truelift.effects.telling.figures import p_text
from truelift.experiments.analysis.results import Breakdown, CellEffect
from truelift.experiments.spec import ExperimentSpec
from truelift.inference.experiment_estimates import ratios_together
from truelift.inference.experiments import ExperimentSums

# One cluster, whatever rounding makes of it.
_ONE = 1 + 1e-9
# Directions whose share of the largest eigenvalue is below this are none.
_RANK = 1e-10


def breakdown_of(
    spec: ExperimentSpec,
    column: str,
    kind: str,
    names: tuple[str, ...],
    sums: ExperimentSums,
    factor: float,
) -> Breakdown | None:
    """Effects in the cells in which both arms have something.

    Parameters
    ----------
    spec : ExperimentSpec
    column, kind : str
    names : tuple of str, C
    sums : ExperimentSums
        ``z = (1, upper numbers, lower numbers)`` of the C cells.
    factor : float
        From the sums' scale to the metric's.

    Returns
    -------
    Breakdown or None
        None where fewer than two cells can be compared.
    """
    cells: list[CellEffect] = []
    findings: list[str] = []
    p_values: list[float] = []
    count = len(names)
    for arm, label in enumerate(spec.labels[1:], start=1):
        clusters = clusters_in_effect(sums, count)[[0, arm]]
        used = np.flatnonzero((clusters > _ONE).all(axis=0))
        if len(used) < 2:
            continue
        ratios = [(1 + int(c), 1 + count + int(c)) for c in used]
        values, covariance = ratios_together(sums, ratios, arm)
        values, covariance = factor * values, factor**2 * covariance
        errors = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
        # A cell has no more degrees of freedom than its own clusters leave, and its variance is by its
        # own clusters less one, not by those of all cells.
        own = clusters[:, used]
        degrees = np.maximum(own.sum(axis=0) - 2, 1.0)
        errors = errors * np.sqrt(own.min(axis=0) / (own.min(axis=0) - 1))
        reaches = -special.stdtrit(degrees, spec.level / 2 / len(used)) * errors
        cells += [
            CellEffect(names[c], label, float(v), float(v - r), float(v + r))
            for c, v, r in zip(used, values, reaches, strict=True)
        ]
        if kind == "group":
            p_value = equal_effects(values, covariance)
            sentence = groups_sentence(label, column, p_value, spec.level)
        else:
            slope, p_value = trend(used.astype(float), values, covariance)
            sentence = _trend_sentence(label, kind, slope, p_value, spec.level)
        findings.append(sentence)
        p_values.append(p_value)
    if not cells:
        return None
    return Breakdown(column, kind, tuple(cells), tuple(findings), tuple(p_values))


def clusters_in_effect(sums: ExperimentSums, count: int) -> np.ndarray:
    """Clusters that each arm has in each cell, as many as of one size would be (A x C).

    Exactly 1 where all rows are of one cluster: there is then no error to tell.

    Parameters
    ----------
    sums : ExperimentSums
        As :func:`breakdown_of` takes them.
    count : int
        C.
    """
    lower = sums.total[:, 1 + count :]
    own = np.diag(sums.cross).reshape(sums.arms, -1)[:, 1 + count :]
    return np.divide(lower**2, own, out=np.zeros_like(lower), where=own > 0)


def thin_cells(names: tuple[str, ...], sums: ExperimentSums) -> tuple[str, ...]:
    """Cells that have no effect: an arm has no rows there, or those of one cluster."""
    found = clusters_in_effect(sums, len(names))
    fine = np.all(found > _ONE, axis=0).tolist()
    return tuple(name for name, is_fine in zip(names, fine, strict=True) if not is_fine)


def equal_effects(values: np.ndarray, covariance: np.ndarray) -> float:
    """P-value of Wald's test that all effects are equal."""
    contrasts = np.diff(np.eye(len(values)), axis=0)
    difference = contrasts @ values
    spread = contrasts @ covariance @ contrasts.T
    inverse, rank = _inverse(spread)
    return float(special.chdtrc(rank, max(difference @ inverse @ difference, 0.0))) if rank else 1.0


def trend(
    parts: np.ndarray, values: np.ndarray, covariance: np.ndarray
) -> tuple[float, float]:  # fmt: skip
    """Change of the effect from part to part by generalised least squares, and its p-value.

    The parts have users in common, which their covariance knows.
    """
    inverse, rank = _inverse(covariance)
    if rank < 2:
        return 0.0, 1.0
    design = np.stack([np.ones(len(parts)), parts - parts.mean()], axis=1)
    normal = design.T @ inverse @ design
    if np.linalg.matrix_rank(normal) < 2:
        return 0.0, 1.0
    spread = np.linalg.inv(normal)
    slope = float((spread @ design.T @ inverse @ values)[1])
    error = float(np.sqrt(spread[1, 1]))
    return slope, float(2 * special.ndtr(-abs(slope) / error))


def _inverse(matrix: np.ndarray) -> tuple[np.ndarray, int]:
    """The inverse on the directions that a covariance matrix has, and how many these are."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    if not len(values) or values[-1] <= 0:
        return np.zeros_like(matrix), 0
    kept = values > _RANK * values[-1]
    used = vectors[:, kept]
    return (used / values[kept]) @ used.T, int(kept.sum())


def groups_sentence(arm: str, column: str, p_value: float, level: float) -> str:
    """Whether an arm's effect differs by the values of a column."""
    said = "differs" if p_value < level else "is not shown to differ"
    return f"The effect of {arm} {said} by {column} ({p_text(p_value)})."


def _trend_sentence(arm: str, kind: str, slope: float, p_value: float, level: float) -> str:
    when = "with the days since the first exposure" if kind == "since" else "over time"
    if p_value >= level:
        return f"The effect of {arm} is not shown to change {when} ({p_text(p_value)})."
    part = "a day" if kind == "since" else "a part of the time"
    return f"The effect of {arm} changes {when}, by {slope:+.3g} {part} ({p_text(p_value)})."
