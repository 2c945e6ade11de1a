"""Horovod under Keras 3: means over targets, equal weights, differences noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from truelift.distributed.lifeline import Lifeline
from truelift.distributed.processes import HOROVODRUN


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checks")
    script = Path(__file__).with_name("rank_checks.py")
    command = [
        sys.executable, "-c", HOROVODRUN, str(folder), "--gloo", "-np", "2", "-H", "localhost:2",
        sys.executable, str(script), str(folder),
    ]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with Lifeline(folder):
        done = subprocess.run(
            command, check=False, env=env, capture_output=True, text=True, timeout=300
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return [json.loads((folder / f"found-{rank}.json").read_text()) for rank in (0, 1)]


def test_two_ranks_really_ran(found):
    assert [(f["rank"], f["size"]) for f in found] == [(0, 2), (1, 2)]


def test_keras_loads_nothing_for_drawing_in_a_rank_which_finds_it_when_it_asks(found):
    for own in found:
        assert own["loaded"] == []
        assert own["there"] == ["matplotlib", "sklearn"]


def test_a_rank_weighs_as_much_as_it_has_targets(found):
    for own in found:
        assert own["total"] == 4.0
        assert own["dense"] == pytest.approx([6.0 / 4])


def test_sparse_gradients_are_summed_dense(found):
    for own in found:
        assert own["sparse"] == pytest.approx([0.0, 12.0 / 4])


def test_rows_of_all_ranks_are_summed_by_id(found):
    for own in found:
        assert own["row_ids"] == [4, 9]
        assert own["row_sums"] == [4.0, 2.0]


def test_weights_that_differ_are_noticed_and_broadcast_makes_them_equal(found):
    for own in found:
        assert own["spread_before"] > 0
        assert own["spread_after"] == 0
        assert own["values"] == [0.0, 1.0, 2.0, 3.0]


def test_equal_sums_of_different_weights_are_noticed(found):
    assert all(own["spread_of_swapped"] > 0 for own in found)


def test_counts_are_pooled(found):
    for own in found:
        assert own["largest"] == [11, 0]
        assert own["sum"] == [2, 1]


def test_arrays_of_different_length_are_joined_in_the_order_of_ranks(found):
    for own in found:
        assert own["joined"] == [0, 10, 11]


def test_all_get_the_bytes_of_the_first(found):
    assert {own["of_first"] for own in found} == {"first"}
