"""Files of one's own beside a job: items that may be offered, users who are asked about.

One id a line, as the source has it, packed or not; blank lines count for nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from truelift.errors import DataError
from truelift.models.sequence.histories import Histories, ItemSets
from truelift.settings.recommend_limits import LIMIT_FILES

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.settings import Settings


def read_ids(address: str, key: str) -> list[str]:
    """The distinct ids of a file (or of the files of a folder or pattern), in their order.

    Parameters
    ----------
    address : str
        Path or URI.
    key : str
        The setting that it comes from, for messages.

    Raises
    ------
    SourceError
        If there is no such file, or it is empty or cannot be read.
    DataError
        If a line cannot be read as text, or there is no id.
    """
    from truelift.files.damage import readable, refuse_other_kinds
    from truelift.files.raw import find_files, open_raw
    from truelift.logs.sources.lines import full_lines

    found: dict[str, None] = {}
    for file in find_files(address, key):
        refuse_other_kinds(file.uri, "utf-8")
        with readable(file.uri), open_raw(file.uri) as stream:
            for number, text, fault in full_lines(stream, "utf-8"):
                if fault is not None:
                    raise DataError(
                        f"{key}: line {number + 1} of {file.uri} is not UTF-8 text: {fault[:80]!r}; "
                        "expected one id a line."
                    )
                found[text.strip()] = None
    if not found:
        raise DataError(f"{key}: {address} holds no id, expected one a line.")
    return list(found)


def pinned_files(settings: Settings) -> dict[str, str]:
    """Hashes of the files that ``recommend`` is given, so that other content runs it again."""
    from truelift.files.raw import find_files
    from truelift.files.raw import fingerprint as of_file

    limits = settings.recommend.limits
    given = {f"recommend.{key}": getattr(settings.recommend, key) for key in ("items", "users")}
    given |= {f"recommend.limits.{key}": getattr(limits, key) for key in LIMIT_FILES}
    found = {}
    for key, address in given.items():
        if address:
            texts = " ".join(of_file(file) for file in find_files(address, key))
            found[key] = hashlib.sha256(texts.encode()).hexdigest()[:12]
    return found


def allowed_items(ids: Sequence[str], item_keys: Sequence[str], key: str) -> np.ndarray:
    """Which items are on a list, shape (items + 1,).

    Raises
    ------
    DataError
        If none of the ids is an item of the catalogue.
    """
    listed = set(ids)
    allowed = np.array([False, *(item in listed for item in item_keys)], dtype=bool)
    if not allowed.any():
        raise DataError(
            f"{key}: none of its {len(ids):,} ids, such as {ids[0]!r}, is an item of gold.items, "
            f"such as {item_keys[0]!r}; expected ids of features.item_level."
        )
    return allowed


def user_keys(job: Job, names: Sequence[str]) -> dict[str, str]:
    """The key of each user as the source names them: one person's are one, and pseudonyms."""
    from truelift.logs.pseudonyms import UserKeys

    version = job.lake.version("bronze.identities")
    if version is not None:
        job.inputs.setdefault("bronze.identities", version)
    keys = UserKeys.of_job(job)
    if keys == UserKeys():
        return {name: name for name in names}
    rows = job.lake.spark.createDataFrame([(n, n) for n in names], "name string, user string")
    return {row.name: row.user for row in keys.replaced(rows, "user").collect()}


def sentence(kind: str, listed: int, known: int, key: str) -> tuple[str, ...]:
    """How many ids of a list are not known, if any."""
    if known == listed:
        return ()
    return (f"{key}: {listed - known:,} of {listed:,} {kind} are not in the tables.",)


@dataclass(frozen=True)
class AllowedOnly:
    """A ranker whose other items cannot be ranked.

    Parameters
    ----------
    ranker : object
    allowed : numpy.ndarray of bool, shape (items + 1,)
    """

    ranker: Any
    allowed: np.ndarray

    def scores(self, histories: Histories) -> np.ndarray:
        """Scores of all items for each user, ``-inf`` where an item is not allowed."""
        return np.where(self.allowed, self.ranker.scores(histories), np.float32(-np.inf))


def users_among(histories: Histories, keys: Iterable[str]) -> np.ndarray:
    """Which rows are of one of the users, shape (n,)."""
    wanted = keys if isinstance(keys, (set, frozenset)) else set(keys)
    return np.array([user in wanted for user in histories.users], dtype=bool)


@dataclass(frozen=True)
class SomeUsers:
    """A split whose test part has some users only; what is learned and chosen stays.

    Parameters
    ----------
    split : object
    keys : frozenset of str
    """

    split: Any
    keys: frozenset[str]

    @property
    def validation_start(self) -> int | None:
        """Of the split, where it is one in time."""
        return getattr(self.split, "validation_start", None)

    @property
    def test_start(self) -> int | None:
        """Of the split, where it is one in time."""
        return getattr(self.split, "test_start", None)

    @property
    def positions(self) -> str:
        """Of the split."""
        return str(getattr(self.split, "positions", "next"))

    def training(self, histories: Histories) -> Histories:
        """As the split has it."""
        found: Histories = self.split.training(histories)
        return found

    def validation(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """As the split has it."""
        found: tuple[Histories, ItemSets] = self.split.validation(histories)
        return found

    def test(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """The chosen users of the test part."""
        return self._chosen(*self.split.test(histories))

    def newcomers(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """The chosen users without a past."""
        return self._chosen(*self.split.newcomers(histories))

    @property
    def strangers(self) -> Callable[[], Histories]:
        """The chosen ones of a given test part's strangers; no attribute where it has none."""
        inner = self.split.strangers

        def chosen() -> Histories:
            found: Histories = inner()
            return found.take(users_among(found, self.keys))

        return chosen

    def test_of_strangers(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """As the split has it."""
        found: tuple[Histories, ItemSets] = self.split.test_of_strangers(histories)
        return found

    def newcomers_of_strangers(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """As the split has it."""
        found: tuple[Histories, ItemSets] = self.split.newcomers_of_strangers(histories)
        return found

    def describe(self) -> dict[str, str]:
        """The split, and how many users were asked about."""
        return {**self.split.describe(), "users": f"{len(self.keys):,} chosen"}

    def _chosen(self, past: Histories, wanted: ItemSets) -> tuple[Histories, ItemSets]:
        keep = users_among(past, self.keys)
        return past.take(keep), wanted.take(keep)
