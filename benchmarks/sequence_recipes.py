"""Variants of a recipe beside each other, judged without a look at the test items.

Trains without the last six items of each history and ranks the five before the test item: five
targets a user, each after all that came before it. The variants meet the same targets, so their
differences are paired by user.

    python benchmarks/sequence_recipes.py sasrec --try epochs=20 --try "epochs=20 dropout=0.3"
    python benchmarks/sequence_recipes.py gru --seeds 3 --try embedding_spread=0 --try embedding_spread=0.02
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import yaml
from measuring import publish
from sequence_data import Interactions, movielens_100k, read_interactions, top_lists, user_metrics
from sequence_runs import Trained, recipe, train

HELD_OUT = range(2, 7)  # places from the end; 1 is the test item
TOP = 20
METRICS = ("NDCG@10", "HitRate@10")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="of conf/models")
    parser.add_argument("--try", action="append", dest="variants", metavar="KEY=VALUE ...")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--file", help="interactions; MovieLens-100k by default")
    parser.add_argument("--out", default="benchmarks/results/sequence_recipes.json")
    arguments = parser.parse_args()
    data = read_interactions(arguments.file or movielens_100k())
    # The recipe's own split takes the next two: one to choose the epoch by, one unused.
    learnt = data.without_last(max(HELD_OUT) - 2)
    by_user: dict[str, dict[str, np.ndarray]] = {}
    figures: dict[str, dict[str, Any]] = {}
    for variant in arguments.variants or [""]:
        changes = dict(_change(text) for text in variant.split())
        name = f"{arguments.recipe} {variant}".strip()
        found, seconds = [], []
        for seed in range(1, arguments.seeds + 1):
            own = {"processes": arguments.processes, **changes}
            trained = train(learnt, recipe(arguments.recipe, **own), seed, name)
            found.append(user_means(trained, data))
            seconds.append(trained.seconds)
        by_user[name] = {metric: np.mean([f[metric] for f in found], axis=0) for metric in METRICS}
        figures[name] = {
            **{m: round(float(by_user[name][m].mean()), 4) for m in METRICS},
            "by seed": [round(float(f["NDCG@10"].mean()), 4) for f in found],
            "seconds": round(float(np.median(seconds)), 1),
            **_difference(by_user, name),
        }
        print(name, figures[name], flush=True)
    first = next(iter(by_user))
    ratios = {
        f"NDCG@10, {name} / {first}": round(
            float(values["NDCG@10"].mean() / by_user[first]["NDCG@10"].mean()), 3
        )
        for name, values in by_user.items()
        if name != first
    }
    publish("sequence_recipes", data.users, figures, ratios, arguments.out)


def user_means(trained: Trained, data: Interactions) -> dict[str, np.ndarray]:
    """Each user's metrics, means over the held-out targets; shape (users,) each."""
    each = []
    for back in HELD_OUT:
        past = data.without_last(back)
        lists = top_lists(trained.scores(past), past, TOP)
        each.append(user_metrics(lists, data.last(back)))
    return {name: np.mean([m[name] for m in each], axis=0) for name in METRICS}


def _difference(by_user: dict[str, dict[str, np.ndarray]], name: str) -> dict[str, float]:
    first = next(iter(by_user))
    if name == first:
        return {}
    gain = by_user[name]["NDCG@10"] - by_user[first]["NDCG@10"]
    error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
    return {"over the first": round(float(gain.mean()), 4), "standard error": round(error, 4)}


def _change(text: str) -> tuple[str, Any]:
    key, value = text.split("=", 1)
    return key, yaml.safe_load(value)


if __name__ == "__main__":
    main()
