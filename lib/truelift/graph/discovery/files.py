"""What discovery leaves: edges as Parquet, the whole as JSON, the graph as YAML and lines."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from truelift.errors import MachineError
from truelift.graph.discovery.pattern import sign_of
from truelift.graph.discovery.results import DiscoveryResult

_SCHEMA = pa.schema(
    [(n, pa.string()) for n in ("first", "second", "line")]
    + [(n, pa.float64()) for n in ("frequency", "forward", "backward", "effect", "chance")]
)


def write_result(result: DiscoveryResult, folder: str | Path) -> Path:
    """Write ``edges.parquet``, ``discovery.json``, ``learned.graph.yaml`` and ``graph.txt``.

    Raises
    ------
    MachineError
        If they cannot be written there.
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        rows = pa.Table.from_pylist([vars(e) for e in result.edges], schema=_SCHEMA)
        pq.write_table(rows, place / "edges.parquet")
        text = json.dumps(asdict(result), indent=1)
        (place / "discovery.json").write_text(text + "\n", encoding="utf-8")
        (place / "learned.graph.yaml").write_text(as_graph_file(result), encoding="utf-8")
        (place / "graph.txt").write_text("\n".join(result.lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise MachineError(
            f"The graph cannot be written to {place} ({error.strerror}). Choose another folder with --out."
        ) from error
    return place


def as_graph_file(result: DiscoveryResult) -> str:
    """Arrows that the data decide as a graph's file; what they leave open stands in comments.

    So the file is no graph of its own accord: whoever uses it says which way the open edges go.
    """
    decided = [line for line in result.lines if sign_of(line) in ("->", "<->")]
    undecided = [line for line in result.lines if line not in decided]
    told = [f"# Learned from {result.table}: {result.method}.", "arrows:"]
    told += [f"  - {json.dumps(line, ensure_ascii=False)}" for line in decided]
    if not decided:
        told[-1] = "arrows: []"
    if undecided:
        told += ["# The data leave these open. Write each as an arrow, one way or the other:"]
        told += [f"#  - {json.dumps(line, ensure_ascii=False)}" for line in undecided]
    told += ["nodes:"]
    tier = {name: f"tier_{i + 1}" for i, group in enumerate(result.tiers) for name in group}
    for name in result.names:
        own = f"{{tier: {tier[name]}}}" if name in tier else "{}"
        told.append(f"  {json.dumps(name, ensure_ascii=False)}: {own}")
    if result.tiers:
        told.append(f"tiers: [{', '.join(f'tier_{i + 1}' for i in range(len(result.tiers)))}]")
    return "\n".join(told) + "\n"
