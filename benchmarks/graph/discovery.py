"""Graphs learned from samples of networks that are known, beside the published figures of causal-learn.

    python benchmarks/graph/discovery.py [--networks FOLDER] [--method order] [--alpha 0.01]
    python benchmarks/graph/discovery.py --data asia_10000.txt --truth asia.graph.txt
    python benchmarks/graph/discovery.py --wide 379 [--method pc]

A file of data has a line of names and a line a row, separated by blanks (or a CSV); a file of truth names
nodes and numbers arrows (``1. X1 --> X2``), as in the repository of causal-learn. Without ``--data`` every
``NAME_10000.txt`` of the folder is learned that has ``NAME.graph.txt`` beside it. SHD counts the pairs whose
edge differs between the two CPDAGs, in being there or in a mark. The last line is one JSON object.

``--wide`` draws a linear Gaussian graph of so many columns, two arrows a column, and 520 rows of it: the size at which Tetrad's
developers time their searches (PC 5.4 s, FGES 35.7 s there). CPU seconds are of one search from the sums.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from truelift.graph.discovery.columns import look
from truelift.graph.discovery.comparing import Distance, distance
from truelift.graph.discovery.discover import discover, ground_of, learned_from
from truelift.graph.discovery.options import METHODS, DiscoveryOptions
from truelift.graph.discovery.orientation import class_of_dag
from truelift.graph.discovery.pattern import Pattern, pattern_of_lines
from truelift.graph.discovery.source import source_of
from truelift.lake.foreign import frame_table

#: PC-stable of causal-learn, chi-square at .05: SHD and F1 of the skeleton, from its stored results.
PUBLISHED = {
    "asia": (5, 0.714), "child": (9, 1.0), "alarm": (5, 0.957), "insurance": (25, 0.894),
    "sachs_bn": (14, 1.0), "hepar2": (80, 0.707),
}  # fmt: skip
_NETWORKS = Path(__file__).parents[2].parent / "shared" / "data" / "graphs"
_MOST_LEVELS = 40


def table_of(path: Path) -> pa.Table:
    """Columns of whole numbers or texts as texts; columns of many numbers as numbers."""
    with path.open(encoding="utf-8") as stream:
        first = stream.readline()
    separator = "," if "," in first else None
    names = [name.strip() for name in first.strip().split(separator)]
    rows = np.loadtxt(path, dtype=str, delimiter=separator, skiprows=1, ndmin=2)
    columns = {}
    for place, name in enumerate(names):
        values = rows[:, place]
        many = len(np.unique(values)) > _MOST_LEVELS
        columns[name] = pa.array(values.astype(float) if many else values.tolist())
    return pa.table(columns)


def truth_of(path: Path, names: list[str]) -> Pattern:
    """The CPDAG of the DAG in a file."""
    place = {name: i for i, name in enumerate(names)}
    parents = np.zeros((len(names), len(names)), bool)
    for cause, effect in re.findall(
        r"^\s*\d+\.\s+(\S+)\s+-->\s+(\S+)", path.read_text(), re.MULTILINE
    ):
        parents[place[cause], place[effect]] = True
    return class_of_dag(names, parents, np.zeros(len(names), int))


def learned(
    data: Path, truth: Path, method: str, alpha: float
) -> tuple[Distance, dict[str, float]]:
    table = table_of(data)
    options = DiscoveryOptions(
        method=method, alpha=alpha, floor=0.0, share=1.0, bootstraps=0, most_levels=_MOST_LEVELS + 1
    )
    began, used = time.perf_counter(), time.process_time()
    result = discover(frame_table(table, str(data)), options)
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    found = pattern_of_lines(result.names, result.lines)
    beside = {"rows": table.num_rows, "columns": table.num_columns, "seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2)}  # fmt: skip
    return distance(truth_of(truth, list(result.names)), found), beside


def wide(columns: int, rows: int, method: str, alpha: float) -> tuple[Distance, dict[str, float]]:
    """A drawn graph of many columns."""
    rng = np.random.default_rng(1)
    shape = (columns, columns)
    parents = np.triu(rng.random(shape) < 4 / (columns - 1), 1)
    weights = parents * rng.uniform(0.3, 0.8, shape) * rng.choice([-1, 1], shape)
    values = np.zeros((rows, columns))
    for j in range(columns):
        values[:, j] = values @ weights[:, j] + rng.normal(size=rows)
    names = [f"c{j}" for j in range(columns)]
    # Causes stand anywhere among the columns.
    place = rng.permutation(columns)
    table = pa.table({names[j]: values[:, place[j]] for j in range(columns)})
    options = DiscoveryOptions(method=method, alpha=alpha, floor=0.0, share=1.0, bootstraps=0)
    discover(frame_table(table.select(names[:5]), "a few"), options)  # compiles
    source = source_of(frame_table(table, "drawn"), options)
    variables = look(source.looked_at(), source.schema, source.name, options.most_levels, ())
    ground = ground_of(source, variables, options, lambda text: None)
    began, used = time.perf_counter(), time.process_time()
    result = learned_from(ground, source, options)
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    truth = class_of_dag(names, parents[np.ix_(place, place)], np.zeros(columns, int))
    beside = {
        "rows": rows,
        "columns": columns,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
    }
    return distance(truth, pattern_of_lines(result.names, result.lines)), beside


def figures_of(found: Distance) -> dict[str, float | None]:
    told = {name: round(value, 4) for name, value in asdict(found).items()}
    return {name: None if math.isnan(value) else value for name, value in told.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--networks", type=Path, default=_NETWORKS, help="a folder of networks")
    parser.add_argument("--method", choices=METHODS[:2], default="order")
    parser.add_argument("--alpha", type=float, default=0.01)
    parser.add_argument("--wide", type=int, default=0, metavar="COLUMNS")
    parser.add_argument("--out", type=Path, help="a file for the JSON object")
    args = parser.parse_args()
    if bool(args.data) != bool(args.truth):
        parser.error("--data and --truth go together.")
    if args.wide:
        found, beside = wide(args.wide, 520, args.method, args.alpha)
        last = json.dumps(
            {
                "benchmark": "discovery_wide",
                "method": args.method,
                "figures": figures_of(found) | beside,
            }
        )
        if args.out:
            args.out.write_text(last + "\n", encoding="utf-8")
        print(last)
        return
    if args.data:
        pairs = [(args.data.stem.removesuffix("_10000"), args.data, args.truth)]
    else:
        pairs = [
            (truth.name.removesuffix(".graph.txt"), data, truth)
            for truth in sorted(args.networks.glob("*.graph.txt"))
            if (
                data := args.networks / f"{truth.name.removesuffix('.graph.txt')}_10000.txt"
            ).is_file()
        ]
        if not pairs:
            parser.error(f"{args.networks} has no NAME_10000.txt with NAME.graph.txt: see --help.")
    print(f"{'network':12}{'precision':>10}{'recall':>8}{'F1':>7}{'arrows P':>10}{'R':>7}{'false':>7}{'SHD':>5}{'published':>14}{'CPU s':>7}")  # fmt: skip
    figures = {}
    for name, data, truth in pairs:
        found, beside = learned(data, truth, args.method, args.alpha)
        shd, f1 = PUBLISHED.get(name, (None, None))
        other = "" if shd is None else f"{shd} / {f1:.3f}"
        print(
            f"{name:12}{found.precision:>10.3f}{found.recall:>8.3f}{found.f1:>7.3f}{found.arrow_precision:>10.3f}"
            f"{found.arrow_recall:>7.3f}{found.false_arrows:>7}{found.shd:>5}{other:>14}{beside['cpu_seconds']:>7}",
            flush=True,
        )
        figures[name] = figures_of(found) | beside
        if shd is not None:
            figures[name] |= {"published_shd": shd, "published_f1": f1}
    last = json.dumps({"benchmark": "discovery", "method": args.method, "figures": figures})
    if args.out:
        args.out.write_text(last + "\n", encoding="utf-8")
    print(last)


if __name__ == "__main__":
    main()
