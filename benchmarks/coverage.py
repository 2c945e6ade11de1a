"""Coverage of nominal 95% intervals, by simulation of worlds whose truth is known.

    python benchmarks/coverage.py [--repetitions 2000] [--cells linear-500,null-500] [--processes 2]

The kernels are called without Spark. Cells with many units get a share of the repetitions; each
line says how many there were. `coverage` is the mean over estimates of the name (arms, groups),
`all` the share of repetitions in which the simultaneous bands hold every one of them,
`as if independent` the coverage with every unit as its own cluster, `width` the mean half-width
divided by that of the efficiency bound, `se/sd` the mean standard error divided by the standard
deviation of the estimates, `bias` in standard deviations, `not zero` the share of intervals
without zero. A `*` marks coverage outside .94 to .96, `(...)` estimands for which no theory
promises the level. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from coverage_anytime import false_claims
from coverage_cells import CELLS, Cell, in_memory

from truelift.effects.estimate import Estimation, estimate_panel
from truelift.effects.panel.source import MemoryPanel
from truelift.effects.results import Estimate
from truelift.effects.scores.catalogue import estimands_of
from truelift.effects.scores.estimands import ClusterMoments
from truelift.effects.scores.inference import estimates_of
from truelift.effects.scores.sums import ScoreSumsKernel

ANYTIME = "anytime-100-looks"
CHUNK = 25
State = dict[str, np.ndarray]

if __name__ == "coverage":
    # Libraries that scripts beside this one import look for the package of this name.
    raise ImportError("This is benchmarks/coverage.py, a script.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--cells", help="names, with commas between them; all by default")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="benchmarks/results/coverage.json")
    options = parser.parse_args()
    names = options.cells.split(",") if options.cells else [*CELLS, ANYTIME]
    if unknown := sorted(set(names) - {*CELLS, ANYTIME}):
        raise SystemExit(f"no cell {', '.join(unknown)}; there are {', '.join([*CELLS, ANYTIME])}")
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # the repetitions are what runs side by side
    figures: dict[str, dict[str, dict[str, float]]] = {}
    print(HEAD)
    with multiprocessing.get_context("spawn").Pool(options.processes, _one_core) as pool:
        for name in names:
            began = time.perf_counter()
            tasks = list(_tasks(name, options.repetitions, options.seed))
            state = _added(pool.imap_unordered(_chunk, tasks))
            if name == ANYTIME:
                figures[name] = _anytime_figures(state)
            else:
                figures[name] = _figures(CELLS[name], state)
            for estimand, found in figures[name].items():
                print(_line(name, estimand, found), flush=True)
            took = time.perf_counter() - began
            print(f"{'':34}{took:.0f} s", flush=True)
            keep(options, figures)
    print(json.dumps(keep(options, figures)))


def keep(
    options: argparse.Namespace, figures: dict[str, dict[str, dict[str, float]]]
) -> dict[str, Any]:
    """Write the figures so far, beside those of other cells that are in the file."""
    out = Path(options.out)
    before = json.loads(out.read_text())["figures"] if options.cells and out.exists() else {}
    figures = {**before, **figures}
    ordered = {name: figures[name] for name in [*CELLS, ANYTIME] if name in figures}
    ratios = {
        f"width of {estimand} in {name}, by the bound": found["width"]
        for name, lines in ordered.items()
        for estimand, found in lines.items()
        if name in CELLS and CELLS[name].world.units >= 20_000 and "width" in found
    }
    result = {
        "benchmark": "coverage",
        "repetitions": options.repetitions,
        "seed": options.seed,
        "figures": ordered,
        "ratios": ratios,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    return result


def _one_core() -> None:
    pa.set_cpu_count(1)


def _tasks(name: str, repetitions: int, seed: int) -> Sequence[tuple[str, int, range]]:
    share = 1.0 if name == ANYTIME else CELLS[name].share
    count = max(round(repetitions * share), 1)
    return [(name, seed, range(k, min(k + CHUNK, count))) for k in range(0, count, CHUNK)]


def _chunk(task: tuple[str, int, range]) -> State:
    """Sums over some repetitions; a repetition's random numbers depend on nothing but its place."""
    name, seed, repetitions = task
    place = zlib.crc32(name.encode())
    states = []
    for repetition in repetitions:
        random = np.random.default_rng([seed, place, repetition])
        if name == ANYTIME:
            states.append({"claims": false_claims(random).astype(float), "count": np.ones(1)})
        else:
            states.append(_repetition(CELLS[name], random))
    return _added(states)


def _added(states: Iterable[State]) -> State:
    total: State = {}
    for state in states:
        for key, value in state.items():
            total[key] = total[key] + value if key in total else value
    return total


def _repetition(cell: Cell, random: np.random.Generator) -> State:
    source = in_memory(cell.world.draw(random))
    # What is left to gain of the propensity's log likelihood is a hundredth, far below its noise.
    options = replace(cell.options, tolerance=0.01 / cell.world.units)
    estimation = estimate_panel(source, options)
    estimates = estimation.result.estimates
    independent: dict[str, np.ndarray] = {}
    if cell.world.clusters is not None:
        for name, family in _families(_as_if_independent(source, estimation, cell)).items():
            independent[name] = _covers(family, _truths(cell, family)[0])
    state: State = {"count": np.ones(1)}
    for name, family in _families(estimates).items():
        truth, _ = _truths(cell, family)
        error = np.array([e.estimate for e in family]) - truth
        covered = _covers(family, truth)
        zero = _covers(family, np.zeros(len(family)))
        banded = [e for e in family if e.band_lower is not None]
        together = all(
            e.band_lower <= t <= e.band_upper for e, t in zip(banded, truth, strict=len(banded) > 0)
        )
        state[f"{name}|shares"] = np.array(
            [
                covered.mean(),
                covered.mean() ** 2,
                float(together) if banded else np.nan,
                independent[name].mean() if independent else np.nan,
                1.0 - zero.mean(),
                float(all(s.supported for s in estimation.result.support if s.name == name)),
            ]
        )
        half = np.array([(e.ci_upper - e.ci_lower) / 2 for e in family])
        standard_error = np.array([e.standard_error for e in family])
        state[f"{name}|members"] = np.stack([error, error**2, standard_error, half])
    return state


