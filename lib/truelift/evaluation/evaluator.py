"""Full-ranking evaluation of some users, for models and baselines alike.

:class:`Evaluator` takes the past of users and what they took next, ranks the catalogue with
every ranker, and adds the users' metrics to sums (:mod:`truelift.evaluation.sums`). A Horovod
rank feeds it its shards, a Spark task its bucket; the sums of all are finished in one place
(:mod:`truelift.evaluation.finish`).

The rule of seen items is explicit. ``keep``: every item competes. ``drop``: items of the user's
past neither compete nor are wanted; a user whose wanted items were all seen is left out, and
counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from truelift.evaluation.measures import (
    Catalogue,
    list_metric_names,
    list_metrics,
    place_metric_names,
    place_metrics,
)
from truelift.evaluation.places import Places, places_of
from truelift.evaluation.sampled import sampled_places
from truelift.evaluation.segment_names import ITEMS, NEWCOMERS, SEGMENTS, USERS
from truelift.evaluation.segments import item_segments, user_segments
from truelift.evaluation.sums import LOSS_SPAN, Layout, State, add_lists, add_rows, whole
from truelift.evaluation.top_items import top_items
from truelift.models.sequence.histories import Histories, ItemSets

# Users scored at once; bounds memory at this number times the vocabulary.
CHUNK = 256


class Ranker(Protocol):
    """Anything that scores all items for a batch of users."""

    def scores(self, histories: Histories) -> np.ndarray:
        """Scores, shape (n, items + 1)."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What is measured, and under which rule.

    Parameters
    ----------
    top_k : int
        Length of the list of the headlines and of the metrics of lists.
    cutoffs : tuple of int
        Lengths for the other metrics; ``top_k`` is always one of them.
    seen_items : str
        ``'keep'`` or ``'drop'``.
    step : str
        ``'session'`` or ``'event'``: what the length of a past is counted in.
    sampled_candidates : int or None
        Also rank among so many drawn items.
    seed : int
        Of that draw.
    brief : bool
        Only the headlines at ``top_k``, of all users together: what an epoch needs.
    accuracy : bool
        Also the share of rows whose first place is wanted, for a classifier.
    """

    top_k: int
    cutoffs: tuple[int, ...] = ()
    seen_items: str = "keep"
    step: str = "session"
    sampled_candidates: int | None = None
    seed: int = 0
    brief: bool = False
    accuracy: bool = False

    @classmethod
    def of(cls, sequence: Any, seed: int = 0) -> EvaluationOptions:
        """From the section ``sequence`` of the settings."""
        lists = sequence.evaluation
        return cls(
            top_k=lists.top_k,
            cutoffs=lists.cutoffs,
            seen_items=lists.seen_items,
            step=sequence.histories.step,
            sampled_candidates=lists.sampled_candidates,
            seed=seed,
        )

    def briefly(self) -> EvaluationOptions:
        """The same rule, for an epoch."""
        return replace(self, brief=True)

    @property
    def lengths(self) -> tuple[int, ...]:
        """The cut-offs, ascending."""
        return (self.top_k,) if self.brief else tuple(sorted({*self.cutoffs, self.top_k}))


@dataclass(frozen=True)
class Evaluator:
    """Ranks for users and adds up.

    Parameters
    ----------
    rankers : mapping of str to Ranker
        In the order of the closing table.
    catalogue : Catalogue
    options : EvaluationOptions
    losses : tuple of str
        Rankers whose scores are log odds and whose cross-entropy is added.
    allowed : numpy.ndarray of bool, shape (items + 1,), optional
        The items that compete; others are neither ranked nor wanted, and users who wanted no
        other are left out. All compete where it is not given.
    """

    rankers: Mapping[str, Ranker]
    catalogue: Catalogue
    options: EvaluationOptions
    losses: tuple[str, ...] = field(default=())
    allowed: np.ndarray | None = None

    @cached_property
    def layout(self) -> Layout:
        """What the sums are of."""
        options = self.options
        names = [*place_metric_names(options.lengths)]
        if options.accuracy:
            names.append(("accuracy", None))
        if not options.brief:
            names += list_metric_names(self.catalogue, options.top_k)
            if options.sampled_candidates:
                names += [(f"sampled_{n}", k) for n, k in place_metric_names((options.top_k,))]
        return Layout(
            tuple(self.rankers), tuple(names), 0 if options.brief else self.catalogue.items
        )

    def add(self, state: State, past: Histories, relevant: ItemSets) -> None:
        """Evaluate users and add them to the sums, in place.

        Parameters
        ----------
        state : dict of str to numpy.ndarray
            Of :attr:`layout`.
        past : Histories
            What is known when the list is made. Rows of one user lie together.
        relevant : ItemSets
            What each of them took next; never empty.
        """
        seen = None
        if self.allowed is not None:
            relevant = among(relevant, self.allowed)
        if self.options.seen_items == "drop":
            seen = past.distinct_items()
            relevant = without(relevant, seen)
        if seen is not None or self.allowed is not None:
            keep = relevant.sizes > 0
            state["left_out"] += int(np.count_nonzero(~keep))
            past, relevant = past.take(keep), relevant.take(keep)
            seen = None if seen is None else seen.take(keep)
        clusters = _clusters(past.users)
        for start, stop in _chunks(clusters):
            chosen = np.zeros(len(past), dtype=bool)
            chosen[start:stop] = True
            self._add_chunk(
                state,
                past.slice(start, stop),
                relevant.take(chosen),
                None if seen is None else seen.take(chosen),
                clusters[start:stop],
            )

    def add_newcomers(self, state: State, past: Histories, relevant: ItemSets) -> None:
        """Evaluate users without a past, as a segment of their own and nowhere else.

        Parameters
        ----------
        state : dict of str to numpy.ndarray
            Of :attr:`layout`.
        past : Histories
            All empty.
        relevant : ItemSets
            What each of them took first; never empty.
        """
        if self.options.brief or len(past) == 0:
            return
        alone = self.layout.zeros()
        self.add(alone, past, relevant)
        place = SEGMENTS.index(NEWCOMERS)
        for name in ("rows", "users", "sum", "cross"):
            state[name][place] += alone[name][0]

    def _add_chunk(
        self,
        state: State,
        past: Histories,
        wanted: ItemSets,
        seen: ItemSets | None,
        clusters: np.ndarray,
    ) -> None:
        found, lists, sampled = [], [], []
        competing, asked, known = self._competing(wanted, seen)
        for number, (name, ranker) in enumerate(self.rankers.items()):
            scores = ranker.scores(past)
            among_them = scores if competing is None else scores[:, competing]
            found.append(places_of(among_them, asked, known))
            if name in self.losses:
                state["loss"][number] += whole(cross_entropies(scores, wanted) / LOSS_SPAN).sum()
            if self.options.brief:
                continue
            usable = scores
            if self.allowed is not None:
                usable = np.where(self.allowed, scores, -np.inf)
            top = top_unseen(usable, seen, self.options.top_k)
            add_lists(state, number, top)
            lists.append(list_metrics(top, self.catalogue))
            if self.options.sampled_candidates:
                sampled.append(self._sampled(among_them, asked, known, past.users))

        def add(segment: int, rows: np.ndarray, each: list[Places]) -> None:
            parts = [
                np.concatenate(
                    [
                        self._of_places(p),
                        *(part[number][rows] for part in (lists, sampled) if part),
                    ],
                    axis=1,
                )
                for number, p in enumerate(each)
            ]
            add_rows(state, self.layout, segment, np.stack(parts, axis=2), clusters[rows])

        add(0, np.arange(len(past)), found)
        if self.options.brief:
            return
        of_user = user_segments(past, self.options.step)
        of_item = self._item_segments[wanted.items]
        owner = found[0].owner
        for number in range(len(USERS)):
            kept = [p.only(of_user[owner] == number) for p in found]
            add(1 + number, kept[0][0], [places for _, places in kept])
        for number in range(len(ITEMS)):
            kept = [p.only(of_item == number) for p in found]
            add(1 + len(USERS) + number, kept[0][0], [places for _, places in kept])

    def _competing(
        self, wanted: ItemSets, seen: ItemSets | None
    ) -> tuple[np.ndarray | None, ItemSets, ItemSets | None]:
        """The columns of the items that compete (None: all), and the sets by these columns."""
        if self.allowed is None:
            return None, wanted, seen
        columns = np.flatnonzero(np.append(True, self.allowed[1:]))
        place = np.cumsum(self.allowed)  # the padding is not allowed, and has column 0
        asked = replace(wanted, items=place[wanted.items])
        if seen is None:
            return columns, asked, None
        known = among(seen, self.allowed)
        return columns, asked, replace(known, items=place[known.items])

    @cached_property
    def _item_segments(self) -> np.ndarray:
        return item_segments(self.catalogue)

    def _of_places(self, places: Places) -> np.ndarray:
        values = place_metrics(places, self.options.lengths)
        if self.options.accuracy:
            right = (
                np.minimum.reduceat(places.places, places.offsets[:-1]) == 1 if len(places) else []
            )
            values = np.column_stack([values, np.asarray(right, dtype=float)])
        return values

    def _sampled(
        self, scores: np.ndarray, wanted: ItemSets, seen: ItemSets | None, users: np.ndarray
    ) -> np.ndarray:
        options = self.options
        assert options.sampled_candidates is not None
        places = sampled_places(
            scores, wanted, seen, users, options.sampled_candidates, options.seed
        )
        return place_metrics(places, (options.top_k,))


def without(sets: ItemSets, others: ItemSets) -> ItemSets:
    """Each user's items that are not in the user's other set, whose items are ascending."""
    span = int(max(sets.items.max(initial=0), others.items.max(initial=0))) + 1
    owner = np.repeat(np.arange(len(sets)), sets.sizes)
    known = np.repeat(np.arange(len(others)), others.sizes) * span + others.items
    pair = owner * span + sets.items
    place = np.searchsorted(known, pair)
    keep = np.ones(len(pair), dtype=bool)
    inside = place < len(known)
    keep[inside] = known[place[inside]] != pair[inside]
    sizes = np.bincount(owner[keep], minlength=len(sets))
    return ItemSets(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), sets.items[keep])


def among(sets: ItemSets, allowed: np.ndarray) -> ItemSets:
    """Each user's items that are allowed."""
    keep = allowed[sets.items]
    owner = np.repeat(np.arange(len(sets)), sets.sizes)
    sizes = np.bincount(owner[keep], minlength=len(sets))
    return ItemSets(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), sets.items[keep])


