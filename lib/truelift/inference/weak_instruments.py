"""What instruments say of an effect, also where they are weak: tests, and the sets that they leave.

Everything rests on two reduced forms, the effects of k instruments on the outcome (b) and on the
treatment (p), and on their joint covariance, clustered or not. At a true effect theta the gap
``g = b - theta p`` has mean zero and covariance ``S = S_bb - theta (S_bp + S_pb) + theta^2 S_pp``
whatever the strength of the instruments. The set of effects that a test does not reject keeps its
coverage where Wald's interval fails; it may be unbounded or empty, and then says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg, optimize, stats

from truelift.errors import DataError

#: Bias of two-stage least squares, as a share of the worst, that a strong first stage rules out.
WORST_BIAS = 0.10
#: Why there is no strength, and no effect, where instruments settle the treatment.
NO_RESIDUAL = (
    "The first stage leaves no residual: the treatment is a linear function of the instruments and "
    "covariates. Expected a treatment that they do not settle; it could stand for the instruments."
)
# A residual's variance, as a share of what instruments explain, that is rounding alone.
_ROUNDING = 1e-18
_GRID = 2001
_REAL = 1e-6


@dataclass(frozen=True)
class ConfidenceSet:
    """The numbers that a test does not reject: disjoint intervals in ascending order.

    Parameters
    ----------
    intervals : tuple of (float, float)
        Ends may be infinite; none at all where the test rejects every number.
    """

    intervals: tuple[tuple[float, float], ...]

    def __contains__(self, value: float) -> bool:
        return any(low <= value <= high for low, high in self.intervals)

    @property
    def empty(self) -> bool:
        """Whether every number is rejected."""
        return not self.intervals

    @property
    def bounded(self) -> bool:
        """Whether it has two finite ends, or is empty."""
        return self.empty or bool(np.isfinite([self.intervals[0][0], self.intervals[-1][1]]).all())

    @property
    def everything(self) -> bool:
        """Whether no number is rejected."""
        return self.intervals == ((-np.inf, np.inf),)

    def words(self) -> str:
        """The set in words."""
        if self.empty:
            return "empty: no effect fits all instruments"
        if self.everything:
            return "unbounded: no effect is ruled out"
        parts = [_in_words(low, high) for low, high in self.intervals]
        told = " and ".join(parts)
        return told if self.bounded else f"unbounded: {told}"

    def __repr__(self) -> str:
        return f"ConfidenceSet({self.words()})"


@dataclass(frozen=True, eq=False)
class ReducedForms:
    """Effects of k instruments on outcome and treatment, with their joint covariance.

    Parameters
    ----------
    outcome, treatment : ndarray, k
        b and p.
    outcome_covariance, treatment_covariance : ndarray, k x k
    cross_covariance : ndarray, k x k
        Of b (rows) with p (columns).
    degrees : float
        Of freedom: G - 1 for G clusters; infinite for normal tests.
    """

    outcome: np.ndarray
    treatment: np.ndarray
    outcome_covariance: np.ndarray
    treatment_covariance: np.ndarray
    cross_covariance: np.ndarray
    degrees: float = np.inf

    def __post_init__(self) -> None:
        if self.degrees + 1 <= len(self):
            raise DataError(
                f"{self.degrees + 1:.0f} clusters for {len(self)} instruments; expected more "
                "clusters than instruments, for their covariance cannot be told otherwise."
            )

    def __len__(self) -> int:
        return len(self.outcome)

    def covariance(self, effect: float) -> np.ndarray:
        """S, the covariance of the gap."""
        cross = self.cross_covariance + self.cross_covariance.T
        return self.outcome_covariance - effect * cross + effect**2 * self.treatment_covariance

    @cached_property
    def unit(self) -> float:
        """A scale of effects: what the noise of b is in units of the noise of p."""
        below = np.trace(self.treatment_covariance)
        return float(np.sqrt(np.trace(self.outcome_covariance) / below)) if below > 0 else 1.0

    def critical(self, level: float) -> float:
        """The quantile of the Anderson-Rubin statistic: Hotelling's, or chi-squared."""
        k = len(self)
        if not np.isfinite(self.degrees):
            return float(stats.chi2.ppf(level, k))
        rest = self.degrees + 1 - k
        return float(k * self.degrees / rest * stats.f.ppf(level, k, rest))

    def tail(self, statistic: float, restrictions: int) -> float:
        """The p-value of a statistic with that many restrictions."""
        if not np.isfinite(self.degrees):
            return float(stats.chi2.sf(statistic, restrictions))
        rest = self.degrees + 1 - restrictions
        return float(
            stats.f.sf(statistic * rest / (restrictions * self.degrees), restrictions, rest)
        )


@dataclass(frozen=True)
class Test:
    """A statistic and its p-value."""

    statistic: float
    p_value: float