def _families(estimates: Sequence[Estimate]) -> dict[str, list[Estimate]]:
    families: dict[str, list[Estimate]] = {}
    for estimate in estimates:
        families.setdefault(estimate.estimand, []).append(estimate)
    return families


def _truths(cell: Cell, family: Sequence[Estimate]) -> tuple[np.ndarray, np.ndarray]:
    """True values and bounds; remembered, for they are the same in every repetition."""
    truth = cell.world.known
    found = np.array([_truth(truth, e) for e in family])
    return found[:, 0], found[:, 1]


_KNOWN: dict[tuple, tuple[float, float]] = {}


def _truth(truth, estimate: Estimate) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    key = (id(truth), estimate.estimand, estimate.arm, estimate.versus, estimate.population)
    if key not in _KNOWN:
        _KNOWN[key] = truth.of(estimate)
    return _KNOWN[key]


def _covers(family: Sequence[Estimate], truth: np.ndarray) -> np.ndarray:
    return np.array([e.ci_lower <= t <= e.ci_upper for e, t in zip(family, truth, strict=True)])


def _as_if_independent(
    source: MemoryPanel, estimation: Estimation, cell: Cell
) -> tuple[Estimate, ...]:
    """The same estimates with standard errors that ignore the clusters."""
    scoring = estimation.scoring
    alone = replace(scoring, columns=replace(scoring.columns, cluster="unit_id"))
    sums = source.sum(ScoreSumsKernel(alone), alone.columns.of_scores(), alone.columns.batch_rows())
    moments = ClusterMoments(sums["total"], sums["cross"], int(sums["clusters"][0]))
    estimands = estimands_of(alone.columns, cell.options)
    return estimates_of(
        moments, alone.layout, estimands, alone.outcomes, cell.options, "linear", False
    )


def _figures(cell: Cell, state: State) -> dict[str, dict[str, float]]:
    count = float(state["count"][0])
    figures = {}
    for key in [k for k in state if k.endswith("|shares")]:
        name = key.partition("|")[0]
        shares, members = state[key] / count, state[f"{name}|members"] / count
        bias, squares, error, half = members
        deviation = np.sqrt(np.maximum(squares - bias**2, 0.0))
        found = {
            "repetitions": count,
            "coverage": shares[0],
            "coverage_error": np.sqrt(max(shares[1] - shares[0] ** 2, 0.0) / count),
            "all": shares[2],
            "as_if_independent": shares[3],
            "not_zero": shares[4],
            "supported": shares[5],
            "se_by_sd": np.mean(error / deviation),
            "bias_by_sd": np.mean(bias / deviation),
            "worst_bias_by_sd": np.max(np.abs(bias / deviation)),
        }
        if (
            cell.world.clusters is None
            and name != "naive difference"
            and name not in cell.unpromised
        ):
            found["width"] = np.mean(
                half / (1.959964 * np.sqrt(_bounds(cell, name) / cell.world.units))
            )
        found["promised"] = float(name not in cell.unpromised)
        figures[name] = {k: round(float(v), 4) for k, v in found.items() if not np.isnan(v)}
    return figures


def _bounds(cell: Cell, name: str) -> np.ndarray:
    """Efficiency bounds of a name's estimates, in the order in which they are made."""
    family = _families(estimate_panel(in_memory(cell.world.draw(0)), cell.options).result.estimates)[name]  # fmt: skip
    return _truths(cell, family)[1]


def _anytime_figures(state: State) -> dict[str, dict[str, float]]:
    count = float(state["count"][0])
    claims = state["claims"] / count
    names = ("difference in means", "AIPW, known chances")
    return {
        name: {
            "repetitions": count,
            "anytime_valid_any_look": round(float(line[0]), 4),
            "fixed_any_look": round(float(line[1]), 4),
            "fixed_last_look": round(float(line[2]), 4),
        }
        for name, line in zip(names, claims, strict=True)
    }


COLUMNS = {
    "all": "all", "as if independent": "as_if_independent", "width": "width", "se/sd": "se_by_sd",
    "bias": "bias_by_sd", "not zero": "not_zero", "supported": "supported",
}  # fmt: skip
HEAD = f"{'cell':34}{'estimand':18}{'reps':>6}{'coverage':>17}" + "".join(
    f"{name:>{max(len(name), 6) + 2}}" for name in COLUMNS
)


def _line(name: str, estimand: str, found: dict[str, float]) -> str:
    if name == ANYTIME:
        return f"{name:34}{estimand:22}" + "  ".join(f"{k} {v:.4g}" for k, v in found.items())
    miss = "" if 0.94 <= found["coverage"] <= 0.96 else "*"
    label = estimand if found["promised"] else f"({estimand})"
    text = f"{found['coverage']:.4f}{miss} ±{found['coverage_error']:.4f}"
    cells = "".join(
        f"{(f'{found[key]:.3f}' if key in found else ''):>{max(len(title), 6) + 2}}"
        for title, key in COLUMNS.items()
    )
    return f"{name:34}{label:18}{found['repetitions']:>6.0f}{text:>17}{cells}"


if __name__ == "__main__":
    main()
