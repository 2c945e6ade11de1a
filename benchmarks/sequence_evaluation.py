"""Full-ranking evaluation of 6,000 users over 3,400 items, beside a plain argsort.

    python benchmarks/sequence_evaluation.py --users 6000 --items 3400

Both rank the same random scores, in batches, with seen items dropped, on one thread. truelift's
time is of everything that the evaluation reports: every metric at every cut-off, lists, segments
and cross-products for the tests. The plain evaluation sorts every row and gives NDCG, hit rate
and MRR at one cut-off. The model's own scoring is in neither.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from measuring import Run, measured, publish

from truelift.evaluation.evaluator import CHUNK, EvaluationOptions, Evaluator
from truelift.evaluation.finish import Finish
from truelift.evaluation.measures import Catalogue
from truelift.models.sequence.histories import Histories, ItemSets

K = 10


class Scores:
    """Scores made beforehand, handed out in order."""

    def __init__(self, scores: np.ndarray):
        self.all = scores

    def scores(self, histories: Histories) -> np.ndarray:
        """The rows of these users, whose keys are their numbers."""
        first = int(histories.users[0])
        return self.all[first : first + len(histories)]


def world(users: int, items: int) -> tuple[Histories, ItemSets, np.ndarray]:
    """Random scores, pasts of 150 items on average, one wanted item a user that is not seen."""
    generator = np.random.default_rng(7)
    sizes = generator.integers(20, 281, users)
    pasts = [generator.choice(items, n + 1, replace=False) + 1 for n in sizes]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    past = np.concatenate([p[1:] for p in pasts]).astype(np.int32)
    steps = np.arange(len(past))
    keys = np.arange(users).astype(str).astype(object)
    histories = Histories(keys, offsets, past, steps, steps.astype(np.int32))
    wanted = ItemSets(np.arange(users + 1), np.array([p[0] for p in pasts], dtype=np.int32))
    return histories, wanted, generator.standard_normal((users, items + 1), dtype=np.float32)


def plain(histories: Histories, wanted: ItemSets, scores: np.ndarray) -> dict[str, float]:
    """Sort every row, find the wanted item."""
    found = []
    for start in range(0, len(histories), CHUNK):
        some = histories.slice(start, min(start + CHUNK, len(histories)))
        rows = scores[start : start + len(some)].copy()
        rows[some.owner, some.items] = -np.inf
        rows[:, 0] = -np.inf
        order = np.argsort(-rows, axis=1, kind="stable")
        target = wanted.items[start : start + len(some)]
        found.append(np.argmax(order == target[:, None], axis=1) + 1)
    place = np.concatenate(found)
    inside = place <= K
    return {
        "ndcg": float(np.where(inside, 1 / np.log2(place + 1), 0).mean()),
        "hit_rate": float(inside.mean()),
        "mrr": float(np.where(inside, 1 / place, 0).mean()),
    }


def full(histories: Histories, wanted: ItemSets, rankers: dict[str, Scores]) -> Finish:
    """The evaluation as the jobs run it."""
    counts = np.bincount(histories.items, minlength=next(iter(rankers.values())).all.shape[1])
    catalogue = Catalogue(counts.astype(float), np.arange(len(counts), dtype=np.int32) % 18)
    options = EvaluationOptions(top_k=K, cutoffs=(1, 5, 10, 20), seen_items="drop", step="event")
    evaluator = Evaluator(rankers, catalogue, options)
    state = evaluator.layout.zeros()
    evaluator.add(state, histories, wanted)
    return Finish(evaluator.layout, state, K)


def main() -> None:
    """Time both, and check that they agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=6000)
    parser.add_argument("--items", type=int, default=3400)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", default="benchmarks/results/sequence_evaluation.json")
    given = parser.parse_args()
    histories, wanted, scores = world(given.users, given.items)
    runs = {name: Run() for name in ("one ranker", "seven rankers", "plain argsort")}
    others = {f"baseline {n}": Scores(np.roll(scores, n, axis=1)) for n in range(1, 7)}
    for _ in range(given.repeats):
        finish = measured(
            runs["one ranker"], lambda: full(histories, wanted, {"model": Scores(scores)})
        )
        measured(
            runs["seven rankers"],
            lambda: full(histories, wanted, {"model": Scores(scores), **others}),
        )
        expected = measured(runs["plain argsort"], lambda: plain(histories, wanted, scores))
    for name, value in expected.items():
        found = finish.mean("model", name, K)
        assert abs(found - value) < 1e-9, (name, found, value)
    figures = {name: run.figures(given.users) for name, run in runs.items()}
    seconds = {name: found["seconds"] for name, found in figures.items()}
    publish(
        "sequence_evaluation",
        given.users,
        figures,
        {"seconds, one ranker over plain argsort": round(
            seconds["one ranker"] / seconds["plain argsort"], 3)},
        given.out,
    )  # fmt: skip


if __name__ == "__main__":
    main()