def anderson_rubin(forms: ReducedForms, effect: float) -> Test:
    """``g' S^-1 g`` at an effect (Anderson & Rubin 1949, with any covariance)."""
    statistic = float(_distances(forms, np.array([effect]))[0])
    return Test(statistic, forms.tail(statistic, len(forms)))


def anderson_rubin_set(forms: ReducedForms, confidence: float) -> ConfidenceSet:
    """All effects that the Anderson-Rubin test does not reject, exactly.

    The statistic is at most c where ``det(c S - g g')`` is not negative. That is a matrix polynomial of
    second degree in the effect, so its real eigenvalues are all ends that the set can have; with one
    instrument they are the roots of Fieller's quadratic.
    """
    limit, unit, k = forms.critical(confidence), forms.unit, len(forms)
    b, p = forms.outcome / unit, forms.treatment
    cross = (forms.cross_covariance + forms.cross_covariance.T) / unit
    constant = limit * forms.outcome_covariance / unit**2 - np.outer(b, b)
    linear = -limit * cross + np.outer(b, p) + np.outer(p, b)
    square = limit * forms.treatment_covariance - np.outer(p, p)
    none, one = np.zeros((k, k)), np.eye(k)
    left = np.block([[none, one], [-constant, -linear]])
    right = np.block([[one, none], [none, square]])
    with np.errstate(all="ignore"):
        roots = linalg.eig(left, right, right=False)
    roots = roots[np.isfinite(roots)]
    real = np.sort(roots.real[np.abs(roots.imag) <= _REAL * (1 + np.abs(roots))])
    return _between(real * unit, unit, lambda effects: _distances(forms, effects) <= limit)


def score_test(forms: ReducedForms, effect: float) -> Test:
    """The score statistic of Kleibergen (2005): one degree of freedom, however many instruments.

    ``(g' S^-1 d)^2 / d' S^-1 d`` with ``d = p - S_pg S^-1 g``, the first stage less what it shares with
    the gap.
    """
    statistic = float(_scores(forms, np.array([effect]))[0])
    return Test(statistic, forms.tail(statistic, 1))


def score_set(forms: ReducedForms, confidence: float) -> ConfidenceSet:
    """All effects that the score test does not reject: ends between the points of a grid are refined.

    The grid is even in the angle of the effect, so that it reaches both infinities.
    """
    limit = float(stats.f.ppf(confidence, 1, min(forms.degrees, 1e9)))
    centre, unit = minimum_distance(forms).effect, forms.unit

    def excess(angle: float) -> float:
        return float(_scores(forms, np.array([centre + unit * np.tan(angle)]))[0]) - limit

    # An offset keeps the effect itself, where the statistic is zero, from being the only point inside.
    angles = np.linspace(-np.pi / 2, np.pi / 2, _GRID + 1)[:-1] + np.pi / (2 * _GRID)
    found = _scores(forms, centre + unit * np.tan(angles)) - limit
    ends = [
        optimize.brentq(excess, angles[i], angles[i + 1], xtol=1e-12)
        for i in np.flatnonzero(np.diff(np.sign(found)))
    ]
    points = centre + unit * np.tan(np.array(ends))
    return _between(points, unit, lambda effects: _scores(forms, effects) <= limit)


