"""A test part of one's own: a file of interactions that nothing in the lake holds.

The file has the form of interaction files (:mod:`truelift.logs.sources.interactions`). A user
whom the lake knows is foretold the file's items from the history there; a user of the file alone,
such as a session of later days, has no history, and is foretold each item from the file's own
before it where ``sequence.evaluation.positions`` is ``every``. All of the lake is learned from, less the last
step of each user, which chooses the epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from truelift.errors import DataError, SourceError
from truelift.evaluation.positions import every_position
from truelift.models.sequence.histories import Histories, ItemSets
from truelift.models.sequence.windows import step_counts, step_index

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.logs.sources.unit import Unit
    from truelift.settings import Settings

KIND = "given"


@dataclass(frozen=True)
class GivenTest:
    """A split whose test part is a file.

    Parameters
    ----------
    users : tuple of str
        Keys of the file's users; the first ``guests`` of them are not in the lake.
    guests : int
    sizes, items, times : tuple of int
        Interactions of each user, in the order of time, end to end.
    step : str
    positions : str
        ``'next'``: all of a user's items in the file are wanted at once; ``'every'``: each from
        what came before it, which asks for events as steps.
    features : tuple of str
        Side features that the rankers read; the file does not say them, so they are unknown.
    """

    users: tuple[str, ...]
    guests: int
    sizes: tuple[int, ...]
    items: tuple[int, ...]
    times: tuple[int, ...]
    step: str = "event"
    positions: str = "next"
    features: tuple[str, ...] = ()

    def training(self, histories: Histories) -> Histories:
        """All of the lake but the last step of each user with two or more."""
        left, enough = self._left(histories)
        return histories.keep(~enough[histories.owner] | (left >= 1))

    def validation(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """All steps but the last, and the last."""
        left, enough = self._left(histories)
        wanted = histories.keep(left == 0).distinct_items()
        return histories.keep(left > 0).take(enough), wanted.take(enough)

    def test(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Users of the lake whom the file has: their history, and the file's items."""
        latest = _latest_rows(histories)
        asked = np.array([u in self._place for u in histories.users], dtype=bool) & latest
        past = histories.take(asked)
        later = self._of([self._place[user] for user in past.users])
        if self.positions == "next":
            return past, later.distinct_items()
        whole, held_out = _appended(past, later)
        return every_position(whole, held_out, self.step)

    def newcomers(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Nobody: whoever is in the lake has a past."""
        nobody = histories.take(np.zeros(len(histories), dtype=bool))
        return nobody, nobody.distinct_items()

    def strangers(self) -> Histories:
        """The users of the file alone, with what the file says of them."""
        return self._of(range(self.guests))

    def test_of_strangers(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Each item but a stranger's first, where every position is foretold; else nobody."""
        held_out = np.full(len(histories.items), self.positions == "every")
        return every_position(histories, held_out, self.step)

    def newcomers_of_strangers(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Strangers before anything is known of them: their first item, or all of them."""
        if self.positions == "every":
            held_out = np.ones(len(histories.items), dtype=bool)
            return every_position(histories, held_out, self.step, with_past=False)
        nothing = histories.keep(np.zeros(len(histories.items), dtype=bool))
        return nothing, histories.distinct_items()

    def describe(self) -> dict[str, str]:
        """Users, interactions, and a hash of the content, by which two such splits are one."""
        parts = (self.users, self.sizes, self.items, self.times)
        told = {
            "kind": KIND,
            "users": f"{len(self.users):,}",
            "interactions": f"{len(self.items):,}",
            "content": hashlib.sha256(repr(parts).encode()).hexdigest()[:12],
            "step": self.step,
        }
        return {**told, "positions": "every"} if self.positions == "every" else told

    @cached_property
    def _place(self) -> dict[str, int]:
        known = self.users[self.guests :]
        return {user: place for place, user in enumerate(known, start=self.guests)}

    def _of(self, places: Sequence[int]) -> Histories:
        """The file's interactions of some users; each one session."""
        sizes = np.array(self.sizes, dtype=np.int64)
        begins, chosen = np.cumsum(sizes) - sizes, np.array(list(places), dtype=np.int64)
        rows = [np.arange(begins[p], begins[p] + sizes[p]) for p in chosen]
        at = np.concatenate([np.zeros(0, dtype=np.int64), *rows])
        return Histories(
            np.array([self.users[p] for p in chosen], dtype=object),
            np.concatenate([[0], np.cumsum(sizes[chosen])]).astype(np.int64),
            np.array(self.items, dtype=np.int32)[at],
            np.array(self.times, dtype=np.int64)[at],
            np.zeros(len(at), dtype=np.int32),
            {name: np.zeros(len(at), dtype=np.int32) for name in self.features},
        )

    def _left(self, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
        counts = step_counts(histories, self.step)
        left = counts[histories.owner] - 1 - step_index(histories, self.step)
        return left, counts >= 2


def _latest_rows(histories: Histories) -> np.ndarray:
    """For a table with a row a session: the row of each user that begins last."""
    opens = np.full(len(histories), np.iinfo(np.int64).min)
    full = np.diff(histories.offsets) > 0
    opens[full] = histories.times[histories.offsets[:-1][full]]
    best: dict[str, int] = {}
    for row, user in enumerate(histories.users):
        if full[row] and (user not in best or opens[row] >= opens[best[user]]):
            best[user] = row
    found = np.zeros(len(histories), dtype=bool)
    found[list(best.values())] = True
    return found


def _appended(past: Histories, later: Histories) -> tuple[Histories, np.ndarray]:
    """Histories that go on with the file's interactions, and which these are."""
    sizes = np.stack([np.diff(past.offsets), np.diff(later.offsets)], axis=1)
    offsets = np.concatenate([[0], np.cumsum(sizes.sum(axis=1))]).astype(np.int64)
    is_later = np.repeat(np.tile([False, True], len(past)), sizes.ravel())
    owner = np.repeat(np.arange(len(past)), sizes.sum(axis=1))

    def merged(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        both = np.empty(len(is_later), dtype=before.dtype)
        both[~is_later], both[is_later] = before, after
        return both

    # A file without times, or with clocks of its own, still comes after what is known.
    last = past.times[past.offsets[1:] - 1][owner[is_later]] if len(past) else later.times
    sessions = past.sessions[past.offsets[1:] - 1][owner[is_later]] if len(past) else later.sessions
    times = np.maximum(later.times, last + 1)
    whole = Histories(
        past.users,
        offsets,
        merged(past.items, later.items),
        merged(past.times, times),
        merged(past.sessions, sessions + 1),
        {n: merged(v, np.zeros(len(later.items), v.dtype)) for n, v in past.features.items()},
    )
    return whole, is_later


def check_file(settings: Settings) -> None:
    """Refuse a test file that is not there or no file of interactions, by its first lines.

    Raises
    ------
    SourceError
    """
    if settings.sequence.evaluation.test_file is not None:
        _units(settings)


def _units(settings: Settings) -> list[Unit]:
    """The test file as units of reading."""
    from truelift.logs.sources.interactions import names_its_columns
    from truelift.logs.sources.planning import plan_streams
    from truelift.settings import MappingOptions, SourceOptions

    own, path = settings.source, settings.sequence.evaluation.test_file or ""
    columns = own.columns if own.format == "interactions" else ()
    source = SourceOptions(
        format="interactions",
        path=path,
        columns=()
        if columns and names_its_columns(path, "sequence.evaluation.test_file")
        else columns,
        mapping=MappingOptions(user="user", item="item", time="time"),
    )
    try:
        return plan_streams(source)["events"]
    except SourceError as error:
        raise SourceError(
            str(error).replace("source.path", "sequence.evaluation.test_file")
        ) from error


def read_rows(settings: Settings) -> dict[str, list[tuple[int, str]]]:
    """The interactions of ``sequence.evaluation.test_file`` by the source's user: time and item, in order.

    What is rated below ``clean.amounts.min_value`` does not count, as in the lake. ``source.columns`` names
    the columns of a file that does not do so itself.

    Raises
    ------
    SourceError
        As for any file of interactions.
    """
    from truelift.logs.sources.registry import read

    least = settings.clean.amounts.min_value
    found: dict[str, list[tuple[int, str]]] = {}
    for unit in _units(settings):
        for batch in read(unit):
            for row in batch.to_pylist():
                if row["user"] is None or not _counts(row["rating"], least):
                    continue
                found.setdefault(row["user"], []).append((int(row["time"]), row["item"]))
    return {user: sorted(rows, key=lambda row: row[0]) for user, rows in found.items()}


def _counts(rating: str | None, least: float | None) -> bool:
    """Whether an interaction counts by its rating; one that is no number does not, as in the lake."""
    from truelift.logs.sources.interaction_moments import number_of

    if not rating:
        return True
    number = number_of(rating)
    return number is not None and (least is None or number >= least)


def split_of_rows(
    rows: Mapping[str, Sequence[tuple[int, str]]],
    item_keys: Sequence[str],
    known: frozenset[str],
    step: str,
    positions: str,
    features: Sequence[str] = (),
) -> tuple[GivenTest, tuple[str, ...]]:
    """The split of a file's interactions, and a sentence on what of it plays no part.

    Parameters
    ----------
    rows : mapping of str to sequence of (int, str)
        Times and items by the key of the user.
    item_keys : sequence of str
        Keys of the items by index.
    known : frozenset of str
        Keys of those users who are in the lake.
    step, positions : str
    features : sequence of str

    Raises
    ------
    DataError
        If no item of the file is one of the lake.
    """
    index = {key: place for place, key in enumerate(item_keys, start=1)}
    kept = {u: [(t, index[i]) for t, i in own if i in index] for u, own in rows.items()}
    kept = {user: own for user, own in kept.items() if own}
    total, left = (sum(map(len, r.values())) for r in (rows, kept))
    if not left:
        example = next((own[0][1] for own in rows.values() if own), "")
        raise DataError(
            f"sequence.evaluation.test_file: none of its {total:,} interactions is with an item of "
            f"gold.items; found for example {example!r}, expected such as {item_keys[0]!r}."
        )
    order = sorted(kept, key=lambda user: (user in known, user))
    split = GivenTest(
        users=tuple(order),
        guests=sum(user not in known for user in order),
        sizes=tuple(len(kept[user]) for user in order),
        items=tuple(item for user in order for _, item in kept[user]),
        times=tuple(time for user in order for time, _ in kept[user]),
        step=step,
        positions=positions,
        features=tuple(features),
    )
    if left == total:
        return split, ()
    return split, (
        f"sequence.evaluation.test_file: {total - left:,} of {total:,} interactions are with items that "
        "gold.items does not have, and play no part.",
    )


def given_test(job: Job, item_keys: Sequence[str]) -> tuple[GivenTest, tuple[str, ...]]:
    """The split that ``sequence.evaluation.test_file`` asks for; see :func:`split_of_rows`."""
    from truelift.evaluation.lists import user_keys

    rows = read_rows(job.settings)
    keys = user_keys(job, list(rows))
    by_key: dict[str, list[tuple[int, str]]] = {}
    for name, own in rows.items():
        by_key.setdefault(keys[name], []).extend(own)
    asked = job.lake.spark.createDataFrame([(key,) for key in by_key], "user_key string")
    found = job.read("gold.sequences").select("user_key").distinct().join(asked, "user_key")
    known = frozenset(row.user_key for row in found.collect())
    options = job.settings.sequence
    ordered = {user: sorted(own, key=lambda row: row[0]) for user, own in by_key.items()}
    step, sides = options.histories.step, options.histories.side_features
    return split_of_rows(ordered, item_keys, known, step, options.evaluation.positions, sides)


def pinned_file(settings: Settings) -> dict[str, str]:
    """What tells the test file and the table of labels by lot, so that other content trains and tests again."""
    from truelift.files.raw import find_files
    from truelift.files.raw import fingerprint as of_file
    from truelift.lake.address import TableAddress
    from truelift.lake.foreign import table_version

    options, found = settings.sequence.evaluation, {}
    if options.test_file:
        key = "sequence.evaluation.test_file"
        texts = " ".join(of_file(file) for file in find_files(options.test_file, key))
        found[key] = hashlib.sha256(texts.encode()).hexdigest()[:12]
    if options.table:
        found["sequence.evaluation.table"] = table_version(TableAddress.parse(options.table))
    return found
