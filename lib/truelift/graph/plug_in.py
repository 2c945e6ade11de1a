"""An effect by its formula, from counts: where no design of ``estimate_effects`` has the formula.

Every factor is a share of rows, so the columns are few and have few levels. Errors leave a fortieth of the users out at a
time (the jackknife), so that rows of one user may depend.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from truelift.errors import NotSupportedError
from truelift.graph.coded_columns import BUCKETS, bucket_numbers
from truelift.graph.formula import Counts, all_names, evaluated
from truelift.graph.network.coding import codings
from truelift.graph.results import Identification
from truelift.lake.foreign import ForeignTable


@dataclass(frozen=True)
class Chance:
    """P(outcome = level | do(treatment = level)).

    Parameters
    ----------
    treatment, outcome : str
        Levels.
    chance, standard_error, low, high : float
        With the ends of the 95% interval.
    """

    treatment: str
    outcome: str
    chance: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True)
class PluggedIn:
    """Chances of all levels under all interventions."""

    question: str
    chances: tuple[Chance, ...]
    rows: int

    def __str__(self) -> str:
        lines = [f"{self.question} by its formula, from {self.rows:,} rows:"]
        lines += [
            f"  {c.chance:.4f} [{c.low:.4f}, {c.high:.4f}]  {c.outcome} where {c.treatment} is done"
            for c in self.chances
        ]
        return "\n".join(lines)


def plugged_in(found: Identification, table: ForeignTable, cluster: str | None = None) -> PluggedIn:
    """The chances that the formula of an effect gives.

    Raises
    ------
    NotSupportedError
        Without a formula, or where a combination that it asks for has no rows.
    """
    if found.formula is None:
        raise NotSupportedError("There is no formula of what is measured.")
    names = sorted(all_names(found.formula) | {found.treatment, found.outcome})
    nodes = {name: found.graph.by_name[name] for name in names}
    asked = [*(node.column for node in nodes.values()), *([cluster] if cluster else [])]
    held = table.here(list(dict.fromkeys(asked)))
    coded = codings(nodes, held)
    codes = {
        n: coding.codes(held[coding.node.column].combine_chunks()) for n, coding in coded.items()
    }
    full = np.all([code >= 0 for code in codes.values()], axis=0)
    codes = {name: code[full] for name, code in codes.items()}
    bucket = bucket_numbers(held, cluster, BUCKETS, table.name)[full]
    sizes = {name: len(coding.levels) for name, coding in coded.items()}
    whole = _effect(found, codes, sizes, None)
    seen = np.unique(bucket)
    left = np.stack([_effect(found, codes, sizes, (bucket != b).astype(float)) for b in seen])
    error = np.sqrt((len(seen) - 1) / len(seen) * ((left - left.mean(axis=0)) ** 2).sum(axis=0))
    reach = stats.t.ppf(0.975, len(seen) - 1) * error
    levels, outcomes = coded[found.treatment].levels, coded[found.outcome].levels
    chances = tuple(
        Chance(
            f"{found.treatment}={levels[i]}", f"{found.outcome}={outcomes[j]}", float(whole[j, i]),
            float(error[j, i]), *_interval(float(whole[j, i]), float(reach[j, i])),
        )
        for i in range(len(levels)) for j in range(len(outcomes))
    )  # fmt: skip
    return PluggedIn(f"P({found.outcome} | do({found.treatment}))", chances, int(full.sum()))


def _interval(chance: float, reach: float) -> tuple[float, float]:
    """An interval of chances: made on the log odds, where the ends are never beyond 0 and 1.

    An estimate at 0 or 1 has no log odds: there what is beyond is cut off.
    """
    if not 0 < chance < 1:
        return max(min(chance - reach, 1.0), 0.0), min(max(chance + reach, 0.0), 1.0)
    odds, spread = special.logit(chance), reach / (chance * (1 - chance))
    return float(special.expit(odds - spread)), float(special.expit(odds + spread))


def _effect(
    found: Identification,
    codes: dict[str, np.ndarray],
    sizes: dict[str, int],
    weights: np.ndarray | None,
) -> np.ndarray:
    """Chances, outcome x treatment; what the formula depends on in appearance alone is averaged over its rows."""
    assert found.formula is not None
    counts = Counts(codes, sizes, weights)
    factor = evaluated(found.formula, counts)
    ends = (found.outcome, found.treatment)
    beside = tuple(name for name in factor.names if name not in ends)
    shape = [sizes[name] for name in (*beside, *ends)]
    values = np.broadcast_to(factor.along((*beside, *ends)), shape)
    share = counts.joint(beside)
    weight = share.along(beside) / share.values.sum()
    weighted = np.where(weight[..., None, None] > 0, values * weight[..., None, None], 0.0)
    chances: np.ndarray = weighted.sum(axis=tuple(range(len(beside))))
    if not np.isfinite(chances).all():
        raise NotSupportedError(
            f"The formula of {found.treatment} -> {found.outcome} asks for combinations that no rows have. Take "
            "coarser levels (cuts), or more rows."
        )
    return chances
