"""Chance that is looked up, not drawn: every number is a hash of who, what, when and what for.

``uniform(seed, round, mechanism, user, item)`` is the same wherever it is asked for, so logs do not
depend on how users are shared out, and two policies meet the same people on the same day: they differ
by what they do alone (common random numbers). The hash is the finaliser of SplitMix64, twice; choices
are made with it by Gumbel's maximum (Yellott 1977: ``argmax V_i + G_i`` is a logit).
"""

from __future__ import annotations

import numpy as np

from truelift.arrays.compiled import compiled

#: What a number is for; each has a stream of its own.
(
    TASTE, TRAIT, KNOWN, DRIFT, VISIT, CONTEXT, ATTEND, CLICK, NEST, OUTSIDE, ITEM, PRICE, STOCK, ANSWER,
    DELAY, FORGET, LEAVE, LIST, HOLDOUT, START,
) = range(20)  # fmt: skip
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_ROUND, _USER, _ITEM = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xA0761D6478BD642F), _GOLDEN
_SHARE = 2.0**-53


@compiled
def mixed(z):  # type: ignore[no-untyped-def]
    """Every bit of a number moves every bit of the result."""
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


@compiled
def stream(seed, moment, mechanism):  # type: ignore[no-untyped-def]
    """The start of all numbers of a mechanism in a round."""
    z = mixed(np.uint64(seed) + _GOLDEN)
    return mixed(z + np.uint64(moment + 1) * _ROUND + np.uint64(mechanism) * _USER)


@compiled
def uniform(start, user, item):  # type: ignore[no-untyped-def]
    """A number above 0 and below 1."""
    z = mixed(start + np.uint64(user) * _USER)
    z = mixed(z + np.uint64(item + 1) * _ITEM)
    return (np.float64(z >> np.uint64(11)) + 0.5) * _SHARE


@compiled
def gumbel(start, user, item):  # type: ignore[no-untyped-def]
    """Standard Gumbel noise."""
    return -np.log(-np.log(uniform(start, user, item)))


@compiled
def normal(start, user, item):  # type: ignore[no-untyped-def]
    """Standard normal noise (Box & Muller 1958)."""
    radius = np.sqrt(-2.0 * np.log(uniform(start, user, 2 * item)))
    return radius * np.cos(2.0 * np.pi * uniform(start, user, 2 * item + 1))


def other_moment(moment: int, draw: int) -> int:
    """Where the noise of another draw of a round is: far from all rounds that are played."""
    return moment + 100_003 * draw
