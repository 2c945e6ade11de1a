"""What the sums say of every policy for one reward: intervals, the chosen estimate, whether it ships."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from truelift.inference.anytime import mixture_scale, one_sided_boundary
from truelift.policy.off_policy.estimators import (
    CLIPPED,
    ESTIMATORS,
    FIXED_LINES,
    Layout,
)
from truelift.policy.off_policy.inference import Differences, Values, band_factor, values_of
from truelift.policy.off_policy.intervals import bernstein_bound, score_interval, student_interval
from truelift.policy.off_policy.loggers import Together
from truelift.policy.off_policy.loggers import together as put_together
from truelift.policy.off_policy.pseudo import pseudo_errors
from truelift.policy.off_policy.results import (
    LoggerShare,
    PolicyEstimate,
    PolicyValue,
    PresentValue,
)
from truelift.policy.off_policy.selection import chosen_place, mean_squared_errors, reference_place
from truelift.policy.off_policy.spec import PSEUDO, WEIGHTED, BanditSpec
from truelift.policy.off_policy.support import (
    UNSUPPORTED,
    WEAK,
    ExplorationPlan,
    Support,
    exploration_plan,
    supports,
)

State = Mapping[str, np.ndarray]
_FIRST_LOOK = 100
_TIGHTEST = 10_000
# Users in effect, below which no interval keeps its word.
_FEWEST = 10


@dataclass(frozen=True, eq=False)
class Judged:
    """What is known of one reward."""

    values: Values
    present: PresentValue
    estimates: tuple[PolicyEstimate, ...]
    judged: tuple[PolicyValue, ...]
    support: tuple[Support, ...]
    plans: tuple[ExplorationPlan, ...]
    loggers: tuple[LoggerShare, ...] = ()


def judge(spec: BanditSpec, layout: Layout, state: State, checked: State, reward: int) -> Judged:
    """Estimates of all policies, their intervals and verdicts.

    Parameters
    ----------
    spec : BanditSpec
    layout : Layout
    state : mapping
        Of the value pass.
    checked : mapping
        Of the pass that looked at the rows.
    reward : int
        Its place.
    """
    state = {
        **state,
        **{k: state[f"{k}.{reward}"] for k in ("total", "cross", "powers", "clusters")},
    }
    together = None
    if layout.loggers > 1:
        together = put_together(spec.names, layout, state, spec.limits, _by_precision(spec))
        values, support = _possible(together.values, spec), together.support
    else:
        values = _possible(values_of(layout, state), spec)
        support = supports(spec.names, layout, state, values, spec.limits)
    low, high = _range(spec, checked, reward)
    lower, upper = intervals_of(values, spec.confidence, low, high)
    best = _best(values)
    factor = _factor(values, best, spec, spec.confidence)
    rule = "slope" if spec.select == "slope" else spec.select
    pseudo = None
    if spec.select == PSEUDO:
        pseudo = pseudo_errors(state, layout, reward, values.candidates)
    chosen = [chosen_place(values, p, rule, factor, pseudo) for p in range(len(spec.policies))]
    name, at = spec.rewards[reward], values.present
    present = PresentValue(
        name,
        float(values.estimates[at]),
        float(values.errors[at]),
        float(lower[at]),
        float(upper[at]),
    )
    errors = _mean_squared_errors(values)
    estimates = tuple(
        PolicyEstimate(
            policy=spec.names[c.policy],
            reward=name,
            estimator=c.estimator,
            tuning=c.tuning if c.tuning == c.tuning else None,
            estimate=float(values.estimates[i]),
            standard_error=float(values.errors[i]),
            ci_lower=float(lower[i]),
            ci_upper=float(upper[i]),
            band_lower=float(values.estimates[i] - factor * values.errors[i])
            if i in best
            else None,
            band_upper=float(values.estimates[i] + factor * values.errors[i])
            if i in best
            else None,
            degrees_of_freedom=float(values.degrees[i]),
            mean_squared_error=float(errors[i]),
            selected=i in chosen,
            pseudo_error=None if pseudo is None or pseudo[i] != pseudo[i] else float(pseudo[i]),
        )
        for i, c in enumerate(values.candidates)
        if np.isfinite(values.estimates[i])
    )
    decided = [_decider(values, p) for p in range(len(spec.policies))]
    judged = _against_present(
        spec, values, state, decided, support, (lower, upper), (low, high), name
    )
    plans = _plans(spec, values, checked, support, low, reward)
    shares = () if together is None else _shares(spec, together, decided, name)
    return Judged(values, present, estimates, judged, support, plans, shares)


def _by_precision(spec: BanditSpec) -> bool:
    return spec.loggers is not None and spec.loggers.weights == WEIGHTED


def _shares(
    spec: BanditSpec, together: Together, decided: list[int], reward: str
) -> tuple[LoggerShare, ...]:
    """What each logger's rows alone say of each policy, by the estimate that decides."""
    assert spec.loggers is not None
    apart, names, found = together.apart, list(spec.loggers.propensities), []
    count, per_policy = len(names), len(together.values.candidates) // len(spec.policies)
    for p, place in enumerate(decided):
        for k, name in enumerate(names):
            at = (p * count + k) * per_policy + place % per_policy
            found.append(
                LoggerShare(
                    spec.names[p], reward, together.values.candidates[place].estimator, name,
                    float(apart.estimates[at]), float(apart.errors[at]),
                    float(together.shares[place, k]),
                )
            )  # fmt: skip
    return tuple(found)


