"""A registered model behind ``mlflow models serve``, asked by 32 clients at once.

    python benchmarks/serving.py [--seconds 10] [--clients 32] [--models basket_gru sasrec]

Each client sends its next request when it has its answer; requests are of 1 history and of 32,
with 100 interactions each on average. The weights are fresh ones: speed does not depend on what
they are. The peers are served in the same way: "popularity" answers everyone alike and reads no
history, so what it costs is MLflow's server and the JSON, below which no model gets; "a call a
request" is the same model without :mod:`truelift.serving.batching`. Clients and server share
the machine. The last line is one JSON object; ratios are requests a second, ours divided by the
peer's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from measuring import publish
from mlflow.pyfunc.model import PythonModel

from truelift.models.runtime import start_tensorflow
from truelift.models.sequence import registry
from truelift.models.sequence.package import ModelPackage, named_weights
from truelift.serving import pyfunc
from truelift.settings import SequenceOptions
from truelift.settings.sequence_sections import HistorySection, NetworkSection

SIZES = (1, 32)
# Starts of a server before the benchmark gives up.
ATTEMPTS = 3


class Popularity(PythonModel):
    """The same list for everyone."""

    def __init__(self, keys: tuple[str, ...]):
        self.keys = list(keys)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        count = int((params or {}).get("count", 10))
        scores = np.arange(count, 0, -1.0).tolist()
        rows = len(model_input)
        return pd.DataFrame({"items": [self.keys[:count]] * rows, "scores": [scores] * rows})


class CallARequest(pyfunc.SequenceModel):
    """Ours, each request scored by itself."""

    def load_context(self, context: Any) -> None:
        super().load_context(context)
        object.__setattr__(self._scorer, "top_of_request", self._scorer.top)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--items", type=int, default=3400)
    parser.add_argument("--models", nargs="+", default=["basket_gru", "sasrec", "gru"])
    parser.add_argument("--out", default="benchmarks/results/serving.json")
    options = parser.parse_args()
    keys = tuple(f"item-{i}" for i in range(1, options.items + 1))
    start_tensorflow()
    contestants: dict[str, tuple[PythonModel, ModelPackage | None]] = {}
    for name in options.models:
        package = fresh(name, keys)
        contestants[name] = (pyfunc.SequenceModel(), package)
        contestants[f"{name}, a call a request"] = (CallARequest(), package)
    contestants["popularity"] = (Popularity(keys), None)
    shape = fresh(options.models[0], keys)
    figures: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, (model, package)) in enumerate(contestants.items()):
            place = Path(folder, str(number))
            with served(logged(model, package, shape, place)) as port:
                for size in SIZES:
                    bodies = requests(keys, size)
                    asyncio.run(load(port, bodies, options.clients, 2.0))  # warms up
                    found = asyncio.run(load(port, bodies, options.clients, options.seconds))
                    figures[f"{name}, {size} a request"] = summary(*found, size)
    ratios = {
        f"{name} to {peer}, {size} a request": round(
            figures[f"{name}, {size} a request"]["requests_a_second"]
            / figures[f"{other}, {size} a request"]["requests_a_second"],
            3,
        )
        for name in options.models
        for peer, other in (("popularity",) * 2, ("a call a request", f"{name}, a call a request"))
        for size in SIZES
    }
    publish("serving", options.clients, figures, ratios, options.out)


def fresh(name: str, keys: tuple[str, ...]) -> ModelPackage:
    """A package with fresh weights, of the shape of the recipes."""
    step = registry.entry(name).step
    length, layers = (100, 1) if step == "session" else (200, 2 if name == "sasrec" else 1)
    options = SequenceOptions(
        model=name,
        histories=HistorySection(step=step, max_length=length),
        network=NetworkSection(layers=layers),
    )
    plain = registry.entry(name).options(len(keys), options)
    weights = named_weights(registry.entry(name).build(plain))
    return ModelPackage(name, plain, length, step, keys, weights)


def logged(
    model: PythonModel, package: ModelPackage | None, shape: ModelPackage, folder: Path
) -> str:
    """The model as MLflow keeps it, with the columns of ``shape``."""
    folder.mkdir()
    mlflow.pyfunc.save_model(
        str(folder / "model"),
        python_model=model,
        artifacts=pyfunc.save(package, folder) if package else None,
        signature=pyfunc.signature(shape),
        input_example=pyfunc.input_example(shape.item_keys),
        pip_requirements=pyfunc.requirements(),
    )
    return str(folder / "model")


@contextmanager
def served(model: str) -> Iterator[int]:
    """A running server; gives its port."""
    for attempt in range(ATTEMPTS):
        process, port, log = started(model)
        try:
            if answers(process, port):
                yield port
                return
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 15)
                process.wait()
        # Between our look at the port and the server's another program may have taken it.
        if "address already in use" not in log.read_text() or attempt == ATTEMPTS - 1:
            raise SystemExit(f"The server ended:\n{log.read_text()[-3000:]}")


def started(model: str) -> tuple[subprocess.Popen[bytes], int, Path]:
    """A server that is starting, on a port that is free now, and its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "-p", str(port),
               "--env-manager", "local"]  # fmt: skip
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    log = Path(model).with_name("server.log")
    with log.open("w") as out:
        process = subprocess.Popen(
            command, env={**os.environ, "PATH": places}, start_new_session=True, stdout=out,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    return process, port, log


def answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Waits until a server answers; False where it has ended."""
    while process.poll() is None:
        try:
            asyncio.run(ping(port))
            return True
        except (OSError, asyncio.IncompleteReadError):
            time.sleep(0.2)
    return False


async def ping(port: int) -> None:
    """Ask the server whether it is well; another program at the port would not say so."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    if b" 200 " not in head.splitlines()[0]:
        raise OSError(head.decode())


def requests(keys: tuple[str, ...], size: int, count: int = 64) -> list[bytes]:
    """HTTP requests with histories of 20 to 180 interactions."""
    generator = np.random.default_rng(5)
    made = []
    for _ in range(count):
        lengths = generator.integers(20, 181, size)
        rows = [{"items": [keys[i] for i in generator.integers(0, len(keys), n)]} for n in lengths]
        body = json.dumps({"dataframe_records": rows, "params": {"seen_items": "drop"}}).encode()
        head = (
            "POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


async def load(
    port: int, bodies: list[bytes], clients: int, seconds: float
) -> tuple[list[float], float]:
    """Latencies of all requests begun within so many seconds, and the time all took."""
    found: list[float] = []
    begun = time.perf_counter()
    stop = begun + seconds

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        turn = number
        while (started := time.perf_counter()) < stop:
            writer.write(bodies[turn % len(bodies)])
            turn += clients + 1
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length:")[1].split("\r\n")[0])
            answer = await reader.readexactly(length)
            if " 200 " not in head.splitlines()[0]:
                raise SystemExit(f"The server refused: {answer.decode()[:500]}")
            found.append(time.perf_counter() - started)
        writer.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    return found, time.perf_counter() - begun


def summary(latencies: list[float], seconds: float, size: int) -> dict[str, float]:
    """Percentiles in milliseconds, and rates."""
    p50, p99 = np.percentile(np.array(latencies) * 1000, [50, 99])
    rate = len(latencies) / seconds
    return {
        "requests_a_second": round(rate, 1),
        "histories_a_second": round(rate * size, 1),
        "p50_ms": round(float(p50), 1),
        "p99_ms": round(float(p99), 1),
    }


if __name__ == "__main__":
    main()
