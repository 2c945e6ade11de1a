"""Counts of all families of a large network: seconds and memory for rows that are drawn from it.

    python benchmarks/graph/counts.py [--network munin.bif.gz] [--rows 1e7] [--threads 2] [--out FILE]

The network is a BIF file, such as munin (1,041 nodes) of the wheel of pgmpy 1.1.2, `pgmpy/utils/example_models/`; the
rows are drawn from it batch by batch, and each is seen once. Counted are the seconds of counting and of making
tables, not of drawing. Published beside it: pgmpy fits munin's tables by maximum likelihood on 1,000 rows
in 23.5 s. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import time
from pathlib import Path

import numpy as np
from numba import njit

from truelift.graph.formats.bif import read_bif
from truelift.graph.network.counts import FamilyCounts
from truelift.graph.network.model import BayesianNetwork
from truelift.graph.network.parameters import Prior, table_of


@njit(nogil=True)
def _draw(uniform, parents, strides, above, out):
    for i in range(len(uniform)):
        row = 0
        for k in range(len(parents)):
            row += strides[k] * parents[k, i]
        value = 0
        while value < above.shape[1] - 1 and uniform[i] >= above[row, value]:
            value += 1
        out[i] = value


def draw(
    network: BayesianNetwork, order: list[str], rows: int, rng: np.random.Generator
) -> np.ndarray:
    place = {name: number for number, name in enumerate(network.levels)}
    codes = np.zeros((len(place), rows), np.uint8)
    for name in order:
        table = network.tables[name]
        above = np.cumsum(table, axis=-1).reshape(-1, table.shape[-1])
        strides = np.array(
            [int(np.prod(table.shape[i + 1 : -1])) for i in range(table.ndim - 1)], np.int64
        )
        parents = codes[[place[p] for p in network.parents[name]]].reshape(len(strides), rows)
        _draw(rng.random(rows), parents, strides, above, codes[place[name]])
    return codes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="munin.bif.gz")
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=10_000_000)
    parser.add_argument("--batch", type=int, default=200_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out")
    args = parser.parse_args()
    raw = Path(args.network).read_bytes()
    text = gzip.decompress(raw) if args.network.endswith(".gz") else raw
    network = read_bif(text.decode(), args.network)
    sizes = {name: len(levels) for name, levels in network.levels.items()}
    rng, order = np.random.default_rng(0), network.order()
    FamilyCounts(sizes, network.parents, args.threads).add(
        draw(network, order, 100, rng)
    )  # compiles
    counts = FamilyCounts(sizes, network.parents, args.threads)
    seconds = cpu = 0.0
    for start in range(0, args.rows, args.batch):
        codes = draw(network, order, min(args.batch, args.rows - start), rng)
        began, used = time.perf_counter(), time.process_time()
        counts.add(codes)
        seconds += time.perf_counter() - began
        cpu += time.process_time() - used
    began = time.process_time()
    tables = {name: table_of(counts, name, Prior()) for name in sizes}
    making = time.process_time() - began
    off = max(
        float(
            np.abs(table - network.tables[name])[counts.table(name).sum(axis=-1) > 10_000].max(
                initial=0.0
            )
        )
        for name, table in tables.items()
    )
    result = {
        "benchmark": "counts", "network": Path(args.network).name, "nodes": len(sizes), "rows": counts.rows,
        "cells": sum(t.size for t in tables.values()), "threads": args.threads,
        "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "cpu_seconds_tables": round(making, 2),
        "largest_error_of_rows_above_10000": round(off, 4),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }  # fmt: skip
    if args.out:
        Path(args.out).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
