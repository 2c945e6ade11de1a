"""What a synthetic control rests on, beside its effect."""

from __future__ import annotations

from dataclasses import dataclass

from truelift.effects.telling.figures import figure, p_text, places_of

#: From which p-value down a placebo takes the support away: at .1 an effect that is none is stated in at most 4% of panels
#: whose unit was chosen for what its outcome was (docs/validation.md).
PLACEBO_LEVEL = 0.1
_NAMED = 4


@dataclass(frozen=True)
class SyntheticCheck:
    """Whom the treated are compared with, how alike these were before, and what placebos say.

    Parameters
    ----------
    outcome, method : str
    treated : tuple of str
    donors : tuple of str
        Those with weight, the largest first.
    weights : tuple of float
        Theirs.
    gap : float
        Root mean square distance of the treated to their mix before the treatment.
    fit_p_value : float
        Share of placebos whose mix is as far from them before.
    placebos : int
        Placebo effects that the interval rests on.
    p_value : float
        Of no effect.
    without_last : float or None
        The same where nothing is fitted to the last period before (:func:`~truelift.inference.synthetic.without_the_last`).
    ahead, ahead_p_value : float or None
        The effect of a treatment that is taken to begin earlier, and the share of placebos that are as far from zero
        (:func:`~truelift.inference.synthetic.placebo_in_time`); None where too few periods are before it.
    periods : tuple of str
    treated_path, mixed_path : tuple of float
        Means of the treated of the largest cohort by period, and of their mix.
    begins : int
        Position of the period in which their treatment begins.
    """

    outcome: str
    method: str
    treated: tuple[str, ...]
    donors: tuple[str, ...]
    weights: tuple[float, ...]
    gap: float
    fit_p_value: float
    placebos: int
    p_value: float
    without_last: float | None
    ahead: float | None
    ahead_p_value: float | None
    periods: tuple[str, ...]
    treated_path: tuple[float, ...]
    mixed_path: tuple[float, ...]
    begins: int

    def reasons(self, needed: int, level: float) -> tuple[str, ...]:
        """Why the effect is not supported; empty where it is.

        Parameters
        ----------
        needed : int
            The least number of placebos.
        level : float
            From which p-value down there is an effect.
        """
        found = []
        if self.placebos < needed:
            found.append(
                f"There are {self.placebos:,} placebos, expected at least {needed}: with fewer no effect can be told from "
                "none at this level. Bring more units that are never treated."
            )
        if self.fit_p_value <= PLACEBO_LEVEL:
            found.append(
                f"{self.method}: no mix of the others was like the treated before ({p_text(self.fit_p_value)} among "
                "placebos), so what is apart afterwards need not be the treatment."
            )
        if self.ahead_p_value is not None and self.ahead_p_value <= PLACEBO_LEVEL:
            found.append(
                f"{self.method}: a placebo in time finds an effect before there was a treatment "
                f"({p_text(self.ahead_p_value)}). Who was chosen for how the outcome moved goes back by itself, and such tests "
                "then reject too often."
            )
        if self.p_value <= level and self.without_last is not None and self.without_last > level:
            found.append(
                f"{self.method}: the effect hangs on the last period before the treatment ({p_text(self.without_last)} where "
                "nothing is fitted to it). Who was chosen for one odd period goes back by itself."
            )
        if self.ahead_p_value is None:
            found.append(
                "There are fewer than three periods before the first treatment, so no placebo in time tells whether "
                "such tests hold their level here."
            )
        return tuple(found)

    def sentence(self) -> str:
        """Whom they are compared with, and placebos, in two sentences."""
        named = [
            f"{name} {weight:.0%}" for name, weight in zip(self.donors, self.weights, strict=True)
        ]
        more = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
        gap = figure(self.gap, places_of(self.gap))
        ahead = (
            "there are too few periods for a placebo in time"
            if self.ahead_p_value is None
            else f"a placebo in time finds {figure(self.ahead or 0.0, places_of(self.gap))} ({p_text(self.ahead_p_value)})"
        )
        return (
            f"{self.method} of {self.outcome}: {', '.join(self.treated[:_NAMED])} beside {', '.join(named[:_NAMED])}{more}; "
            f"before, they were {gap} apart ({p_text(self.fit_p_value)} among {self.placebos:,} placebos), and {ahead}."
        )

    def __repr__(self) -> str:
        return f"SyntheticCheck({self.sentence()})"
