"""Which estimate a check is about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One estimate: an estimand of one contrast with the control and one outcome.

    Parameters
    ----------
    estimand : str
        ``'ATE'`` or ``'ATT'``.
    contrast : int
        The arm that is compared with arm 0.
    outcome : int
        Position of the outcome.
    scale : float
        The outcome's units for one unit of the kernels' scale.
    outcome_name, contrast_name : str
        For the reader of the result.
    """

    estimand: str = "ATE"
    contrast: int = 1
    outcome: int = 0
    scale: float = 1.0
    outcome_name: str = ""
    contrast_name: str = ""

    @property
    def place(self) -> tuple[str, int, int]:
        """(estimand, contrast, outcome)."""
        return self.estimand, self.contrast, self.outcome
