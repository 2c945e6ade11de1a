"""Accuracy of the sequence models beside RecTools and RecBole, on one split with one evaluator.

Leave-one-out: each user's last item is the test, the one before it the validation; the best
epoch on validation counts. All items compete, those of the user's history are left out. Every
contestant hands in its best twenty items a user; the metrics are counted here. A peer trains as
long as ours did (or ``--minutes``), on as many threads: start-up, reading and validation are
not counted for anyone.

    python benchmarks/sequence_accuracy.py                        # MovieLens-100k
    python benchmarks/sequence_accuracy.py --file FILE            # lines "user item [time]"
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measuring import publish
from peers import ask, peer_environment
from sequence_data import (
    RECBOLE,
    Interactions,
    movielens_100k,
    read_interactions,
    top_lists,
    user_metrics,
)
from sequence_runs import Trained, recipe, train

RECTOOLS = ("rectools[torch]==0.19.0", "torch==2.15.0")
# RecBole 1.2.1 calls names that NumPy 2 has no more.
RECBOLE_WITH = (RECBOLE, "torch==2.15.0", "numpy==1.26.4", "pandas==2.2.3", "scipy==1.13.1",
                "setuptools<81")  # fmt: skip
HERE = Path(__file__).parent
TOP = 20
NORMAL_95 = 1.96
# Options beside the peers' defaults. SASRec's public figures on films are at length 200;
# the second has shape, batch and rate of ours: small batches learn more in the same time.
RECTOOLS_RUNS: dict[str, dict[str, Any]] = {
    "RecTools SASRec, its defaults": {},
    "RecTools SASRec, as ours": {"n_factors": 64, "n_heads": 1, "batch_size": 8, "lr": 0.002},
}
RECBOLE_RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "RecBole GRU4Rec, its defaults": ("GRU4Rec", {}),
    "RecBole SASRec, its defaults": ("SASRec", {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--file", help="interactions; MovieLens-100k by default")
    parser.add_argument("--models", nargs="+", default=["sasrec", "gru"], help="our recipes")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--only", default="", help="only peers with this in their name")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="time of each training; else the recipe's")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of the recipes")
    parser.add_argument("--out", default="benchmarks/results/sequence_accuracy.json")
    arguments = parser.parse_args()
    path = arguments.file or str(movielens_100k())
    data = read_interactions(path)
    print(f"{data.users:,} users, {len(data.item_keys):,} items, {len(data.items):,} interactions")

    runs: dict[str, list[tuple[np.ndarray, dict[str, Any]]]] = {}
    for seed in range(1, arguments.seeds + 1):
        longest = 0.0
        for name, lists, facts in ours(data, arguments, seed):
            runs.setdefault(name, []).append((lists, facts))
            longest = max(longest, facts.get("seconds", 0.0))
        if arguments.peers:
            budget = 60.0 * arguments.minutes if arguments.minutes else longest
            for name, lists, facts in peers(path, arguments, seed, budget):
                runs.setdefault(name, []).append((lists, facts))
    wanted = data.last(1)
    measured = {name: metrics(found, wanted) for name, found in runs.items()}
    figures = {name: row(measured[name], runs[name]) for name in runs}
    publish("sequence_accuracy", data.users, figures, ratios(measured), arguments.out)


def ours(
    data: Interactions, arguments: argparse.Namespace, seed: int
) -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    """Popularity and our models: name, lists and facts of the run."""
    past = data.without_last(1)
    counts = np.bincount(past.items, minlength=len(data.item_keys) + 1)
    everyone = np.broadcast_to(counts, (data.users, len(counts)))
    yield "popularity", top_lists(everyone, past, TOP), {}
    changes = dict(map(_change, arguments.set))
    together = None
    for name in arguments.models:
        trained = within_time(data, name, arguments, seed, changes)
        scores = trained.scores(past)
        yield f"truelift {name}", top_lists(scores, past, TOP), _facts(trained)
        chances = _log_softmax(scores)
        together = chances if together is None else together + chances
    if len(arguments.models) > 1 and together is not None:
        yield f"truelift {' + '.join(arguments.models)}", top_lists(together, past, TOP), {}


def within_time(
    data: Interactions,
    name: str,
    arguments: argparse.Namespace,
    seed: int,
    changes: dict[str, Any],
) -> Trained:
    """The recipe as it is, or with as many epochs as fit in the time."""
    given = {"processes": arguments.processes, "threads_per_process": 1, **changes}
    options = recipe(name, **given)
    if arguments.minutes:
        # The second epoch tells the pace; the first also compiles.
        pace = train(data, recipe(name, **{**given, "epochs": 2}), seed, f"{name}, pace")
        epochs = max(int(60.0 * arguments.minutes / pace.result.epochs[-1].seconds), 2)
        options = recipe(name, **{**given, "epochs": epochs})
    return train(data, options, seed, name)


def peers(
    path: str, arguments: argparse.Namespace, seed: int, seconds: float
) -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    """The peers' lists, each trained in an environment of its own."""
    common = ["--seconds", str(seconds), "--seed", str(seed), "--threads", str(arguments.processes)]
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "lists.npy")
        for name, options in RECTOOLS_RUNS.items():
            if arguments.only in name:
                python = peer_environment(RECTOOLS, "rectools")
                given = [*common, "--options", json.dumps(options), "--out", place]
                facts = ask(
                    python, str(HERE / "sequence_rectools.py"), "accuracy", _full(path), *given
                )
                yield name, np.load(place), facts
        for name, (model, options) in RECBOLE_RUNS.items():
            if arguments.only in name:
                python = peer_environment(RECBOLE_WITH, "recbole")
                given = [*common, "--options", json.dumps(options), "--out", place]
                facts = ask(python, str(HERE / "sequence_recbole.py"), model, _full(path), *given)
                yield name, np.load(place), facts


