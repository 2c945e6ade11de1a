"""The exact tree of depth two on the data with which policytree tests itself, beside its own answer.

    git clone https://github.com/grf-labs/policytree
    python benchmarks/policy/policytree_data.py --data policytree/r-package/policytree/tests/testthat/data

500 rows, ten covariates whose values all differ (so as many bins as rows), three actions; the answer is
policytree's action of every row. Prints a table and, as last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow.csv as pv

from truelift.policy.trees.fit import TreeOptions, fit_trees
from truelift.policy.trees.histograms import CodedRows, SumsInMemory


def read(place: Path) -> np.ndarray:
    """Columns of a file (columns x rows)."""
    return np.stack([column.to_numpy().astype(float) for column in pv.read_csv(place).columns])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    x, y, answer = (read(options.data / f"data_clf_{name}.csv") for name in ("X", "Y", "exact"))
    codes = np.stack([np.unique(row, return_inverse=True)[1] for row in x]).astype(np.uint16)
    rows = CodedRows(codes, y.T.copy(), np.zeros(codes.shape[1], int))
    bins, arms = int(codes.max()) + 1, len(y)
    found = fit_trees(SumsInMemory(rows), len(codes), bins, arms, 1, TreeOptions(2, 1))
    ours, theirs = found.of_all.choose(codes), answer[0].astype(int) - 1
    everyone = np.arange(codes.shape[1])
    figures = {
        "rows": len(theirs), "bins": bins, "rows that differ": int((ours != theirs).sum()),
        "our reward": float(y[ours, everyone].sum()),
        "policytree's reward": float(y[theirs, everyone].sum()),
    }  # fmt: skip
    for name, value in figures.items():
        print(f"  {name:<22}{value:>12,}")
    print(json.dumps({"benchmark": "policytree_data", "figures": figures, "ratios": {}}))


if __name__ == "__main__":
    main()
