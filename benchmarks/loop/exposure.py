"""How well do labels that people chose to give predict labels drawn by lot, with and without corrections?

    python benchmarks/loop/exposure.py --train FILE --test FILE [--users FILE --items FILE] [--positive 3] [--out FILE]
    python benchmarks/loop/exposure.py --simulate 2 [--kinds rating,popularity,taste,position]
    python benchmarks/loop/exposure.py --movielens

A file is a matrix of numbers between blanks (a line a user, a column an item, 0 where nothing was rated), or
lines ``user,item,label`` (also between blanks or tabs, with or without a heading); both name users and items by
numbers, a matrix from 0. ``--users`` and ``--items`` are features: a matrix with a line each, or CSV with a
heading whose first column is the name. ``--positive`` is the least label that counts as positive: by default 3 for
labels of up to 5, and otherwise the largest.

No row of the test is looked at before the last table: how labels are graded, corrections and the champion are
chosen by rows of the training file that were left out, with chances from its exposures alone. NDCG and recall at k
are means over users with a positive row in the test, each among their own rows. ``--simulate`` makes people with
kinds of items that they like (300 people, 24 labels that they chose and 16 by lot), who choose by what they will
rate, by what is popular, by their taste, or by what stands in front. ``--movielens`` holds out ratings of MovieLens-100k so that
films come alike often in the test, in place of by how popular they are (who rated them stays chosen). Prints, as last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

import truelift as tl
from truelift.errors import TrueliftError
from truelift.models.factors.corrected import CORRECTIONS, CorrectionOptions

# From so many rows on there are fewer folds and passes.
MANY_ROWS = 50_000
KINDS = ("rating", "popularity", "taste", "position")


def read(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, items and labels of a file of either kind."""
    lines = [line for line in Path(path).read_text().splitlines() if line.strip()]
    cells = [line.replace(",", " ").replace(";", " ").replace("\t", " ").split() for line in lines]
    try:
        [float(x) for x in cells[0][2:3]]
    except ValueError:
        cells = cells[1:]
    if not cells or len(cells[0]) < 3:
        raise SystemExit(f"{path}: found no lines of three or more numbers.")
    if "," not in lines[0] and len(cells[0]) > 4:
        rated = np.array(cells, dtype=float)
        user, item = np.nonzero(rated)
        return user, item, rated[user, item]
    table = np.array([row[:3] for row in cells])
    return table[:, 0], table[:, 1], table[:, 2].astype(float)


def as_table(users: Any, items: Any, labels: np.ndarray) -> pa.Table:
    """A row a user and item; the last label of a cell counts."""
    keys = [f"{u}\t{i}" for u, i in zip(users, items, strict=True)]
    last = sorted({key: place for place, key in enumerate(keys)}.values())
    names = {"user_key": users, "item_id": items}
    texts = {n: pa.array([str(x) for x in np.asarray(v)[last]]) for n, v in names.items()}
    return pa.table({**texts, "label": np.asarray(labels, float)[last]})


def features(path: str, key: str, heading: str) -> pa.Table:
    """Features by name: a matrix (its lines are numbered from 0), or CSV with a heading."""
    first = Path(path).read_text().splitlines()[0]
    try:
        [float(x) for x in first.replace(",", " ").split()]
    except ValueError:
        table = csv.read_csv(path)
        return table.rename_columns([heading, *table.column_names[1:]])
    values = np.loadtxt(path, delimiter="," if "," in first else None, ndmin=2)
    columns = {f"{key}_{k}": values[:, k] for k in range(values.shape[1])}
    return pa.table({heading: [str(n) for n in range(len(values))], **columns})


