"""A file of one's own as the test part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.evaluation.test_every_position import pasts
from tests.unit.models.sequence.test_histories import as_lists, histories
from truelift.cli import main
from truelift.config import load_settings
from truelift.distributed.collective import Alone
from truelift.errors import ConfigError, DataError
from truelift.evaluation.given_test import pinned_file, read_rows, split_of_rows
from truelift.evaluation.in_ranks import RankComparison
from truelift.evaluation.lists import SomeUsers
from truelift.evaluation.splits import LeaveOneOut, split_from_plain, split_to_plain
from truelift.settings import SequenceOptions

KEYS = ("a", "b", "c", "d")
LAKE = histories([(1, 0, 0), (2, 1, 0), (3, 2, 1)], [(4, 5, 0), (1, 6, 1)], [(2, 0, 0)])
ROWS = {"u0": [(9, "d"), (10, "a")], "stranger": [(3, "b"), (4, "c"), (5, "b")], "u2": [(1, "x")]}


def split(positions="next", rows=ROWS):
    return split_of_rows(rows, KEYS, frozenset({"u0", "u1", "u2"}), "event", positions)[0]


def test_a_known_user_is_foretold_the_files_items_from_the_whole_history():
    past, wanted = split().test(LAKE)
    assert past.users.tolist() == ["u0"]
    assert pasts(past) == [[1, 2, 3]] and as_lists(wanted) == [[1, 4]]


def test_every_position_of_a_known_user_follows_the_history_and_the_files_items_before():
    past, wanted = split("every").test(LAKE)
    assert pasts(past) == [[1, 2, 3], [1, 2, 3, 4]] and as_lists(wanted) == [[4], [1]]
    # The file's items are a session after those that are known.
    assert past.sessions[-1] == 2 and np.all(np.diff(past.times[3:]) > 0)


def test_a_stranger_is_a_newcomer_and_with_every_position_tested_from_the_second_item_on():
    once, every = split(), split("every")
    assert once.strangers().users.tolist() == ["stranger"]
    assert len(once.test_of_strangers(once.strangers())[0]) == 0
    assert as_lists(once.newcomers_of_strangers(once.strangers())[1]) == [[2, 3]]
    past, wanted = every.test_of_strangers(every.strangers())
    assert pasts(past) == [[2], [2, 3]] and as_lists(wanted) == [[3], [2]]
    past, wanted = every.newcomers_of_strangers(every.strangers())
    assert pasts(past) == [[]] and as_lists(wanted) == [[2]]


def test_what_the_file_does_not_say_of_an_interaction_is_unknown():
    told = replace(LAKE, features={"event_type": np.full(len(LAKE.items), 3, np.int32)})
    past, _ = split("every").test(told)
    assert past.features["event_type"].tolist() == [3, 3, 3, 3, 3, 3, 0]
    strangers = replace(split("every"), features=("event_type",)).strangers()
    assert strangers.features["event_type"].tolist() == [0, 0, 0]


def test_nothing_of_the_file_is_learned_from_and_the_last_known_step_chooses():
    learned = split().training(LAKE)
    assert pasts(learned) == [[1, 2], [4], [2]]
    past, wanted = split().validation(LAKE)
    assert pasts(past) == [[1, 2], [4]] and as_lists(wanted) == [[3], [1]]


def test_of_a_row_a_session_the_latest_row_is_the_history():
    rows = histories([(1, 0, 0)], [(2, 9, 1)], [(3, 5, 2)])
    same = replace(rows, users=np.array(["u0"] * 3, dtype=object))
    assert pasts(split().test(same)[0]) == [[2]]


def test_items_that_the_lake_does_not_have_are_counted_and_left_out():
    _, said = split_of_rows(ROWS, KEYS, frozenset(), "event", "next")
    assert said == (
        "sequence.evaluation.test_file: 1 of 6 interactions are with items that gold.items does not have, "
        "and play no part.",
    )
    with pytest.raises(DataError, match=r"none of its 1 interactions.*'x'.*such as 'a'"):
        split("next", {"u": [(1, "x")]})


def test_the_split_travels_to_the_ranks_and_is_known_by_its_content():
    there = split_from_plain(split_to_plain(split("every")))
    assert there == split("every") and there.describe()["positions"] == "every"
    other = split(rows={**ROWS, "u0": [(9, "d")]})
    assert other.describe()["content"] != split().describe()["content"]


class ById:
    def scores(self, given):
        return np.tile(np.arange(5.0), (len(given), 1))


OPTIONS = SequenceOptions(step="event", top_k=2, cutoffs=(1, 2), test_file="test.txt")


def test_known_users_and_strangers_are_evaluated_together_once():
    options = replace(OPTIONS, positions="every")

    def figures(part, ranks):
        return RankComparison(lambda: iter([part]), split("every"), 4, options, ranks=ranks)

    found = figures(LAKE, Alone()).test("model", ById())
    assert found.metrics[0].users == 2
    # Two positions of u0 want items 4 and 1, two of the stranger 3 and 2.
    assert found.metrics[0].hit_rate == 0.5
    newcomers = found.metrics[0].segments[-1]
    assert (newcomers.segment, newcomers.users) == ("newcomers", 1)


def test_a_rank_that_is_not_the_first_leaves_the_strangers_to_that_one():
    nobody = LAKE.take(np.zeros(3, dtype=bool))
    options = replace(OPTIONS, positions="every")
    for rank, users in ((0, 1), (1, 0)):
        ranks = Alone()
        ranks.rank = rank
        ours = RankComparison(lambda: iter([nobody]), split("every"), 4, options, ranks=ranks)
        evaluator = ours._evaluator({"model": ById()}, ours.options)
        if users:
            assert ours._run(evaluator, "test").users() == users
        else:
            with pytest.raises(
                DataError, match=r"found no user.*sequence\.evaluation.*positions to every"
            ):
                ours._run(evaluator, "test")


def test_some_users_of_a_test_file_may_be_strangers():
    some = SomeUsers(split("every"), frozenset({"stranger"}))
    options = replace(OPTIONS, positions="every")
    found = RankComparison(lambda: iter([LAKE]), some, 4, options).test("model", ById())
    assert found.metrics[0].users == 1
    assert not hasattr(SomeUsers(LeaveOneOut(), frozenset()), "strangers")


def test_the_file_is_read_as_any_file_of_interactions(tmp_path):
    path = tmp_path / "test.txt"
    path.write_text("user,item,rating,time\nann,x,5,20\nann,y,1,10\nann,z,4,10\n")
    given = (f"sequence.evaluation.test_file={path}", "clean.amounts.min_value=3")
    found = load_settings("local", "interactions", given)
    # What is rated too low has kept its place among the equal instants.
    assert read_rows(found) == {"ann": [(10_000_001, "z"), (20_000_000, "x")]}
    before = pinned_file(found)
    path.write_text("ann x 1\n")
    assert pinned_file(found) != before


def test_a_rating_of_the_file_that_is_no_number_does_not_count(tmp_path):
    path = tmp_path / "test.txt"
    path.write_text(
        "user,item,rating,time\nann,x,good,20\nann,y,,10\nann,z,4.5e0,30\nann,w,nan,40\n"
    )
    given = (f"sequence.evaluation.test_file={path}", "clean.amounts.min_value=3")
    assert read_rows(load_settings("local", "interactions", given)) == {
        "ann": [(10_000_000, "y"), (30_000_000, "z")]
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "sequence.evaluation.test_file: no file"), ("a,b,c,d\n", "4 values a line")],
)
def test_a_test_file_that_cannot_be_one_is_refused_before_any_step(tmp_path, capsys, text, reason):
    (tmp_path / "all.txt").write_text("a x\na y\n")
    if text:
        (tmp_path / "test.txt").write_text(text)
    asked = ["--interactions", str(tmp_path / "all.txt"), "--test", str(tmp_path / "test.txt")]
    assert main(["train_sequence", *asked, "--lake", str(tmp_path / "lake")]) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "lake").exists()


def test_the_lakes_columns_are_those_of_a_test_file_that_names_none(tmp_path):
    path = tmp_path / "test.txt"
    columns = "source.columns=[user, item, rating, time]"
    chosen = load_settings(
        "local", "interactions", (f"sequence.evaluation.test_file={path}", columns)
    )
    path.write_text("ann x 5 20\n")
    assert read_rows(chosen) == {"ann": [(20_000_000, "x")]}
    path.write_text("item:token,user:token,time:float,n:float\nx,ann,20,1\n")
    assert read_rows(chosen) == {"ann": [(20_000_000, "x")]}


def test_positions_of_sessions_as_steps_cannot_be_told_in_a_file():
    with pytest.raises(ConfigError, match=r"sequence\.evaluation\.test_file.*step event"):
        SequenceOptions(test_file="t", positions="every", step="session")
    assert SequenceOptions(test_file="t", positions="every", step="event", split="leave_one_out")
