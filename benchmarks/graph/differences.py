"""Differences over time: beside diff-diff, how often intervals and bands hold the truth, and speed.

    python benchmarks/graph/differences.py [--mpdta FILE] [--repetitions 1000] [--units 100000]
        [--disk 100000 1000000] [--skip-peers] [--out FILE]

The peer is installed into an environment of its own (``benchmarks/peers.py``). ``--mpdta`` is a CSV file of
the county data of Callaway and Sant'Anna (2021), which comes with R's ``did``; its published overall effect is
-.039951. Prints a table and, as last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv as pacsv
from deltalake import write_deltalake
from measuring import Run, measured, spark_session
from peers import ask, peer_environment

from truelift.effects.designs.differences.run import difference_effects
from truelift.effects.panel.any_table import frame_panel
from truelift.effects.panel.lake_panel import LakePanel
from truelift.effects.panel.source import MemoryPanel
from truelift.effects.results import Estimate
from truelift.lake import Lake
from truelift.lake.buckets import buckets_of
from truelift.lake.scan import make_plan
from truelift.settings import EffectOptions, Settings
from truelift.settings.effect_sections import DifferencesSection
from truelift.simulate.worlds.staggered import staggered_table, trending_table, true_effect

CHUNK_UNITS = 100_000

SIMULATED = {
    "outcome": "y", "unit": "shop", "time": "week", "first_treat": "begins", "cluster": "region",
}  # fmt: skip
COUNTIES = {
    "outcome": "lemp", "unit": "countyreal", "time": "year", "first_treat": "first.treat",
    "cluster": "countyreal",
}  # fmt: skip


def options_of(columns: dict[str, str], whom: str) -> EffectOptions:
    """The specification of a panel with these columns."""
    return EffectOptions(
        design="did",
        treatment=columns["first_treat"],
        outcomes=(columns["outcome"],),
        unit=columns["unit"],
        cluster=columns["cluster"],
        differences=DifferencesSection(columns["time"], whom),
    )


def beside_peer(python: str, file: Path, columns: dict[str, str]) -> dict[str, float]:
    """The largest differences to the peer: of effects, of their errors, of the overall one."""
    worst = {"cells": 0.0, "errors": 0.0, "overall": 0.0}
    for whom in ("never_treated", "not_yet_treated"):
        script = str(Path(__file__).with_name("differences_peers.py"))
        theirs = ask(python, script, str(file), whom, json.dumps(columns))
        options = options_of(columns, whom)
        panel = frame_panel(pacsv.read_csv(file), options, 8)
        made = difference_effects(panel, options, lambda text: None).estimates
        for e in made:
            if e.estimand == "ATT(g,t)":
                named = e.population.split()
                effect, error = theirs["cells"][f"{named[3]} {named[6]}"]
                worst["cells"] = max(worst["cells"], abs(e.estimate - effect))
                worst["errors"] = max(worst["errors"], abs(e.standard_error / error - 1))
        overall = next(e for e in made if e.estimand == "overall ATT")
        worst["overall"] = max(worst["overall"], abs(overall.estimate - theirs["overall"][0]))
        print(f"{file.name} {whom}: overall {overall.estimate:.6f}, apart {worst}")
    return worst


def cells_and_truth(table: pa.Table, options: EffectOptions) -> list[tuple[Estimate, float]]:
    """Estimates of ATT(g,t) of a simulated panel, and what is true of each."""
    bucket = table["region"].to_numpy() % 5
    source = MemoryPanel({b: table.filter(pa.array(bucket == b)) for b in range(5)})
    made = difference_effects(source, options, lambda text: None).estimates
    return [(e, true_effect(e.population)) for e in made if e.estimand == "ATT(g,t)"]


def coverage(repetitions: int) -> dict[str, float]:
    """Shares of cells whose interval holds the truth, and of panels in which all bands do."""
    options = replace(options_of(SIMULATED, "not_yet_treated"), estimands=("ATT(g,t)",))
    each, together = [], []
    for seed in range(repetitions):
        table = staggered_table(10_000 + seed, shops=240, regions=80, shared=1.0)
        cells = cells_and_truth(table, options)
        each.append(np.mean([e.ci_lower <= truth <= e.ci_upper for e, truth in cells]))
        held = [float(e.band_lower or 0) <= truth <= float(e.band_upper or 0) for e, truth in cells]
        together.append(all(held))
    return {"cells": round(float(np.mean(each)), 4), "bands": round(float(np.mean(together)), 4)}


def speed(units: int) -> dict[str, float]:
    """CPU seconds of all effects with bands, 12 periods, from memory on one core."""
    options = options_of(SIMULATED, "not_yet_treated")
    table = staggered_table(1, shops=units, regions=units // 10, weeks=12, cohorts=(3, 5, 7, 9))
    panel = frame_panel(table, options, 40)
    started = time.process_time()
    made = difference_effects(panel, options, lambda text: None).estimates
    seconds = time.process_time() - started
    return {"units": units, "periods": 12, "estimates": len(made), "cpu_seconds": round(seconds, 2)}


def write_buckets(uri: str, units: int, buckets: int) -> None:
    """A panel of units and 12 periods as a Delta table, a chunk at a time, each region in its bucket."""
    for chunk, start in enumerate(range(0, units, CHUNK_UNITS)):
        shops = min(CHUNK_UNITS, units - start)
        table = staggered_table(
            chunk, shops=shops, regions=shops // 10, weeks=12, cohorts=(3, 5, 7, 9)
        )
        for name in ("shop", "region"):
            place = table.column_names.index(name)
            moved = pa.array(table[name].to_numpy() + chunk * CHUNK_UNITS)
            table = table.set_column(place, name, moved)
        bucket = buckets_of(table["region"].combine_chunks(), buckets)
        table = table.append_column("bucket", pa.array(np.asarray(bucket, np.int32)))
        write_deltalake(uri, table, mode="append", partition_by=["bucket"])


def from_disk(units: int, folder: Path) -> dict[str, float]:
    """CPU seconds of all processes for all effects with bands from a Delta table, and peaks of memory in MiB."""
    uri, buckets = str(folder / f"panel-{units}"), 40
    write_buckets(uri, units, buckets)
    session = spark_session("2g")
    settings = Settings(dataset="simulated", lake=str(folder / "lake"), buckets=buckets)
    panel = LakePanel(Lake.open(settings, session), make_plan("panel", uri))
    options = options_of(SIMULATED, "not_yet_treated")
    panel.distinct(("week",))  # workers start, and import what they run
    run, peaks = Run(), Peaks()
    with peaks:
        made = measured(run, lambda: difference_effects(panel, options, lambda text: None))
    return {
        "units": units,
        "estimates": len(made.estimates),
        "seconds": round(run.seconds[0], 1),
        "cpu_seconds": round(run.cpu[0], 1),
        "driver_python_mib": round(peaks.driver),
        "largest_worker_mib": round(peaks.worker),
    }


class Peaks:
    """The most memory that this process and any of its Python workers held, looked at ten times a second."""

    def __init__(self) -> None:
        self.driver = self.worker = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        here = psutil.Process()
        while not self._ended.wait(0.1):
            self.driver = max(self.driver, here.memory_info().rss / 2**20)
            for each in here.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if each.name().startswith("python"):
                        self.worker = max(self.worker, each.memory_info().rss / 2**20)


def adjusted_coverage(repetitions: int) -> dict[str, float]:
    """Where trends are parallel given covariates alone: shares of cells held, and of panels, with and without them."""
    found: dict[str, float] = {}
    for name, covariates in (("adjusted", ("x_0", "x_1")), ("plain", ())):
        options = replace(
            options_of(SIMULATED, "not_yet_treated"), estimands=("ATT(g,t)",), covariates=covariates
        )
        each, together, apart, errors = [], [], [], []
        for seed in range(repetitions):
            table = trending_table(30_000 + seed, shops=400, regions=100, shared=1.0)
            cells = cells_and_truth(table, options)
            each.append(np.mean([e.ci_lower <= truth <= e.ci_upper for e, truth in cells]))
            together.append(
                all(float(e.band_lower or 0) <= t <= float(e.band_upper or 0) for e, t in cells)
            )
            apart.append([e.estimate - truth for e, truth in cells])
            errors.append([e.standard_error for e, _ in cells])
        found[f"{name}_cells"] = round(float(np.mean(each)), 4)
        found[f"{name}_bands"] = round(float(np.mean(together)), 4)
        ratio = np.mean(errors, axis=0) / np.std(apart, axis=0)
        found[f"{name}_error_by_deviation"] = round(float(np.mean(ratio)), 3)
    return found


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mpdta", type=Path)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument(
        "--disk", type=int, nargs="*", help="units of panels in files, through Spark"
    )
    parser.add_argument("--skip-peers", action="store_true")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    found: dict[str, Any] = {"repetitions": chosen.repetitions}
    if not chosen.skip_peers:
        python = peer_environment(("diff-diff>=3.13",), "differences")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "simulated.csv"
            pacsv.write_csv(staggered_table(7, shops=600, regions=100), file)
            found["simulated_apart"] = beside_peer(python, file, SIMULATED)
        if chosen.mpdta:
            found["mpdta_apart"] = beside_peer(python, chosen.mpdta, COUNTIES)
    found["coverage"] = coverage(chosen.repetitions)
    print(f"coverage {found['coverage']}")
    found["adjusted"] = adjusted_coverage(chosen.repetitions)
    print(f"with covariates {found['adjusted']}")
    found["speed"] = speed(chosen.units)
    print(f"speed {found['speed']}")
    if chosen.disk:
        with tempfile.TemporaryDirectory(prefix="truelift-differences-") as folder:
            found["disk"] = [from_disk(units, Path(folder)) for units in chosen.disk]
        print(f"from disk {found['disk']}")
    if chosen.out:
        chosen.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
