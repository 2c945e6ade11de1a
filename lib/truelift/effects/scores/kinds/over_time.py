"""Effects by differences over time (:mod:`truelift.effects.designs.differences`), and by synthetic controls."""

from __future__ import annotations

from truelift.effects.scores.kinds.kind import EstimandKind

_ASKS = {"design": "'did'"}
_READING = "{estimand}: the treatment changes {outcome} by {change}, over {population}."


def _kind(
    name: str, key: str, title: str, place: int, logged: bool = False, decides_over: str = ""
) -> EstimandKind:
    return EstimandKind(
        name, key, title, order=place, priority=place, reading=_READING, asks=_ASKS,
        judged_as="overall ATT", names_population=True, logged=logged, decides_over=decides_over,
    )  # fmt: skip


OVERALL = _kind(
    "overall ATT", "overall_att", "Overall ATT", 10, True, "over all cohorts after their treatment"
)
EVENTS = _kind("event study", "event_study", "Event study", 20)
COHORTS = _kind("cohort ATT", "cohort_att", "By cohort", 30)
PERIODS = _kind("period ATT", "period_att", "By period", 40)
CELLS = _kind("ATT(g,t)", "att_gt", "By cohort and period", 50)


def _mixed(name: str, key: str, title: str, place: int) -> EstimandKind:
    return EstimandKind(
        name, key, title, order=place, priority=place, reading=_READING, asks={"design": "'synthetic'"}, judged_as=name,
        names_population=True, logged=True, decides_over="over the treated",
    )  # fmt: skip


SYNTHETIC_DID = _mixed("synthetic DiD", "synthetic_did", "Synthetic DiD", 10)
SYNTHETIC_CONTROL = _mixed("synthetic control", "synthetic_control", "Synthetic control", 20)
