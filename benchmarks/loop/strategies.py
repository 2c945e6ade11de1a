"""Does ranking by effect bring more than ranking by clicks, where, and where not?

    python benchmarks/loop/strategies.py [--users 10000] [--rounds 10] [--seeds 20] [--grid] [--check]

Plays strategies in the shop of docs/loop.md, every seed a world of its own, and prints additional and all
purchases against ``click_greedy`` with Student's intervals over worlds, and how many forecasts held what
came. ``--grid`` does so in a grid of worlds (position, substitution, what is clicked and does not sell, and
confounding with the chances hidden) and names the cells where effects do not win; ``--check`` has people
who change little, for the forecasts alone. Prints, as last line, one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from dataclasses import replace
from typing import Any

from truelift.loop.job import run_loop
from truelift.loop.options import LoopOptions
from truelift.loop.results import LoopResult
from truelift.simulate.shop_world.parameters import ShopWorld

STRATEGIES = ("random", "popularity", "relevance", "click_greedy", "bandit", "effect", "oracle")
#: People and items that stay as they are, but for what lists do to them.
CALM = {"season": 0.0, "newcomers": 0.0, "new_items": 0.0, "retired_items": 0.0}
GRID: dict[str, tuple[dict[str, float], ...]] = {
    "position": ({"position": 0.2}, {"position": 1.5}),
    "substitution": ({"substitution": 0.0}, {"substitution": 0.8}),
    "appeal": ({"appeal": 0.0, "annoying_share": 0.0}, {"appeal": 1.0}),
    "confounding": ({"confounding": 0.0}, {"confounding": 1.5, "hidden": 1.2}),
}


def told(found: LoopResult) -> dict[str, Any]:
    """Comparisons and forecasts of a loop."""
    return {
        "against": {
            f"{c.strategy} {c.measure}": [round(c.difference), round(c.lower), round(c.upper)]
            for c in found.comparisons()
        },
        "additional_last": {
            s: round(found.curve(s, "additional").mean[-1], 4) for s in found.strategies
        },
        "held": {
            h.strategy: [h.truth, h.observed, h.forecasts] for h in found.held()
        },
    }  # fmt: skip


def grid(world: ShopWorld, options: LoopOptions, seeds: range) -> list[dict[str, Any]]:
    """Effect against clicks, in every combination."""
    cells = []
    for parts in itertools.product(*GRID.values()):
        changed: dict[str, Any] = {k: v for part in parts for k, v in part.items()}
        hides = changed["confounding"] > 0
        found = run_loop(
            replace(world, **changed), replace(options, propensities=not hides),
            ("click_greedy", "effect"), seeds,
        )  # fmt: skip
        gain = {c.measure: c for c in found.comparisons()}["additional_total"]
        cell = {
            **changed, "chances": "hidden" if hides else "logged", "difference": round(gain.difference),
            "lower": round(gain.lower), "upper": round(gain.upper), "wins": gain.wins,
        }  # fmt: skip
        cells.append(cell)
        print("  ".join(f"{k} {v}" for k, v in cell.items()), flush=True)
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=float, default=10_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--grid", action="store_true")
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    world = ShopWorld(users=int(asked.users), **(CALM if asked.check else {}))  # type: ignore[arg-type]
    options = LoopOptions(rounds=asked.rounds)
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    began = time.process_time()
    result: dict[str, Any] = {
        "users": world.users, "rounds": asked.rounds, "worlds": asked.seeds, "calm": asked.check,
    }  # fmt: skip
    if asked.grid:
        cells = grid(world, options, seeds)
        result |= {"cells": cells, "does_not_win": [c for c in cells if not c["wins"]]}
    else:
        found = run_loop(world, options, asked.strategies.split(","), seeds)
        print(found)
        result |= told(found)
    result["cpu_seconds"] = round(time.process_time() - began, 1)
    print(json.dumps({"benchmark": "strategies", "figures": result, "ratios": {}}))


if __name__ == "__main__":
    main()
