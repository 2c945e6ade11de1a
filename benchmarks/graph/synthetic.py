"""Synthetic controls: California's smoking, and how often placebo tests reject where there is no effect.

    python benchmarks/graph/synthetic.py [--smoking FILE] [--repetitions 300] [--out FILE]

``--smoking`` is a CSV file of packs a head with a column ``Year`` and one a state, as CausalPy's package brings it
(``california_prop99.csv``). Simulated panels (``simulate/worlds/few_treated.py``) have 31 units and 20 periods, one of which is
treated without an effect, by lot or for what its outcome was. Prints a line a figure and, as last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pacsv

from truelift.effects.designs.synthetic.results import PLACEBO_LEVEL
from truelift.inference.synthetic import (
    METHODS,
    Cohort,
    effect_of,
    placebo_in_time,
    placebos,
    without_the_last,
)
from truelift.simulate.worlds.few_treated import CHOSEN, few_treated

BEFORE, LEVEL = 16, 0.05
#: Of California by synthdid, Arkhangelsky and others (2021).
PUBLISHED = {"SDID": -15.604, "DiD": -27.349}


def smoking(file: Path) -> dict[str, float]:
    """Effects on California from 1989 on."""
    rows = pacsv.read_csv(file)
    states = [name for name in rows.column_names if name != "Year"]
    y = np.array([rows[name].to_numpy() for name in states], dtype=float)
    mine = states.index("California")
    before = int(np.sum(rows["Year"].to_numpy() < 1989))
    donors, cohort = np.delete(y, mine, axis=0), Cohort(before, y[[mine]])
    found = {}
    for method in METHODS:
        effect, _, _ = effect_of(donors, [cohort], method)
        drawn = placebos(donors, [cohort], method, 1, 1)
        found[method] = round(effect, 4)
        found[f"{method} placebo p"] = round(drawn.p_value(effect), 4)
        found[f"{method} placebo error"] = round(float(np.sqrt(np.mean(drawn.effects**2))), 3)
    moves = [part[:, before:].mean() - part[:, :before].mean() for part in (y[[mine]], donors)]
    found["DiD"] = round(float(moves[0] - moves[1]), 4)
    return found


def size(chosen: str, repetitions: int) -> dict[str, dict[str, float]]:
    """By method: how often no effect is rejected, how many panels are refused, how often of the others."""
    found: dict[str, list[tuple[bool, bool]]] = {method: [] for method in METHODS}
    for seed in range(repetitions):
        y, mine = few_treated(seed, before=BEFORE, chosen=chosen)
        donors, cohorts = np.delete(y, mine, axis=0), [Cohort(BEFORE, y[[mine]])]
        for method in METHODS:
            effect, gap, _ = effect_of(donors, cohorts, method)
            drawn = placebos(donors, cohorts, method, 1, 1)
            ahead = placebo_in_time(donors, cohorts, method, 1, 1)
            assert ahead is not None
            p_value = drawn.p_value(effect)
            kept = min(ahead.p_value, drawn.fit_p_value(gap)) > PLACEBO_LEVEL
            if p_value <= LEVEL:
                last = without_the_last(donors, cohorts, method, 1, 1)
                kept &= last is not None and last <= LEVEL
            found[method].append((p_value <= LEVEL, kept))
    return {method: _shares(np.array(rows)) for method, rows in found.items()}


def _shares(rows: np.ndarray) -> dict[str, float]:
    rejected, kept = rows.T
    return {
        "size": round(float(rejected.mean()), 4),
        "refused": round(float(1 - kept.mean()), 4),
        "size of those kept": round(float(rejected[kept].mean()), 4) if kept.any() else 0.0,
        "rejected and kept": round(float((rejected & kept).mean()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoking", type=Path)
    parser.add_argument("--repetitions", type=int, default=300)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found: dict[str, Any] = {"benchmark": "synthetic", "repetitions": asked.repetitions}
    if asked.smoking:
        found["smoking"] = smoking(asked.smoking)
        print(f"California: {found['smoking']}, published {PUBLISHED}")
    found["size"] = {}
    for chosen in CHOSEN:
        found["size"][chosen] = size(chosen, asked.repetitions)
        for method, figures in found["size"][chosen].items():
            print(f"{chosen:8} {method:18} {figures}", flush=True)
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
