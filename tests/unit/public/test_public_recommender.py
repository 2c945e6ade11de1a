"""``tl.fit_recommender``: rankers that count, measured on the last interaction of a user."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import truelift as tl
from truelift.public import sequence_ranker
from truelift.settings import SequenceOptions

START = 1_767_225_600


@pytest.fixture(scope="module")
def interactions() -> pa.Table:
    """Users of group g take the items 5g to 5g + 4, one a day, in an order of their own."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{5 * (user % 4) + item:02d}", START + 86_400 * day)
        for user in range(60)
        for day, item in enumerate(rng.permutation(5))
    ]
    user, item, time = zip(*rows, strict=True)
    return pa.table({"user_key": user, "item_id": item, "event_time": time})


@pytest.fixture(scope="module")
def fitted(interactions):
    return tl.fit_recommender(interactions, unit="s", seen_items="drop", top_k=3)


def test_what_goes_together_is_found_and_popularity_is_beaten(fitted):
    by_name = {m.model: m for m in fitted.metrics}
    # The one item of the group that is not seen is all that can follow.
    assert by_name["item co-occurrence"].hit_rate == 1.0
    assert by_name["item co-occurrence"].ndcg > 2 * by_name["popularity (all time)"].ndcg
    assert fitted.best == "item co-occurrence"
    assert {m.users for m in fitted.metrics} == {60}


def test_seen_items_come_again_only_where_they_may(interactions, fitted):
    taken = {"u1": {f"i{5 + n:02d}" for n in range(5)}}
    dropped = fitted.recommend(["u1"], 10)
    assert not taken["u1"] & set(dropped["item_id"].to_pylist())
    assert dropped["rank"].to_pylist() == list(range(1, 11))
    kept = tl.fit_recommender(interactions, unit="s")
    assert "personal frequency" in {m.model for m in kept.metrics}
    again = set(kept.recommend(["u1"], 4)["item_id"].to_pylist())
    assert again <= taken["u1"]


def test_all_users_get_a_list_and_a_short_catalogue_a_short_one(fitted):
    everyone = fitted.recommend(count=50)
    assert set(everyone["user_key"].to_pylist()) == {f"u{n}" for n in range(60)}
    assert everyone.num_rows == 60 * 15  # 20 items less the five seen


def test_the_order_of_the_rows_and_the_form_of_the_table_do_not_matter(interactions, fitted):
    shuffled = interactions.take(
        pa.array(np.random.default_rng(1).permutation(interactions.num_rows))
    )
    frame = shuffled.to_pandas().assign(at=lambda d: pd.to_datetime(d["event_time"], unit="s"))
    found = tl.fit_recommender(
        frame[["user_key", "item_id", "at"]], time="at", seen_items="drop", top_k=3
    )
    assert found.to_pandas().equals(fitted.to_pandas())
    assert found.recommend(["u2"]).equals(fitted.recommend(["u2"]))


def test_the_measure_is_of_the_last_interaction_of_those_with_three():
    rows = [
        ("a", "x", 0),
        ("a", "y", 1),
        ("a", "z", 2),
        ("b", "z", 0),
        ("b", "z", 1),
        (None, "x", 5),
    ]
    user, item, time = zip(*rows, strict=True)
    table = pa.table({"user_key": user, "item_id": item, "event_time": time})
    found = tl.fit_recommender(table, unit="s", top_k=1)
    popular = next(m for m in found.metrics if m.model == "popularity (all time)")
    # What a takes last is z: by then b alone has taken it, and a's own two last are not known.
    assert (popular.users, popular.hit_rate) == (1, 1.0)
    assert found.left_out == 1
    assert "Left out: 1 interactions" in str(found)


def test_a_recommender_prints_sentences_and_draws_itself(fitted):
    assert "item co-occurrence: NDCG@3" in str(fitted)
    assert repr(fitted).startswith("Recommender(The last interaction of 60 users")
    assert "<table" in fitted._repr_html_()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"item": "sku"}, r"the Table has no column 'sku' \(item\)"),
        ({"unit": None}, r"column 'event_time': found numbers, expected timestamps, or unit="),
        ({"seen_items": "hide"}, r"seen_items: found 'hide', expected 'keep' or 'drop'"),
        ({"top_k": 0}, r"top_k: found 0, expected at least 1"),
        ({"user": "event_time", "time": "event_time"}, r"no user has three interactions|found"),
    ],
)
def test_a_mistake_is_one_message(interactions, asked, message):
    with pytest.raises(tl.TrueliftError, match=message):
        tl.fit_recommender(interactions.slice(0, 10), **{"unit": "s"} | asked)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("sasrex", r"unknown recipe 'sasrex'\. Known: gru, sasrec"),
        (
            SequenceOptions(),
            r"model: found 'basket_gru' with 'session' as the step, expected one of sas",
        ),
        (SequenceOptions(model="nope"), r"sequence\.model: found 'nope'"),
        (
            SequenceOptions(model="gru", step="event", side_features=("category",)),
            r"model: found side features, .*expected none",
        ),
    ],
)
def test_a_model_that_cannot_be_trained_here_is_one_message(interactions, model, message):
    with pytest.raises(tl.TrueliftError, match=message):
        tl.fit_recommender(interactions, unit="s", model=model)


def test_without_the_extra_a_model_names_it(interactions, monkeypatch):
    monkeypatch.setattr(sequence_ranker, "find_spec", lambda name: None)
    with pytest.raises(tl.TrueliftError, match=r"pip install 'truelift\[train\]'"):
        tl.fit_recommender(interactions, unit="s", model="gru")


def test_an_unknown_user_is_named(fitted):
    with pytest.raises(tl.TrueliftError, match="found 'nobody', of whom there is no interaction"):
        fitted.recommend(["nobody", "u1"])


def test_keys_are_spelt_as_the_table_spells_them():
    rows = pa.table(
        {"user_key": [1, 1, 1, 2, 2, 2], "item_id": list("abcabd"), "event_time": range(6)}
    )
    fitted = tl.fit_recommender(rows, unit="s")
    assert set(fitted.recommend([1.0, np.int64(2)])["user_key"].to_pylist()) == {"1", "2"}
    with pytest.raises(tl.TrueliftError, match="users: found True, expected keys"):
        fitted.recommend([True])
