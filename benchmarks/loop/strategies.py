"""Does ranking by effect bring more than ranking by clicks, where, and where not?

    python benchmarks/loop/strategies.py [--users 10000] [--rounds 10] [--seeds 20] [--grid | --edges] [--check]
    python benchmarks/loop/strategies.py --users 4000 --rounds 4 --seeds 4 --strategies sasrec,click_greedy,effect --against sasrec

Plays strategies in the shop of docs/loop.md, every seed a world of its own, and prints additional and all
purchases against ``click_greedy`` with Student's intervals over worlds, and how many forecasts held what
came. ``--grid`` does so in a grid of worlds (position, substitution, what is clicked and does not sell, and
confounding with the chances hidden) and names the cells where effects do not win; ``--edges`` looks for such
cells where they are to be expected: clicks are honest, nobody knows anything without a list, little is
explored, there are few users, or all changes fast. ``--check`` has people who change little, for the
forecasts alone. ``--against`` names the strategy that others are held against. Prints, as last line, one JSON
object; peak memory and CPU seconds are of the whole run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
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

HONEST = {"appeal": 0.0, "annoying_share": 0.0}
BLANK = {**HONEST, "familiar": 1, "popularity": 0.0}
FAST = {"drift": 1.5, "carry": 0.2, "season": 1.5, "season_rounds": 3}
#: Dials of the world and options of the loop, where clicks should be hard to beat.
EDGES: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "as it stands": ({}, {}),
    "clicks are honest": (HONEST, {}),
    "and nobody knows anything without a list": (BLANK, {}),
    "and one slot alone is looked at": ({**BLANK, "position": 3.0}, {}),
    "and items change no mind, they are only found": ({**BLANK, "persuasion": 0.0}, {}),
    "honest, a fiftieth explored": (HONEST, {"explore": 0.02}),
    "honest, a two-hundredth explored, slots fall fast": ({**HONEST, "position": 1.5}, {"explore": 0.005}),
    "honest, 300 users": ({**HONEST, "users": 300}, {}),
    "nobody knows anything, 300 users": ({**BLANK, "users": 300}, {}),
    "honest, needs drift fast": ({**HONEST, **FAST}, {}),
    "clicked and not selling, needs drift fast": (FAST, {}),
    "nobody knows anything, 400 items of no nest, 1,000 users": (
        {**BLANK, "users": 1_000, "items": 400, "nest_size": 1, "substitution": 0.0}, {},
    ),
}  # fmt: skip


def told(found: LoopResult) -> dict[str, Any]:
    """Comparisons, regrets and forecasts of a loop."""
    return {
        "missed": {
            f"{r.strategy} {r.measure}": [round(r.missed), round(r.lower), round(r.upper)]
            for r in found.regrets()
        },
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


def edges(world: ShopWorld, options: LoopOptions, seeds: range) -> list[dict[str, Any]]:
    """Effect against clicks, where clicks should be hard to beat."""
    cells = []
    for name, (dials, changed) in EDGES.items():
        found = run_loop(
            replace(world, **dials),
            replace(options, **changed),
            ("click_greedy", "effect"),
            seeds,  # type: ignore[arg-type]
        )
        gain = {c.measure: c for c in found.comparisons()}["additional_total"]
        last = [round(found.curve(s, "additional").mean[-1], 3) for s in found.strategies]
        cell = {
            "cell": name, "users": found.users, "difference": round(gain.difference),
            "lower": round(gain.lower), "upper": round(gain.upper), "wins": gain.wins,
            "loses": gain.upper < 0, "last_round": last,
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
    parser.add_argument("--edges", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--against", default="")
    asked = parser.parse_args()
    world = ShopWorld(users=int(asked.users), **(CALM if asked.check else {}))  # type: ignore[arg-type]
    options = LoopOptions(rounds=asked.rounds)
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    began = time.process_time()
    result: dict[str, Any] = {
        "users": world.users, "rounds": asked.rounds, "worlds": asked.seeds, "calm": asked.check,
    }  # fmt: skip
    if asked.grid or asked.edges:
        cells = (grid if asked.grid else edges)(world, options, seeds)
        result |= {"cells": cells, "does_not_win": [c for c in cells if not c["wins"]]}
    else:
        found = run_loop(world, options, asked.strategies.split(","), seeds)
        found = replace(found, against=asked.against or found.against)
        print(found)
        result |= told(found)
    result["cpu_seconds"] = round(time.process_time() - began, 1)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"benchmark": "strategies", "figures": result, "ratios": {}}))


if __name__ == "__main__":
    main()
