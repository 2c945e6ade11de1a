"""A bucket's lists as arrays: what was shown in which slot by which chance, and what was bought after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import whole

EXPOSURES = ("user_key", "list_id", "start", "slot", "item_key", "propensity", "context", "segment")
EVENTS = ("user_key", "event_time", "event_type", "item_id")


@dataclass(frozen=True, eq=False)
class Shelf:
    """The items, their categories, and the situations (cells) in which lists were made.

    Parameters
    ----------
    item_keys : tuple of str
        By index, from 1; 0 is an item that ``gold.items`` does not have.
    category : ndarray of int, items + 1
        Codes from 1; 0: none.
    cells : tuple of (str or None, str or None)
        Context and segment.
    cell_category : ndarray of int, cells
        The category that a cell's context names; -1: it names none.
    slots : int
    first_slot : int
        The number of the first slot.
    """

    item_keys: tuple[str, ...]
    category: np.ndarray
    cells: tuple[tuple[str | None, str | None], ...]
    cell_category: np.ndarray
    slots: int
    first_slot: int = 0

    @property
    def items(self) -> int:
        """How many there are, with the one that stands for unknown ones."""
        return len(self.item_keys) + 1

    @property
    def categories(self) -> int:
        """Codes of categories, with that of none."""
        return int(self.category.max(initial=0)) + 1


@dataclass(frozen=True)
class Outcome:
    """What counts as a click and as a purchase after a list.

    Parameters
    ----------
    purchase, click : str
        Types of events.
    window_seconds : float
        For how long after the list.
    """

    purchase: str = "purchase"
    click: str = "click"
    window_seconds: float = 3600.0


@dataclass(frozen=True, eq=False)
class ListRows:
    """Lists (v) and their slots (r), slots by list.

    Parameters
    ----------
    cell : ndarray, v
    user : ndarray, v
        A code within the bucket.
    of_list, item, slot : ndarray, r
    chance : ndarray, r
        NaN where it was not logged.
    clicked : ndarray of bool, r
    bought_list, bought_category : ndarray
        Pairs of a list and a category that was bought from after it, each once.
    """

    cell: np.ndarray
    user: np.ndarray
    of_list: np.ndarray
    item: np.ndarray
    slot: np.ndarray
    chance: np.ndarray
    clicked: np.ndarray
    bought_list: np.ndarray
    bought_category: np.ndarray

    def __len__(self) -> int:
        return len(self.cell)

    def bought_from(self, category: np.ndarray, categories: int) -> np.ndarray:
        """Whether the category of each slot's item was bought from after its list (r)."""
        pairs = np.sort(self.bought_list * categories + self.bought_category)
        return _found(self.of_list * categories + category, pairs)


def list_rows_of(shelf: Shelf, outcome: Outcome, exposures: pa.Table, events: pa.Table) -> ListRows:
    """Arrays of a bucket's rows of ``gold.exposures`` and ``silver.events``.

    A purchase counts for every list of the user that was shown within the window before it.
    """
    shown = exposures.filter(pc.is_valid(exposures["list_id"]))
    users = pc.unique(whole(shown["user_key"]))
    lists = _codes(pc.binary_join_element_wise(shown["user_key"], shown["list_id"], "\x00"))
    slot = shown["slot"].to_numpy().astype(np.int64) - shelf.first_slot
    order = np.lexsort((slot, lists))
    lists, slot = lists[order], slot[order]
    first = np.flatnonzero(np.r_[True, lists[1:] != lists[:-1]][: len(lists)])
    of_list = np.cumsum(np.r_[True, lists[1:] != lists[:-1]][: len(lists)]) - 1
    item = _index(shown["item_key"], shelf.item_keys)[order]
    user = _places(shown["user_key"], users)[order][first]
    time = _milliseconds(shown["start"])[order][first]
    cell = _cells(shown, shelf)[order][first]
    chance = shown["propensity"].to_numpy(zero_copy_only=False).astype(float)[order]

    wanted = pc.is_in(events["event_type"], pa.array([outcome.purchase, outcome.click]))
    some = events.filter(pc.and_(wanted, pc.is_in(events["user_key"], users)))
    who = _places(some["user_key"], users)
    when, what = _milliseconds(some["event_time"]), _index(some["item_id"], shelf.item_keys)
    bought = pc.equal(some["event_type"], outcome.purchase).to_numpy(zero_copy_only=False)
    window = int(outcome.window_seconds * 1000)
    near = (user, time, window, who, when)
    bought_list, bought_event = _pairs(*near, np.flatnonzero(bought))
    category = shelf.category[what[bought_event]]
    pairs = np.unique(bought_list * shelf.categories + category)
    click_list, click_event = _pairs(*near, np.flatnonzero(~bought))
    clicks = np.unique(click_list * shelf.items + what[click_event])
    clicked = _found(of_list * shelf.items + item, clicks) & (item > 0)
    return ListRows(
        cell, user, of_list, item, slot, chance, clicked, pairs // shelf.categories,
        pairs % shelf.categories,
    )  # fmt: skip


def _pairs(
    user: np.ndarray, time: np.ndarray, window: int, who: np.ndarray, when: np.ndarray,
    some: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Pairs (list, event) of a user, the event within the window after the list."""
    none = np.zeros(0, np.int64)
    if len(user) == 0 or len(some) == 0:
        return none, none
    start = min(int(time.min()), int(when[some].min()))
    span = max(int(time.max()), int(when[some].max())) - start + window + 2
    key = who[some] * span + (when[some] - start)
    order = np.argsort(key, kind="stable")
    key, some = key[order], some[order]
    own = user * span + (time - start)
    low, high = np.searchsorted(key, own), np.searchsorted(key, own + window, side="right")
    count = high - low
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(np.arange(len(user)), count), some[np.repeat(low, count) + within]


def _cells(shown: pa.Table, shelf: Shelf) -> np.ndarray:
    names = pa.array([_cell_name(*cell) for cell in shelf.cells], pa.string())
    own = pc.binary_join_element_wise(
        pc.fill_null(shown["context"], "\x01"), pc.fill_null(shown["segment"], "\x01"), "\x00"
    )
    return _places(own, names)


def _cell_name(context: str | None, segment: str | None) -> str:
    return "\x00".join("\x01" if part is None else part for part in (context, segment))


def _index(keys: pa.ChunkedArray, item_keys: tuple[str, ...]) -> np.ndarray:
    return _places(keys, pa.array(item_keys, pa.string())) + 1


def _places(keys: pa.ChunkedArray, among: pa.Array) -> np.ndarray:
    """Where each key stands; -1: nowhere. Wide enough to be multiplied by a span of time."""
    found = pc.fill_null(pc.index_in(keys, among), -1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def _codes(texts: pa.ChunkedArray) -> np.ndarray:
    encoded = whole(texts).dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)


def _milliseconds(times: pa.ChunkedArray) -> np.ndarray:
    micros = times.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return np.asarray(micros.to_numpy(), np.int64) // 1000


def _found(keys: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Whether each key is among sorted ones."""
    if len(among) == 0:
        return np.zeros(len(keys), bool)
    place = np.minimum(np.searchsorted(among, keys), len(among) - 1)
    return np.asarray(among[place] == keys)
