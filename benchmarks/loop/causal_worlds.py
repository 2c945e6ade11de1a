"""Which ranking brings most effect in the field's semi-synthetic worlds of recommendation?

    python benchmarks/loop/causal_worlds.py [--worlds journey,movielens] [--ratings FILE] [--seed 1]

The worlds of Sato et al. (RecSys 2020 and 2021) from Complete Journey and MovieLens-100k: two logged
rounds to learn from and a third that chooses among four settings of every method, by CDCG with capped
inverse chances; true effects are for the last table alone. CP@k is the mean true effect of a user's first k
items, CDCG the sum of effects over log2(rank + 1). Intervals are over users; ``of oracle`` is the share
of what the true order has. Prints, as last line, one JSON object, which ``--out`` keeps.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import causal_peers as peers
import numpy as np
from causal_data import complete_journey, movielens
from causal_peers import Method, Setting

from truelift.models.factors.shown import ShownLog
from truelift.models.factors.shown_effects import (
    ShownEffectOptions,
    ShownEffects,
    fit_shown_effects,
)
from truelift.simulate.recommendation import RecommendationWorld

OURS = "effect (ours)"
CAP = 0.01
MEASURES = ("CP@10", "CP@100", "CDCG")


def pairs(**more: tuple[float, ...]) -> tuple[Setting, ...]:
    """Four settings of a method that learns by steps."""
    both = [(0.01, 0.01), (0.01, 0.03), (0.03, 0.01), (0.003, 0.03)]
    extra = [{k: v[n] for k, v in more.items()} for n in range(4)]
    return tuple(
        {"steps": 6_000_000, "rate": rate, "penalty": penalty, **own}
        for (rate, penalty), own in zip(both, extra, strict=True)
    )


def around(alike: str) -> tuple[Setting, ...]:
    """Four settings of neighbours."""
    return tuple(
        {"alike": alike, "power": power, "shrink": shrink, "most": 3000}
        for power, shrink in ((1, 1), (1, 10), (2, 1), (2, 10))
    )


def ours(groups: np.ndarray) -> Method:
    """The product's effects; its settings share one fit."""
    kept: dict[int, ShownEffects] = {}

    def fit(logs: Sequence[ShownLog], setting: Setting, seed: int) -> np.ndarray:
        if seed not in kept:
            kept[seed] = fit_shown_effects(logs, groups, ShownEffectOptions(seed=seed))
        found, weight = kept[seed], setting["correction"]
        return ShownEffects(found.if_shown, found.if_not, found.by_residuals, weight).effect

    return Method(OURS, fit, tuple({"correction": c} for c in (0.0, 0.25, 0.5, 1.0)))


def methods(groups: np.ndarray) -> tuple[Method, ...]:
    """All that are run."""
    nothing: tuple[Setting, ...] = ({},)
    alpha = (0.0, 0.0, 0.8, 0.4)
    return (
        Method("random", peers.random_order, nothing),
        Method("popularity", peers.popularity, nothing),
        Method("BPR", peers.bpr, pairs()),
        Method("ULRMF", peers.ulrmf, pairs(alpha=alpha)),
        Method("ULBPR", peers.ulbpr, pairs(alpha=alpha)),
        Method("DLCE", peers.dlce, pairs(cap=(0.1, 0.1, 0.01, 0.1))),
        Method("CUBN-O", peers.neighbours, around("bought")),
        Method("CUBN-E", peers.neighbours, around("shown")),
        ours(groups),
    )


def by_user(scores: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """CP@10, CP@100 and CDCG of each user (users x 3)."""
    order = np.argsort(-scores, axis=1, kind="stable")
    gain = np.take_along_axis(effect, order, axis=1)
    fall = 1 / np.log2(np.arange(gain.shape[1]) + 2)
    return np.stack([gain[:, :10].mean(1), gain[:, :100].mean(1), gain @ fall], axis=1)


def estimated(log: ShownLog) -> np.ndarray:
    """Effects of single cells by capped inverse chances: noise around the truth."""
    shown = log.bought * log.shown / np.maximum(log.chance, CAP)
    return np.asarray(shown - log.bought * ~log.shown / np.maximum(1 - log.chance, CAP))


def interval(values: np.ndarray) -> list[float]:
    """Mean and 95% interval over users."""
    error = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return [
        round(float(x), 4) for x in (values.mean(), values.mean() - error, values.mean() + error)
    ]


def compare(world: RecommendationWorld, seed: int) -> dict[str, Any]:
    """Every method with the setting that the third round chooses."""
    logs = [world.draw(1000 * seed + r) for r in range(3)]
    judge, truth = estimated(logs[2]), world.effect
    users: dict[str, np.ndarray] = {"oracle": by_user(truth, truth)}
    chosen: dict[str, Any] = {}
    for method in methods(world.groups):
        began = time.process_time()
        tried = [method.fit(logs[:2], setting, seed) for setting in method.settings]
        values = [float(by_user(scores, judge)[:, 2].mean()) for scores in tried]
        best = int(np.argmax(values))
        users[method.name] = by_user(tried[best], truth)
        chosen[method.name] = {
            "setting": method.settings[best], "cpu_seconds": round(time.process_time() - began, 1),
        }  # fmt: skip
        print(
            f"  {method.name:<14}" + "".join(f"{x:>9.4f}" for x in users[method.name].mean(0)),
            flush=True,
        )
    top = users["oracle"].mean(0)
    return {
        "users": truth.shape[0], "items": truth.shape[1], "methods": {
            name: {
                **{m: interval(found[:, k]) for k, m in enumerate(MEASURES)},
                "of oracle": [round(float(x), 3) for x in found.mean(0) / top],
                **chosen.get(name, {}),
            }
            for name, found in users.items()
        },
        "ours_less": {
            name: {m: interval(users[OURS][:, k] - found[:, k]) for k, m in enumerate(MEASURES)}
            for name, found in users.items() if name not in (OURS, "oracle")
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", default="journey,movielens")
    parser.add_argument("--ratings", help="lines user item rating, in place of MovieLens-100k")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out")
    asked = parser.parse_args()
    makers: dict[str, Callable[[], RecommendationWorld]] = {
        "journey": complete_journey, "movielens": lambda: movielens(asked.ratings),
    }  # fmt: skip
    found = {}
    for name in asked.worlds.split(","):
        try:
            world = makers[name]()
        except (OSError, StopIteration) as missing:
            print(f"{name}: left out, for its data are not here ({missing})")
            continue
        print(f"{name}: {world.effect.shape[0]:,} users, {world.effect.shape[1]:,} items")
        found[name] = compare(world, asked.seed)
        wins = all(
            d[m][1] > 0 for d in found[name]["ours_less"].values() for m in ("CP@10", "CDCG")
        )
        found[name]["best_in_CP@10_and_CDCG"] = wins
    told = {"benchmark": "causal_worlds", "seed": asked.seed, "figures": found, "ratios": {}}
    if asked.out:
        Path(asked.out).write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
