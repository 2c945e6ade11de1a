"""What a recommendation rests on, for a model whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.models.sequence.test_histories import histories
from truelift.recommend.attribution import attributions


class LastItem:
    """The next item is that after the last one; what came before does not matter."""

    def scores(self, given):
        found = np.zeros((len(given), 6))
        for user in range(len(given)):
            own = given.items[given.offsets[user] : given.offsets[user + 1]]
            if len(own):
                found[user, own[-1] + 1] = 2.0
        return found


def test_only_what_the_model_looks_at_is_credited():
    history = histories([(4, 0, 0), (1, 1, 1), (3, 2, 2)], [(2, 0, 0)])
    first, second = attributions(LastItem(), history, [4, 3], latest=2)
    with_it = 2 - np.log(np.exp(2) + 4)
    assert first.recent.tolist() == [3, 1]
    assert first.gains == pytest.approx([with_it - (-np.log(np.exp(2) + 4)), 0.0])
    assert second.user_key == "u1"
    assert second.gains == pytest.approx([with_it - np.log(1 / 5)])
