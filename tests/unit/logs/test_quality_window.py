"""What a batch is compared with, and when it is out of line."""

from __future__ import annotations

import pytest

from truelift.logs.accounts import Account, Tally, tally_of
from truelift.logs.quality import WINDOW, batch_metrics, drift_ranges, expected_range, trailing_with

NOTHING = Tally(0, 0, 0, {}, {})


def counted(new_rows, rejected=0):
    fresh = Tally(
        new_rows - rejected, rejected, 0, {"missing_user": rejected} if rejected else {}, {}
    )
    kept = {
        "rows": new_rows, "with_quantity": 0, "sum_quantity": 0, "with_value": new_rows,
        "sum_value": 2.0 * new_rows,
    }  # fmt: skip
    return Account(fresh, NOTHING, fresh, kept)


def test_too_few_batches_say_nothing():
    assert expected_range([1, 2, 3, 4]) is None


def test_steady_batches_leave_room_and_a_jump_is_out_of_line():
    low, high = expected_range([1000, 1010, 990, 1005, 995])
    assert low < 900 < 1100 < high
    assert not low <= 100 <= high


def test_equal_batches_leave_room_for_a_twentieth_eight_times():
    assert expected_range([100.0] * 5) == (60.0, 140.0)


def test_the_window_moves_and_a_reason_that_is_gone_counts_as_nothing():
    trailing: dict = {}
    for number in range(WINDOW + 3):
        trailing = trailing_with(trailing, counted(100 + number, rejected=1 if number == 16 else 0))
    assert trailing["new_rows"] == [float(103 + n) for n in range(14)]
    assert trailing["share_missing_user"] == [pytest.approx(1 / 116)]
    trailing = trailing_with(trailing, counted(10))
    assert trailing["share_missing_user"][-1] == 0.0
    assert set(drift_ranges(trailing)) >= {"new_rows", "mean_value", "share_rejected"}


def test_metrics_of_a_batch_are_shares_and_means():
    found = batch_metrics(counted(200, rejected=10))
    assert (found["new_rows"], found["share_rejected"], found["share_missing_user"]) == (
        200,
        0.05,
        0.05,
    )
    assert (found["mean_value"], found["share_without_quantity"]) == (2.0, 1.0)


def test_tallies_add_and_take_away():
    first = tally_of([([], ["zero_value"], 3), (["duplicate"], [], 2), (["missing_user"], [], 1)])
    assert (first.silver, first.duplicates, first.quarantine, first.rows) == (3, 2, 1, 6)
    both = first.plus(first)
    assert both.labels == {"zero_value": 6}
    assert both.plus(first, -1) == first
    assert first.plus(first, -1) == NOTHING
