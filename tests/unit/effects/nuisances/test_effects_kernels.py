"""The small parts: numbers of any type, steps of the logistic fit, start rows."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import strategies as st

from truelift.effects.nuisances.propensity import PropensityFit, loss_sums
from truelift.effects.panel.columns import number_column
from truelift.effects.panel.start import start_buckets

TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=30)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, None]), [1.0, np.nan]),
        (pa.array([True, False]), [1.0, 0.0]),
        (pa.array([Decimal("1.5"), None]), [1.5, np.nan]),
        (pa.array([2.5, -1.0], pa.float32()), [2.5, -1.0]),
    ],
)
def test_numbers_of_any_type_become_doubles_and_nulls_nan(column, expected):
    batch = pa.RecordBatch.from_arrays([column], ["x"])
    np.testing.assert_array_equal(number_column(batch, "x"), expected)


def test_a_step_that_makes_the_loss_worse_is_halved():
    rng = np.random.default_rng(3)
    block = np.vstack([np.ones(400), rng.normal(size=400)])
    arm = (rng.random(400) < 1 / (1 + np.exp(-2 * block[1]))).astype(int)
    far = np.array([[0.0, 8.0]])  # a full Newton step from here overshoots
    fit = PropensityFit.start(far, 1)
    losses = []
    for _ in range(30):
        loss, ascent, hessian = loss_sums(block, arm, fit.coefficients[0])
        losses.append(loss)
        rows = np.array([400.0])
        fit = fit.step(np.array([loss]), ascent[None], hessian[None], rows, np.zeros((1, 2)))
    assert max(losses[1:]) > losses[0]
    assert fit.remaining < 1e-20
    _, ascent, _ = loss_sums(block, arm, fit.coefficients[0])
    assert np.abs(ascent).max() < 1e-8


def test_start_rows_come_from_few_buckets_of_a_large_table_and_all_of_a_small_one():
    large = start_buckets(dict.fromkeys(range(40), 1_000_000), 20_000)
    small = start_buckets(dict.fromkeys(range(40), 100), 20_000)
    assert (len(large.buckets), large.rows_each) == (1, 20_000)
    assert (len(small.buckets), small.rows_each) == (40, 500)