def _gaps(forms: ReducedForms, effects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaps (m x k) and their covariances (m x k x k) at several effects."""
    at = effects[:, None, None]
    cross = forms.cross_covariance + forms.cross_covariance.T
    spread = forms.outcome_covariance - at * cross + at**2 * forms.treatment_covariance
    return forms.outcome - effects[:, None] * forms.treatment, spread


def _distances(forms: ReducedForms, effects: np.ndarray) -> np.ndarray:
    gaps, spread = _gaps(forms, effects)
    return np.einsum("mk,mk->m", gaps, np.linalg.solve(spread, gaps[:, :, None])[:, :, 0])


def _scores(forms: ReducedForms, effects: np.ndarray) -> np.ndarray:
    gaps, spread = _gaps(forms, effects)
    shared = forms.cross_covariance.T - effects[:, None, None] * forms.treatment_covariance
    solved = np.linalg.solve(spread, gaps[:, :, None])
    direction = forms.treatment - (shared @ solved)[:, :, 0]
    below = np.einsum(
        "mk,mk->m", direction, np.linalg.solve(spread, direction[:, :, None])[:, :, 0]
    )
    above = np.einsum("mk,mk->m", solved[:, :, 0], direction) ** 2
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), 0.0)


def _between(
    points: np.ndarray, unit: float, inside: Callable[[np.ndarray], np.ndarray]
) -> ConfidenceSet:  # fmt: skip
    """The set whose ends are among these points, by a look between every two of them."""
    if not len(points):
        return ConfidenceSet(((-np.inf, np.inf),) if inside(np.zeros(1))[0] else ())
    far = unit + np.abs(points[[0, -1]])
    looks = [points[0] - far[0], *((points[1:] + points[:-1]) / 2), points[-1] + far[1]]
    ends = [-np.inf, *points.tolist(), np.inf]
    found: list[tuple[float, float]] = []
    for low, high, held in zip(ends, ends[1:], inside(np.array(looks)), strict=False):
        if low == high or not held:
            continue
        joins = found and found[-1][1] == low
        found[-1:] = [(found[-1][0], high)] if joins else [*found[-1:], (low, high)]
    return ConfidenceSet(tuple(found))


@dataclass(frozen=True)
class MinimumDistance:
    """The effect that fits the reduced forms best, and whether it fits them all.

    Parameters
    ----------
    effect, standard_error : float
    overidentification : Test or None
        Hansen's J: the least Anderson-Rubin statistic, with k - 1 restrictions; None for one
        instrument.
    """

    effect: float
    standard_error: float
    overidentification: Test | None


def minimum_distance(forms: ReducedForms) -> MinimumDistance:
    """The effect with the least Anderson-Rubin statistic (continuously updated).

    With one instrument it is ``b / p``, with homoskedastic covariances limited-information maximum
    likelihood. Its standard error is ``1 / sqrt(p' S^-1 p)``.
    """
    if len(forms) == 1:
        effect, fits = float(forms.outcome[0] / forms.treatment[0]), None
    else:

        def distance(angle: float) -> float:
            return float(_distances(forms, np.array([forms.unit * np.tan(angle)]))[0])

        angles = np.linspace(-np.pi / 2, np.pi / 2, 402)[1:-1]
        best = int(np.argmin(_distances(forms, forms.unit * np.tan(angles))))
        step = angles[1] - angles[0]
        bounds = (angles[best] - step, angles[best] + step)
        angle = optimize.minimize_scalar(
            distance, bounds=bounds, method="bounded", options={"xatol": 1e-12}
        ).x
        effect = float(forms.unit * np.tan(angle))
        least = anderson_rubin(forms, effect).statistic
        fits = Test(least, forms.tail(least, len(forms) - 1))
    strength = float(forms.treatment @ np.linalg.solve(forms.covariance(effect), forms.treatment))
    return MinimumDistance(effect, float(1 / np.sqrt(strength)), fits)


@dataclass(frozen=True)
class FirstStage:
    """How strong the instruments are.

    Parameters
    ----------
    effective_f : float
        Of Montiel Olea & Pflueger (2013): it allows for clusters and unequal variances.
    critical : float
        Below it the bias of two-stage least squares may exceed a tenth of the worst case, at 5%.
    """

    effective_f: float
    critical: float

    @property
    def weak(self) -> bool:
        """Whether the bias cannot be ruled out."""
        return self.effective_f < self.critical


def first_stage(
    coefficients: np.ndarray, covariance: np.ndarray, products: np.ndarray
) -> FirstStage:
    """The effective F, ``p' Q p / tr(V Q)``, and its critical value.

    The critical value is the simplified one of Montiel Olea & Pflueger (2013): Patnaik's approximation of a
    noncentral chi-squared, 23.1 for one instrument.

    Parameters
    ----------
    coefficients : ndarray, k
        p, of the instruments in the first stage.
    covariance : ndarray, k x k
        V, theirs, by its residuals.
    products : ndarray, k x k
        Q, the instruments' products with the covariates partialled out.
    """
    values, vectors = np.linalg.eigh(products)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    weights = root @ covariance @ root
    trace = float(np.trace(weights))
    explained = float(coefficients @ products @ coefficients)
    if trace <= _ROUNDING * explained:
        raise DataError(NO_RESIDUAL)
    effective = explained / trace
    times = 1 / WORST_BIAS
    largest = float(np.linalg.eigvalsh(weights)[-1])
    degrees = trace**2 * (1 + 2 * times)
    degrees /= float(np.sum(weights**2)) + 2 * times * trace * largest
    critical = float(stats.ncx2.ppf(0.95, degrees, degrees * times) / degrees)
    return FirstStage(effective, critical)


def _in_words(low: float, high: float) -> str:
    if np.isinf(low):
        return f"{high:.4g} or less"
    return f"{low:.4g} or more" if np.isinf(high) else f"{low:.4g} to {high:.4g}"


def stacked_forms(
    effects: np.ndarray, covariance: np.ndarray, outcomes: int, degrees: float
) -> Sequence[ReducedForms]:
    """Reduced forms by outcome from one joint covariance.

    Parameters
    ----------
    effects : ndarray, (1 + J) x k
        On the treatment, then on every outcome.
    covariance : ndarray, (1 + J) k square
        Of the effects, in that order.
    outcomes : int
        J.
    degrees : float
    """
    k = effects.shape[1]
    parts = covariance.reshape(1 + outcomes, k, 1 + outcomes, k)
    return [
        ReducedForms(
            effects[j], effects[0], parts[j, :, j], parts[0, :, 0], parts[j, :, 0], degrees
        )
        for j in range(1, outcomes + 1)
    ]
