"""Identification held to brute force and to y0, on random graphs with latent nodes.

    python benchmarks/graph/identification.py [--graphs 1000] [--nodes 8] [--peer PYTHON] [--out FILE]

Each graph has up to ``--nodes`` measured nodes with unrecorded causes of pairs, or latent nodes among them. Counted
are agreements: whether P(y | do(x)) is identified, with every pair of sets tried as a hedge, and with y0 (of the Python
that ``--peer`` names, where y0 0.2.11 is installed; without it that column is left out); whether every set of nodes is judged as by all paths; the
minimal set among all sets; the optimal set against the variances of all valid ones in a linear model; the front
door; and formulas against the truth of a random latent model. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[2]))

from tests.unit.graph.brute_force import (
    effects_of_formula,
    effects_of_model,
    has_hedge,
    is_adjustment,
    is_front_door,
    random_graph,
    random_tables,
    subsets,
    with_latents,
)
from tests.unit.graph.linear_variance import variances
from truelift.graph.adjustment import Adjustment
from truelift.graph.designs import front_door
from truelift.graph.general import general_formula
from truelift.graph.model import CausalGraph
from truelift.graph.projection import projected

PEER = """
import json, sys
from y0.algorithm.identify import identify_outcomes
from y0.dsl import Variable
from y0.graph import NxMixedGraph
for line in sys.stdin:
    g = json.loads(line)
    graph = NxMixedGraph.from_str_edges(g["nodes"], g["arrows"], g["pairs"])
    try:
        found = identify_outcomes(graph, Variable("x"), Variable("y"))
        print(json.dumps(found is not None), flush=True)
    except Exception as error:
        print(json.dumps(type(error).__name__), flush=True)
"""


def drawn(number: int, most: int) -> CausalGraph:
    rng = np.random.default_rng(number)
    nodes = int(rng.integers(4, most + 1))
    if number % 2:
        return random_graph(rng, nodes, rng.uniform(0.2, 0.5), rng.uniform(0.0, 0.3), forward=True)
    latent = int(rng.integers(1, min(3, nodes - 2) + 1))
    return with_latents(rng, nodes, latent, rng.uniform(0.25, 0.55), forward=True)


def looked_at(graph: CausalGraph, seed: int) -> dict[str, bool]:
    """What agrees; what does not arise is left out."""
    found = projected(graph)
    formula = general_formula(found, "x", "y")
    agrees = {"hedge": (formula is None) == has_hedge(found.parents, found.siblings)}
    sets, free = Adjustment(graph, "x", "y"), set(graph.measured) - {"x", "y"}
    judged = {given: is_adjustment(graph, set(given)) for given in subsets(free)}
    agrees["judged sets"] = all(sets.judged(s).valid == valid for s, valid in judged.items())
    valid = [set(given) for given, is_valid in judged.items() if is_valid]
    minimal = sets.minimal()
    agrees["minimal set"] = (
        not valid if minimal is None
        else set(minimal) in valid and not any(v < set(minimal) for v in valid)
    )  # fmt: skip
    optimal = sets.optimal()
    if optimal is not None:
        found_variances = variances(graph, [set(optimal), *valid], seed)
        agrees["optimal set"] = set(optimal) in valid and found_variances[0] <= min(
            found_variances
        ) * (1 + 1e-9)
    doors = [set(s) for s in subsets(free) if s and is_front_door(graph, set(s))]
    door = front_door(sets)
    agrees["front door"] = door is None if not doors else door is not None and set(door) in doors
    if formula is not None and len(graph.dag) <= 12:
        tables = random_tables(graph, np.random.default_rng(seed))
        off = np.abs(
            effects_of_formula(graph, tables, formula) - effects_of_model(graph, tables)
        ).max()
        agrees["formula"] = bool(off < 1e-10)
    return agrees


def peer(graphs: list[CausalGraph], python: str) -> list[Any]:
    lines = []
    for graph in graphs:
        found = projected(graph)
        arrows = [(p, n) for n, above in found.parents.items() for p in sorted(above)]
        lines.append(
            json.dumps(
                {"nodes": list(found.parents), "arrows": arrows, "pairs": list(found.pairs())}
            )
        )
    done = subprocess.run(
        [python, "-c", PEER], input="\n".join(lines), capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--peer", metavar="PYTHON")
    parser.add_argument("--out")
    args = parser.parse_args()
    graphs = [drawn(number, args.nodes) for number in range(args.graphs)]
    identified = []
    agree: dict[str, list[bool]] = {}
    for number, graph in enumerate(graphs):
        identified.append(projected(graph).identifies("x", "y"))
        for name, is_equal in looked_at(graph, number).items():
            agree.setdefault(name, []).append(is_equal)
    figures: dict[str, Any] = {
        name: {"of": len(found), "equal": sum(found)} for name, found in sorted(agree.items())
    }
    if args.peer:
        answers = peer(graphs, args.peer)
        known = [(a, i) for a, i in zip(answers, identified, strict=True) if isinstance(a, bool)]
        figures["y0"] = {
            "of": len(known), "equal": sum(a == i for a, i in known), "errors": len(answers) - len(known),
        }  # fmt: skip
    began = time.process_time()
    for graph in graphs:
        general_formula(projected(graph), "x", "y")
    figures["cpu_seconds_a_formula"] = round((time.process_time() - began) / len(graphs), 5)
    result = {
        "benchmark": "identification", "graphs": args.graphs, "identified": sum(identified),
        "figures": figures,
    }  # fmt: skip
    if args.out:
        Path(args.out).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
