"""Files of interactions: every line once, in the file's order."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import RecordingRun
from truelift.config import load_settings
from truelift.errors import ConfigError, SourceError
from truelift.job import Job
from truelift.lake import Lake
from truelift.lake.arrow_table import read_rows
from truelift.logs.ingest import ingest
from truelift.logs.sources.columns import CORRUPT
from truelift.logs.sources.interaction_times import spread
from truelift.logs.sources.planning import plan_streams
from truelift.logs.sources.registry import read
from truelift.settings import MappingOptions, Settings, SourceOptions

MAPPING = MappingOptions(user="user", item="item", time="time", event_id="line")
BASE = 946_684_800_000_000


def rows(path):
    options = SourceOptions(format="interactions", path=str(path), mapping=MAPPING)
    units = plan_streams(options)["events"]
    return [row for unit in units for batch in read(unit) for row in batch.to_pylist()]


def test_without_a_time_the_lines_number_is_the_time(tmp_path):
    (tmp_path / "ratings.txt").write_text("1 10\n1 11\n\n2\t10\n")
    found = [(r["user"], r["item"], int(r["time"]) - BASE, r["line"][-6:]) for r in rows(tmp_path)]
    assert found == [
        ("1", "10", 0, ".txt#0"), ("1", "11", 1_000_000, ".txt#1"), ("2", "10", 3_000_000, ".txt#3"),
    ]  # fmt: skip


def test_equal_seconds_keep_the_order_of_the_lines(tmp_path):
    (tmp_path / "ratings.txt").write_text("a x 5\na y 5\nb x 5\na z 5.0\na w 6\n")
    assert [(r["item"], r["time"]) for r in rows(tmp_path)] == [
        ("x", "5000000"), ("y", "5000001"), ("x", "5000000"), ("z", "5000002"), ("w", "6000000"),
    ]  # fmt: skip


def test_a_packed_file_reads_like_a_plain_one(tmp_path):
    with gzip.open(tmp_path / "ratings.txt.gz", "wt") as stream:
        stream.write("1 10 7\n")
    assert [r["time"] for r in rows(tmp_path / "ratings.txt.gz")] == ["7000000"]


def test_a_line_that_is_no_interaction_is_kept_whole(tmp_path):
    (tmp_path / "ratings.txt").write_text("1 10\nalone\n1 11 noon\n")
    assert [r[CORRUPT] for r in rows(tmp_path)] == [None, "alone", "1 11 noon"]


def test_a_file_without_any_interaction_is_refused(tmp_path):
    (tmp_path / "ratings.txt").write_text("alone\n")
    with pytest.raises(SourceError, match=r"expected 'user item' or 'user item seconds'.*alone"):
        rows(tmp_path)


def test_the_data_set_switches_off_what_could_drop_an_interaction():
    settings = load_settings("local", "interactions", ())
    assert settings.features.min_item_count == 1 and settings.features.repeats
    assert settings.clean.double_click_seconds is None and settings.clean.outlier_mads is None
    held_out = settings.sequence.evaluation
    assert held_out.split == "leave_one_out" and held_out.seen_items == "drop"


def read_text(path, text, *columns, name="ratings.txt", **others):
    (path / name).write_text(text, encoding="utf-8")
    options = SourceOptions(
        format="interactions", path=str(path / name), mapping=MAPPING, columns=columns, **others
    )
    return [
        (r["user"], r["item"], None if r["time"] is None else int(r["time"]), r["rating"])
        for unit in plan_streams(options)["events"]
        for batch in read(unit)
        for r in batch.to_pylist()
    ]


RATED = "196\t242\t3\t881250949\n186\t302\t4\t891717742\n196\t377\t1\t878887116\n"
READ = [
    ("196", "242", 881_250_949_000_000, "3"), ("186", "302", 891_717_742_000_000, "4"),
    ("196", "377", 878_887_116_000_000, "1"),
]  # fmt: skip
NAMED = ("user", "item", "rating", "time")


@pytest.mark.parametrize("sign", ["\t", " ", ",", "::", ";", "|"])
def test_four_values_are_refused_until_they_have_names(tmp_path, sign):
    with pytest.raises(SourceError, match=r"4 values a line.*--columns user,item,rating,time"):
        read_text(tmp_path, RATED.replace("\t", sign))
    assert read_text(tmp_path, RATED.replace("\t", sign), *NAMED) == READ


@pytest.mark.parametrize(
    "head",
    [
        "user_id:token\titem_id:token\trating:float\ttimestamp:float",
        "visitor:token\tpage:token\trating:float\ttimestamp:float",
        "userId,movieId,rating,timestamp",
        "user item rating time",
    ],
)
def test_a_first_line_that_names_the_columns_is_believed(tmp_path, head):
    sign = next(s for s in "\t, " if s in head)
    text = f"{head}\n{RATED.replace(chr(9), sign)}"
    assert read_text(tmp_path, text, name="ml.inter") == READ
    # Names of one's own go before the file's.
    if ":" not in head:
        assert read_text(tmp_path, text, *NAMED) == READ


def test_columns_are_found_by_name_in_any_order_and_others_are_left_out(tmp_path):
    text = "timestamp:float,item_id:token,genre:token_seq,user_id:token\n5.5,x,a b,ann\n"
    assert read_text(tmp_path, text) == [("ann", "x", 5_500_000, None)]


def test_of_two_names_for_the_user_the_plainer_one_is(tmp_path):
    assert read_text(tmp_path, "session_id,user_id,item_id\ns,u,i\n")[0][:2] == ("u", "i")


def test_an_atomic_file_without_an_item_says_which_columns_there_are(tmp_path):
    head = "user_id:token\titem_id_list:token_seq\tn:float\n"
    with pytest.raises(SourceError, match=r"user_id.*no column of the item.*--columns"):
        read_text(tmp_path, head + "1\ta b\t2\n")


def test_ratings_in_the_place_of_the_time_are_refused(tmp_path):
    text = "ann x 4\nann y 5\nann z 2\nbob x 1\n"
    with pytest.raises(SourceError, match=r"between 1 and 5 and go down.*user,item,rating"):
        read_text(tmp_path, text)
    assert [r[3] for r in read_text(tmp_path, text, "user", "item", "rating")] == list("4521")
    assert [r[2] for r in read_text(tmp_path, text, "user", "item", "time")] == [
        4_000_000, 5_000_000, 2_000_000, 1_000_000,
    ]  # fmt: skip


def test_counts_in_the_place_of_the_time_are_refused(tmp_path):
    text = "ann\tx\t13883\nann\ty\t1453\nbob\tx\t52\n"
    with pytest.raises(SourceError, match=r"between 52 and 13883 .*ratings or counts"):
        read_text(tmp_path, text)


@pytest.mark.parametrize(
    "name", ["event_time", "createdAt", "created_at", "timestamp_ms", "datetime", "t"]
)
def test_usual_names_of_the_time_are_known(tmp_path, name):
    text = f"user_id,item_id,{name}\nann,x,1704103201\nann,y,1704103200\n"
    assert [r[2] for r in read_text(tmp_path, text)] == [
        1_704_103_201_000_000, 1_704_103_200_000_000,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listened_when", "1704103200"),
        ("order_date", "1/1/24"),
        ("x", "2024-01-01 10:00:00 UTC"),
        ("x", "881250949"),
        ("x", "1704103200123"),
    ],
)
def test_a_column_that_may_be_the_time_is_not_left_out_in_silence(tmp_path, name, value):
    text = f"n,user,{name},item\n1,ann,{value},x\n"
    wanted = r"--columns -,user,time,item; if .*--columns -,user,-,item"
    with pytest.raises(SourceError, match=f"{name}' may be it.*{wanted}"):
        read_text(tmp_path, text)
    assert read_text(tmp_path, text, "-", "user", "-", "item")[-1][:2] == ("ann", "x")


def test_a_column_of_several_items_a_line_is_refused(tmp_path):
    text = "session_id:token\titem_id_list:token_seq\titem_id:token\n1\ta b c\td\n"
    with pytest.raises(SourceError, match="'item_id_list' holds several items in a line"):
        read_text(tmp_path, text)


def test_a_first_line_that_names_user_and_item_says_what_parts_them(tmp_path):
    text = 'user,item,time\n"a,b",x,5\nann,y\nbob,"x, y",6\nbob,z,7,8\n'
    assert [r[:2] for r in read_text(tmp_path, text)] == [
        ("a,b", "x"), (None, None), ("bob", "x, y"), (None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("ann,x,5,9", "It has 4 values, expected 3"),
        ("ann,x,noon", "Its time 'noon' cannot be read; expected seconds"),
        ("ann,,5", "Its user or its item is empty"),
    ],
)
def test_a_file_without_any_interaction_says_what_is_wrong_with_the_first(tmp_path, line, fault):
    with pytest.raises(SourceError, match=fault):
        read_text(tmp_path, f"user,item,time\n{line}\n")


def test_columns_can_be_left_out_and_have_to_be_all_of_a_line(tmp_path):
    assert read_text(tmp_path, "x 9 ann 5\n", "item", "-", "user", "time") == [
        ("ann", "x", 5_000_000, None)
    ]
    with pytest.raises(SourceError, match=r"names 2 columns, user, item, and the lines .* have 4"):
        read_text(tmp_path, "x 9 ann 5\n", "user", "item")


@pytest.mark.parametrize("columns", [("user", "time"), ("user", "item", "item")])
def test_columns_without_a_user_and_an_item_are_refused(tmp_path, columns):
    with pytest.raises(ConfigError, match=r"source\.columns"):
        SourceOptions(format="interactions", columns=columns)


def test_fractions_of_seconds_decide_before_the_lines_do(tmp_path):
    text = "a x 978300760.75\na y 978300760.25\na z 978300760.25\na w 978300760.250001\n"
    base = 978_300_760_000_000
    assert [(item, time - base) for _, item, time, _ in read_text(tmp_path, text)] == [
        ("x", 750_000), ("y", 250_000), ("z", 250_001), ("w", 250_002),
    ]  # fmt: skip


T = (977, 977, 955, 977, 955)


def test_equal_seconds_keep_the_order_of_the_lines_where_users_are_mixed_and_unsorted(tmp_path):
    text = "".join(f"{u} {i} 1704103{s}\n" for u, i, s in zip("abaaa", "xxyzw", T, strict=True))
    assert [time % 1_000_000 for *_, time, _ in read_text(tmp_path, text)] == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("digits", [0, 3, 6, 9])
def test_the_unit_of_the_times_is_told_by_their_size(tmp_path, digits):
    zeros = "0" * digits
    text = f"a x 1704103200{zeros}\na y 1704103201{zeros}\n"
    assert [r[2] for r in read_text(tmp_path, text)] == [
        1_704_103_200_000_000,
        1_704_103_201_000_000,
    ]


def test_a_time_in_another_unit_than_the_files_is_kept_as_it_stands(tmp_path):
    (tmp_path / "ratings.txt").write_text("a x 1704103200\na y 1704103201\na z 1704103202000\n")
    assert [r[CORRUPT] for r in rows(tmp_path)] == [None, None, "a z 1704103202000"]


def test_seconds_among_milliseconds_are_kept_as_they_stand(tmp_path):
    text = "a x 1704103200000\na y 1704103201000\na z 1704103202\na w 0\n"
    (tmp_path / "ratings.txt").write_text(text)
    assert [r[CORRUPT] for r in rows(tmp_path)] == [None, None, "a z 1704103202", None]


def test_days_are_no_seconds(tmp_path):
    text = "a x 20240102\na y 20240101\n"
    assert [r[2] for r in read_text(tmp_path, text)] == [
        1_704_153_600_000_000, 1_704_067_200_000_000,
    ]  # fmt: skip


def test_dates_are_times_too(tmp_path):
    text = "user,item,time\na,x,2024-01-01 10:00:00\na,y,2024-01-01T10:00:00.5Z\n"
    assert [r[2] for r in read_text(tmp_path, text)] == [
        1_704_103_200_000_000,
        1_704_103_200_500_000,
    ]


def test_values_parted_by_tabs_may_hold_blanks(tmp_path):
    assert read_text(tmp_path, "ann b\tthe item\t5\n") == [("ann b", "the item", 5_000_000, None)]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=30))
def test_instants_of_a_user_are_distinct_and_in_the_order_of_time_and_line(lines):
    users = np.array([user for user, _ in lines], dtype=np.int64)
    moments = np.array([moment for _, moment in lines], dtype=np.int64)
    found = spread(users, moments)
    expected: dict[int, int] = {}
    for user in range(3):
        last = -1
        for line in sorted(np.flatnonzero(users == user), key=lambda n: (moments[n], n)):
            last = expected[line] = max(int(moments[line]), last + 1)
    assert dict(enumerate(found.tolist())) == expected


def test_a_lake_of_another_file_or_of_its_old_content_is_refused_and_stays(tmp_path):
    def take_in(folder, text):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / "ratings.txt"
        path.write_text(text)
        source = SourceOptions(format="interactions", path=str(path), mapping=MAPPING)
        chosen = Settings(lake=str(tmp_path / "lake"), source=source)
        ingest(Job("ingest", chosen, Lake(chosen), {}, "f", RecordingRun(), tmp_path))
        return read_rows(Lake(chosen).uri("bronze.events")).num_rows

    assert take_in("a", "ann x 1\nann y 2\n") == 2
    assert take_in("a", "ann x 1\nann y 2\n") == 2
    for folder, text in (("a", "ann x 1\nann z 2\n"), ("b", "bob x 1\n")):
        with pytest.raises(
            SourceError, match=r"of another file, or of another content: .*a/ratings"
        ):
            take_in(folder, text)
    assert take_in("b", "ann x 1\nann y 2\n") == 2
