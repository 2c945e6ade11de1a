"""A training that runs away: what the message names."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.errors import DataError
from truelift.training.divergence import check_loss, check_weights

WHERE = r"epoch 2, step 31, at the learning rate 0\.5\. Lower sequence\.training\.learning_rate"


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_no_finite_number_stops_with_epoch_step_and_rate(loss):
    with pytest.raises(DataError, match=rf"the loss is {loss} in {WHERE}"):
        check_loss(loss, 2, 31, 0.5)
    check_loss(0.0, 2, 31, 0.5)


def test_weights_that_the_last_step_spoilt_stop_before_anything_is_ranked():
    good, bad = np.ones((2, 2)), np.array([1.0, np.inf])
    check_weights([good], 2, 31, 0.5)
    with pytest.raises(DataError, match=rf"a weight is no finite number in {WHERE}"):
        check_weights([good, bad], 2, 31, 0.5)
