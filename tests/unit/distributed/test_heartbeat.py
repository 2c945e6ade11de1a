"""Signs of life: which rank is named as the one that hangs."""

from __future__ import annotations

import time

import pytest

from truelift.distributed.heartbeat import Beat, Heartbeat, hung_ranks, read_beats
from truelift.distributed.processes import RankLost, _end_of_processes
from truelift.distributed.watch import RankWatch


def beat(rank: int, place: int = 5, alive: float = 100.0, moved: float = 100.0) -> Beat:
    return Beat(rank, 1000 + rank, f"epoch 1, step {place}", place, alive, moved)


def test_ranks_that_write_and_move_do_not_hang():
    assert hung_ranks([beat(0), beat(1, moved=95.0)], 104.0, 10.0) == []


def test_before_the_first_sign_of_life_nobody_hangs():
    assert hung_ranks([], 1e9, 1.0) == []


def test_a_stopped_rank_is_named_and_not_the_one_that_waits_for_it():
    (line,) = hung_ranks([beat(0, alive=120.0), beat(1)], 120.0, 10.0)
    assert line.startswith("rank 1 (process 1001) gave no sign of life for 20 s")
    assert line.endswith("epoch 1, step 5")


def test_a_stopped_rank_is_named_even_if_it_wrote_a_little_after_it_moved_last():
    # Ten seconds after its last step, nine and a half after its last sign of life.
    beats = [beat(0, alive=100.6, moved=100.0), beat(1, alive=110.0, moved=100.1)]
    (line,) = hung_ranks(beats, 110.05, 10.0)
    assert line.startswith("rank 0 ") and "gave no sign of life for 9 s" in line


def test_where_all_write_the_one_that_is_least_far_is_named():
    beats = [beat(0, place=7, alive=120.0), beat(1, place=6, alive=120.0)]
    (line,) = hung_ranks(beats, 120.0, 10.0)
    assert line.startswith("rank 1 ") and "alive but has not moved for 20 s" in line


def test_a_rank_that_is_done_is_not_missed(tmp_path):
    heart = Heartbeat(str(tmp_path), 3, every=0.01)
    heart.beat("epoch 1, step 1")
    time.sleep(0.1)
    (found,) = read_beats(tmp_path)
    assert (found.rank, found.doing, found.place) == (3, "epoch 1, step 1", 1)
    assert time.time() - found.alive < 5
    heart.stop()
    assert read_beats(tmp_path) == []


def test_the_watch_raises_for_a_loop_that_stands(tmp_path):
    heart = Heartbeat(str(tmp_path), 0, every=0.01)
    time.sleep(0.3)
    with pytest.raises(
        RankLost, match=r"rank 0 .* in: starting; sequence\.recovery\.hang_seconds = 0\.2"
    ):
        RankWatch(tmp_path, 0.2)()
    heart.stop()


HOROVODRUN_SAYS = """[0]<stderr>:Terminated
thus causing the job to be terminated. The first process to do so was:
Process name: 1
Exit code: {code}
"""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (137, "rank 1 was killed by signal 9 (often out of memory)"),
        (-15, "rank 1 was killed by signal 15"),
        (3, "rank 1 ended with code 3"),
    ],
)
def test_the_rank_that_ended_first_is_named_with_its_signal(tmp_path, code, expected):
    assert _end_of_processes(tmp_path, HOROVODRUN_SAYS.format(code=code), 1) == expected


def test_one_process_without_a_launcher_is_rank_0(tmp_path):
    assert _end_of_processes(tmp_path, "", -9).startswith("rank 0 was killed by signal 9")
