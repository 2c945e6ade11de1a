"""Whether edges come in new samples as often as discovery says.

    python benchmarks/graph/edge_chances.py [--method pc] [--worlds 100] [--rows 1000] [--out FILE]

A world is a linear Gaussian graph of 8 columns whose arrows are there with chance .3 and have coefficients of .03 to .3, many of
them near what the rows can show. Each is learned once, with 100 graphs of halves; 20 new samples of half as many rows then say how
often each pair has an edge. Pairs of all worlds are put into ten bins by what was said: by the frequency in halves, and by the chance
that is made of it. A bin's figures are its pairs, what was said on average, and in which share of the new samples the edges came.
Pairs that no graph of a half has are not told of; they count as said to be 0.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa

import truelift as tl

COLUMNS, GRAPHS, NEW = 8, 100, 20
#: Bins of fewer pairs say little of how far they are off.
_FEWEST = 20
NAMES = [f"c{j}" for j in range(COLUMNS)]
PLACE = {frozenset(pair): i for i, pair in enumerate(combinations(NAMES, 2))}


def drawn(coefficients: np.ndarray, rows: int, rng: np.random.Generator) -> pa.Table:
    values = np.zeros((rows, COLUMNS))
    for j in range(COLUMNS):
        values[:, j] = values @ coefficients[:, j] + rng.normal(size=rows)
    return pa.table(dict(zip(NAMES, values.T, strict=True)))


def one_world(seed: int, rows: int, method: str) -> np.ndarray:
    """By pair: frequency, chance, and the share of new samples."""
    rng = np.random.default_rng(seed)
    shape = (COLUMNS, COLUMNS)
    there = np.triu(rng.random(shape) < 0.3, 1)
    coefficients = there * rng.uniform(0.03, 0.3, shape) * rng.choice([-1, 1], shape)
    keys = {"method": method, "share": 1.0, "floor": 0.0}
    told = np.zeros((3, len(PLACE)))
    whole = tl.discover(drawn(coefficients, rows, rng), graphs=GRAPHS, **keys)
    for edge in whole.edges:
        told[:2, PLACE[frozenset((edge.first, edge.second))]] = edge.frequency, edge.chance
    for _ in range(NEW):
        found = tl.discover(drawn(coefficients, rows // 2, rng), graphs=0, **keys)
        for edge in found.edges:
            told[2, PLACE[frozenset((edge.first, edge.second))]] += bool(edge.line) / NEW
    return told


def binned(said: np.ndarray, came: np.ndarray) -> list[dict[str, float]]:
    place = np.clip((said * 10).astype(int), 0, 9)
    return [
        {"pairs": int(own.sum()), "said": round(float(said[own].mean()), 3), "came": round(float(came[own].mean()), 3)}
        for own in (place == b for b in range(10))
        if own.any()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("--method", choices=["pc", "order"], default="pc")
    parser.add_argument("--worlds", type=int, default=100)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    used = time.process_time()
    told = np.concatenate(
        [one_world(args.seed + w, args.rows, args.method) for w in range(args.worlds)], axis=1
    )
    figures = {}
    for name, said in (("frequency", told[0]), ("chance", told[1])):
        bins = binned(said, told[2])
        worst = max(abs(b["said"] - b["came"]) for b in bins if b["pairs"] >= _FEWEST)
        figures[name] = {"bins": bins, "worst": round(worst, 3)}
        print(name)
        for b in bins:
            print(f"  {b['pairs']:>6} pairs  said {b['said']:.3f}  came {b['came']:.3f}")
    result = {
        "benchmark": "edge_chances", "method": args.method, "worlds": args.worlds, "rows": args.rows,
        "figures": figures, "cpu_seconds": round(time.process_time() - used, 1),
    }  # fmt: skip
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
