"""Whether a new model takes the place of the champion.

Both have ranked for the same test users, so the difference is taken user by user. The alias
moves where the lower end of the one-sided t-interval of the mean difference in NDCG, at
``tracking.promote_confidence``, lies above ``tracking.promote_margin``.

Two more things are said and decide nothing, for a person has to: how the model stands beside the
best baseline (the first model is champion whatever it is worth), and how many items of the
catalogue the champion that stands has never seen and can never offer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from truelift.arrays.distributions import stats
from truelift.evaluation.finish import CONFIDENCE
from truelift.evaluation.results import Difference


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a model version.

    Parameters
    ----------
    promoted : bool
    reason : str
        One line, for a tag.
    below_baseline : str or None
        The best baseline, where the model's mean on the test part is below its.
    """

    promoted: bool
    reason: str
    below_baseline: str | None = None


def beside_baseline(verdict: Verdict, found: Difference | None) -> Verdict:
    """The verdict with how the new model stands beside the best baseline.

    Parameters
    ----------
    verdict : Verdict
    found : Difference or None
        The new model less the best baseline; None where there is none.
    """
    if found is None:
        return verdict
    label = found.name.upper() if found.name == "ndcg" else found.name
    label = label if found.k is None else f"{label}@{found.k}"
    below = found.mean < 0
    said = (
        f"{'below' if below else 'above'} the best baseline, {found.versus}: {label} "
        f"{found.mean:+.4f} [{found.ci_lower:+.4f}, {found.ci_upper:+.4f}]"
    )
    if found.mean == 0:
        said = f"level with the best baseline, {found.versus}: {label} +0.0000"
    return replace(
        verdict,
        reason=f"{verdict.reason}; {said}",
        below_baseline=found.versus if below else None,
    )


def with_catalogue(verdict: Verdict, champion: str, unknown: int, items: int) -> Verdict:
    """The verdict with the items that the standing champion has never seen, if there are any."""
    if unknown == 0 or verdict.promoted:
        return verdict
    said = f"{verdict.reason}; champion {champion} cannot rank {unknown:,} of {items:,} items"
    return replace(verdict, reason=said)


def first_model() -> Verdict:
    """Nobody to compare with."""
    return Verdict(True, "promoted: first model")


def not_comparable(champion: str, why: str) -> Verdict:
    """The champion stays, for nothing shows that the new model is better."""
    return Verdict(False, f"kept champion {champion}: not comparable: {why}")


def decide(
    gain: tuple[float, float, float],
    users: int,
    k: int,
    champion: str,
    confidence: float,
    margin: float,
) -> Verdict:
    """Compare with the champion.

    Parameters
    ----------
    gain : tuple of float
        Mean of the new model's NDCG less the champion's, and its two-sided 95% t-interval over
        users.
    users : int
    k : int
        Cut-off of the NDCG.
    champion : str
        Its version.
    confidence, margin : float
        Of the settings.
    """
    mean, lower, upper = gain
    if users < 2:
        return Verdict(False, f"kept champion {champion}: {users} test user tells nothing")
    error = (upper - mean) / stats.t.ppf(0.5 + CONFIDENCE / 2, users - 1)
    bound = mean - error * stats.t.ppf(confidence, users - 1)
    promoted = bool(bound > margin)
    found = f"NDCG@{k} {mean:+.4f} [{lower:+.4f}, {upper:+.4f}]"
    test = f"{confidence:.3g} lower bound {bound:+.4f}"
    if promoted:
        return Verdict(True, f"promoted: {found} over version {champion}, {test}")
    return Verdict(False, f"kept champion {champion}: {found}, {test}, not above margin {margin:g}")


def never_offered(version: str, unknown: int, items: int) -> str:
    """The sentence about items that the model in use has never seen."""
    return (
        f"Model version {version} has never seen {unknown:,} of {items:,} items of "
        "gold.items: nobody is offered them while it ranks. docs/sequences.md says how to move "
        "the alias to a newer version."
    )
