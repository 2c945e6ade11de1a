"""A sample keeps whole users, and the same ones everywhere."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.logs.sampling import in_sample

USERS = pa.array([f"user-{n}" for n in range(20_000)])


def test_share_of_one_keeps_everybody():
    assert in_sample(pa.array(["a", None, ""]), 1.0).tolist() == [True, True, True]


def test_share_kept_is_about_the_share_asked_for():
    assert abs(in_sample(USERS, 0.05).mean() - 0.05) < 0.01


def test_smaller_sample_lies_inside_the_larger():
    small, large = in_sample(USERS, 0.02), in_sample(USERS, 0.2)
    assert small.sum() > 0
    assert not (small & ~large).any()


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", "\u200b", "\ufeff", "\u2060", "\u3000"])
def test_blanks_around_a_user_do_not_matter(blank):
    names = USERS.to_pylist()[:50]
    padded = pa.array([f"{blank}{name}{blank}" for name in names])
    assert in_sample(padded, 0.5).tolist() == in_sample(pa.array(names), 0.5).tolist()


@given(st.lists(st.sampled_from(["a", "b", "c", "d", None]), max_size=20), st.floats(0.01, 0.99))
def test_a_user_is_in_or_out_whatever_the_other_rows(users, share):
    together = in_sample(pa.array(users, pa.string()), share).tolist()
    alone = [bool(in_sample(pa.array([user], pa.string()), share)[0]) for user in users]
    assert together == alone
