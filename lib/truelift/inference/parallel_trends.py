"""Parallel trends: what differences before a treatment say, what they could have said, how much it takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

# Share of the largest eigenvalue below which a direction of a covariance carries nothing.
_RANK = 1e-10


@dataclass(frozen=True)
class PreTrend:
    """A joint test that no difference moved before the treatment, and its power.

    Parameters
    ----------
    statistic, p_value : float
        Wald's, as an F with clustered errors.
    restrictions : int
    drift : float
        The steady drift a period that the test would find four times out of five; infinite where it
        would find none, as where two cohorts are compared with one another alone.
    """

    statistic: float
    p_value: float
    restrictions: int
    drift: float


def pre_trend(
    moves: np.ndarray, covariance: np.ndarray, degrees: float, power: float = 0.8
) -> PreTrend | None:
    """Test that all moves from one period to the next are zero.

    None where nothing tests it: no move differs from zero or has an error, or there are two clusters.
    Moves that have no error and differ from zero are rejected with certainty.

    Parameters
    ----------
    moves : ndarray, m
        Differences from the period before, of cohorts that are not treated yet.
    covariance : ndarray, m x m
    degrees : float
        G - 1.
    power : float
        A drift moves each of them by the same amount; its size is what the test (at 5%) finds with
        this chance (Roth 2022 on why that matters).
    """
    values, vectors = np.linalg.eigh(covariance)
    kept = values > _RANK * values[-1]
    if kept.sum() >= degrees:  # with as many moves as clusters the least certain directions go
        kept[: max(len(kept) - int(degrees) + 1, 0)] = False
    if values[-1] <= 0 and moves.any():
        return PreTrend(np.inf, 0.0, len(moves), 0.0)
    if not kept.any():
        return None
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    k = int(kept.sum())
    rest = degrees + 1 - k
    scale = rest / (k * degrees)
    statistic = float(moves @ inverse @ moves) * scale
    limit = stats.f.ppf(0.95, k, rest)
    needed = optimize.brentq(lambda ncp: stats.ncf.sf(limit, k, rest, ncp) - power, 1e-6, 1e4)
    ones = np.ones(len(moves))
    seen = float(ones @ inverse @ ones)
    drift = np.sqrt(needed / seen) if seen > _RANK * np.trace(inverse) else np.inf
    return PreTrend(statistic, float(stats.f.sf(statistic, k, rest)), k, float(drift))


def relative_magnitude_interval(
    effect: float, moves: np.ndarray, covariance: np.ndarray, degrees: float, confidence: float,
    magnitude: float,
) -> tuple[float, float]:  # fmt: skip
    """An interval for an effect in the first treated period, if trends differ by no more than before.

    The move of the untreated outcome into that period may differ by ``magnitude`` times the largest of the moves
    before (Rambachan & Roth 2023, relative magnitudes). Their set's ends are ``effect -+ magnitude |move|`` at
    the largest move, so the union over all moves of intervals for these ends covers; it is wider than theirs.

    Parameters
    ----------
    effect : float
    moves : ndarray, m
    covariance : ndarray, (1 + m) square
        Of the effect, then the moves.
    degrees, confidence, magnitude : float
    """
    t = float(special.stdtrit(degrees, 0.5 + confidence / 2))
    signs = np.concatenate([np.eye(len(moves)), -np.eye(len(moves))]) * magnitude
    rows = np.hstack([np.ones((len(signs), 1)), signs])
    at = effect + signs @ moves
    half = t * np.sqrt(np.clip(np.einsum("mi,ij,mj->m", rows, covariance, rows), 0.0, None))
    return float(np.min(at - half)), float(np.max(at + half))


def breakdown(
    effect: float, moves: np.ndarray, covariance: np.ndarray, degrees: float, confidence: float
) -> float:
    """The largest magnitude at which :func:`relative_magnitude_interval` leaves out no effect; 0 for none."""

    def holds(magnitude: float) -> float:
        low, high = relative_magnitude_interval(
            effect, moves, covariance, degrees, confidence, magnitude
        )
        return max(low, -high)

    if holds(0.0) <= 0:
        return 0.0
    if holds(100.0) > 0:
        return 100.0
    return float(optimize.brentq(holds, 0.0, 100.0, xtol=1e-6))
