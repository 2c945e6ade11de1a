"""What is known of needs: how many, what shows them, what moves them, with intervals."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TriedNeeds:
    """A number of needs, judged by users that were not learned from.

    Parameters
    ----------
    needs : int
    held_out : float
        Log-likelihood, nats a user.
    behind, standard_error : float
        How far it is behind the best, nats a user.
    """

    needs: int
    held_out: float
    behind: float
    standard_error: float


@dataclass(frozen=True)
class Need:
    """A need: how often it is there, and what shows it.

    Parameters
    ----------
    name : str
        ``need 1`` is there at most steps; a need that is a number is there at all of them.
    share, share_lower, share_upper : float
        Of all steps, by the smoother.
    shows : dict of str to float
        By ``column=level`` its chance, by column its mean; of a need that is a number, what one more of it adds.
    """

    name: str
    share: float
    share_lower: float
    share_upper: float
    shows: dict[str, float]


@dataclass(frozen=True)
class NeedEffect:
    """What an intervention changes.

    Parameters
    ----------
    intervention, versus : str
        ``do(mailed=1)``, ``do(need 2)``.
    of : str
        A need (its chance) or an outcome (its mean, or the chance of a level).
    population : str
        ``all steps``, or those in a need.
    step : int
        After the intervention; 1 is the step that it is for.
    estimate, standard_error, ci_lower, ci_upper : float
    """

    intervention: str
    versus: str
    of: str
    population: str
    step: int
    estimate: float
    standard_error: float
    ci_lower: float
    ci_upper: float


@dataclass(frozen=True)
class NeedsResult:
    """What a table says of needs.

    Parameters
    ----------
    table, version : str
    model : str
    rows, users : int
    columns : dict of str to str
        What needs show in, and of what kind it is.
    inputs : dict of str to int
        Levels of what is shown, with their steps.
    base : str
    tried : tuple of TriedNeeds
    starts, agreed : int
        Starts that went on to the end, and how many of them came to the fit that is taken.
    needs : tuple of Need
    moves : dict of str to tuple
        By level of the input, chances from need (row) to need (column); of needs that are numbers, what one more of a need adds a
        step later.
    effects : tuple of NeedEffect
    log_likelihood : float
        Of all users, nats.
    passes : int
        Over all users.
    gain_left : float
        Nats that a further step would bring.
    confidence, posterior : float
    notes : tuple of str
    """

    table: str
    version: str
    model: str
    rows: int
    users: int
    columns: dict[str, str]
    inputs: dict[str, int]
    base: str
    tried: tuple[TriedNeeds, ...]
    starts: int
    agreed: int
    needs: tuple[Need, ...]
    moves: dict[str, tuple[tuple[float, ...], ...]]
    effects: tuple[NeedEffect, ...]
    log_likelihood: float
    passes: int
    gain_left: float
    confidence: float
    posterior: float
    notes: tuple[str, ...] = ()

    @property
    def chosen(self) -> TriedNeeds:
        """The number of needs that was taken."""
        return next(t for t in self.tried if t.needs == len(self.needs))

    def summary(self) -> str:
        """A screen of sentences."""
        what = "classes of users" if self.model == "classes" else "needs"
        lines = [
            f"{len(self.needs)} {what} behind {self.rows:,} steps of {self.users:,} users ({self.table}), of "
            f"{', '.join(str(t.needs) for t in self.tried)} tried: {self.chosen.held_out:.3f} nats a user not "
            f"learned from; {self.agreed} of {self.starts} starts came to it."
        ]
        for need in self.needs if self.model == "numbers" else ():
            adds = ", ".join(f"{column} {value:+.3g}" for column, value in need.shows.items())
            lines.append(
                f"  {need.name}  one more of it (what chance moves it by in a step) adds: {adds}"
            )
        for need in self.needs if self.model != "numbers" else ():
            telling = ", ".join(f"{k} {v:.2f}" for k, v in _telling(need, self.needs))
            lines.append(
                f"  {need.name}  {need.share:.1%} of the steps ({need.share_lower:.1%} to {need.share_upper:.1%}): "
                f"{telling}"
            )
        shown = [e for e in self.effects if e.population == "all steps" and e.step == 1]
        if shown:
            lines.append(f"What acting changes, {self.confidence:.0%} intervals:")
        for e in shown:
            lines.append(
                f"  {e.intervention} against {e.versus}, {e.of}: {e.estimate:+.4f} ({e.ci_lower:+.4f} to "
                f"{e.ci_upper:+.4f})"
            )
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()

    def to_pandas(self) -> pd.DataFrame:
        """The effects, a row each."""
        import pandas as pd

        names = [f.name for f in fields(NeedEffect)]
        return pd.DataFrame([vars(e) for e in self.effects], columns=names)


def _telling(need: Need, needs: tuple[Need, ...], most: int = 4) -> list[tuple[str, float]]:
    """What shows a need most unlike the others."""

    def apart(name: str) -> float:
        other = [n.shows[name] for n in needs if n is not need]
        scale = max(*(abs(v) for v in (*other, need.shows[name])), 1e-12)
        middle = sum(other) / max(len(other), 1)
        return (need.shows[name] - middle) / max(scale, 0.2)

    ranked = sorted(need.shows, key=lambda name: -apart(name) if len(needs) > 1 else 0.0)
    return [(name, need.shows[name]) for name in ranked[:most]]
