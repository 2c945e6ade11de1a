"""How well do labels that people chose to give predict labels drawn by lot, with and without corrections?

    python benchmarks/loop/exposure.py --train FILE --test FILE [--positive 3] [--out FILE]
    python benchmarks/loop/exposure.py --simulate 5

A file is a matrix of numbers between blanks (a line a user, 0 where nothing was rated), or lines
``user,item,label`` (also between blanks or tabs, with or without a heading). ``--positive`` is the least
label that counts as positive: by default 3 for labels of up to 5, and otherwise the largest. No row of the
test is looked at before the last table: settings, corrections and the champion are chosen by rows of the
training file that were left out, with chances from its exposures alone. NDCG is the mean over users with
a positive row in the test, each among their own. Prints, as last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import truelift as tl
from truelift.errors import TrueliftError
from truelift.models.factors.corrected import CorrectionOptions

SETTINGS = (
    CorrectionOptions(penalty=0.03, bias_penalty=0.02, members=10),
    CorrectionOptions(penalty=0.01, bias_penalty=0.02, members=10),
    CorrectionOptions(penalty=0.03, bias_penalty=0.08, members=10),
    CorrectionOptions(penalty=0.1, bias_penalty=0.02, rank=2, members=10),
)


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


def simulated(
    seed: int, users: int = 300, items: int = 300, each: int = 24, drawn: int = 16
) -> tuple[pa.Table, pa.Table]:
    """Ratings of 1 to 5: some that people choose, the more they like an item, and others by lot."""
    rng = np.random.default_rng(seed)
    p, q = rng.normal(size=(users, 6)), rng.normal(size=(items, 6))
    liking = 0.5 * rng.normal(size=(users, 1)) + 0.5 * rng.normal(size=items)
    liking = liking + 0.7 * (p @ q.T) / np.sqrt(6) + 0.8 * rng.normal(size=(users, items))
    rating = np.digitize(liking, [-0.8, 0.2, 0.9, 1.6]) + 1.0
    pull = 0.45 * liking + 0.8 * rng.normal(size=items) + rng.gumbel(size=(users, items))
    order = np.argsort(-pull, axis=1)
    owner = np.arange(users)[:, None]
    by_lot = rng.permuted(order[:, each:], axis=1)[:, :drawn]
    found = []
    for chosen in (order[:, :each], by_lot):
        found.append(
            as_table(
                np.repeat(owner, chosen.shape[1]), chosen.ravel(), rating[owner, chosen].ravel()
            )
        )
    return found[0], found[1]


def measured(train: pa.Table, test: pa.Table, positive: float, top_k: int) -> dict[str, Any]:
    """The champion of all settings and label kinds, beside the plain model of the same setting."""
    began = time.process_time()
    binary = (train["label"].to_numpy() >= positive).astype(float)
    kinds = {"grades": (train, positive)}
    kinds["two labels"] = (train.set_column(2, "label", pa.array(binary)), 1.0)
    best: tuple[float, Any] = (-1.0, None)
    for kind, (rows, least) in kinds.items():
        for options in SETTINGS:
            fitted = tl.fit_preferences(
                rows,
                positive=least,
                corrections=(),
                top_k=top_k,
                folds=3,
                options=replace(options, members=1),
            )
            value = fitted.logs["none"]["auc"].value
            best = max(best, (value, (kind, options)), key=lambda pair: pair[0])
    kind, options = best[1]
    rows, least = kinds[kind]
    marks = (test["label"].to_numpy() >= positive).astype(float)
    judged = test.set_column(2, "label", pa.array(marks if least == 1.0 else test["label"]))
    found = tl.fit_preferences(
        rows, positive=least, evaluation=judged, top_k=top_k, options=options
    )
    print(found)
    told = {
        name: {m: [round(x, 4) for x in (j.value, j.lower, j.upper)] for m, j in own.items()}
        for name, own in found.evaluation.items()
    }
    gain = found.evaluation[found.champion]["auc"].less(found.evaluation["none"]["auc"])
    return {
        "labels": kind, "penalty": options.penalty, "bias_penalty": options.bias_penalty,
        "rank": options.rank, "champion": found.champion, **told[found.champion], "all": told,
        "less_uncorrected_auc": [round(x, 4) for x in (gain.value, gain.lower, gain.upper)],
        "cpu_seconds": round(time.process_time() - began, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train")
    parser.add_argument("--test")
    parser.add_argument("--positive", type=float)
    parser.add_argument("--top-k", type=int, default=5)
    parser.add_argument("--simulate", type=int, default=0, help="so many simulated worlds")
    parser.add_argument("--out")
    asked = parser.parse_args()
    if asked.simulate < 1 and not (asked.train and asked.test):
        parser.error("expected --train and --test, or --simulate N.")
    figures: dict[str, Any] = {}
    for seed in range(1, asked.simulate + 1):
        figures[f"simulated {seed}"] = measured(*simulated(seed), 3.0, asked.top_k)
    if asked.train:
        train, test = (as_table(*read(path)) for path in (asked.train, asked.test))
        largest = float(np.max(train["label"].to_numpy()))
        least = asked.positive or (3.0 if 1 < largest <= 5 else largest)
        figures |= measured(train, test, least, asked.top_k)
    told = {"benchmark": "exposure", "figures": figures, "ratios": {}}
    if asked.out:
        Path(asked.out).write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    try:
        main()
    except TrueliftError as error:
        raise SystemExit(str(error)) from None
