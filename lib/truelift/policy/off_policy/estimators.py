"""The estimators of a policy's value, as ratios of sums over the log's rows.

A row brings four numbers for each policy: the weight ``w = pi_e(a|x) / pi_b(a|x)`` of the logged
action, the reward ``r``, its prediction ``q(x, a)`` for the logged action, and the policy's mean
prediction ``v = sum_a pi_e(a|x) q(x, a)``. Every estimator is a sum of ratios of sums of functions of
these four, so that one pass over the rows serves all of them, at every tuning value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from truelift.errors import ConfigError

# Lines that every policy has, in this order; the tuned ones follow.
WEIGHT, WEIGHTED_REWARD, PREDICTED, CORRECTION, ROBUST_PREDICTED, ROBUST_CORRECTION = range(6)
FIXED_LINES = 6
#: How the tuned lines are made, by the code that the kernel knows.
TUNED_KINDS = 4
CLIPPED, SWITCHED, OPTIMISTIC, SUB_GAUSSIAN = range(TUNED_KINDS)
#: Lines that come last, where weights of groups of actions are kept.
GROUP_LINES = 2
GROUP_REWARD, GROUP_CORRECTION = range(GROUP_LINES)
#: Means of predictions, which no weight is in.
PREDICTIONS = frozenset({PREDICTED, ROBUST_PREDICTED})
#: Lines of a log whose loggers are kept apart; products of all pairs are kept.
MOST_LINES = 4_000


@dataclass(frozen=True)
class Estimator:
    """A way to estimate a policy's value.

    Parameters
    ----------
    name : str
    terms : tuple of (int, bool)
        Fixed lines that are added up, each divided by the rows, or by the sum of weights (True).
    tuned : int, optional
        Code of the tuned line that is added, divided by the rows.
    group : int, optional
        The line of groups' weights that is added, divided by the rows.
    model : bool
        Whether it needs predictions of the reward.
    grid : tuple of float
        Default tuning values.
    unshrunk : float
        Where the tuning value changes nothing.
    source : str
    """

    name: str
    terms: tuple[tuple[int, bool], ...] = ()
    tuned: int | None = None
    group: int | None = None
    model: bool = True
    grid: tuple[float, ...] = ()
    unshrunk: float = np.inf
    source: str = ""


_POWERS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
_SHARES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0)

#: By name, from the simplest.
ESTIMATORS: Mapping[str, Estimator] = {
    e.name: e
    for e in (
        Estimator(
            "IPS", ((WEIGHTED_REWARD, False),), model=False,
            source="Horvitz & Thompson 1952: mean of w r",
        ),
        Estimator(
            "clipped IPS", (), CLIPPED, model=False, grid=_POWERS,
            source="Strehl et al. 2010: mean of min(w, lambda) r",
        ),
        Estimator(
            "SNIPS", ((WEIGHTED_REWARD, True),), model=False,
            source="Swaminathan & Joachims 2015: sum of w r by sum of w",
        ),
        Estimator("DM", ((PREDICTED, False),), source="mean of v"),
        Estimator(
            "DR", ((PREDICTED, False), (CORRECTION, False)),
            source="Dudik et al. 2014: mean of v + w (r - q)",
        ),
        Estimator(
            "SNDR", ((PREDICTED, False), (CORRECTION, True)),
            source="mean of v, plus sum of w (r - q) by sum of w",
        ),
        Estimator(
            "switch-DR", ((PREDICTED, False),), SWITCHED, grid=_POWERS,
            source="Wang et al. 2017: w counts where it is at most lambda",
        ),
        Estimator(
            "DRos", ((PREDICTED, False),), OPTIMISTIC, grid=_POWERS,
            source="Su et al. 2020: lambda w / (w^2 + lambda) in place of w",
        ),
        Estimator(
            "sub-Gaussian DR", ((PREDICTED, False),), SUB_GAUSSIAN, grid=_SHARES, unshrunk=0.0,
            source="Metelli et al. 2021: w / (1 - lambda + lambda w) in place of w",
        ),
        Estimator(
            "MRDR", ((ROBUST_PREDICTED, False), (ROBUST_CORRECTION, False)),
            source="Farajtabar et al. 2018: DR whose reward model is fitted for least variance",
        ),
        Estimator(
            "MIPS", group=GROUP_REWARD, model=False,
            source="Saito & Joachims 2022: mean of w(group) r",
        ),
        Estimator(
            "OffCEM", ((PREDICTED, False),), group=GROUP_CORRECTION,
            source="Saito, Ren & Joachims 2023: mean of v + w(group) (r - q)",
        ),
    )
}  # fmt: skip
#: Those that need no groups of actions.
UNGROUPED = tuple(name for name, row in ESTIMATORS.items() if row.group is None)


@dataclass(frozen=True)
class Candidate:
    """One estimate of one policy: an estimator at a tuning value (NaN where it has none)."""

    policy: int
    estimator: str
    tuning: float = float("nan")


@dataclass(frozen=True)
class Layout:
    """Which sums are kept, and which estimates are made of them.

    Parameters
    ----------
    policies : int
        Where loggers are kept apart, policies times loggers, policy by policy.
    estimators : tuple of str
    grids : mapping of str to tuple of float
        Tuning values in place of the default ones.
    loggers : int
        Whose rows are added up apart.
    """

    policies: int
    estimators: tuple[str, ...]
    grids: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    loggers: int = 1

    def __post_init__(self) -> None:
        for name in self.estimators:
            if name not in ESTIMATORS:
                raise ConfigError(
                    f"estimators: found {name!r}, expected some of {', '.join(ESTIMATORS)}."
                )
        if self.loggers > 1 and self.lines > MOST_LINES:
            raise ConfigError(
                f"loggers.weights: {self.policies // self.loggers} policies, {self.loggers} loggers and "
                f"{self.width} sums of each make {self.lines:,}, expected at most {MOST_LINES:,}. Name fewer "
                "estimators, tuning values or policies, or set weights: balanced."
            )

    def grid(self, name: str) -> tuple[float, ...]:
        """Tuning values of an estimator, the least shrinking first."""
        row = ESTIMATORS[name]
        grid = tuple(self.grids.get(name, row.grid))
        return tuple(sorted(grid, reverse=row.unshrunk != 0.0))

    @cached_property
    def tuned(self) -> tuple[tuple[int, float], ...]:
        """Code and tuning value of each tuned line of a policy, code by code."""
        rows = [(ESTIMATORS[name].tuned, name) for name in self.estimators]
        kept = sorted((code, name) for code, name in rows if code is not None)
        return tuple((code, value) for code, name in kept for value in self.grid(name))

    def tuned_lines(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the lines of each code begin and end (codes + 1), and their tuning values."""
        codes = [code for code, _ in self.tuned]
        bounds = np.searchsorted(np.array(codes, np.int64), np.arange(TUNED_KINDS + 1))
        return bounds, np.array([value for _, value in self.tuned])

    @cached_property
    def width(self) -> int:
        """Lines of a policy."""
        return FIXED_LINES + len(self.tuned) + (GROUP_LINES if self.needs_groups else 0)

    @property
    def lines(self) -> int:
        """All lines: those of the policies, the rows of loggers kept apart, then rewards and rows."""
        return self.policies * self.width + (self.loggers if self.loggers > 1 else 0) + 2

    def rows_line(self, policy: int) -> int:
        """The line of the rows that a policy's sums are over."""
        if self.loggers == 1:
            return self.lines - 1
        return self.policies * self.width + policy % self.loggers

    @property
    def needs_model(self) -> bool:
        """Whether predictions of the reward are needed."""
        return any(ESTIMATORS[name].model for name in self.estimators)

    @property
    def needs_robust_model(self) -> bool:
        """Whether a reward model for each policy is needed."""
        return "MRDR" in self.estimators

    @cached_property
    def needs_groups(self) -> bool:
        """Whether weights of groups of actions are needed."""
        return any(ESTIMATORS[name].group is not None for name in self.estimators)

    def candidates(self) -> tuple[Candidate, ...]:
        """All estimates, policy by policy."""
        found = []
        for policy in range(self.policies):
            for name in self.estimators:
                for value in self.grid(name) if ESTIMATORS[name].tuned is not None else (np.nan,):
                    found.append(Candidate(policy, name, float(value)))
        return tuple(found)

    def terms(self, candidate: Candidate) -> tuple[tuple[int, int], ...]:
        """Numerators and denominators of an estimate: the ratios of these lines add up to it."""
        start, rows = candidate.policy * self.width, self.rows_line(candidate.policy)
        row = ESTIMATORS[candidate.estimator]
        found = [
            (start + line, start + WEIGHT if normalised else rows) for line, normalised in row.terms
        ]
        if row.tuned is not None:
            place = self.tuned.index((row.tuned, candidate.tuning))
            found.append((start + FIXED_LINES + place, rows))
        if row.group is not None:
            found.append((start + FIXED_LINES + len(self.tuned) + row.group, rows))
        return tuple(found)

    def present(self) -> tuple[tuple[int, int], ...]:
        """The same of the mean reward: what the policy that wrote the log earns."""
        return ((self.lines - 2, self.lines - 1),)

    @cached_property
    def single_ratios(self) -> np.ndarray:
        """Each estimate as one ratio (M + 1 x 3): two numerators, -1 for none, and the denominator.

        Their fourth powers say on how many clusters an estimate rests. SNDR is two ratios, and counts
        as DR here.
        """
        found = []
        for terms in (*(self.terms(c) for c in self.candidates()), self.present()):
            # An estimate's first line is divided by rows where it has two.
            by = terms[0][1]
            found.append((terms[0][0], terms[1][0] if len(terms) > 1 else -1, by))
        return np.array(found, np.int64)
