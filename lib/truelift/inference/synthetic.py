"""Synthetic controls of few treated units: weights of donors and periods, and placebos that tell the error.

A synthetic control (Abadie, Diamond & Hainmueller 2010) is the mix of donors that was most like the treated before; its
effect is how far they are apart afterwards. Synthetic difference-in-differences (Arkhangelsky, Athey, Hirshberg,
Imbens & Wager 2021) lets the mix be off by a constant, spreads its weights, and weighs the periods before by how much
they are like those after. Errors come of donors that are treated in name alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import nnls

METHODS = ("SDID", "synthetic control")
# What keeps weights unique where only fit counts, in standard deviations of a period's change.
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Cohort:
    """Units whose treatment begins at once.

    Parameters
    ----------
    before : int
        Periods before it.
    outcomes : ndarray, n x T
    skipped : int
        Periods just before it that nothing is fitted to: the treatment may act already, or have been chosen for them.
    """

    before: int
    outcomes: np.ndarray
    skipped: int = 0

    @property
    def fitted(self) -> int:
        """Periods that mixes are fitted to."""
        return self.before - self.skipped

    @property
    def weight(self) -> int:
        """Treated units times treated periods."""
        return len(self.outcomes) * (self.outcomes.shape[1] - self.before)


@dataclass(frozen=True, eq=False)
class Mixed:
    """One cohort beside its mix of donors.

    Parameters
    ----------
    effect : float
        Mean over the periods after.
    donors : ndarray, D
        Weights; they add up to one.
    periods : ndarray
        Weights of the periods before.
    path : ndarray, T
        The mix, moved by its constant where it has one.
    """

    effect: float
    donors: np.ndarray
    periods: np.ndarray
    path: np.ndarray


def simplex_weights(columns: np.ndarray, target: np.ndarray, penalty: float = 0.0) -> np.ndarray:
    """Weights w of the simplex that minimise ``|columns w - target|^2 + penalty |w|^2``, exactly.

    On the simplex this is ``|C w|^2`` with the target taken from every column. Non-negative least squares of ``C v`` on 0
    and ``sum v`` on 1 finds a multiple of the same weights: of one direction ``w``, the best multiple leaves
    ``|C w|^2 / (1 + |C w|^2)``.

    Parameters
    ----------
    columns : ndarray, m x D
    target : ndarray, m
    penalty : float
    """
    count = columns.shape[1]
    apart = np.concatenate([columns - target[:, None], np.sqrt(penalty) * np.eye(count)])
    scale = float(np.sqrt((apart**2).sum(axis=0).mean())) or 1.0
    stacked = np.concatenate([apart / scale, np.ones((1, count))])
    right = np.zeros(len(stacked))
    right[-1] = 1.0
    found = nnls(stacked, right, maxiter=50 * count + 200)[0]
    return found / found.sum()


def mixed(donors: np.ndarray, cohort: Cohort, method: str) -> Mixed:
    """The effect on one cohort.

    Parameters
    ----------
    donors : ndarray, D x T
    cohort : Cohort
    method : str
        One of :data:`METHODS`.
    """
    before, fitted = cohort.before, cohort.fitted
    treated = cohort.outcomes.mean(axis=0)
    after = donors.shape[1] - before
    first, last = donors[:, :fitted], donors[:, before:].mean(axis=1)
    noise = float(np.diff(first, axis=1).std(ddof=1)) if first[:, 1:].size > 1 else 1.0
    if method == "synthetic control":
        weights = simplex_weights(first.T, treated[:fitted], fitted * (_TINY * noise) ** 2)
        path = weights @ donors
        return Mixed(
            float((treated - path)[before:].mean()), weights, np.full(fitted, 1 / fitted), path
        )
    spread = (len(cohort.outcomes) * after) ** 0.25 * noise
    weights = simplex_weights(
        (first - first.mean(axis=1, keepdims=True)).T, treated[:fitted] - treated[:fitted].mean(),
        fitted * spread**2,
    )  # fmt: skip
    periods = simplex_weights(
        first - first.mean(axis=0), last - last.mean(), len(donors) * (_TINY * noise) ** 2
    )
    path = weights @ donors
    path = path + periods @ (treated - path)[:fitted]
    return Mixed(float((treated - path)[before:].mean()), weights, periods, path)


def effect_of(
    donors: np.ndarray, cohorts: Sequence[Cohort], method: str
) -> tuple[float, float, list[Mixed]]:
    """The effect on all cohorts, by treated units and periods; the root mean square gap before; each cohort's mix."""
    found = [mixed(donors, cohort, method) for cohort in cohorts]
    weights = np.array([cohort.weight for cohort in cohorts], float)
    effects = np.array([one.effect for one in found])
    gaps = [
        np.mean((cohort.outcomes.mean(axis=0) - one.path)[: cohort.fitted] ** 2)
        for cohort, one in zip(cohorts, found, strict=True)
    ]
    shares = weights / weights.sum()
    return float(shares @ effects), float(np.sqrt(shares @ np.array(gaps))), found


