"""Rankers on labels by lot, and what the log says of the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from truelift.evaluation.by_lot import below
from truelift.models.sequence.histories import Histories


@dataclass(frozen=True)
class Fixed:
    """Scores as they are given, by user."""

    table: np.ndarray

    def scores(self, histories: Histories) -> np.ndarray:
        return self.table[histories.users.astype(int)]


def people(count: int) -> Histories:
    one = np.ones(count)
    return Histories(
        np.arange(count).astype(object), np.arange(count + 1), one.astype(np.int32),
        one.astype(np.int64), one.astype(np.int32),
    )  # fmt: skip


def test_a_score_is_the_share_of_the_catalogue_below_and_half_of_what_is_level():
    scores = np.array(
        [[9.0, 1.0, 2.0, 2.0, 3.0], [9.0, 4.0, 3.0, 2.0, 1.0]]
    )  # the first is padding
    users, items = np.array([0, 0, 1, 1]), np.array([2, 4, 1, 0])
    found = below(Fixed(scores), people(2), users, items)
    assert found.tolist() == [0.5, 0.875, 0.875, 0.0]


def test_known_figures_stand_beside_those_of_the_log_by_weights():
    """Two groups take items of their own, half of which are shown far more often."""
    rng = np.random.default_rng(3)
    group = np.arange(200) % 2
    often = np.where(np.arange(40) % 4 < 2, 5.0, 1.0)
    liked = (np.arange(40) % 2)[None, :] == group[:, None]
    pull = np.log(often) + 2.5 * liked + rng.gumbel(size=(200, 40))
    taken = np.argsort(-pull, axis=1)[:, :8]
    log = pa.table(
        {
            "user_key": np.repeat(np.arange(200), 8),
            "item_id": taken.ravel(),
            "event_time": np.tile(np.arange(8), 200),
        }
    )
    item = np.array([rng.choice(40, 10, replace=False) for _ in range(200)])
    own = np.repeat(np.arange(200), 10)
    by_lot = pa.table(
        {"user_key": own, "item_id": item.ravel(), "label": liked[own, item.ravel()].astype(int)}
    )
    found = tl.fit_recommender(log, unit="s", seen_items="drop", evaluation=by_lot)
    near, popular = (found.by_lot[n] for n in ("item co-occurrence", "popularity (all time)"))
    assert near["auc"].lower > popular["auc"].upper
    assert near["accuracy"].value > 0.6 > popular["accuracy"].value
    gap = near["auc"].value - popular["auc"].value
    weighted = (
        found.by_logs["item co-occurrence"]["auc"].value
        - found.by_logs["popularity (all time)"]["auc"].value
    )
    assert weighted == pytest.approx(gap, abs=0.15)
    # Without weights popularity looks as if it knew what people like.
    assert found.by_logs["popularity (all time)"]["auc"].value < 0.62
    assert "rows by lot" in str(found) and "from logs" in str(found)


def test_rows_of_strangers_are_counted_and_not_judged():
    log = pa.table(
        {"user_key": [1, 1, 1, 2, 2, 2], "item_id": [1, 2, 3, 3, 2, 1], "event_time": [1, 2, 3] * 2}
    )
    rows = pa.table({"user_key": [1, 1, 2, 9], "item_id": [1, 2, 3, 1], "label": [0, 1, 1, 1]})
    found = tl.fit_recommender(log, unit="s", evaluation=rows)
    assert found.not_judged == 1
    assert found.by_lot[found.best]["auc"].users == 2
    assert (
        not found.by_logs
    )  # everybody has taken everything: the log has nothing to hold it against
