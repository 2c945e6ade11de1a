"""Does the overlap gate's verdict foretell error and coverage?

    python benchmarks/effects_gate.py [--draws 2] [--limit 100] [--learner linear]

Draws worlds in which size, number and rarity of the covariates, imbalance (real or by chance), overlap
and the models' faults vary (`gate_worlds.py`), and prints, by verdict, the share of draws, the mean absolute
error of the ATE and the ATT in standard errors, and the coverage of their 95% intervals. The second
table has the verdict without standard errors of the differences (any difference above .25 refuses).
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from gate_worlds import GateWorld, worlds

from truelift.effects.estimate import estimate_panel
from truelift.effects.panel.source import MemoryPanel
from truelift.effects.results import EffectsResult
from truelift.effects.support.supported import Support
from truelift.effects.support.verdict import support
from truelift.errors import TrueliftError
from truelift.settings import EffectOptions

FOLDS = 5
VERDICTS = ("supported", "with care", "refused")
Row = dict[str, float | str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2, help="of each world")
    parser.add_argument("--limit", type=int, help="this many of all draws, chosen at random")
    parser.add_argument("--learner", default="linear")
    parser.add_argument("--kept", help="a file of rows: draws that it has are not made again")
    parser.add_argument("--out", default="benchmarks/results/effects_gate.json")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    every = list(worlds())
    tasks = [(w, seed, options.learner) for seed in range(options.draws) for w in every]
    order = np.random.default_rng(8).permutation(len(tasks))[: options.limit]
    chosen = [tasks[i] for i in order.tolist()]
    kept: dict[str, list[Row]] = {}
    if options.kept and Path(options.kept).exists():
        for line in Path(options.kept).read_text().splitlines():
            row = json.loads(line)
            kept.setdefault(_key(row), []).append(row)
    rows = [row for task in chosen for row in kept.get(_key(_named(task)), [])]
    missing = [task for task in chosen if _key(_named(task)) not in kept]
    with multiprocessing.get_context("fork").Pool(options.processes) as pool:
        for made in pool.imap_unordered(judged, missing):
            rows += made
            if options.kept:
                with Path(options.kept).open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in made)
    figures = tables(rows)
    printed(figures)
    result = {
        "benchmark": "effects_gate",
        "worlds": len(every),
        "draws": len(chosen),
        "figures": figures,
        "ratios": {},
    }
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    Path(options.out).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def _named(task: tuple[GateWorld, int, str]) -> Row:
    """What tells a draw from all others, as its rows have it."""
    world, seed, learner = task
    return {
        "learner": learner,
        "kind": world.kind,
        "units": world.units,
        "flags": world.flags,
        "strength": world.strength,
        "share": world.share,
        "rarity": world.rarity,
        "seed": seed,
    }


def _key(row: Row) -> str:
    names = ("learner", "kind", "units", "flags", "strength", "share", "rarity", "seed")
    return json.dumps([row[name] for name in names])


def judged(task: tuple[GateWorld, int, str]) -> list[Row]:
    """Verdict, error and coverage of the ATE and the ATT of one draw; nothing where it is refused."""
    world, seed, learner = task
    table, ate, att = world.draw(seed)
    bucket = np.arange(world.units) % FOLDS
    source = MemoryPanel({b: table.filter(pa.array(bucket == b)) for b in range(FOLDS)})
    asked = EffectOptions(
        treatment="t", outcomes=("y",), covariates=world.covariates, cluster="unit",
        estimands=("ATE", "ATT"), clip_levels=(), simultaneous=False, learner=learner,
        min_clusters_per_arm=2,
    )  # fmt: skip
    try:
        result = estimate_panel(source, asked).result
    except TrueliftError as problem:
        print(f"{world} {seed}: {problem}", file=sys.stderr)
        return []
    judged = {s.name: s for s in result.support}
    plain = {s.name: s for s in without_errors(result)}
    found: list[Row] = []
    for estimate, truth in zip(result.estimates, (ate, att), strict=True):
        name = estimate.estimand
        found.append(
            {
                **_named(task),
                "estimand": name,
                "verdict": verdict_of(judged[name]),
                "before": verdict_of(plain[name]),
                "text": judged[name].text,
                "error": (estimate.estimate - truth) / estimate.standard_error,
                "standard_error": estimate.standard_error,
                "covers": float(estimate.ci_lower <= truth <= estimate.ci_upper),
                **signs(result, name),
            }
        )
    return found


def signs(result: EffectsResult, name: str) -> dict[str, float]:
    """What the gate looks at."""
    overlap, treated = result.overlap, result.treated
    control = result.n - treated
    att = name == "ATT"
    index = overlap.balance_of_index
    assert index is not None
    wide = overlap.balance_of_squares
    square = np.array([b.smd_after_att if att else b.smd_after for b in wide])
    square_error = np.array([b.error_after_att if att else b.error_after for b in wide])
    smd = np.array([b.smd_after_att if att else b.smd_after for b in overlap.balance])
    error = np.array([b.error_after_att if att else b.error_after for b in overlap.balance])
    sizes = (
        (treated, overlap.effective_sample_size_control_att)
        if att
        else (overlap.effective_sample_size_treated, overlap.effective_sample_size_control)
    )
    return {
        "clipped": overlap.treated_clipped_share if att else overlap.clipped_share,
        "smd": float(np.max(np.abs(smd))),
        "z": float(np.max(np.abs(smd) / error)),
        "z_of_largest": float((np.abs(smd) / error)[np.argmax(np.abs(smd))]),
        "smd_beyond": float(np.max(np.abs(smd) * (np.abs(smd) > 3.3 * error))),
        "index": (index.smd_after_att or 0.0) if att else index.smd_after,
        "index_error": index.error_after_att if att else index.error_after,
        "square": float(np.max(np.abs(square))),
        "square_beyond": float(np.max(np.abs(square) * (np.abs(square) > 3.3 * square_error))),
        "log_loss_gain": float(
            result.nuisance["propensity_log_loss_constant"] - result.nuisance["propensity_log_loss"]
        ),
        "treated": float(treated),
        "control": float(control),
        "size_treated": float(sizes[0]),
        "size_control": float(sizes[1]),
        "covariates": float(len(smd)),
    }


def without_errors(result: EffectsResult) -> tuple[Support, ...]:
    """The verdicts that any difference beyond the thresholds would give."""
    overlaps = {
        arm: replace(
            overlap,
            balance=tuple(
                replace(b, error_after=0.0, error_after_att=0.0) for b in overlap.balance
            ),
            balance_of_squares=(),
            balance_of_index=None,
        )
        for arm, overlap in result.overlaps.items()
    }
    converged = "did not converge" not in result.verdict
    return support(overlaps, result.arms, converged)


def verdict_of(judged: Support) -> str:
    """One of :data:`VERDICTS`."""
    if not judged.supported:
        return "refused"
    return "with care" if judged.careful else "supported"


def tables(rows: list[Row]) -> dict[str, dict[str, dict[str, float]]]:
    """By learner and estimand, now and before: a line a verdict."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for learner in dict.fromkeys(str(r["learner"]) for r in rows):
        for estimand in ("ATE", "ATT"):
            mine = [r for r in rows if (r["learner"], r["estimand"]) == (learner, estimand)]
            for key, title in (("verdict", ""), ("before", ", differences alone")):
                lines = {}
                for verdict in VERDICTS:
                    some = [r for r in mine if r[key] == verdict]
                    if some:
                        error = np.array([abs(float(r["error"])) for r in some])
                        lines[verdict] = {
                            "draws": len(some),
                            "share": round(len(some) / len(mine), 3),
                            "error": round(float(error.mean()), 2),
                            "coverage": round(float(np.mean([r["covers"] for r in some])), 3),
                        }
                found[f"{learner}, {estimand}{title}"] = lines
    return found


def printed(figures: dict[str, dict[str, dict[str, float]]]) -> None:
    for title, lines in figures.items():
        print(f"\n{title}\n{'':14}{'draws':>8}{'share':>8}{'|error| / se':>14}{'coverage':>10}")
        for verdict, f in lines.items():
            print(f"{verdict:14}{f['draws']:>8}{f['share']:>8}{f['error']:>14}{f['coverage']:>10}")


if __name__ == "__main__":
    main()
