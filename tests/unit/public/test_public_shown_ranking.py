"""``tl.rank_by_effect``: who should be shown what."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from truelift.models.factors.causal_pairs import PairOptions

FAST = PairOptions(rank=8, passes=800)


def table(
    by_taste: float, seed: int = 2, users: int = 600, items: int = 24
) -> tuple[pa.Table, np.ndarray]:
    """Some items are bought by all anyway; showing others sells them, to one half of the people or to all."""
    rng = np.random.default_rng(seed)
    group = np.arange(users)[:, None] % 2 == np.arange(items) % 2
    anyway = np.arange(items) % 3 == 0
    effect = np.where(anyway, -0.05, np.where(group, 0.25 + by_taste, 0.25 - by_taste))
    chance = np.where(np.arange(items) % 4 < 2, 0.3, 0.6) * np.ones((users, 1))
    shown = rng.random((users, items)) < chance
    bought = rng.random((users, items)) < np.where(anyway, 0.3, 0.02) + effect * shown
    user, item = (x.ravel() for x in np.indices((users, items)))
    return pa.table(
        {
            "user_key": user,
            "item_id": item,
            "shown": shown.ravel(),
            "outcome": bought.ravel(),
            "chance": chance.ravel(),
        }
    ), effect


def test_dlce_makes_lists_where_people_differ_in_what_showing_does():
    log, effect = table(0.24)
    found = tl.rank_by_effect(log, top_k=4, options=FAST)
    assert found.champion == "dlce" and found.difference.lower > 0
    lists = found.recommend(count=4).to_pydict()
    said = [
        effect[int(u), int(i)] for u, i in zip(lists["user_key"], lists["item_id"], strict=True)
    ]
    assert np.mean(said) > 0.35
    assert "dlce" in str(found)


def test_where_an_effect_is_the_same_for_all_the_effects_of_items_make_them():
    log, _ = table(0.0)
    found = tl.rank_by_effect(log, top_k=4, options=FAST)
    assert found.champion == "effect of items"
    by_name = {gain.ranker: gain for gain in found.gains}
    assert by_name["effect of items"].lower > by_name["popularity"].upper
    assert by_name["effect of items"].lower < 0.25 < by_name["effect of items"].upper + 0.02


def test_what_is_always_shown_tells_no_effect():
    log, _ = table(0.0, users=4)
    sure = log.set_column(4, "chance", pa.array(np.ones(log.num_rows)))
    with pytest.raises(tl.TrueliftError, match="always or never"):
        tl.rank_by_effect(sure)


def once_each(users: int, seed: int = 0) -> tuple[pa.Table, np.ndarray]:
    """A row a user and an item a row, of which nothing can be learnt; and what each row is worth."""
    rng = np.random.default_rng(seed)
    shown, bought = rng.random(users) < 0.5, rng.random(users) < 0.3
    frame = {
        "user_key": np.arange(users), "item_id": np.arange(users) % 3, "shown": shown,
        "outcome": bought, "chance": np.full(users, 0.5),
    }  # fmt: skip
    return pa.table(frame), np.where(shown, 2.0, -2.0) * bought


def test_a_user_with_rows_in_one_fold_counts_by_these_alone():
    log, worth = once_each(400)
    found = tl.rank_by_effect(log, top_k=1, options=PairOptions(rank=2, passes=1))
    assert [gain.value for gain in found.gains] == pytest.approx([worth.mean()] * 3)


def test_a_log_with_the_best_rows_first_flatters_no_ranker_that_cannot_tell_them_apart():
    log, worth = once_each(600)
    log = log.set_column(0, "user_key", pa.array(np.arange(600) % 60))
    log = log.set_column(1, "item_id", pa.array(np.arange(600)))
    best_first = log.take(np.argsort(-worth, kind="stable"))
    found = tl.rank_by_effect(best_first, top_k=2, options=PairOptions(rank=2, passes=1))
    by_name = {gain.ranker: gain for gain in found.gains}
    for name in ("effect of items", "popularity"):
        assert by_name[name].lower < worth.mean() < by_name[name].upper


def test_rows_with_a_missing_outcome_are_told():
    log, _ = once_each(400)
    lost = np.where(np.arange(400) < 7, None, log["outcome"].to_numpy(zero_copy_only=False))
    log = log.set_column(3, "outcome", pa.array(lost, pa.bool_()))
    found = tl.rank_by_effect(log, top_k=1, options=PairOptions(rank=2, passes=1))
    assert found.left_out == 7 and "Left out: 7 rows" in str(found)
