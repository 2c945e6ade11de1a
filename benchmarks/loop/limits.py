"""What lists under limits gain beside the best of all ways to share units out, and what limits cost in time.

    PYTHONPATH=. python benchmarks/loop/limits.py [--users 800] [--items 40] [--worlds 20] [--out FILE]

Users with tastes of six dimensions get lists of one of items that run out: ``share`` units a user. The optimum is that of a linear
assignment (SciPy). Then 20,000 users get lists of five of 200 items, once without limits and once under stock, a budget and a floor
together: CPU seconds of a round, and rounds. Prints, as last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from tests.unit.recommend.test_lists_under_limits import PLAIN, Shop, limits
from truelift.recommend.limits.limits import Cutoffs


def tastes(users: int, items: int, seed: int) -> np.ndarray:
    """Chances by six dimensions of taste and what all like (users x items + 1)."""
    rng = np.random.default_rng(seed)
    pull = 0.5 * rng.normal(size=(users, 6)) @ rng.normal(size=(6, items))
    return np.c_[np.zeros(users), 1 / (1 + np.exp(-pull - 0.7 * rng.normal(size=items)))]


def shared_out(users: int, items: int, share: float, worlds: int) -> dict[str, Any]:
    """Gain as a share of the optimum, units used, and rounds, over worlds."""
    gains, used, rounds, dropped = [], [], [], 0
    for seed in range(worlds):
        score = tastes(users, items, seed)
        total = int(share * users)
        drawn = np.random.default_rng([seed, 1]).multinomial(total, np.ones(items) / items)
        units = np.r_[-1, drawn]
        made = Shop(score, PLAIN, limits(items, stock=units), 1).settle()
        got = np.concatenate([part.items for part in made.lists.parts])
        seats = np.repeat(np.arange(1, items + 1), units[1:])
        row, column = linear_sum_assignment(-score[:, seats])
        gained = np.take_along_axis(score, got, axis=1)[got > 0].sum()
        gains.append(gained / score[row, seats[column]].sum())
        used.append((got > 0).sum() / min(total, users))
        rounds.append(made.rounds)
        dropped += made.after is not None
    return {
        "share_of_optimum": [round(float(v), 4) for v in (np.mean(gains), min(gains))],
        "units_used": round(float(np.mean(used)), 4), "rounds": [int(np.median(rounds)), max(rounds)],
        "worlds_with_places_left_empty": dropped,
    }  # fmt: skip


def timed(users: int, items: int) -> dict[str, Any]:
    """CPU seconds of one round with and without limits."""
    score, rng = tastes(users, items, 0), np.random.default_rng(1)
    cost = np.r_[0.0, rng.choice([0.1, 0.5, 1.0], items)]
    free = Shop(score, PLAIN, limits(items), 5)
    own = limits(
        items, stock=np.r_[-1, rng.multinomial(6 * users, np.ones(items) / items)], cost=cost,
        budget=2.0 * users, provider=np.r_[0, np.arange(items) % 5 == 0].astype(int),
        floors=np.array([0.2]), names=("new",),
    )  # fmt: skip
    held = Shop(score, PLAIN, own, 5)
    plain = []
    for _ in range(3):
        begin = time.process_time()
        free.lists(Cutoffs.open(free.limits))
        plain.append(time.process_time() - begin)
    begin = time.process_time()
    made = held.settle()
    each = (time.process_time() - begin) / (made.rounds + (made.after is not None))
    open_ = replace(own, provider=np.zeros(items + 1, int), floors=np.zeros(0), names=())
    spent, without = (
        sum(c for _, c in found.lists.taken().values()) / own.units
        for found in (made, Shop(score, PLAIN, open_, 5).settle())
    )
    return {
        "round_cpu_s": round(each, 3), "plain_cpu_s": round(min(plain), 3),
        "ratio": round(each / min(plain), 2), "rounds": made.rounds, "budget_used": round(spent, 4),
        "budget_used_without_floor": round(without, 4),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--users", type=int, default=800)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    figures = {
        f"units {share:g} a user": shared_out(asked.users, asked.items, share, asked.worlds)
        for share in (0.25, 0.6, 1.0, 2.0)
    }
    for name, found in figures.items():
        print(name, found)
    timing = timed(20_000, 200)
    told = {
        "benchmark": "limits",
        "figures": figures,
        "timing": timing,
        "ratios": {"round": timing["ratio"]},
    }
    if asked.out:
        asked.out.write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
