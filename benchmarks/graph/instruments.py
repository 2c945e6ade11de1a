"""Instruments: Card's data beside linearmodels and ivmodels, and how often sets hold the truth.

    python benchmarks/graph/instruments.py [--repetitions 2000] [--skip-peers] [--out FILE]

The peers are installed into an environment of their own (``benchmarks/peers.py``); the data of Card
(1995) come with linearmodels. Coverage is over simulated tables of 120 clusters of 3 rows whose errors
depend: with weak instruments (median effective F about 2) and with a strong one. Prints a table and, as
last line, one JSON object.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from peers import ask, peer_environment
from scipy import stats

from truelift.effects.designs.instrument.linear import linear_instruments
from truelift.effects.designs.instrument.run import instrument_effects
from truelift.effects.designs.ranges import ranges_of
from truelift.effects.panel.any_table import frame_panel
from truelift.effects.panel.source import MemoryPanel
from truelift.inference.weak_instruments import anderson_rubin, anderson_rubin_set, minimum_distance
from truelift.settings import EffectOptions
from truelift.simulate.worlds.instrumented import instrument_table

COVARIATES = (
    "exper", "expersq", "black", "south", "smsa", "smsa66", *(f"reg66{i}" for i in range(1, 9)),
)  # fmt: skip
PEERS = ("linearmodels>=7", "ivmodels>=0.10")
WORLDS = {
    "weak": {"instruments": 5, "binary": False, "strength": 0.1, "noise": 0.3},
    "strong": {"instruments": 1, "strength": 1.2},
}


def card(python: str) -> dict[str, float]:
    """The largest relative difference to each peer, over one and two instruments."""
    worst: dict[str, float] = {}
    for instruments in (["nearc4"], ["nearc4", "nearc2"]):
        theirs = ask(python, str(Path(__file__).with_name("instruments_peers.py")), *instruments)
        rows = pacsv.read_csv(io.BytesIO(theirs["rows"].encode()))
        rows = rows.rename_columns(["row", *rows.column_names[1:]])
        options = EffectOptions(
            treatment="educ", outcomes=("lwage",), covariates=COVARIATES, cluster="row",
            instrument=tuple(instruments),
        )  # fmt: skip
        panel = frame_panel(rows, options, 8)
        keys = dict.fromkeys(["educ", "lwage", *COVARIATES, *instruments], "a column")
        ours = linear_instruments(panel, options, ranges_of(panel, keys, "row"), lambda text: None)
        n = rows.num_rows
        # linearmodels has neither factor, G / (G - 1) and (n - 1) / (n - L).
        small = np.sqrt((n - ours.features - 1) / n)
        made = {"TSLS": ours.two_stage, "LIML": ours.limited_information, "JIVE": ours.jackknifed}
        pairs = {
            name: [
                (value, mine)
                for value, mine in zip(theirs[name], _scaled(run(0), small), strict=True)
            ]
            for name, run in made.items()
        }
        forms = ours.homoskedastic(0)
        k, rest = len(forms), n - ours.features - len(forms)
        ar = anderson_rubin(forms, 0.0).statistic
        pairs["AR statistic"] = [(theirs["AR"][0], ar / k)]
        level = float(stats.chi2.sf(k * stats.f.ppf(0.95, k, rest), k))
        ends = anderson_rubin_set(forms, 1 - level).intervals[0]
        chi = anderson_rubin_set(forms, 0.95).intervals[0]
        gaps = [
            max(abs(e - t) for e, t in zip(s, theirs["AR"][2:], strict=True)) for s in (ends, chi)
        ]
        nearest = (ends, chi)[int(np.argmin(gaps))]
        pairs["AR set"] = list(zip(theirs["AR"][2:], nearest, strict=True))
        if k > 1:
            fits = minimum_distance(forms)
            pairs["LIML by distance"] = [(theirs["LIML"][0], fits.effect)]
        for name, values in pairs.items():
            apart = max(abs(mine / value - 1) for value, mine in values)
            worst[name] = max(worst.get(name, 0.0), apart)
            print(f"{'+'.join(instruments):15} {name:18} {values[0][1]:10.6f} apart {apart:.1e}")
    return worst


def _scaled(found: tuple[float, float], small: float) -> tuple[float, float]:
    return found[0], found[1] * small


def coverage(world: str, estimand: str, repetitions: int) -> dict[str, float]:
    """Shares of tables whose interval, or set, holds the effect; and the median effective F."""
    drawn = WORLDS[world]
    names = tuple(f"z{i + 1}" for i in range(int(drawn["instruments"])))
    options = EffectOptions(
        treatment="d", outcomes=("y",), covariates=("x",), cluster="user", instrument=names,
        estimands=(estimand,),
    )  # fmt: skip
    held = []
    for seed in range(repetitions):
        table = instrument_table(10_000 + seed, clusters=120, size=3, **drawn)  # type: ignore[arg-type]
        bucket = table["user"].to_numpy() % 5
        source = MemoryPanel({b: table.filter(pa.array(bucket == b)) for b in range(5)})
        result = instrument_effects(source, options, lambda text: None)
        check, made = result.instruments[0], result.estimates[0]
        inside = made.ci_lower <= 1.0 <= made.ci_upper
        held.append((inside, 1.0 in check.anderson_rubin, 1.0 in check.score, check.effective_f))
    found = np.array(held, dtype=float)
    shares = dict(
        zip(("wald", "anderson_rubin", "score"), found.mean(axis=0).tolist(), strict=False)
    )
    return {name: round(share, 4) for name, share in shares.items()} | {
        "median_effective_f": round(float(np.median(found[:, 3])), 2)
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--skip-peers", action="store_true")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    found: dict[str, Any] = {"repetitions": chosen.repetitions}
    if not chosen.skip_peers:
        found["card_apart"] = card(peer_environment(PEERS, "instruments"))
    for world, estimand in (("weak", "TSLS"), ("strong", "TSLS"), ("strong", "LATE")):
        cell = coverage(world, estimand, chosen.repetitions)
        found[f"{world} {estimand}"] = cell
        print(f"{world:8} {estimand:6} {cell}")
    line = json.dumps(found)
    if chosen.out:
        chosen.out.write_text(json.dumps(found, indent=2) + "\n")
    print(line)


if __name__ == "__main__":
    main()
