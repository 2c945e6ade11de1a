"""The time since the interaction before, in buckets of powers of two."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from truelift.features.sequences import gap_codes
from truelift.models.sequence.sides import LONGEST_GAP, gap_buckets


@given(st.lists(st.lists(st.integers(0, 10**15), max_size=6), max_size=4))
def test_gap_buckets_agree_with_the_definition(users):
    users = [sorted(u) for u in users]
    times = np.array([t for u in users for t in u], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum([len(u) for u in users], dtype=np.int64)])
    expected = [
        0
        if place == 0 or time == 0 or user[place - 1] == 0
        else min((1 + (time - user[place - 1]) // 10**6).bit_length(), LONGEST_GAP)
        for user in users
        for place, time in enumerate(user)
    ]
    assert gap_buckets(times, offsets.astype(np.int64)).tolist() == expected


def test_a_gap_of_an_hour_is_in_bucket_twelve():
    hour = gap_buckets(np.array([1, 1 + 3600 * 10**6]), np.array([0, 2]))[1]
    assert hour == 1 + math.floor(math.log2(3601)) == 12


@given(st.lists(st.integers(1, 2 * 10**12), min_size=1, max_size=9))
def test_a_request_gets_the_buckets_of_the_table(times):
    times = np.sort(np.array(times, dtype=np.int64)) * 1000
    ours = gap_buckets(times, np.array([0, len(times)]))
    assert ours.tolist() == gap_codes(np.zeros(len(times), np.int64), times).tolist()
