"""Whether a log can tell what a policy is worth: the gate before any value.

What a policy does and the log never did cannot be learnt from the log. Rows tell it by their weights:
where every action of the policy may be logged, weights average one, so ``1 - mean weight`` is the
share of the policy's mass that the log does not have. Where few rows carry most of the weight, the
value rests on them; the tail of the weights says whether their variance exists at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from truelift.policy.off_policy.estimators import WEIGHT, Layout
from truelift.policy.off_policy.inference import Values

# Weights fall into bins of a sixteenth of an octave, from 2^-32 to 2^64.
BIN_STEPS, BIN_LOWEST, _HIGHEST = 16, -32, 64
_BINS = (_HIGHEST - BIN_LOWEST) * BIN_STEPS
SUPPORTED, WEAK, UNSUPPORTED = "supported", "weak", "not supported"


@dataclass(frozen=True)
class SupportLimits:
    """When a log counts as telling a policy's value.

    Parameters
    ----------
    missing_mass : float
        Most of the policy's mass that the log may lack.
    effective_rows : float
        Fewest rows that the weighted rows may be worth.
    tail_index : float
        Where the weights' tail is heavier the verdict is 'weak': above .5 their variance does not
        exist, above .7 estimates settle too slowly to be of use (Vehtari et al. 2024).
    """

    missing_mass: float = 0.05
    effective_rows: float = 100.0
    tail_index: float = 0.7


@dataclass(frozen=True)
class Support:
    """What the log has of a policy.

    Parameters
    ----------
    policy : str
    verdict : str
        ``'supported'``, ``'weak'`` or ``'not supported'``.
    reason : str
        A sentence.
    missing_mass, missing_mass_error : float
        Share of the policy's mass that the log does not have, and its standard error.
    never_logged : float
        Share of it on actions that no row has.
    effective_rows : float
        ``(sum w)^2 / sum w^2``.
    rows_used : float
        Rows with a weight above zero.
    largest_weight, largest_share : float
        And the share of all weight that it is.
    tail_index : float
        Of the weights (Hill): 0 for light tails.
    """

    policy: str
    verdict: str
    reason: str
    missing_mass: float
    missing_mass_error: float
    never_logged: float
    effective_rows: float
    rows_used: float
    largest_weight: float
    largest_share: float
    tail_index: float


@dataclass(frozen=True)
class ExplorationPlan:
    """What it takes to evaluate a policy that the log does not support.

    Parameters
    ----------
    policy : str
    share : float
        Of the rounds that are given to the policy, at random, its choice logged with its propensity.
    rounds : int
        Rounds to log.
    half_width : float
        Of the interval of the policy's value that is then to be expected.
    price : float
        Reward that is foregone at most: as if the policy earned the least reward there is.
    """

    policy: str
    share: float
    rounds: int
    half_width: float
    price: float

    def __str__(self) -> str:
        return (
            f"Give {self.policy} {self.share:.0%} of {self.rounds:,} rounds at random and log the "
            f"propensities: its value is then known to ±{self.half_width:.3g}, at the price of at "
            f"most {self.price:,.4g} reward."
        )


def weight_state(
    w: np.ndarray, propensity: np.ndarray, unlogged: np.ndarray
) -> dict[str, np.ndarray]:
    """Sums over rows that the gate needs; they add up.

    Parameters
    ----------
    w : ndarray, n x P
    propensity : ndarray, n
    unlogged : ndarray, P
        Sums over rows of the policies' mass on actions that no row has.
    """
    policies = w.shape[1]
    histogram = np.zeros((policies, _BINS))
    for p in range(policies):
        used = w[:, p][w[:, p] > 0]
        place = np.floor((np.log2(used) - BIN_LOWEST) * BIN_STEPS).astype(np.int64)
        histogram[p] = np.bincount(np.clip(place, 0, _BINS - 1), minlength=_BINS)
    return {
        "weight_squares": (w**2).sum(axis=0),
        "max_weight": w.max(axis=0, initial=0.0),
        "weight_bins": histogram,
        "unlogged": unlogged,
        "certain": np.array([float(np.count_nonzero(propensity >= 1.0))]),
    }


def supports(
    names: tuple[str, ...], layout: Layout, state: Mapping[str, np.ndarray], values: Values,
    limits: SupportLimits, places: Sequence[tuple[int, ...]] | None = None,
) -> tuple[Support, ...]:  # fmt: skip
    """The verdict on every policy.

    ``places`` are a policy's places in the layout, several where loggers are kept apart.
    """
    cross, sums = state["cross"], state["total"]
    certain = float(state["certain"][0]) / values.rows
    found = []
    for p, name in enumerate(names):
        at = [p] if places is None else list(places[p])
        lines = [place * layout.width + WEIGHT for place in at]
        counts = [layout.rows_line(place) for place in at]
        total, rows = float(sums[lines].sum()), max(float(sums[counts].sum()), 1.0)
        missing = 1 - total / rows
        # The mean weight is a ratio like any other.
        spread = cross[np.ix_(lines, lines)].sum()
        spread -= 2 * total / rows * cross[np.ix_(lines, counts)].sum()
        spread += (total / rows) ** 2 * cross[np.ix_(counts, counts)].sum()
        error = float(np.sqrt(max(spread, 0.0)) / rows)
        effective = total**2 / max(float(state["weight_squares"][at].sum()), 1e-300)
        bins = state["weight_bins"][at].sum(axis=0)
        tail = tail_index(bins)
        largest = float(state["max_weight"][at].max())
        never = float(state["unlogged"][p]) / values.rows
        verdict, reason = _verdict(
            missing, error, never, effective, tail, certain, limits, total, largest
        )
        found.append(
            Support(
                name, verdict, reason, max(missing, 0.0), error, never, effective,
                float(bins.sum()), largest, largest / total if total else 0.0,
                tail,
            )
        )  # fmt: skip
    return tuple(found)


def tail_index(bins: np.ndarray, share: float = 0.01, fewest: int = 50) -> float:
    """Hill's (1975) index of the largest weights, from their counts by bin.

    The mean of ``log(w / w_0)`` over the weights above ``w_0``, the largest hundredth of them or 50;
    0 where there are fewer or they are all alike.
    """
    counts = bins[::-1].cumsum()
    wanted = max(share * counts[-1], fewest)
    if counts[-1] < 2 * fewest:
        return 0.0
    last = int(np.searchsorted(counts, wanted))  # bins from the top that hold that many
    above = bins[::-1][:last]
    if above.sum() < fewest / 2:
        return 0.0
    distance = (last - np.arange(last) - 0.5) / BIN_STEPS * np.log(2.0)
    return float((above * distance).sum() / above.sum())


def _verdict(
    missing: float, error: float, never: float, effective: float, tail: float, certain: float,
    limits: SupportLimits, total: float, largest: float,
) -> tuple[str, str]:  # fmt: skip
    if certain == 1.0 and missing > limits.missing_mass:
        return UNSUPPORTED, (
            "cannot be evaluated: the log always did the one thing it logged (every propensity is 1), "
            f"and the policy does another in {missing:.1%} of the rounds"
        )
    if total == 0:
        return UNSUPPORTED, "cannot be evaluated: no logged action is one that the policy takes"
    if never > limits.missing_mass:
        return UNSUPPORTED, f"{never:.1%} of its mass is on actions that the log never took"
    if missing - 2 * error > limits.missing_mass:
        return UNSUPPORTED, (
            f"weights average {1 - missing:.3f} and not 1: the log lacks {missing:.1%} of its mass, or "
            "the propensities are wrong"
        )
    if effective < limits.effective_rows:
        return UNSUPPORTED, (
            f"the weighted rows are worth {effective:,.0f} rows, fewer than "
            f"{limits.effective_rows:,.0f}"
        )
    if abs(missing) > max(limits.missing_mass, 4 * error):
        return WEAK, (
            f"weights average {1 - missing:.3f} ± {error:.3f} and not 1: the propensities are not those "
            "of the log"
        )
    if tail > limits.tail_index:
        return WEAK, (
            f"the weights' tail is heavy (index {tail:.2f}, largest {largest:,.4g}): standard errors "
            "may be far too small"
        )
    return SUPPORTED, (
        f"the log has {min(1 - missing, 1.0):.1%} of its mass, worth {effective:,.0f} rows"
    )


def exploration_plan(
    policy: str, present: float, spread: float, low: float, half_width: float, quantile: float,
    share: float = 0.05,
) -> ExplorationPlan:  # fmt: skip
    """Rounds and price of giving a policy a share of the rounds.

    A mixture that follows the policy with the chance ``e`` has weights of at most ``1 / e``, so that
    the variance of a mean over n rounds is at most ``E[r^2] / (e n)``.

    Parameters
    ----------
    policy : str
    present : float
        What the present policy earns a round.
    spread : float
        The rewards' second moment about the least reward.
    low : float
        The least reward.
    half_width : float
        Wanted of the value's interval.
    quantile : float
        Of its interval.
    share : float
    """
    rounds = int(np.ceil(quantile**2 * spread / (share * half_width**2)))
    return ExplorationPlan(policy, share, rounds, half_width, share * rounds * (present - low))