def top_unseen(scores: np.ndarray, seen: ItemSets | None, k: int) -> np.ndarray:
    """The best ``k`` items of each row; 0 marks a place that no item is left for."""
    usable = np.array(scores) if seen is not None else scores
    if seen is not None:
        usable[np.repeat(np.arange(len(seen)), seen.sizes), seen.items] = -np.inf
    top = top_items(usable, k)
    return np.where(np.isneginf(np.take_along_axis(usable, top, axis=1)), 0, top)


def cross_entropies(scores: np.ndarray, relevant: ItemSets) -> np.ndarray:
    """Mean over each user's relevant items of ``-log softmax`` at them, shape (n,)."""
    if len(scores) == 0:
        return np.zeros(0)
    real = scores[:, 1:].astype(np.float64)
    peak = real.max(axis=1)
    normaliser = peak + np.log(np.exp(real - peak[:, None]).sum(axis=1))
    owner = np.repeat(np.arange(len(relevant)), relevant.sizes)
    each = normaliser[owner] - scores[owner, relevant.items]
    return np.bincount(owner, each, minlength=len(scores)) / relevant.sizes


def _clusters(users: np.ndarray) -> np.ndarray:
    """Number of each row's user; rows of one user lie together."""
    if len(users) == 0:
        return np.zeros(0, dtype=np.int64)
    return np.concatenate([[0], np.cumsum(users[1:] != users[:-1])]).astype(np.int64)


def _chunks(clusters: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of about :data:`CHUNK` rows that keep the rows of a user together."""
    bounds, start = [], 0
    while start < len(clusters):
        stop = min(start + CHUNK, len(clusters))
        if stop < len(clusters):
            # To the end of the user in whose rows the chunk would end.
            stop = int(np.searchsorted(clusters, clusters[stop - 1], side="right"))
        bounds.append((start, stop))
        start = stop
    return bounds
