"""Effects on a distribution: who makes them is :mod:`truelift.effects.distribution`."""

from __future__ import annotations

from truelift.effects.scores.kinds.kind import EstimandKind

_READING = "{{estimand}}: {{arm}} against {{versus}} changes {told}{{population}} of {{outcome}} by {{change}}."


def _kind(name: str, key: str, title: str, place: int, told: str = "") -> EstimandKind:
    return EstimandKind(
        name, key, title, order=place, priority=place, reading=_READING.format(told=told), asks={"quantiles": "levels in (0, 1)"},
        names_population=True, logged=False,
    )  # fmt: skip


QUANTILE = _kind("quantile effect", "quantile_effect", "Quantile", 70)
CVAR = _kind("CVaR effect", "cvar_effect", "CVaR", 72, "the mean ")


def _robust(name: str, key: str, title: str, place: int) -> EstimandKind:
    return EstimandKind(
        name, key, title, order=place, priority=place, asks={"robust": "a share to winsorise by, or Huber's cut"}
    )  # fmt: skip


WINSORISED = _robust("winsorised ATE", "winsorised_ate", "ATE: of cut outcomes", 32)
HUBER = _robust("Huber effect", "huber_effect", "Huber: location", 34)
