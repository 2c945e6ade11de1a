"""What instruments say of an effect, beside its estimates."""

from __future__ import annotations

from dataclasses import dataclass

from truelift.effects.telling.figures import p_text
from truelift.inference.weak_instruments import ConfidenceSet


@dataclass(frozen=True)
class InstrumentCheck:
    """Strength of the first stage, the sets that hold at any strength, and overidentification.

    Parameters
    ----------
    outcome, treatment : str
    instruments : tuple of str
    basis : str
        ``'linear'``, or ``'doubly robust'`` where instruments are adjusted for by scores.
    effective_f, critical_f : float
        See :class:`~truelift.inference.weak_instruments.FirstStage`.
    anderson_rubin, score : ConfidenceSet
        Effects that the tests do not reject.
    p_value, score_p_value : float
        Of no effect, by Anderson and Rubin, and by the score.
    overidentification : float or None
        p-value of Hansen's J; None with one instrument.
    confidence : float
    """

    outcome: str
    treatment: str
    instruments: tuple[str, ...]
    basis: str
    effective_f: float
    critical_f: float
    anderson_rubin: ConfidenceSet
    score: ConfidenceSet
    p_value: float
    score_p_value: float
    overidentification: float | None
    confidence: float

    @property
    def weak(self) -> bool:
        """Whether the first stage does not rule out a bias of a tenth of the worst case."""
        return self.effective_f < self.critical_f

    @property
    def contradicted(self) -> bool:
        """Whether J finds that the instruments contradict each other."""
        return self.overidentification is not None and self.overidentification < 0.05

    def sentence(self) -> str:
        """The check in one or two sentences."""
        strength = "weak" if self.weak else "strong"
        said = (
            f"First stage ({self.basis}) of {', '.join(self.instruments)} on {self.treatment}: {strength}, "
            f"effective F {self.effective_f:.1f} (a bias of a tenth is ruled out from {self.critical_f:.1f} "
            f"on). Whatever its strength, the effect on {self.outcome} at {self.confidence:.0%} is "
            f"{self.anderson_rubin.words()} (Anderson-Rubin, {p_text(self.p_value)} against none)."
        )
        if self.overidentification is None:
            return said
        apart = "contradict each other" if self.contradicted else "agree"
        return f"{said} The instruments {apart} (J, {p_text(self.overidentification)})."

    def __repr__(self) -> str:
        return f"InstrumentCheck({self.sentence()})"