def metrics(
    found: list[tuple[np.ndarray, dict[str, Any]]], wanted: np.ndarray
) -> dict[str, np.ndarray]:
    """Each user's metrics, means over the seeds."""
    each = [user_metrics(lists, wanted) for lists, _ in found]
    return {name: np.mean([m[name] for m in each], axis=0) for name in each[0]}


def row(users: dict[str, np.ndarray], found: list[tuple[np.ndarray, dict[str, Any]]]) -> dict:  # type: ignore[type-arg]
    """Means over users, the half-width of the 95% interval of NDCG@10, and the run's facts."""
    means = {name: round(float(values.mean()), 4) for name, values in users.items()}
    half = NORMAL_95 * float(users["NDCG@10"].std(ddof=1)) / np.sqrt(len(users["NDCG@10"]))
    facts = {key: value for key, value in found[0][1].items() if key != "curve"}
    return {**means, "NDCG@10 +-": round(half, 4), **facts}


def ratios(measured: dict[str, dict[str, np.ndarray]]) -> dict[str, float]:
    """NDCG@10 of ours over that of each other."""
    value = {name: float(users["NDCG@10"].mean()) for name, users in measured.items()}
    own = [name for name in value if name.startswith("truelift")]
    return {
        f"NDCG@10, {mine} / {other}": round(value[mine] / max(value[other], 1e-9), 3)
        for mine in own
        for other in value
        if other not in own
    }


def _facts(trained: Trained) -> dict[str, Any]:
    result = trained.result
    best = next(e for e in result.epochs if e.epoch == result.best_epoch)
    return {
        "seconds": round(trained.seconds, 1),
        "epochs": len(result.epochs),
        "best_epoch": result.best_epoch,
        "validation_ndcg": round(best.validation_ndcg, 4),
    }


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    real = scores.astype(np.float64)
    peak = real.max(axis=1, keepdims=True)
    return real - peak - np.log(np.exp(real - peak).sum(axis=1, keepdims=True))


def _change(text: str) -> tuple[str, Any]:
    import yaml

    key, value = text.split("=", 1)
    return key, yaml.safe_load(value)


def _full(path: str) -> str:
    return str(Path(path).resolve())


if __name__ == "__main__":
    main()
