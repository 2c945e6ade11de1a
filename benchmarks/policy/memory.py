"""Memory of an evaluation with ten thousand actions, at one and at ten million rows.

    python benchmarks/policy/memory.py [--rows 10000000] [--actions 10000] [--buckets 80]

Each bucket of users is made from its seed when a pass asks for it, as a task of the lake reads its own,
so that no more than one is there at a time; what grows with the rows shows as peak resident memory
beyond that of a tenth of them. Three policies (a column of actions, all alike, chances by context in a
table), all ten single-action estimators but MRDR, a reward model of actions and context. Each size runs
in a process of its own. Prints a table and, as last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from truelift.effects.panel.source import MemoryPanel
from truelift.policy.off_policy.estimators import UNGROUPED
from truelift.policy.off_policy.evaluate import evaluate
from truelift.policy.off_policy.log import BanditLog
from truelift.policy.off_policy.spec import BanditSpec
from truelift.typed import from_plain

SEGMENTS, USER_ROWS = 5, 10


class Buckets(Mapping[int, pa.Table]):
    """Rows of users by bucket, made anew each time they are asked for; the last ones are kept."""

    def __init__(self, rows: int, actions: int, buckets: int):
        self._rows, self._actions, self._count = rows // buckets, actions, buckets
        self._last: tuple[int, pa.Table] | None = None
        chances = np.random.default_rng(0).gamma(1.0, 1.0, actions) + 0.1
        self._chances = chances / chances.sum()
        self._names = pa.array([f"item {a}" for a in range(actions)])

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._count))

    def __getitem__(self, bucket: int) -> pa.Table:
        if self._last is None or self._last[0] != bucket:
            self._last = None
            self._last = (bucket, self._made(bucket))
        return self._last[1]

    def _made(self, bucket: int) -> pa.Table:
        rng, n = np.random.default_rng(bucket + 1), self._rows
        action = np.searchsorted(self._chances.cumsum(), rng.random(n)).clip(0, self._actions - 1)
        proposed = np.where(rng.random(n) < 0.3, action, rng.integers(0, self._actions, n))
        return pa.table(
            {
                "item": self._names.take(pa.array(action)), "p": self._chances[action],
                "proposed": self._names.take(pa.array(proposed)),
                "segment": pa.array(rng.integers(0, SEGMENTS, n)),
                "user": bucket * 10**7 + np.arange(n) // USER_ROWS,
                "bought": (rng.random(n) < 0.02 + 0.05 * (action % 7 == 0)) * 1.0,
            }
        )  # fmt: skip


def measure(rows: int, actions: int, buckets: int) -> dict[str, float]:
    """Peak memory and processor time of one evaluation, in this process."""
    made = Buckets(rows, actions, buckets)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "policy.parquet"
        rng = np.random.default_rng(5)
        chance = rng.gamma(1.0, 1.0, (SEGMENTS, actions))
        chance /= chance.sum(axis=1, keepdims=True)
        pq.write_table(
            pa.table(
                {
                    "segment": np.repeat(np.arange(SEGMENTS), actions),
                    "action": np.tile([f"item {a}" for a in range(actions)], SEGMENTS),
                    "propensity": chance.ravel(),
                }
            ),
            table,
        )
        spec = from_plain(
            BanditSpec,
            {
                "action": "item", "rewards": ["bought"], "user": "user", "propensity": "p",
                "context": ["segment"], "actions": [f"item {a}" for a in range(actions)], "estimators": [n for n in UNGROUPED if n != "MRDR"],
                "policies": {
                    "proposed": {"action": "proposed"}, "random": {"uniform": True},
                    "by segment": {"table": {"table": str(table), "by": ["segment"]}},
                },
            },
        )  # fmt: skip
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began = time.process_time()
        result = evaluate(BanditLog(MemoryPanel(made, "generated"), spec.columns()), spec)
    return {
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "before_mib": round(before), "cpu_seconds": round(time.process_time() - began, 1),
        "rows": result.rows, "users": result.users, "estimates": len(result.estimates),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--actions", type=int, default=10_000)
    parser.add_argument("--buckets", type=int, default=80)
    parser.add_argument("--alone", action="store_true", help="this size only, in this process")
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(measure(options.rows, options.actions, options.buckets)))
        return
    figures: dict[str, Any] = {}
    # A tenth of the rows in a tenth of the buckets: a bucket is as large.
    for part in (10, 1):
        said = ["--rows", str(options.rows // part), "--actions", str(options.actions)]
        buckets = max(options.buckets // part, 5)
        command = [sys.executable, __file__, "--alone", *said, "--buckets", str(buckets)]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        figures[f"{options.rows // part:,} rows"] = json.loads(ran.stdout.splitlines()[-1])
    for label, figure in figures.items():
        print(f"  {label:<20}" + "  ".join(f"{k} {v}" for k, v in figure.items()))
    small, large = (f["peak_mib"] for f in figures.values())
    print(
        json.dumps(
            {
                "benchmark": "policy_memory", "actions": options.actions, "figures": figures,
                "ratios": {"peak of all rows by that of a tenth": large / small},
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
