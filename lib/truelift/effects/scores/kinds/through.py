"""Effects through mediators: who makes them is :mod:`truelift.effects.designs.through`."""

from __future__ import annotations

from truelift.effects.scores.kinds.kind import EstimandKind

_ASKS = {"mediators": "columns of mediators"}


def _kind(name: str, key: str, title: str, place: int, reading: str) -> EstimandKind:
    return EstimandKind(
        name, key, title, short=name, order=place, priority=place, reading=reading, asks=_ASKS
    )


NDE = _kind(
    "NDE", "nde", "NDE: directly", 36,
    "{estimand}: with the mediators as under {versus}, {arm} changes {outcome} by {change}, directly.",
)  # fmt: skip
NIE = _kind(
    "NIE", "nie", "NIE: through mediators", 37,
    "{estimand}: {population}, {arm} against {versus} changes {outcome} by {change}.",
)  # fmt: skip
TOTAL_NDE = _kind(
    "total NDE", "total_nde", "Direct, mediators of the arm", 38,
    "{estimand}: with the mediators as under {arm}, it changes {outcome} by {change}, directly.",
)  # fmt: skip
PURE_NIE = _kind(
    "pure NIE", "pure_nie", "Through mediators alone", 39,
    "{estimand}: {population} alone, {arm} against {versus} changes {outcome} by {change}.",
)  # fmt: skip
FRONT_DOOR = EstimandKind(
    "front-door ATE", "front_door_ate", "ATE: through the front door", short="Front door", order=20, priority=10,
    asks={"front_door": "columns of mediators that carry all of the effect"}, judged_as="front-door ATE",
    decides_over="on average over everyone",
)  # fmt: skip
