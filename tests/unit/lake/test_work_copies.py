"""The lake's ``work/``: copies are listed and removed by their names."""

from __future__ import annotations

import time

import pyarrow as pa
from deltalake import write_deltalake

from truelift.lake.copies import copies, copy_place, discard_copies, discard_copy, made_at


def make(root, *names):
    for name in names:
        write_deltalake(copy_place(root, name), pa.table({"c0": ["ann"]}))


def test_a_lake_without_copies_has_none(tmp_path):
    assert copies(str(tmp_path)) == ()
    discard_copy(str(tmp_path), "panel-1")
    assert discard_copies(str(tmp_path)) == 0


def test_copies_of_other_versions_go_and_those_of_this_one_and_of_other_tables_stay(tmp_path):
    root = str(tmp_path)
    make(root, "panel-a-1-x", "panel-a-1-y", "panel-a-2-x", "panel-b-1-x")
    assert discard_copies(root, "panel-a-", but="panel-a-2-") == 2
    assert copies(root) == ("panel-a-2-x", "panel-b-1-x")


def test_without_a_prefix_all_of_them_go(tmp_path):
    root = str(tmp_path)
    make(root, "panel-a-1-x", "panel-source-1")
    assert discard_copies(root) == 2
    assert copies(root) == ()


def test_a_copy_knows_when_it_was_made(tmp_path):
    root = str(tmp_path)
    make(root, "panel-a")
    assert abs(made_at(root, "panel-a") - time.time()) < 60
    assert made_at(root, "never finished") == 0
