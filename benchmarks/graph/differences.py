"""Differences over time: beside diff-diff, how often intervals and bands hold the truth, and speed.

    python benchmarks/graph/differences.py [--mpdta FILE] [--repetitions 1000] [--units 100000]
        [--skip-peers] [--out FILE]

The peer is installed into an environment of its own (``benchmarks/peers.py``). ``--mpdta`` is a CSV file of
the county data of Callaway and Sant'Anna (2021), which comes with R's ``did``; its published overall effect is
-.039951. Prints a table and, as last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from peers import ask, peer_environment

from truelift.effects.designs.differences.run import difference_effects
from truelift.effects.panel.any_table import frame_panel
from truelift.effects.panel.source import MemoryPanel
from truelift.settings import EffectOptions
from truelift.settings.effect_sections import DifferencesSection
from truelift.simulate.worlds.staggered import staggered_table, true_effect

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


def coverage(repetitions: int) -> dict[str, float]:
    """Shares of cells whose interval holds the truth, and of panels in which all bands do."""
    options = replace(options_of(SIMULATED, "not_yet_treated"), estimands=("ATT(g,t)",))
    each, together = [], []
    for seed in range(repetitions):
        table = staggered_table(10_000 + seed, shops=240, regions=80, shared=1.0)
        bucket = table["region"].to_numpy() % 5
        source = MemoryPanel({b: table.filter(pa.array(bucket == b)) for b in range(5)})
        made = difference_effects(source, options, lambda text: None).estimates
        cells = [(e, true_effect(e.population)) for e in made if e.estimand == "ATT(g,t)"]
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


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mpdta", type=Path)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--units", type=int, default=100_000)
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
    found["speed"] = speed(chosen.units)
    print(f"speed {found['speed']}")
    if chosen.out:
        chosen.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
