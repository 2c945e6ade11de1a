"""RecTools' SASRec, for :mod:`sequence_accuracy` and :mod:`sequence_training`; in its environment.

``accuracy`` trains for a budget of seconds with a look at the validation item after each epoch,
and leaves its lists for the test item in a file; ``rate`` times training batches.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as lightning
import torch
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

sys.path.append(str(Path(__file__).parent))
from sequence_data import Interactions, ndcg, read_interactions

TOP = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("accuracy", "rate"))
    parser.add_argument("file")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--options", default="{}", help="options of SASRecModel, as JSON")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--out", default="")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(arguments.threads)
    lightning.seed_everything(arguments.seed)
    data = read_interactions(arguments.file)
    options = {"session_max_len": arguments.length, **json.loads(arguments.options)}
    found = accuracy(data, options, arguments) if arguments.task == "accuracy" else rate(
        data, options, arguments
    )  # fmt: skip
    print(json.dumps({"version": version("rectools"), "torch": version("torch"), **found}))


def accuracy(data: Interactions, options: dict, arguments: argparse.Namespace) -> dict:  # type: ignore[type-arg]
    """Train on all but each user's last two items; the best epoch on validation is kept."""
    train, past = dataset(data.without_last(2)), dataset(data.without_last(1))
    model = SASRecModel(**options, get_trainer_func=trainer)
    spent, best, curve, weights = 0.0, (-1.0, 0), [], None
    while spent < arguments.seconds:
        began = time.perf_counter()
        model.fit_partial(train, min_epochs=1, max_epochs=1)
        spent += time.perf_counter() - began
        value = ndcg(lists(model, train, data), data.last(2))
        curve.append(round(value, 4))
        if value > best[0]:
            best = value, len(curve)
            weights = copy.deepcopy(model.lightning_model.state_dict())
    model.lightning_model.load_state_dict(weights)
    np.save(arguments.out, lists(model, past, data))
    return {"seconds": round(spent, 1), "epochs": len(curve), "best_epoch": best[1],
            "validation_ndcg": round(best[0], 4), "curve": curve}  # fmt: skip


def rate(data: Interactions, options: dict, arguments: argparse.Namespace) -> dict:  # type: ignore[type-arg]
    """Histories a second over some batches after two that are not counted."""
    clock = Clock(arguments.batches + 2)
    model = SASRecModel(**options, epochs=1, get_trainer_func=lambda: trainer([clock]))
    model.fit(dataset(data))
    seconds = clock.ends[-1] - clock.ends[1]
    histories = arguments.batches * model.batch_size
    return {"seconds": round(seconds, 2), "histories": histories,
            "histories_a_second": round(histories / seconds, 2)}  # fmt: skip


class Clock(lightning.Callback):
    """When each batch ended; stops after some."""

    def __init__(self, batches: int) -> None:
        self.batches = batches
        self.ends: list[float] = []

    def __deepcopy__(self, memo: dict) -> Clock:  # type: ignore[type-arg]
        # RecTools copies its trainer before it fits; the times are wanted here.
        return self

    def on_train_batch_end(self, trainer, *others) -> None:  # type: ignore[no-untyped-def]
        self.ends.append(time.perf_counter())
        trainer.should_stop = len(self.ends) >= self.batches


def trainer(callbacks: list[lightning.Callback] | None = None) -> lightning.Trainer:
    """What RecTools makes by default, on the processor."""
    return lightning.Trainer(
        max_epochs=1, min_epochs=0, accelerator="cpu", devices=1, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        callbacks=callbacks,
    )  # fmt: skip


def dataset(data: Interactions) -> Dataset:
    """Interactions with their places as times, so that equal times cannot change the order."""
    place = np.arange(len(data.items)) - data.offsets[data.owner]
    frame = pd.DataFrame(
        {
            Columns.User: data.owner,
            Columns.Item: data.items,
            Columns.Weight: 1.0,
            Columns.Datetime: pd.Timestamp("2000-01-01") + pd.to_timedelta(place, unit="s"),
        }
    )
    return Dataset.construct(frame)


def lists(model: SASRecModel, past: Dataset, data: Interactions) -> np.ndarray:
    """Best items outside each user's past, shape (users, 20); 0 where there are fewer."""
    users = np.arange(data.users)
    found = model.recommend(users, past, k=TOP, filter_viewed=True)
    top = np.zeros((data.users, TOP), dtype=np.int64)
    top[found[Columns.User], found[Columns.Rank] - 1] = found[Columns.Item]
    return top


if __name__ == "__main__":
    main()
