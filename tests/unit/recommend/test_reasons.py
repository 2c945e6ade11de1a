"""What ``gold.recommendations.reason`` says of a history."""

from __future__ import annotations

import numpy as np

from tests.unit.models.sequence.test_histories import histories
from truelift.recommend.relevance import reasons


def test_an_item_that_comes_several_times_in_a_session_was_in_one_session():
    h = histories([(1, 0, 0), (1, 1, 0), (2, 2, 0), (1, 3, 1)], [], [(1, 0, 4), (1, 1, 4)])
    user, item = np.array([0, 0, 0, 1, 2]), np.array([1, 2, 3, 1, 1])
    assert reasons(h, user, item) == [
        "in 2 of the user's 2 sessions: sequence model",
        "in 1 of the user's 2 sessions: sequence model",
        "new to the user: sequence model on 2 sessions",
        "no history: popular start of the sequence model",
        "in 1 of the user's 1 sessions: sequence model",
    ]
