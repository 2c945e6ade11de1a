"""Registered models behind a running ``mlflow models serve``: answers and refusals."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import mlflow
import numpy as np
import pytest

from truelift.models.runtime import start_tensorflow
from truelift.models.sequence import registry
from truelift.models.sequence.histories import Histories
from truelift.models.sequence.package import ModelPackage, named_weights
from truelift.models.sequence.sides import SideCodes
from truelift.serving import pyfunc
from truelift.serving.scorer import Scorer
from truelift.settings import SequenceOptions

ITEMS = 40
KEYS = tuple(f"item {i}" for i in range(1, ITEMS + 1))
RANKERS = sorted(name for name, e in registry.MODELS.items() if e.task == "ranking")


def package(name: str) -> ModelPackage:
    start_tensorflow()
    entry = registry.entry(name)
    sides = ("category", "event_type", "gap_bucket") if entry.step == "event" else ()
    options = SequenceOptions(
        model=name, step=entry.step, max_length=12, units=8, side_features=sides
    )
    plain = entry.options(ITEMS, options)
    model = entry.build(plain)
    rng = np.random.default_rng(2)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    codes = SideCodes(("buy", "view"), rng.integers(0, 5, ITEMS + 1).astype(np.int32))
    return ModelPackage(name, plain, 12, entry.step, KEYS, named_weights(model), codes)


def log(package: ModelPackage, folder) -> str:
    folder.mkdir()
    mlflow.pyfunc.save_model(
        str(folder / "model"),
        python_model=pyfunc.SequenceModel(),
        artifacts=pyfunc.save(package, folder),
        signature=pyfunc.signature(package),
        pip_requirements=pyfunc.requirements(),
    )
    return str(folder / "model")


def users(seed: int, count: int = 50) -> list[dict]:
    """Histories with what a request may carry, and none for the first."""
    rng, rows = np.random.default_rng(seed), []
    for length in [0, *rng.integers(1, 30, count - 1)]:
        rows.append(
            {
                "items": [KEYS[i] for i in rng.integers(0, ITEMS, length)],
                "sessions": np.sort(rng.integers(0, 9, length)).tolist(),
                "times": np.sort(rng.integers(1, 10**6, length)).tolist(),
                "event_types": rng.choice(["view", "buy", "other"], length).tolist(),
            }
        )
    return rows


def in_memory(package: ModelPackage, rows: list[dict], seen: str) -> tuple[np.ndarray, np.ndarray]:
    """Best items and scores by the model itself, its histories built apart from the server's."""
    items, times, sessions, kinds, sizes = [], [], [], [], []
    for row in rows:
        taken = set()
        before = len(items)
        for key, session, second, kind in zip(*row.values(), strict=True):
            if (session, key) not in taken:
                taken.add((session, key))
                items.append(KEYS.index(key) + 1)
                times.append(second * 10**6)
                sessions.append(session)
                kinds.append(("buy", "view").index(kind) + 1 if kind != "other" else 0)
        sizes.append(len(items) - before)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    first = set(offsets.tolist())
    gaps = [
        0 if i in first else 1 + int(np.log2(1 + (times[i] - times[i - 1]) / 1e6))
        for i in range(len(items))
    ]
    index = np.array(items, dtype=np.int32)
    features = {
        "category": package.sides.categories[index],
        "event_type": np.array(kinds, np.int32),
        "gap_bucket": np.array(gaps, np.int32),
    }
    histories = Histories(
        np.arange(len(rows)).astype(str), offsets, index, np.array(times), np.array(sessions),
        {name: features[name] for name in package.side_features},
    )  # fmt: skip
    return Scorer.from_package(package).top(histories, 7, seen)


@pytest.mark.parametrize("name", RANKERS)
def test_a_reloaded_model_gives_all_users_the_scores_of_the_one_in_memory(name, tmp_path):
    import pandas as pd

    own, rows = package(name), users(5)
    served = mlflow.pyfunc.load_model(log(own, tmp_path / name))
    for seen in ("keep", "drop"):
        top, scores = in_memory(own, rows, seen)
        answer = served.predict(pd.DataFrame(rows), params={"count": 7, "seen_items": seen})
        for user in range(len(rows)):
            real = top[user] > 0
            assert answer["items"][user] == [KEYS[i - 1] for i in top[user][real]]
            np.testing.assert_allclose(answer["scores"][user], scores[user][real], atol=1e-6)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """``ask(body)``: status and answer of a server of a BasketGRU."""
    model = log(package("basket_gru"), tmp_path_factory.mktemp("served") / "gru")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "-p", str(port),
        "--env-manager", "local",
    ]  # fmt: skip
    places = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        command, env={**os.environ, "PATH": places}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def ask(body: dict, path: str = "invocations"):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/{path}", json.dumps(body).encode() if body else None,
            {"Content-Type": "application/json"},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                ask({}, "ping")
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield ask
    finally:
        os.killpg(process.pid, 15)
        process.wait(20)


def request(*rows: dict, **params) -> dict:
    return {"dataframe_records": list(rows), "params": params}


REFUSED = [
    (request({"products": ["item 1"]}), "items"),
    (request({"items": "item 1"}), "expected a list of item ids"),
    (request({"items": [1.5]}), "found 1.5"),
    (request({"items": ["item 1"], "sessions": [1, 2]}), "1 items and 2 sessions"),
    (request({"items": ["item 1"], "times": ["soon"]}), "Expected ISO texts"),
    (request({"items": ["item 1"]}, count=0), "found 0, expected 1 to 40"),
    (request({"items": ["item 1"]}, count=41), "found 41, expected 1 to 40"),
    (request({"items": ["item 1"]}, count="many"), "count"),
    (request({"items": ["item 1"]}, cout=3), "Did you mean 'count'"),
    (request({"items": ["item 1"], "time": [5]}), "Did you mean 'times'"),
    (request({"items": ["item 1"]}, seen_items="hide"), "expected 'keep' or 'drop'"),
    ({"rows": []}, "dataframe_records"),
]


def test_a_server_answers_and_refuses_with_a_reason(server):
    rows = [{k: r[k] for k in ("items", "sessions")} for r in users(8, 6)]
    status, text = server(request(*rows, {"items": ["never seen"]}, count=5, seen_items="drop"))
    found = json.loads(text)["predictions"]
    assert status == 200
    assert [len(f["items"]) for f in found] == [5] * 7
    assert not any(set(f["items"]) & set(r["items"]) for f, r in zip(found, rows, strict=False))
    assert found[0]["items"] == found[-1]["items"]  # both get the model's start

    with ThreadPoolExecutor(8) as clients:
        alone = clients.map(lambda row: server(request(row, count=5, seen_items="drop")), rows)
        for (_, answer), together in zip(alone, found, strict=False):
            one = json.loads(answer)["predictions"][0]
            assert one["items"] == together["items"]
            np.testing.assert_allclose(one["scores"], together["scores"], atol=1e-5)

    for body, reason in REFUSED:
        status, text = server(body)
        assert (status // 100, reason in text) == (4, True), (body, status, text)
