"""Whether a new model takes the place of the champion.

Both have ranked for the same test users, so the difference is taken user by user. The alias
moves where the lower end of the one-sided t-interval of the mean difference in NDCG, at
``tracking.promote_confidence``, lies above ``tracking.promote_margin``.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from truelift.recommend.finish import CONFIDENCE


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a model version.

    Parameters
    ----------
    promoted : bool
    reason : str
        One line, for a tag.
    """

    promoted: bool
    reason: str


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
