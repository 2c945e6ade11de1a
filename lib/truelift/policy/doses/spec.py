"""What is to be evaluated where an action is a number: the keys of ``truelift evaluate_doses``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from truelift.settings.checks import require

LOCATION_SCALE = "location-scale"


@dataclass(frozen=True)
class DosePolicy:
    """A policy that gives doses.

    Parameters
    ----------
    dose : str, optional
        The column of the dose that it gives.
    always : float, optional
        In place of it, one dose for all.
    """

    dose: str | None = None
    always: float | None = None

    def __post_init__(self) -> None:
        one = (self.dose is None) != (self.always is None)
        found = "both" if self.dose is not None else "neither"
        require(one, "policies", found, "one of dose (a column) and always (a number)")
        known = self.always is None or math.isfinite(self.always)
        require(known, "policies", self.always, "a finite number for always")


@dataclass(frozen=True)
class DoseSpec:
    """A log whose action is a number, and what is asked of it.

    Parameters
    ----------
    dose : str
        The column of the dose that was given.
    density : str, optional
        The column of the density with which the policy that wrote the log gives that dose in that context;
        above zero.
    density_model : str, optional
        In place of it, where nobody logged densities: ``'location-scale'`` estimates them from the context
        (:mod:`~.densities`).
    rewards : tuple of str
        Numeric columns; higher is better.
    policies : mapping of str to DosePolicy
    user : str, optional
        Rows that share it may be dependent; without it every row stands for itself.
    context : tuple of str
        Numeric columns that the reward model may use.
    bandwidths : tuple of float
        Of the kernel, in place of those about the rule's; at least two, or the bias of smoothing is not known.
    folds : int
    confidence, margin : float
        As in :class:`~truelift.policy.off_policy.spec.BanditSpec`.
    missing_mass, effective_rows : float
        The gate.
    band_draws, seed : int
    """

    dose: str
    rewards: tuple[str, ...]
    policies: dict[str, DosePolicy]
    density: str | None = None
    density_model: str | None = None
    user: str | None = None
    context: tuple[str, ...] = ()
    bandwidths: tuple[float, ...] = ()
    folds: int = 5
    confidence: float = 0.95
    margin: float = 0.0
    missing_mass: float = 0.05
    effective_rows: float = 100.0
    band_draws: int = 20_000
    seed: int = field(default=0)

    def __post_init__(self) -> None:
        for key in ("rewards", "policies"):
            require(len(getattr(self, key)) > 0, key, "none", "at least one")
        known = [name for name in ("density", "density_model") if getattr(self, name)]
        one = "one of them: a column of densities, or density_model: location-scale, which estimates them"
        require(len(known) == 1, "density and density_model", " and ".join(known) or "neither", one)
        if self.density_model:
            fits = self.density_model == LOCATION_SCALE
            require(fits, "density_model", self.density_model, LOCATION_SCALE)
            require(len(self.context) > 0, "density_model", "no context", "what the log chose by")
        require(0 < self.confidence < 1, "confidence", self.confidence, "between 0 and 1")
        require(self.margin >= 0, "margin", self.margin, "zero or more")
        require(self.folds >= 2, "folds", self.folds, "at least 2")
        widths = self.bandwidths
        good = all(h > 0 for h in widths) and len(set(widths)) == len(widths)
        require(good, "bandwidths", list(widths), "different numbers above zero")
        found = f"{list(widths)} alone"
        require(len(widths) != 1, "bandwidths", found, "two or more: one says nothing of its bias")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the policies."""
        return tuple(self.policies)

    @property
    def numbers(self) -> dict[str, str]:
        """Numeric columns that are read, with the key that names each."""
        given = {p.dose: f"policies.{name}" for name, p in self.policies.items() if p.dose}
        named = {self.dose: "dose"} | ({self.density: "density"} if self.density else {})
        named |= dict.fromkeys(self.rewards, "rewards") | dict.fromkeys(self.context, "context")
        return {**given, **named}

    def columns(self) -> tuple[str, ...]:
        """All columns of the log that are read, each once."""
        return tuple(dict.fromkeys([*self.numbers, *([self.user] if self.user else [])]))
