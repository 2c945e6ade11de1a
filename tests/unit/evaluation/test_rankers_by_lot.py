"""Rankers on labels by lot, and what the log says of the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from truelift.evaluation.by_lot import LabelledPairs, below, by_rows, by_weights, fresh
from truelift.evaluation.by_lot_rows import LotRows
from truelift.evaluation.by_lot_table import LotKernel, told
from truelift.evaluation.splits import LeaveOneOut
from truelift.evaluation.unbiased import Judged
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
    rows = pa.table({"user_key": [1, 2, 9], "item_id": [3, 1, 1], "label": [0, 1, 1]})
    found = tl.fit_recommender(log, unit="s", evaluation=rows)
    assert found.not_judged == 1
    assert found.by_lot[found.best]["auc"].users == 2
    assert (
        not found.by_logs
    )  # everybody has taken everything: the log has nothing to hold it against


def test_rows_of_what_a_user_had_that_come_again_or_contradict_judge_nothing():
    rows = LabelledPairs(
        np.array([0, 0, 0, 1, 1, 1, 0]), np.array([1, 2, 2, 3, 3, 0, 0]),
        np.array([True, True, True, True, False, True, False]),
    )  # fmt: skip
    kept, left = fresh(rows, people(2), 3)
    assert left == {"known": 1, "repeated": 1, "contradicted": 2}
    assert sorted(zip(kept.users.tolist(), kept.items.tolist(), kept.labels.tolist(), strict=True)) == [
        (0, 0, False), (0, 2, True), (1, 0, True),
    ]  # fmt: skip


def test_a_row_twice_in_the_table_counts_once_and_a_row_of_the_history_not_at_all():
    log = pa.table(
        {
            "user_key": np.repeat([1, 2, 3], 3), "item_id": [1, 2, 3, 3, 2, 4, 5, 1, 2],
            "event_time": np.tile([1, 2, 3], 3),
        }
    )  # fmt: skip
    users, items, labels = [1, 1, 2, 2, 3, 3], [4, 5, 1, 5, 3, 4], [0, 1, 1, 0, 1, 0]
    plain = pa.table({"user_key": users, "item_id": items, "label": labels})
    more = pa.table(
        {"user_key": [*users, 1, 2, 1], "item_id": [*items, 5, 5, 1], "label": [*labels, 1, 0, 1]}
    )
    once, twice = (tl.fit_recommender(log, unit="s", evaluation=rows) for rows in (plain, more))
    assert twice.not_judged - once.not_judged == 3
    for name, figures in once.by_lot.items():
        assert figures["auc"].value == twice.by_lot[name]["auc"].value
        assert figures["auc"].lower == twice.by_lot[name]["auc"].lower


def histories(count: int, generator) -> Histories:
    sizes = generator.integers(1, 7, count)
    size = int(sizes.sum())
    return Histories(
        np.array([f"{u:03d}" for u in range(count)], dtype=object), np.r_[0, np.cumsum(sizes)],
        generator.integers(1, 13, size).astype(np.int32), np.arange(size), np.arange(size, dtype=np.int32),
    )  # fmt: skip


def sequences(own: Histories) -> pa.Table:
    rows = [slice(a, b) for a, b in zip(own.offsets[:-1], own.offsets[1:], strict=True)]
    return pa.table(
        {
            "user_key": own.users.tolist(), "item_index": [own.items[r].tolist() for r in rows],
            "event_time": [own.times[r].tolist() for r in rows],
            "session_number": [own.sessions[r].tolist() for r in rows],
        }
    )  # fmt: skip


def test_the_lake_s_figures_do_not_depend_on_buckets_and_nothing_held_out_is_known():
    rng = np.random.default_rng(4)
    own, split = histories(60, rng), LeaveOneOut("event")
    rows = LotRows(
        np.array([f"{u:03d}" for u in range(10, 70)], dtype=object), rng.integers(0, 60, 900),
        rng.integers(1, 13, 900), rng.random(900) < 0.4, 3,
    )  # fmt: skip
    table = rng.random((70, 13))
    kernel = LotKernel({"model": Fixed(table)}, split, 12, rows, 2**63 - 1, 7)
    whole = sequences(own)
    parts = [whole.take(pa.array(p)) for p in np.array_split(rng.permutation(60), 7)]
    popularity = np.bincount(split.training(own).items, minlength=13).astype(float)
    one, many = (
        told(pa.concat_tables(made), ("model",), rows, popularity, 5, "labels.csv")
        for made in ([kernel(0, {"sequences": whole})], [kernel(b, {"sequences": p}) for b, p in enumerate(parts)])
    )  # fmt: skip
    assert one == many
    assert one.rows + one.known + one.repeated + one.contradicted + one.strangers == 903
    # In plain Python: what the training part has is no test, and each cell counts once.
    known = split.training(own)
    had = {(known.users[u], int(i)) for u, i in zip(known.owner, known.items, strict=True)}
    somebody = set(known.users[np.diff(known.offsets) > 0].tolist())
    cells: dict[tuple[str, int], list[bool]] = {}
    for u, i, label in zip(rows.owner, rows.items, rows.labels, strict=True):
        if (user := str(rows.users[u])) in somebody and (user, int(i)) not in had:
            cells.setdefault((user, int(i)), []).append(bool(label))
    judged = {cell: own for cell, own in cells.items() if len(set(own)) == 1}
    assert one.rows == len(judged)
    score, good = [], []
    for (user, item), label in judged.items():
        line = table[int(user), 1:]
        score.append((line < line[item - 1]).mean() + 0.5 / 12)
        good.append(label[0])
    fixed = one.figure("model", "auc")
    right, wrong = (
        np.array([s for s, g in zip(score, good, strict=True) if g == k]) for k in (True, False)
    )
    higher = right[:, None] > wrong[None]
    level = np.isclose(right[:, None], wrong[None])
    assert fixed.value == pytest.approx(np.where(level, 0.5, higher).mean())
    assert fixed.logs is not None


def asked(seed: int) -> dict[str, Judged]:
    """Rows by lot of 150 users, some of whom like more than others."""
    draws = np.random.default_rng(seed)
    owner = np.repeat(np.arange(150), 12)
    score = draws.normal(size=len(owner)) + 0.5 * draws.normal(size=150)[owner]
    liked = draws.random(len(owner)) < 1 / (1 + np.exp(1 - score - draws.normal(size=150)[owner]))
    return by_rows(LabelledPairs(owner, np.ones_like(owner), liked), score, 5)


def logged(seed: int) -> dict[str, Judged]:
    """One to three taken of 50 items, the popular more often, and 20 drawn, of 200 users."""
    draws, fame = np.random.default_rng(seed), 1 / np.arange(1.0, 51)
    level = 0.6 * draws.normal(size=200)
    owner = np.r_[
        np.repeat(np.arange(200), draws.integers(1, 4, 200)), np.repeat(np.arange(200), 20)
    ]
    taken = np.arange(len(owner)) < len(owner) - 4_000
    item = np.where(taken, draws.choice(50, len(owner), p=fame / fame.sum()), 0) + 1
    score = draws.normal(size=len(owner)) + taken + level[owner]
    return by_weights(LabelledPairs(owner, item, taken), score, np.r_[0, 1 / fame], 0.5)


@pytest.mark.parametrize("drawn", [asked, logged])
def test_intervals_count_that_the_cut_lies_where_as_many_are_foretold_as_are(drawn):
    told = [drawn(seed) for seed in range(60)]
    for measure in ("auc", "accuracy", "recall", "precision", "f1"):
        value, half = np.array(
            [(t[measure].value, t[measure].upper - t[measure].value) for t in told]
        ).T
        assert half.mean() / 1.97 == pytest.approx(value.std(), rel=0.3)
    for one in told:
        # As many foretold as are: recall, precision and F1 are one figure, but for the row at the cut.
        halves = [one[m].upper - one[m].value for m in ("recall", "precision", "f1")]
        assert halves == pytest.approx([halves[0]] * 3, rel=0.05)
