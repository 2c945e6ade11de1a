"""RecBole's sequential models, for :mod:`sequence_accuracy`; in their environment.

RecBole reads, splits and trains; what is ranked for a user is made here from the same histories
as everyone's, so that its own metrics (and its calls to NumPy names that are gone) are not used.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import os
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import get_model, get_trainer, init_seed

sys.path.append(str(Path(__file__).parent))
from sequence_data import Interactions, ndcg, read_interactions, top_lists

TOP = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a sequential model of RecBole")
    parser.add_argument("file")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--options", default="{}", help="RecBole's settings, as JSON")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(arguments.threads)
    data = read_interactions(arguments.file)
    with tempfile.TemporaryDirectory() as folder:
        found = run(data, folder, arguments)
    versions = {name: version(name) for name in ("recbole", "torch")}
    print(json.dumps({"version": versions["recbole"], "torch": versions["torch"], **found}))


def run(data: Interactions, folder: str, arguments: argparse.Namespace) -> dict:  # type: ignore[type-arg]
    """Train for a budget of seconds; the best epoch on validation is kept."""
    config = configuration(data, folder, arguments)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train, _, _ = data_preparation(config, dataset)
    model = get_model(config["model"])(config, train.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    # RecBole's number of each of our items.
    codes = np.zeros(len(data.item_keys) + 1, dtype=np.int64)
    codes[1:] = [dataset.field2token_id["item_id"][str(i)] for i in range(1, len(codes))]

    def lists(history: Interactions) -> np.ndarray:
        return top_lists(scores(model, history, codes, config), history, TOP)

    spent, best, curve, weights = 0.0, (-1.0, 0), [], None
    while spent < arguments.seconds:
        began = time.perf_counter()
        trainer._train_epoch(train, len(curve))
        spent += time.perf_counter() - began
        value = ndcg(lists(data.without_last(2)), data.last(2))
        curve.append(round(value, 4))
        if value > best[0]:
            best, weights = (value, len(curve)), copy.deepcopy(model.state_dict())
    model.load_state_dict(weights)
    np.save(arguments.out, lists(data.without_last(1)))
    return {"seconds": round(spent, 1), "epochs": len(curve), "best_epoch": best[1],
            "validation_ndcg": round(best[0], 4), "curve": curve}  # fmt: skip


def configuration(data: Interactions, folder: str, arguments: argparse.Namespace) -> Config:
    """RecBole's defaults of the model with cross-entropy over all items, and its file."""
    place = Path(folder) / "interactions"
    place.mkdir()
    within = np.arange(len(data.items)) - data.offsets[data.owner]
    lines = zip(data.owner, data.items, within, strict=True)
    text = "user_id:token\titem_id:token\ttimestamp:float\n"
    text += "".join(f"{user}\t{item}\t{time}\n" for user, item, time in lines)
    (place / "interactions.inter").write_text(text)
    os.chdir(folder)  # RecBole writes logs where it runs
    sys.argv = sys.argv[:1]  # and reads the command line
    settings = {
        "data_path": folder,
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
        "train_neg_sample_args": None,
        "loss_type": "CE",
        "use_gpu": False,
        "seed": arguments.seed,
        "state": "ERROR",
        "show_progress": False,
        **json.loads(arguments.options),
    }
    return Config(model=arguments.model, dataset="interactions", config_dict=settings)


@torch.no_grad()
def scores(model: torch.nn.Module, history: Interactions, codes: np.ndarray, config: Config):  # type: ignore[no-untyped-def]
    """Scores by our item numbers, shape (users, items + 1)."""
    model.eval()
    length = config["MAX_ITEM_LIST_LENGTH"]
    rows = np.zeros((history.users, length), dtype=np.int64)
    for user in range(history.users):
        latest = history.items[history.offsets[user] : history.offsets[user + 1]][-length:]
        rows[user, : len(latest)] = codes[latest]
    lengths = np.minimum(history.lengths, length)
    parts = []
    for start in range(0, len(rows), 256):
        chosen = slice(start, start + 256)
        query = {"item_id_list": torch.as_tensor(rows[chosen]),
                 "item_length": torch.as_tensor(lengths[chosen])}  # fmt: skip
        parts.append(model.full_sort_predict(Interaction(query)).numpy())
    return np.concatenate(parts)[:, codes]


if __name__ == "__main__":
    main()
