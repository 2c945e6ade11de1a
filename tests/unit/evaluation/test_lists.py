"""Files of ids: what may be offered, who is asked about."""

from __future__ import annotations

import gzip
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.evaluation.test_comparison import ITEMS, SPLIT, comparison, world
from tests.unit.models.sequence.test_histories import histories
from truelift.config import load_settings
from truelift.errors import DataError, SourceError
from truelift.evaluation.evaluator import EvaluationOptions, Evaluator
from truelift.evaluation.in_ranks import RankComparison
from truelift.evaluation.lists import (
    AllowedOnly,
    SomeUsers,
    allowed_items,
    pinned_files,
    read_ids,
)
from truelift.evaluation.measures import Catalogue
from truelift.models.sequence.histories import ItemSets
from truelift.serving.ranking import rank


def test_a_file_has_one_id_a_line_packed_or_not(tmp_path):
    (tmp_path / "ids.txt").write_text("a\n\n b c \na\r\n", encoding="utf-8-sig")
    with gzip.open(tmp_path / "ids.txt.gz", "wt") as stream:
        stream.write("a\nb c\n")
    for name in ("ids.txt", "ids.txt.gz"):
        assert read_ids(str(tmp_path / name), "recommend.items") == ["a", "b c"]


def test_files_that_hold_no_id_or_are_not_there_name_the_setting(tmp_path):
    (tmp_path / "ids.txt").write_text("\n \n")
    with pytest.raises(DataError, match=r"recommend\.users: .* holds no id"):
        read_ids(str(tmp_path / "ids.txt"), "recommend.users")
    with pytest.raises(SourceError, match=r"recommend\.users: no file"):
        read_ids(str(tmp_path / "other.txt"), "recommend.users")


def test_a_file_of_ids_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "ids.txt.gz").write_bytes(gzip.compress(b"a\nb\n")[:-6])
    with pytest.raises(SourceError, match=r"ids\.txt\.gz cannot be read .*Copy it again"):
        read_ids(str(tmp_path / "ids.txt.gz"), "recommend.items")
    (tmp_path / "ids.txt").write_bytes(b"PAR1 and so on")
    with pytest.raises(SourceError, match="it is a Parquet file"):
        read_ids(str(tmp_path / "ids.txt"), "recommend.items")


def test_a_list_without_a_known_item_is_refused_with_an_example_of_each():
    assert allowed_items(["c", "a", "new"], ("a", "b", "c"), "--items").tolist() == [
        False, True, False, True,
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"--items: none of its 1 ids, such as '7',.*such as 'a'"):
        allowed_items(["7"], ("a", "b"), "--items")


class Fixed:
    def __init__(self, row):
        self.row = np.array([row], dtype=np.float32)

    def scores(self, given):
        return np.repeat(self.row, len(given), axis=0)


def test_items_off_the_list_are_not_offered_and_places_stay_empty():
    allowed = np.array([False, True, False, True, False])
    h = histories([(1, 0, 0)])
    scores = AllowedOnly(Fixed([0, 1, 9, 3, 8]), allowed).scores(h)
    assert rank(scores, h, 4)[0].tolist() == [[3, 1, 0, 0]]
    assert rank(scores, h, 4, "drop")[0].tolist() == [[3, 0, 0, 0]]


def test_another_content_of_the_files_is_another_fingerprint(tmp_path):
    path = tmp_path / "stock.txt"
    path.write_text("a\n")
    chosen = load_settings("local", "interactions", (f"recommend.items={path}",))
    before = pinned_files(chosen)
    assert before == pinned_files(chosen)
    path.write_text("b\n")
    assert pinned_files(chosen) != before


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.booleans(), min_size=6, max_size=6).filter(any),
    st.sampled_from(["keep", "drop"]),
    st.integers(0, 10**6),
)
def test_an_allow_list_ranks_as_a_catalogue_of_these_items_alone(listed, rule, seed):
    rng = np.random.default_rng(seed)
    allowed = np.array([False, *listed])
    place = np.cumsum(allowed) * allowed
    events = [[(int(i), t, 0) for t, i in enumerate(rng.integers(1, 7, 4))] for _ in range(5)]
    past = histories(*events)
    wanted = [sorted({int(i) for i in rng.integers(1, 7, 2)}) for _ in range(5)]
    scores = rng.integers(0, 4, 7).astype(np.float32)
    options = EvaluationOptions(3, (1, 3), seen_items=rule, step="event")

    def sums(sets, past, scores, allowed=None):
        catalogue = Catalogue(np.ones(len(scores)))
        evaluator = Evaluator({"r": Fixed(scores)}, catalogue, options, allowed=allowed)
        state = evaluator.layout.zeros()
        sizes = [len(s) for s in sets]
        items = np.array([i for s in sets for i in s], dtype=np.int32)
        kept = np.array([size > 0 for size in sizes])
        chosen = ItemSets(np.concatenate([[0], np.cumsum(sizes)]), items).take(kept)
        evaluator.add(state, past.take(kept), chosen)
        return state

    ours = sums(wanted, past, scores, allowed)
    inside = [[int(place[i]) for i in s if allowed[i]] for s in wanted]
    only = replace(past, items=place[past.items].astype(np.int32)).keep(allowed[past.items])
    theirs = sums(inside, only, scores[np.append(0, np.flatnonzero(allowed))])
    names = [
        name for name, _ in Evaluator({"r": None}, Catalogue(np.ones(7)), options).layout.metrics
    ]
    places = [n for n, name in enumerate(names) if name not in ("novelty", "long_tail_share")]
    np.testing.assert_array_equal(ours["sum"][0, places], theirs["sum"][0, places])
    np.testing.assert_array_equal(
        ours["exposure"][0][np.flatnonzero(allowed)], theirs["exposure"][0][1:]
    )
    assert not ours["exposure"][0][~allowed].any()


def test_an_evaluation_of_some_items_knows_the_whole_pasts():
    allowed = np.zeros(ITEMS + 1, dtype=bool)
    allowed[[2, 5]] = True
    found = comparison(world(), arrays={"allowed": allowed}).test(
        "model", Fixed([0.0] * (ITEMS + 1))
    )
    assert found.metrics[0].hit_rate == 1.0  # two items compete for three places
    assert found.left_out > 0


def test_only_some_users_are_tested_and_all_are_learned_from():
    histories = world()
    some = SomeUsers(SPLIT, frozenset({"u03", "u07", "nobody"}))
    whole, chosen = (
        RankComparison(lambda: iter([histories]), split, ITEMS, comparison(histories)._sequence)
        for split in (SPLIT, some)
    )
    found = chosen.test("model", Fixed([0.0] * (ITEMS + 1)))
    assert found.metrics[0].users == 2
    np.testing.assert_array_equal(chosen.training_counts, whole.training_counts)
    assert chosen.recent_days == whole.recent_days
    assert some.describe() == {**SPLIT.describe(), "users": "3 chosen"}