def simulated(kind: str, seed: int, people: int = 300, each: int = 24, drawn: int = 16) -> Rows:
    """Ratings of 1 to 5 of as many items as people: some that people choose, and others by lot."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    group, of_item = rng.integers(2, size=people), rng.integers(2, size=people)
    shape, colour = rng.integers(16, size=people), rng.integers(13, size=people)
    same = 2.0 * (group[:, None] == of_item) - 1
    by_shape = rng.normal(size=(people, 16))[:, shape]
    by_colour = rng.normal(size=(people, 13))[:, colour]
    p, q = rng.normal(size=(people, 4)), rng.normal(size=(people, 4))
    liking = 0.55 * rng.normal(size=(people, 1)) + 0.35 * rng.normal(size=people) + 0.17 * p @ q.T
    liking = liking + 0.5 * same + 0.4 * by_shape + 0.3 * by_colour
    liking = liking + 0.85 * rng.normal(size=(people, people))
    liking /= liking.std()
    rating = np.digitize(liking, [-0.55, 0.2, 0.75, 1.4]) + 1.0
    known, front = rng.normal(size=people), rng.random(people) < 0.25
    place = np.argsort(np.argsort(-(front + 0.5 * liking.mean(axis=0) + rng.normal(size=people))))
    pull = {
        "rating": 0.5 * rating + 0.5 * known,
        "popularity": 1.3 * known + 0.4 * liking.mean(axis=0),
        "taste": 0.3 * liking + 0.9 * same + 0.7 * by_shape + 0.5 * by_colour + 0.4 * known,
        "position": 0.3 * liking - 1.2 * np.log1p(place),
    }[kind] + rng.gumbel(size=(people, people))
    order = np.argsort(-pull, axis=1)
    owner = np.arange(people)[:, None]
    found = [
        as_table(np.repeat(np.arange(people), c.shape[1]), c.ravel(), rating[owner, c].ravel())
        for c in (order[:, :each], rng.permuted(order[:, each:], axis=1)[:, :drawn])
    ]
    names = [str(n) for n in range(people)]
    of_users = pa.table({"user_key": names, "group": [f"g{g}" for g in group]})
    of_items = {"front": front, "group": [f"g{g}" for g in of_item]}
    texts = {"shape": [f"s{s}" for s in shape], "colour": [f"c{c}" for c in colour]}
    return Rows(found[0], found[1], of_users, pa.table({"item_id": names, **of_items, **texts}))


def movielens(most: int = 20, seed: int = 1) -> Rows:
    """MovieLens-100k; of every film as many ratings in the test, at most a fifth of its own."""
    from causal_data import ratings_of

    rows = ratings_of(None)
    rng = np.random.default_rng(seed)
    rows = rows[rng.permutation(len(rows))]
    film = np.unique(rows[:, 1], return_inverse=True)[1]
    order = np.argsort(film, kind="stable")
    times = np.bincount(film)
    place = np.empty(len(film), int)
    place[order] = np.arange(len(film)) - (np.cumsum(times) - times)[film[order]]
    held = place < np.minimum(times // 5, most // 5)[film]
    tables = [
        as_table(part[:, 0].astype(int), part[:, 1].astype(int), part[:, 2])
        for part in (rows[~held], rows[held])
    ]
    return Rows(tables[0], tables[1])


@dataclass(frozen=True)
class Rows:
    """Rows that people chose, rows by lot, and what is known of users and items."""

    train: pa.Table
    test: pa.Table
    users: pa.Table | None = None
    items: pa.Table | None = None


def measured(
    rows: Rows, positive: float, top_k: int, corrections: tuple[str, ...]
) -> dict[str, Any]:
    """The champion, with labels graded or not as rows left out have it, beside the plain model."""
    began = time.process_time()
    many = rows.train.num_rows > MANY_ROWS
    options = CorrectionOptions(sweeps=80, kept=25) if many else CorrectionOptions()
    asked: dict[str, Any] = {
        "top_k": top_k, "user_features": rows.users, "item_features": rows.items, "folds": 2 if many else 4,
    }  # fmt: skip
    binary = (rows.train["label"].to_numpy() >= positive).astype(float)
    graded = {
        "grades": (rows.train, positive),
        "two labels": (rows.train.set_column(2, "label", pa.array(binary)), 1.0),
    }
    if len(np.unique(rows.train["label"].to_numpy())) == 2:
        del graded["grades"]
    kind, least, best = "two labels", 1.0, -1.0
    if len(graded) > 1:
        fewer = replace(options, sweeps=options.sweeps // 2, kept=options.kept // 2)
        for name, (table, threshold) in graded.items():
            tried = tl.fit_preferences(
                table, positive=threshold, corrections=(), options=fewer, **asked
            ).logs["none"]["auc"]
            if tried.value > best:
                kind, least, best = name, threshold, tried.value
    marks = (rows.test["label"].to_numpy() >= positive).astype(float)
    judged = rows.test.set_column(
        2, "label", pa.array(marks if kind == "two labels" else rows.test["label"])
    )
    found = tl.fit_preferences(
        graded[kind][0], positive=least, evaluation=judged, corrections=corrections,
        options=options, **asked,
    )  # fmt: skip
    print(found, flush=True)
    told = {
        name: {m: [round(x, 4) for x in (j.value, j.lower, j.upper)] for m, j in own.items()}
        for name, own in found.evaluation.items()
    }
    gains = {
        m: found.evaluation[found.champion][m].less(found.evaluation["none"][m])
        for m in ("auc", "ndcg", "recall_at_k")
    }
    return {
        "labels": kind, "champion": found.champion, **told[found.champion], "all": told,
        "less_uncorrected": {
            m: [round(x, 4) for x in (g.value, g.lower, g.upper)] for m, g in gains.items()
        },
        "cpu_seconds": round(time.process_time() - began, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train")
    parser.add_argument("--test")
    parser.add_argument("--users", help="features of users")
    parser.add_argument("--items", help="features of items")
    parser.add_argument("--positive", type=float)
    parser.add_argument("--top-k", type=int, default=5)
    parser.add_argument("--simulate", type=int, default=0, help="so many worlds of each kind")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--movielens", action="store_true")
    parser.add_argument("--corrections", default=",".join(CORRECTIONS))
    parser.add_argument("--out")
    asked = parser.parse_args()
    if asked.simulate < 1 and not asked.movielens and not (asked.train and asked.test):
        parser.error("expected --train and --test, --simulate N, or --movielens.")
    corrections = tuple(asked.corrections.split(","))
    figures: dict[str, Any] = {}
    for kind in asked.kinds.split(",") if asked.simulate else ():
        for seed in range(1, asked.simulate + 1):
            rows = simulated(kind, seed)
            for name, own in (
                ("", replace(rows, users=None, items=None)),
                (" with features", rows),
            ):
                print(f"{kind} {seed}{name}")
                found = measured(own, 3.0, asked.top_k, corrections)
                figures[f"{kind} {seed}{name}"] = found
    if asked.movielens:
        figures["movielens"] = measured(movielens(), 4.0, asked.top_k, corrections)
    if asked.train:
        train, test = (as_table(*read(path)) for path in (asked.train, asked.test))
        largest = float(np.max(train["label"].to_numpy()))
        least = asked.positive or (3.0 if 1 < largest <= 5 else largest)
        users, items = (
            features(path, key, heading) if path else None
            for path, key, heading in (
                (asked.users, "user", "user_key"), (asked.items, "item", "item_id")
            )
        )  # fmt: skip
        figures |= measured(Rows(train, test, users, items), least, asked.top_k, corrections)
    told = {"benchmark": "exposure", "figures": figures, "ratios": {}}
    if asked.out:
        Path(asked.out).write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    try:
        main()
    except TrueliftError as error:
        raise SystemExit(str(error)) from None
