"""One honest round on real logs: what showing items changed, lists adjusted by it, their worth, the next experiment.

Nothing is shown to anybody. Lists by what is bought most and was had before stand for what a shop shows without such
effects; lists by effect are chosen by one half of the users and valued by the other (:mod:`what_if
<truelift.recommend.what_if>`), so what chose them does not judge them. Whether the gain is real only an experiment can
tell: the plan says how many lists it takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from truelift.errors import NotSupportedError
from truelift.features.vocabulary import vocabulary
from truelift.models.sequence.histories import Histories
from truelift.recommend.by_effect import EffectKernel, EffectLists
from truelift.recommend.results import WhatIf
from truelift.recommend.shown.lake import learnt, mean_prices
from truelift.recommend.shown.ranking import RankBy
from truelift.recommend.what_if import compared
from truelift.serving.scorer import Scorer

if TYPE_CHECKING:
    from truelift.job import Job

POWER = 0.8
#: Tables that a replay reads.
READS = ("gold.exposures", "gold.items", "gold.sequences", "silver.events")


@dataclass(frozen=True)
class NextExperiment:
    """An experiment that would tell, half of the lists by effect and half as they are.

    Parameters
    ----------
    explore : float
        Share of each slot that is filled by lot in both halves, so that the next round can be learnt from too.
    lists, careful_lists : int, optional
        In all, to find the gain that is forecast, and the lower end of its interval (or half of the gain,
        where that is more), with 80% power; None where no gain is forecast.
    days, careful_days : float, optional
        At the log's own pace.
    """

    explore: float
    lists: int | None
    careful_lists: int | None
    days: float | None
    careful_days: float | None


@dataclass(frozen=True)
class Replay:
    """What one round on a lake found.

    Parameters
    ----------
    what_if : WhatIf
        Lists by what is bought most beside lists by effect, and the gain with its interval.
    plan : NextExperiment
    """

    what_if: WhatIf
    plan: NextExperiment

    @property
    def exit_code(self) -> int:
        """3 where the interval of the gain is not above 0: the log does not support another ranking."""
        return 0 if self.what_if.lower > 0 else 3

    def __str__(self) -> str:
        found, plan = self.what_if, self.plan
        lines = [
            f"Learnt from {found.lists:,} lists and {found.purchases:,} purchases after them; variances are "
            f"{found.clustering:.2f} times as wide as independent lists', at most.",
            f"Lists of {found.users:,} users by {found.by}, in place of what is bought most: "
            f"{100 * found.gain:+.2f} purchases in 100 lists ({100 * found.lower:+.2f} to "
            f"{100 * found.upper:+.2f}); {found.shared:.0%} of the items are the same.",
        ]
        if found.lower > 0:
            lines.append("The interval is above 0: such lists are worth an experiment.")
        elif found.upper < 0:
            lines.append("The interval is below 0: such lists bring less than what is bought most.")
        else:
            lines.append(
                "The interval holds 0: the log does not say that such lists bring more. Have more slots filled by "
                "lot, and look again."
            )
        if plan.lists is None:
            lines.append("No gain is forecast, so there is nothing that an experiment could find.")
        else:
            lines.append(
                f"Next experiment: half of the lists by {found.by}, half as they are, {plan.explore:.0%} of each slot "
                f"by lot in both; {plan.lists:,} lists ({_days(plan.days)}) find the gain with {POWER:.0%} power, "
                f"{plan.careful_lists:,} ({_days(plan.careful_days)}) one at the lower end."
            )
        return "\n".join(lines)


def _days(days: float | None) -> str:
    return "time unknown" if days is None else f"{days:,.1f} days at this pace"


def planned(found: WhatIf, days: float, explore: float) -> NextExperiment:
    """How many lists an experiment takes: ``2 (z_{a/2} + z_power)^2 s^2 / (gain (1 - explore))^2`` in each half.

    Slots that are filled by lot in both halves are the same in both, so the gain is that of the other slots.
    ``s^2`` is the mean number of purchases after a list (that of a Poisson count), widened by users who
    come again.

    Parameters
    ----------
    found : WhatIf
    days : float
        That the log spans.
    explore : float
    """
    spread = found.purchases / max(found.lists, 1) * max(found.clustering, 1.0)
    reach = float(special.ndtri(0.5 + found.confidence / 2) + special.ndtri(POWER))
    pace = found.lists / days if days > 0 else 0.0

    def needed(gain: float) -> tuple[int | None, float | None]:
        seen = gain * (1 - explore)
        if seen <= 0:
            return None, None
        lists = 4 * math.ceil(reach**2 * spread / seen**2)
        return lists, lists / pace if pace else None

    lists, own = needed(found.gain)
    careful, longer = needed(max(found.lower, found.gain / 2))
    return NextExperiment(explore, lists, careful, own, longer)


@dataclass(frozen=True)
class UsualLists:
    """What is bought most, and what the user had before: lists without any effect.

    Parameters
    ----------
    bought : ndarray, items + 1
    item_keys : tuple of str
    users : frozenset of str, optional
    """

    bought: np.ndarray
    item_keys: tuple[str, ...]
    users: frozenset[str] | None = None

    def scores(self, histories: Histories) -> np.ndarray:
        """Scores of all items for each user, shape (n, items + 1)."""
        own = np.zeros((len(histories), len(self.bought)))
        np.add.at(own, (histories.owner, histories.items), 1.0)
        return np.log(self.bought + 1.0) + own

    def scorer(self) -> Scorer:
        """Ready to rank."""
        return Scorer(self, self.item_keys)


def replayed(job: Job) -> Replay:
    """Estimate, adjust, value and plan, from ``gold.exposures``, ``silver.events`` and ``gold.sequences``.

    Raises
    ------
    NotSupportedError
        If the lake has no lists, or they cannot tell what they change.
    """
    from pyspark.sql import functions as F

    options = job.settings.recommend
    if lacking := [name for name in READS if not job.has(name)]:
        raise NotSupportedError(
            f"run_loop --replay: the lake has no {lacking[0]}. Run build_features (and what comes before it) on logs "
            "with source.exposures mapped (docs/loop.md)."
        )
    keys = vocabulary(job)
    known = learnt(job, keys)
    job.progress.update("lists by effect beside usual ones")
    events = job.read("silver.events").where(F.col("event_type") == options.effects.purchase)
    times = {r["item_id"]: r["count"] for r in events.groupBy("item_id").count().collect()}
    usual = UsualLists(np.array([0.0, *(float(times.get(key, 0)) for key in keys)]), keys)
    by = options.by if options.by != "relevance" else "effect"
    explore = options.explore if options.explore is not None else 0.1
    how = RankBy(
        by,
        options.weight,
        explore,
        options.margin,
        options.cost,
        job.settings.seed,
        options.most_of_category,
    )
    price = mean_prices(job, keys) if by == "value" else None
    made = EffectLists(
        how, options.per_user, options.seen_items, known.shelf.category, known.effects, price
    )
    kernel = EffectKernel(usual, made, options.effects.confidence)
    found = compared(job, kernel, known, ())
    shown = job.read("gold.exposures").where("list_id IS NOT NULL")
    span = shown.agg((F.max("start") - F.min("start")).alias("span")).collect()[0]["span"]
    days = span.total_seconds() / 86_400 if span is not None else 0.0
    return Replay(found, planned(found, days, explore))
