"""Effects by an instrument: who makes them is :mod:`truelift.effects.designs.instrument`."""

from __future__ import annotations

from truelift.effects.scores.kinds.kind import EstimandKind

_ASKS = {"instrument": "the column of an instrument"}
_MOVED = "among those whom the instrument moves"
_READING = "{estimand}: one more of {arm} changes {outcome} by {change}, over {population}."


def _kind(name: str, title: str, place: int, decides_over: str = "") -> EstimandKind:
    return EstimandKind(
        name, name.lower(), title, short=name, order=place + 10, priority=place,
        reading=_READING, asks=_ASKS, judged_as="LATE", decides_over=decides_over,
    )  # fmt: skip


LATE = _kind("LATE", "LATE: those whom the instrument moves", 10, decides_over=_MOVED)
TSLS = _kind("TSLS", "Two-stage least squares", 20, decides_over=_MOVED)
LIML = _kind("LIML", "Limited-information maximum likelihood", 30)
JIVE = _kind("JIVE", "Jackknife instrumental variables", 40)
