"""The registry's current champion, and its part in the evaluation of a newer model.

The champion goes to the ranks as bytes, beside the job, and ranks for the same test users as
the new model does; items that it has never seen are the last it would offer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from truelift.errors import TrueliftError
from truelift.models.sequence import registry
from truelift.models.sequence.histories import Histories
from truelift.models.sequence.package import ModelPackage

# Its alias, and the ranker's name.
NAME = "champion"
# A champion that knows fewer of the items speaks of another catalogue.
LEAST_KNOWN = 0.5
# Low, and finite, for items that a model does not know.
UNKNOWN = np.float32(-1e9)


@dataclass(frozen=True)
class Champion:
    """The model version that has the alias, and what is in it (None: not a readable package)."""

    version: str
    package: ModelPackage | None

    @property
    def side_features(self) -> tuple[str, ...]:
        """What it reads of a history beside items."""
        return self.package.side_features if self.package else ()


def item_index(package: ModelPackage, item_keys: tuple[str, ...]) -> np.ndarray:
    """The model's index of each item of another vocabulary, 0 for one that it does not know.

    Returns
    -------
    numpy.ndarray of int32, shape (len(item_keys) + 1,)
    """
    own = {key: i for i, key in enumerate(package.item_keys, start=1)}
    return np.array([0, *(own.get(key, 0) for key in item_keys)], dtype=np.int32)


def knows(package: ModelPackage, item_keys: tuple[str, ...]) -> bool:
    """Whether the model knows enough of a catalogue to rank it."""
    if package.item_keys == item_keys:
        return True
    known = np.count_nonzero(item_index(package, item_keys))
    return bool(known >= LEAST_KNOWN * len(item_keys))


def unknown_items(package: ModelPackage | None, item_keys: tuple[str, ...]) -> int:
    """How many items of a catalogue the model has never seen, and can never offer.

    All of them, where the package cannot be read.
    """
    if package is None:
        return len(item_keys)
    return len(item_keys) - int(np.count_nonzero(item_index(package, item_keys)))


def obstacle(champion: Champion, new: ModelPackage) -> str | None:
    """Why the champion cannot be compared with a model on that model's split; None if it can.

    Parameters
    ----------
    champion : Champion
    new : ModelPackage
        The model to compare with; its weights do not matter.
    """
    old = champion.package
    if old is None:
        return "its package cannot be read"
    if not knows(old, new.item_keys):
        return f"other vocabulary: it knows less than {LEAST_KNOWN:.0%} of the items"
    if old.model not in registry.MODELS:
        return f"its model {old.model} is not known here"
    if registry.entry(old.model).task != registry.entry(new.model).task:
        return "it foretells something else"
    reason = split_obstacle(old.split, new.split)
    if reason is None and champion.side_features:
        if not set(champion.side_features) <= set(new.side_features):
            return "it reads side features that the new model does not"
        if old.item_keys != new.item_keys or not old.sides.same_codes(new.sides):
            return "its side features have other codes"
    return reason


def split_obstacle(old: Mapping[str, str], new: Mapping[str, str]) -> str | None:
    """Why a model of one split says nothing on the test part of another; None if it does."""
    if old.get("kind") != new.get("kind"):
        return f"other split: {old.get('kind', 'unknown')}, not {new.get('kind')}"
    if new.get("kind") == "temporal":
        # It may have been trained on less, never on what it is tested on now.
        if old["validation_start"] > new["test_start"]:
            return "other split: it has learned from the test window"
        return None
    # Which steps are foretold changes nothing in what was learned from.
    one, other = ({k: v for k, v in s.items() if k != "positions"} for s in (old, new))
    return None if one == other else "other split: its users or steps were others"


def as_arrays(champion: Champion, item_keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """What travels to the ranks."""
    assert champion.package is not None
    return {
        "champion": np.frombuffer(champion.package.to_bytes(), dtype=np.uint8),
        "champion_index": item_index(champion.package, item_keys),
    }


def rivals(arrays: Mapping[str, np.ndarray]) -> dict[str, Translated]:
    """The champion as one more ranker, by name; none where the arrays have none.

    Nor where it cannot be built (by a version of truelift whose models have other options):
    that must not cost a training.
    """
    if "champion" not in arrays:
        return {}
    try:
        package = ModelPackage.from_bytes(arrays["champion"].tobytes())
        return {NAME: ranker_of(package, arrays["champion_index"])}
    except (TrueliftError, KeyError, TypeError, ValueError):
        return {}


def ranker_of(package: ModelPackage, index: np.ndarray) -> Translated:
    """A packaged model that ranks another vocabulary; needs a running TensorFlow."""
    from truelift.models.sequence.scoring import SequenceRanker

    ranks = len(package.labels)
    ranker = SequenceRanker(package.build(), ranks, package.max_length, package.step)
    return Translated(ranker, index, not package.classifies)


@dataclass(frozen=True)
class Translated:
    """A ranker between two vocabularies.

    Parameters
    ----------
    ranker : object
        Scores items by its own indices.
    index : numpy.ndarray of int32
        The ranker's index of each item index here, 0 for items that it does not know; see
        :func:`item_index`.
    ranks_items : bool
        Whether it scores items; actions need no translation.
    """

    ranker: Any
    index: np.ndarray
    ranks_items: bool = True

    def scores(self, histories: Histories) -> np.ndarray:
        """Scores of all items (or actions) for each user, shape (n, items + 1)."""
        own = self.index[histories.items]
        found = self.ranker.scores(replace(histories, items=own).keep(own > 0))
        if not self.ranks_items or np.array_equal(self.index, np.arange(found.shape[1])):
            return np.asarray(found)
        return np.where(self.index > 0, found[:, self.index], UNKNOWN)
