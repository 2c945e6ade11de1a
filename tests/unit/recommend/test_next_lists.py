"""A round's lists, with the chances that stand beside them, value the next lists before anyone sees them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import truelift as tl
from truelift.arrays.keys import mix
from truelift.recommend.limits.bounds import Bounds
from truelift.recommend.limits.limits import Cutoffs, Limits, place
from truelift.recommend.shown.ranking import RankBy, ranked_lists

USERS, ITEMS, SLOTS = 6_000, 6, 2
# By kind of user what is bought where the item stands first; half of it in the second place.
BOUGHT = np.array([[0, 0.3, 0.1, 0.2, 0.9, 0.1, 0.2], [0, 0.1, 0.3, 0.1, 0.2, 0.9, 0.1]])
RELEVANCE = np.array([[0, 0.9, 0.8, 0.3, 0.2, 0.1, 0.4], [0, 0.8, 0.9, 0.3, 0.1, 0.2, 0.4]])


def lists(explore: float, scarce: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    kind = np.arange(USERS) % 2
    users = mix(np.arange(USERS, dtype=np.uint64))
    usable = np.ones((USERS, ITEMS + 1), bool)
    usable[:, 0] = False
    limits = Limits(np.zeros(ITEMS + 1), np.full(ITEMS + 1, -1), np.zeros(ITEMS + 1, int))
    ends = Cutoffs.open(limits)
    # Whom it gains less, half of the users, stand behind the end of the queue for one item.
    ends.stock[scarce] = place(np.array([0.85]), np.zeros(1, np.uint64))[0]
    keys = users.astype(str).astype(object)
    bounds = Bounds(limits, ends, keys, users, usable, SLOTS, seed)
    found = ranked_lists(
        RankBy("relevance", explore=explore, seed=seed), None, np.zeros(ITEMS + 1, int),
        np.zeros((USERS, 1)), users, SLOTS, usable, RELEVANCE[kind], bounds=bounds,
    )  # fmt: skip
    return found.items, found.propensity


def bought(items: np.ndarray) -> np.ndarray:
    """Chances of a purchase by slot."""
    return BOUGHT[(np.arange(USERS) % 2)[:, None], items] * np.array([1.0, 0.5])[None]


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    items, chance = lists(explore=0.3, scarce=2, seed=11)
    came = np.random.default_rng(5).random(items.shape) < bought(items)
    return pd.DataFrame(
        {
            "user_key": np.repeat(np.arange(USERS), SLOTS), "rank": np.tile([1, 2], USERS),
            "item_key": items.ravel().astype(str), "propensity": chance.ravel(),
            "bought": came.ravel().astype(int),
        }
    )  # fmt: skip


def test_the_next_lists_are_worth_what_they_then_bring(log):
    """The first place stays, the second is by what sells: no list of the log was made so."""
    following = np.where((np.arange(USERS) % 2)[:, None] == 0, [[1, 4]], [[2, 5]])
    log = log.assign(next_item=following.ravel().astype(str))
    found = tl.evaluate_policies(
        log, action="item_key", rewards="bought", user="user_key", propensity="propensity",
        position="rank", slate="user_key", policies={"next": {"action": "next_item"}},
        estimators=["SNIPS"],
    )  # fmt: skip
    truth = bought(following).sum(axis=1).mean()
    told = {e.estimator: e for e in found.lists}
    for name in ("SIPS", "RIPS", "SNRIPS"):
        assert abs(told[name].estimate - truth) < 3 * told[name].standard_error, name
    present = log.groupby("user_key")["bought"].sum().mean()
    gain = truth - present
    assert told["SNRIPS"].difference_lower < gain < told["SNRIPS"].difference_upper
    # The log's own purchases would not have told.
    assert abs(present - truth) > 3 * told["SNRIPS"].standard_error


def test_inverse_chances_count_the_users_to_whom_an_item_was_left(log):
    """Half of them, for the item that runs out."""
    first = log[log["rank"] == 1]
    inverse = 1 / first["propensity"]
    item = first["item_key"].to_numpy()
    for one in ("1", "3", "4", "6"):  # left to everybody in the first place
        assert inverse[item == one].sum() == pytest.approx(USERS, rel=0.25)
    assert inverse[item == "2"].sum() == pytest.approx(USERS / 2, rel=0.1)