@dataclass(frozen=True, eq=False)
class Placebos:
    """Effects, and gaps before, of donors that are treated in name alone."""

    effects: np.ndarray
    gaps: np.ndarray

    def p_value(self, effect: float) -> float:
        """Of no effect: the share that is as far from zero, the treated among them."""
        return float((1 + np.sum(np.abs(self.effects) >= abs(effect))) / (1 + len(self.effects)))

    def fit_p_value(self, gap: float) -> float:
        """The share whose mix is as far from them before."""
        return float((1 + np.sum(self.gaps >= gap)) / (1 + len(self.gaps)))

    def half_width(self, confidence: float) -> float:
        """Of the effects that are not rejected; infinite where there are too few placebos for the level."""
        rank = int(np.ceil(confidence * (len(self.effects) + 1) - 1e-9))
        if rank > len(self.effects):
            return np.inf
        return float(np.sort(np.abs(self.effects))[rank - 1])


def placebos(
    donors: np.ndarray, cohorts: Sequence[Cohort], method: str, draws: int, seed: int
) -> Placebos:
    """Every donor in the place of one treated unit; of several, as many donors at random, ``draws`` times."""
    found = []
    for chosen in _chosen(len(donors), sum(len(c.outcomes) for c in cohorts), draws, seed):
        rest = np.delete(donors, chosen, axis=0)
        start, stood_in = 0, []
        for cohort in cohorts:
            members = chosen[start : start + len(cohort.outcomes)]
            stood_in.append(replace(cohort, outcomes=donors[members]))
            start += len(members)
        found.append(effect_of(rest, stood_in, method)[:2])
    effects, gaps = np.array(found).reshape(-1, 2).T
    return Placebos(effects, gaps)


def _chosen(donors: int, treated: int, draws: int, seed: int) -> Iterator[np.ndarray]:
    if treated == 1:
        yield from np.arange(donors)[:, None]
        return
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield rng.permutation(donors)[:treated]


def moved_ahead(
    donors: np.ndarray, cohorts: Sequence[Cohort]
) -> list[tuple[np.ndarray, list[Cohort]]]:
    """The panel as if the treatment had begun earlier, without what came after it; none where too few periods are.

    Once the last period before the first treatment counts as after it, and once the last third of the periods
    before, at most as many as are treated: who was chosen for one bad period shows in the first, who was
    chosen for some in the second.
    """
    before = min(cohort.fitted for cohort in cohorts)
    longest = min(donors.shape[1] - before, before // 3)
    return [
        (
            donors[:, :before],
            [Cohort(before - ahead, cohort.outcomes[:, :before]) for cohort in cohorts],
        )
        for ahead in sorted({1, longest})
        if ahead >= 1 and before - ahead >= 2
    ]


@dataclass(frozen=True)
class Ahead:
    """A placebo in time: the effect that is furthest from chance, and its p-value for looking at all (Bonferroni)."""

    effect: float
    p_value: float


def placebo_in_time(
    donors: np.ndarray, cohorts: Sequence[Cohort], method: str, draws: int, seed: int
) -> Ahead | None:
    """The effect of a treatment before there was one; None where too few periods are before it."""
    found = []
    for panel, earlier in moved_ahead(donors, cohorts):
        effect = effect_of(panel, earlier, method)[0]
        found.append((placebos(panel, earlier, method, draws, seed).p_value(effect), effect))
    if not found:
        return None
    least, effect = min(found)
    return Ahead(effect, min(least * len(found), 1.0))


def without_the_last(
    donors: np.ndarray, cohorts: Sequence[Cohort], method: str, draws: int, seed: int
) -> float | None:
    """The p-value where nothing is fitted to the last period before the treatment; None where no two are left.

    Who is treated because of one bad (or good) period goes back by itself. A finding that hangs on that period is none.
    """
    fewer = [replace(cohort, skipped=cohort.skipped + 1) for cohort in cohorts]
    if min(cohort.fitted for cohort in fewer) < 2:
        return None
    effect = effect_of(donors, fewer, method)[0]
    return placebos(donors, fewer, method, draws, seed).p_value(effect)
