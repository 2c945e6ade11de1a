"""Lists by relevance beside lists by effect: for some users, with the value of changing to the latter."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from truelift.models.sequence.histories import COLUMNS, Histories
from truelift.recommend.by_effect import EffectKernel
from truelift.recommend.relevance import whole_users
from truelift.recommend.results import ListedItem, TwoLists, WhatIf
from truelift.recommend.shown.effects import half_width
from truelift.recommend.shown.lake import Learnt
from truelift.recommend.shown.ranking import Lists, context_shares
from truelift.recommend.shown.switching import difference, judged

if TYPE_CHECKING:
    from truelift.job import Job

#: Users whose lists are compared, by a hash of their keys, and those who are shown.
COMPARED, SHOWN = 2_000, 3


def compared(
    job: Job, kernel: EffectKernel, known: Learnt, side_features: tuple[str, ...]
) -> WhatIf:
    """What lists as they were asked for would bring beside lists by relevance.

    Parameters
    ----------
    job : Job
        Reads ``gold.sequences`` and ``gold.items``.
    kernel : EffectKernel
    known : Learnt
    side_features : tuple of str
        What the model reads of a history beside items.
    """
    from pyspark.sql import functions as F

    rows = (
        job.read("gold.sequences")
        .orderBy(F.xxhash64("user_key"), "user_key", "session_number")
        .limit(COMPARED)
        .select(*COLUMNS, *side_features)
        .toArrow()
    )
    names = {r["item_key"]: r["name"] or r["item_key"] for r in job.read("gold.items").collect()}
    labels = ("", *(names[key] for key in kernel.base.item_keys))
    return what_if(kernel, known, whole_users(rows), labels)


def what_if(
    kernel: EffectKernel, known: Learnt, histories: Histories, names: tuple[str, ...]
) -> WhatIf:
    """The comparison for given users; nothing is drawn by lot in it."""
    scorer, made = kernel.base.scorer(), kernel.made
    category, confidence = made.category, kernel.confidence
    sure = replace(made.how, explore=0.0)
    by_effect = replace(made, how=sure)
    halves = tuple(replace(by_effect, effects=half) for half in known.halves)
    plain = replace(made, how=replace(sure, by="relevance"), effects=None)
    chosen: list[list[np.ndarray]] = [[], [], []]
    usual: list[np.ndarray] = []
    examples: list[TwoLists] = []
    for some, relevance, usable in plain.chunks(scorer, histories):
        before, after = plain.of(some, relevance, usable), by_effect.of(some, relevance, usable)
        usual.append(before.items)
        for place, lists in enumerate((by_effect, *halves)):
            chosen[place].append(lists.of(some, relevance, usable).items)
        if not examples:
            examples = _examples(
                known, category, some, relevance, (before, after), names, confidence
            )
    old = np.concatenate(usual)
    new, *others = (np.concatenate(part) for part in chosen)
    judges = known.judges
    shares = [
        context_shares(histories.owner, histories.items, len(histories), category, judge)
        for judge in judges
    ]
    # The first half judges what the second has chosen, and the other way round.
    crossed = tuple(zip(judges, shares, others[::-1], strict=True))
    first, second = (judged(e, category, s, lists) for e, s, lists in crossed)
    usual_first, usual_second = (judged(e, category, s, old) for e, s, _ in crossed)
    gain, lower, upper = difference(
        judges, category, (first, second), (usual_first, usual_second), confidence
    )
    shared = [len(set(a) & set(b) - {0}) for a, b in zip(old.tolist(), new.tolist(), strict=True)]
    by_relevance = (usual_first.value + usual_second.value) / 2
    return WhatIf(
        int(known.effects.lists), int(known.effects.purchases), len(histories), by_relevance,
        by_relevance + gain, gain, lower, upper, confidence,
        float(sum(shared) / max((old > 0).sum(), 1)), known.effects.clustering, tuple(examples),
        made.how.by, made.how.explore,
    )  # fmt: skip


def _examples(
    known: Learnt, category: np.ndarray, some: Histories, relevance: np.ndarray,
    lists: tuple[Lists, Lists], names: tuple[str, ...], confidence: float,
) -> list[TwoLists]:  # fmt: skip
    from truelift.recommend.shown.ranking import effects_for

    shown = some.slice(0, min(SHOWN, len(some)))
    shares = context_shares(shown.owner, shown.items, len(shown), category, known.effects)
    estimate, error, _ = effects_for(known.effects, shares, category)
    half, times = half_width(confidence) * error, known.effects.times.sum(axis=0)

    def named(user: int, items: np.ndarray) -> tuple[ListedItem, ...]:
        return tuple(
            ListedItem(
                names[i], float(relevance[user, i]), float(estimate[user, i]),
                float(estimate[user, i] - half[user, i]), float(estimate[user, i] + half[user, i]),
                int(times[i]),
            )
            for i in items[items > 0].tolist()
        )  # fmt: skip

    before, after = lists
    return [
        TwoLists(str(key), named(u, before.items[u]), named(u, after.items[u]))
        for u, key in enumerate(shown.users)
    ]
