"""Effects by an instrument: who makes them is :mod:`truelift.effects.designs.instrument`."""

from __future__ import annotations

from truelift.effects.scores.kinds.kind import EstimandKind

_ASKS = {"instrument": "the column of an instrument"}
_MOVED = "among those whom the instrument moves"
_READING = "{estimand}: one more of {arm} changes {outcome} by {change}, over {population}."

LATE = EstimandKind(
    "LATE",
    "late",
    "LATE: those whom the instrument moves",
    short="LATE",
    order=20,
    priority=10,
    reading=_READING,
    asks=_ASKS,
    judged_as="LATE",
    decides_over=_MOVED,
)
TSLS = EstimandKind(
    "TSLS",
    "tsls",
    "Two-stage least squares",
    short="TSLS",
    order=30,
    priority=20,
    reading=_READING,
    asks=_ASKS,
    judged_as="LATE",
    decides_over=_MOVED,
)
LIML = EstimandKind(
    "LIML",
    "liml",
    "Limited-information maximum likelihood",
    short="LIML",
    order=40,
    priority=30,
    reading=_READING,
    asks=_ASKS,
    judged_as="LATE",
)
JIVE = EstimandKind(
    "JIVE",
    "jive",
    "Jackknife instrumental variables",
    short="JIVE",
    order=50,
    priority=40,
    reading=_READING,
    asks=_ASKS,
    judged_as="LATE",
)
