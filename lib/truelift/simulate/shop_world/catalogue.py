"""What the shop sells: qualities, nests of substitutes, what a list does for an item, its vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.simulate.shop_world.parameters import ShopWorld

VECTOR = 8
NEVER = 2**30


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Items, by their number.

    Parameters
    ----------
    category, nest, provider : ndarray of int32, items
        Nests are numbered through all categories.
    quality, price, appeal, persuasion, annoyance : ndarray, items
    known : ndarray, items
        Running sums of the chances by which people know items.
    enters, goes : ndarray of int32, items
        The first round with the item, and the first one without it again.
    push : ndarray, categories
        Which categories the operator shows to whom he thinks well of (the hidden trait), -1 to 1.
    vectors : ndarray of float32, items x 8
        Content: items of a category and of a nest are near each other.
    """

    category: np.ndarray
    nest: np.ndarray
    provider: np.ndarray
    quality: np.ndarray
    price: np.ndarray
    appeal: np.ndarray
    persuasion: np.ndarray
    annoyance: np.ndarray
    known: np.ndarray
    enters: np.ndarray
    goes: np.ndarray
    push: np.ndarray
    vectors: np.ndarray

    def available(self, moment: int) -> np.ndarray:
        """Whether each item is sold in a round."""
        return (self.enters <= moment) & (moment < self.goes)


def catalogue_of(world: ShopWorld, seed: int) -> Catalogue:
    """The items of a world; the same for every policy."""
    random = np.random.default_rng([seed, 1])
    n, c = world.items, world.categories
    category = np.sort(np.arange(n) % c).astype(np.int32)
    within = np.arange(n) - np.searchsorted(category, category)
    nests = -(-np.bincount(category, minlength=c) // world.nest_size)
    first = np.concatenate([[0], np.cumsum(nests)[:-1]])
    nest = (first[category] + within // world.nest_size).astype(np.int32)
    rank = random.permutation(n)
    small = random.random(n) < world.small_providers
    weight = (1.0 + rank) ** -world.popularity * np.where(small, 0.5, 1.0)
    # What many know is a little better, for it has become known.
    quality = world.quality + 0.5 * random.standard_normal(n) + 0.3 * (weight > np.median(weight))
    annoying = random.random(n) < world.annoying_share
    fate = random.random(n)
    enters = np.where(fate < world.new_items, random.integers(1, world.horizon + 1, n), 0)
    retired = fate > 1 - world.retired_items
    goes = np.where(retired, random.integers(1, world.horizon + 1, n), NEVER)
    weight = np.where(enters > 0, 1e-3 * weight, weight)
    centres = random.standard_normal((c, VECTOR))
    of_nests = 0.5 * random.standard_normal((int(nests.sum()), VECTOR))
    vectors = centres[category] + of_nests[nest] + 0.25 * random.standard_normal((n, VECTOR))
    return Catalogue(
        category, nest, small.astype(np.int32), quality,
        np.exp(world.price_spread * random.standard_normal(n) + 2.0),
        world.appeal * random.standard_normal(n) + 0.8 * annoying,
        np.where(annoying, 0.0, np.maximum(world.persuasion * (1 + random.standard_normal(n)), 0.0)),
        np.where(annoying, world.annoyance, 0.0),
        np.cumsum(weight) / weight.sum(), enters.astype(np.int32), goes.astype(np.int32),
        np.linspace(-1.0, 1.0, c) if c > 1 else np.ones(1), vectors.astype(np.float32),
    )  # fmt: skip
