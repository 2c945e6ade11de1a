"""What a launched process leaves for its launcher."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from truelift.distributed.rank import reporter, run_rank


@pytest.mark.parametrize(("rank", "left"), [("0", ["a.json", "b.npz"]), ("1", [])])
def test_rank_0_alone_leaves_its_files(tmp_path, monkeypatch, rank, left):
    monkeypatch.setenv("HOROVOD_RANK", rank)
    run_rank(str(tmp_path), lambda place: {"b.npz": b"weights", "a.json": b"{}"})
    assert sorted(p.name for p in tmp_path.iterdir()) == left


def test_a_failure_is_left_in_words_and_ends_the_process(tmp_path):
    code = (
        "import sys; from truelift.distributed.rank import run_rank\n"
        "def work(place): raise ValueError('no rows')\n"
        "run_rank(sys.argv[1], work)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True
    )
    assert ended.returncode == 1
    found = json.loads((tmp_path / "rank-0.error.json").read_text())
    assert (found["rank"], found["error"], found["message"]) == (0, "ValueError", "no rows")
    assert "no rows" in found["trace"]


def test_only_rank_0_reports(tmp_path):
    for rank in (1, 0):
        reporter(str(tmp_path / "progress.jsonl"), rank)(text=f"from {rank}")
    assert (tmp_path / "progress.jsonl").read_text() == '{"text": "from 0"}\n'