def _possible(values: Values, spec: BanditSpec) -> Values:
    """Without the estimates of policies that need chances of all actions and have the logged one's."""
    estimates = values.estimates.copy()
    for i, c in enumerate(values.candidates):
        policy = spec.policies[spec.names[c.policy]]
        row = ESTIMATORS[c.estimator]
        of_group = row.group is not None and not (spec.groups and spec.groups.learned)
        if policy.logged_chance and (row.model or of_group):
            estimates[i] = np.nan
    return replace(values, estimates=estimates)


def _range(spec: BanditSpec, checked: State, reward: int) -> tuple[float, float]:
    """The least and the greatest reward there can be; infinite where nobody says."""
    if spec.reward_range:
        return spec.reward_range[0], spec.reward_range[1]
    if not checked["not_binary"][reward]:
        return 0.0, 1.0
    least = -float(checked["max_least"][reward])
    return (0.0 if least >= 0 else -np.inf), np.inf


def intervals_of(
    values: Values, confidence: float, low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of all estimates, each alone (M + 1): :func:`~.intervals.score_interval` where rewards
    have a lower bound, else Student's.

    Parameters
    ----------
    values : Values
    confidence : float
    low, high : float
        The least and the greatest reward there can be; infinite where there is none.
    """
    estimates, errors, degrees = values.estimates, values.errors, values.degrees
    if not np.isfinite(low):
        return student_interval(estimates, errors, degrees, confidence)
    # Without self-normalisation or a model the weights make the variance: it rises with the mean.
    weighted = [c.estimator in ("IPS", "clipped IPS") for c in values.candidates]
    top = np.where([*weighted, False], np.inf, high)
    lower, upper = score_interval(estimates, errors, degrees, confidence, low, top)
    return np.maximum(lower, low), np.minimum(upper, high)


def _own(values: Values, policy: int) -> list[int]:
    own = [i for i, c in enumerate(values.candidates) if c.policy == policy]
    return [i for i in own if np.isfinite(values.estimates[i])]


def _mean_squared_errors(values: Values) -> np.ndarray:
    found = np.full(len(values.candidates), np.nan)
    for policy in range(values.layout.policies):
        if own := _own(values, policy):
            found[own] = mean_squared_errors(values, own, reference_place(values, own))
    return found


def _best(values: Values) -> list[int]:
    """Of every policy and estimator, the tuning value of least estimated mean squared error."""
    errors = _mean_squared_errors(values)
    found: dict[tuple[int, str], int] = {}
    for i, c in enumerate(values.candidates):
        key = (c.policy, c.estimator)
        if np.isfinite(errors[i]) and (key not in found or errors[i] < errors[found[key]]):
            found[key] = i
    return list(found.values())


def _factor(values: Values, places: list[int], spec: BanditSpec, confidence: float) -> float:
    known = [i for i in places if values.errors[i] > 0]
    if not known:
        return 0.0
    spread = values.covariance[np.ix_(known, known)]
    return band_factor(spread, values.degrees[known], confidence, spec.band_draws, spec.seed)


def _decider(values: Values, policy: int) -> int:
    """The estimate by which a policy ships or does not: one without bias, whatever was selected.

    A shrunk estimate has a short interval about a value that is not the policy's.
    """
    own = _own(values, policy)
    return reference_place(values, own) if own else 0


def _against_present(
    spec: BanditSpec, values: Values, state: State, decided: list[int],
    support: tuple[Support, ...], interval: tuple[np.ndarray, np.ndarray],
    span: tuple[float, float], reward: str,
) -> tuple[PolicyValue, ...]:  # fmt: skip
    gaps = values.differences(decided, values.present)
    known = np.flatnonzero(np.isfinite(gaps.estimates) & (gaps.errors > 0))
    # One side of a two-sided band of twice the chance to miss.
    factor = 0.0
    if len(known):
        spread, level = gaps.covariance[np.ix_(known, known)], 2 * spec.confidence - 1
        factor = band_factor(
            spread, gaps.degrees[known], max(level, 0.01), spec.band_draws, spec.seed
        )
    lower, upper = student_interval(gaps.estimates, gaps.errors, gaps.degrees, spec.confidence)
    anytime = _anytime(gaps, values.clusters, spec.confidence)
    found = []
    for p, name in enumerate(spec.names):
        if not np.isfinite(gaps.estimates[p]):
            continue
        together = float(gaps.estimates[p] - factor * gaps.errors[p])
        bound = together if not spec.anytime else (anytime[p] if anytime is not None else -np.inf)
        at = decided[p]
        users = float(values.effective[at])
        ships, reason = _decided(spec, name, support[p], users, bound)
        found.append(
            PolicyValue(
                name, reward, values.candidates[at].estimator, float(values.estimates[at]),
                float(interval[0][at]), float(interval[1][at]), float(gaps.estimates[p]),
                float(gaps.errors[p]), float(lower[p]), float(upper[p]), together,
                None if anytime is None else float(anytime[p]),
                _bernstein(values, state, p, span, spec.confidence), ships, reason,
            )
        )  # fmt: skip
    return tuple(found)


def _anytime(gaps: Differences, clusters: int, confidence: float) -> np.ndarray | None:
    if clusters < _FIRST_LOOK:
        return None
    # Bonferroni over the policies: the mixture's bounds have no joint distribution to draw from.
    level = 1 - (1 - confidence) / len(gaps.estimates)
    rho = mixture_scale(level, _TIGHTEST)
    return gaps.estimates - one_sided_boundary(np.array(clusters), rho, level) * gaps.errors


def _decided(
    spec: BanditSpec, name: str, support: Support, users: float, bound: float
) -> tuple[bool, str]:
    """Whether a policy ships, and why."""
    if spec.policies[name].logging:
        return False, "it is the present policy"
    if support.verdict == UNSUPPORTED:
        return False, f"the log does not support it: {support.reason}"
    if support.verdict == WEAK:
        return False, f"the log supports it weakly: {support.reason}"
    if users < _FEWEST:
        return False, f"its value rests on {users:.0f} users in effect, fewer than {_FEWEST}"
    if _by_precision(spec):
        return False, (
            "loggers that count by their precision count less where they earned more; ask by "
            "loggers.weights: effective or balanced"
        )
    how = "at every look" if spec.anytime else "for all policies together"
    said = f"its lower bound against the present policy ({bound:+.4g}, {how})"
    if bound > spec.margin:
        return True, f"{said} exceeds the margin of {spec.margin:g}"
    return False, f"{said} does not exceed the margin of {spec.margin:g}"


def _bernstein(
    values: Values, state: State, policy: int, span: tuple[float, float], confidence: float
) -> float | None:
    """The best of the bounds of clipped IPS over its tuning values, each at its share of the error.

    Clipping takes from rewards that are not negative, so that a bound of the clipped mean is one of
    the policy's value too. A user's sum lies between 0 and tuning x greatest reward x rows.
    """
    low, high = span
    layout = values.layout
    if layout.lines != len(state["total"]):  # loggers are kept apart
        return None
    clipped = [(k, t) for k, (code, t) in enumerate(layout.tuned) if code == CLIPPED]
    if low < 0 or not np.isfinite(high) or not clipped:
        return None
    level = 1 - (1 - confidence) / len(clipped)
    users, rows = values.clusters, float(state["max_rows_a_user"][0])
    bounds = []
    for k, tuning in clipped:
        line = policy * layout.width + FIXED_LINES + k
        mean = float(state["total"][line]) / users
        variance = (float(state["cross"][line, line]) - users * mean**2) / (users - 1)
        bounds.append(bernstein_bound(mean, variance, users, tuning * high * rows, level))
    return max(float(max(bounds)) * users / values.rows, 0.0)


def _plans(
    spec: BanditSpec, values: Values, checked: State, support: tuple[Support, ...], low: float,
    reward: int,
) -> tuple[ExplorationPlan, ...]:  # fmt: skip
    present = float(values.estimates[values.present])
    least = low if np.isfinite(low) else -float(checked["max_least"][reward])
    rows = float(checked["rows"][0])
    spread = float(checked["squares"][reward]) / rows - 2 * least * present + least**2
    width = spec.half_width or abs(present - least) / 10
    if width <= 0 or spread <= 0:
        return ()
    return tuple(
        exploration_plan(s.policy, present, spread, least, width, 1.96)
        for s in support
        if s.verdict == UNSUPPORTED
    )
