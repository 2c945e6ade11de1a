"""Benchmarks whose truth is known: ours beside EconML, DoubleML and CausalML on the same draws.

    python benchmarks/truth.py [--data FOLDER] [--benchmark IHDP] [--no-peers]

IHDP (nine draws), ACIC 2016 (three), RealCause (Twins, LaLonde with CPS and PSID controls), and
LaLonde's experiment with its own and with CPS controls. The data are read from `--data`, the
variable TRUELIFT_SHARED_DATA, or ../shared/data beside the checkout; without them the script says
so and does nothing. `pehe` is the root mean square error of forecasts of units' effects, on units
that were seen (`in`, ours out of fold) and on a tenth that was not (`out`): `dr` by a DR-learner
with a linear final stage, `dr_boosting` with trees in its place, `x` by an X-learner, and
`regressions` by the difference of the outcome regressions. The last line is one JSON object;
ratios are our best learner's figure divided by the peers' best.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from peers import PACKAGES, ask, peer_environment
from truth_data import Draw, data_folder, draws, measured

from truelift.effects.estimate import Estimation, estimate_panel
from truelift.effects.heterogeneity import fit_linear
from truelift.effects.heterogeneity.forecasts import fit_forecasts
from truelift.effects.heterogeneity.scored_contrasts import Contrast, ScoredContrasts
from truelift.effects.panel.source import MemoryPanel
from truelift.errors import TrueliftError
from truelift.settings import EffectOptions

FOLDS = 5
FINAL_STAGES = ("boosting",)
LEARNERS: dict[str, dict[str, object]] = {
    "linear": {},
    "linear with squares": {"expansion": "squares"},
    "linear with interactions": {"expansion": "interactions"},
    "boosting": {"learner": "boosting"},
    "stack": {"learner": "stack"},
    "TARNet": {"learner": "neural", "neural": {"kind": "tarnet"}},
    "DragonNet": {"learner": "neural", "neural": {"kind": "dragonnet"}},
    "TARNet alone": {"learner": "neural", "neural": {"kind": "tarnet", "stacked": False}},
    "DragonNet alone": {"learner": "neural", "neural": {"kind": "dragonnet", "stacked": False}},
}
PEERS = (
    ("truth_peers.py", PACKAGES, "validation"),
    ("truth_causalml.py", ("causalml", "pyarrow"), "causalml"),
)
Figures = dict[str, dict[str, dict[str, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data")
    parser.add_argument("--benchmark", choices=["IHDP", "ACIC 2016", "RealCause", "LaLonde"])
    parser.add_argument("--no-peers", action="store_true", help="keep those of --out")
    parser.add_argument("--learner", choices=list(LEARNERS), action="append", default=[])
    parser.add_argument("--out", default="benchmarks/results/truth.json")
    parser.add_argument("--again", action="store_true", help="print the figures that --out keeps")
    options = parser.parse_args()
    if options.again:
        kept = json.loads(Path(options.out).read_text())
        publish(options.out, kept["draws"], kept["verdicts"], kept["versions"])
        return
    folder = data_folder(options.data)
    if folder is None:
        print("skipped: the data are not here; name their folder by --data")
        print(json.dumps({"benchmark": "truth", "figures": {}, "ratios": {}, "skipped": True}))
        return
    figures: Figures = {}
    verdicts: dict[str, dict[str, str]] = {}
    for draw in draws(folder, options.benchmark):
        key = f"{draw.benchmark}|{draw.name}"
        figures[key], verdicts[key] = {}, {}
        for name in options.learner or LEARNERS:
            made = run_ours(draw, LEARNERS[name])
            if made is None:
                continue
            figures[key][f"truelift {name}"], verdicts[key][name] = made
            print(f"{key} {name}: {figures[key][f'truelift {name}']}", file=sys.stderr)
    versions: dict[str, str] = {}
    if not options.no_peers:
        only = [options.benchmark] if options.benchmark else []
        for file, packages, name in PEERS:
            script = str(Path(__file__).with_name(file))
            answer = ask(peer_environment(packages, name), script, str(folder), *only)
            versions |= answer["versions"]
            for key, found in answer["figures"].items():
                figures[key] |= found
    partly = options.benchmark or options.learner or options.no_peers
    if partly and Path(options.out).exists():  # what was not run stays
        before = json.loads(Path(options.out).read_text())
        for key, found in before["draws"].items():
            figures[key] = {**found, **figures.get(key, {})}
            verdicts[key] = {**before["verdicts"].get(key, {}), **verdicts.get(key, {})}
        versions = before["versions"] | versions
    publish(options.out, figures, verdicts, versions)


def run_ours(draw: Draw, chosen: dict[str, object]) -> tuple[dict[str, float], str] | None:
    """Errors and verdict of one learner; None where it has too many features for the rows."""
    began = time.perf_counter()
    table, names, few = _table(draw)
    numbers = [n for n in names if n not in few]
    options: dict[str, object] = {
        "outcomes": ("y",), "cluster": "unit_id", "covariates": tuple(names), "folds": FOLDS,
        "estimands": ("ATE", "ATT", "ATO"), "simultaneous": False, **chosen,
    }  # fmt: skip
    if chosen.get("expansion") == "interactions":
        # Products of numbers only: those of indicators would be too many.
        options |= {"covariates": tuple(numbers), "categorical": {n: "one_hot" for n in few}}
        if len(numbers) * (len(numbers) + 3) / 2 + 2 * len(few) > table.num_rows / 8:
            return None
    seen = table.filter(pa.array(~draw.held_out))
    order = np.random.default_rng(7).permutation(seen.num_rows)
    seen = seen.take(pa.array(order))
    bucket = np.arange(seen.num_rows) % FOLDS
    source = MemoryPanel({b: seen.filter(pa.array(bucket == b)) for b in range(FOLDS)}, draw.name)
    asked = EffectOptions(**options)  # type: ignore[arg-type]
    try:
        estimation = estimate_panel(source, asked)
    except TrueliftError as problem:
        print(f"{draw.benchmark} {draw.name}: {problem}", file=sys.stderr)
        return None
    seconds = time.perf_counter() - began
    forecasts = _forecasts(draw, source, table, estimation, asked) if draw.exact else {}
    by_name = {e.estimand: (e.estimate, e.standard_error) for e in estimation.result.estimates}
    found = measured(draw, by_name["ATE"], by_name["ATT"], forecasts, seconds)
    found["ato"], found["ato_standard_error"] = by_name["ATO"]
    for judged in estimation.result.support:
        found[f"{judged.name}_supported"] = float(judged.supported)
    return found, estimation.result.verdict


def _table(draw: Draw) -> tuple[pa.Table, list[str], list[str]]:
    names = [str(name) for name in draw.x.columns]
    x = draw.x.to_numpy()
    few = [n for n, column in zip(names, x.T, strict=True) if len(np.unique(column)) <= 2]
    columns = {n: pa.array(np.ascontiguousarray(x[:, j])) for j, n in enumerate(names)}
    columns |= {n: pa.array(x[:, names.index(n)].astype(int)) for n in few}
    columns["treated"] = pa.array(draw.t.astype(np.int32))
    columns["y"] = pa.array(draw.y.astype(float))
    columns["unit_id"] = pa.array(np.arange(len(draw.t)))
    return pa.table(columns), names, few


def _forecasts(
    draw: Draw, source: MemoryPanel, table: pa.Table, estimation: Estimation, asked: EffectOptions
) -> dict[str, np.ndarray]:
    """Effects of all units: out of fold for those seen, the mean of all folds' models for others."""
    scoring = estimation.scoring
    scored = ScoredContrasts(scoring, (Contrast(1, 0),))
    scale = scoring.outcomes.scale[0]
    unseen = table.filter(pa.array(draw.held_out)).combine_chunks().to_batches()[0]
    unseen_block = scoring.design.block(unseen, None)
    blocks, scores, places = [], [], []
    for bucket, rows in source.buckets.items():
        batch = rows.combine_chunks().to_batches()[0]
        (block,) = scored(batch, bucket)
        blocks.append(np.vstack([np.ones(len(block.score)), block.x]))
        scores.append(block.score)
        places.append(rows["unit_id"].to_numpy())

    def by(model) -> np.ndarray:  # type: ignore[no-untyped-def]
        found = np.empty(len(draw.t))
        for fold, (block, place) in enumerate(zip(blocks, places, strict=True)):
            found[place] = model(block, fold)
        found[draw.held_out] = np.mean([model(unseen_block, k) for k in range(FOLDS)], axis=0)
        return found

    def difference(block: np.ndarray, fold: int) -> np.ndarray:
        regressions = scoring.nuisances.predict(block, fold).outcome_regression
        return scale * (regressions[1, 0] - regressions[0, 0])

    grams = np.stack([_gram(b, s) for b, s in zip(blocks, scores, strict=True)])
    linear = fit_linear(grams, None)
    found = {
        "regressions": by(difference),
        "dr": by(lambda block, fold: linear.predict(block[1:], fold)),
    }
    for stage in FINAL_STAGES:
        options = replace(asked, heterogeneity_learner=stage)
        forecasts = fit_forecasts(source, scored, options, sequential=False)
        assert forecasts is not None
        model = forecasts[0].model
        found[f"dr_{stage}"] = by(lambda block, fold, m=model: m.predict(block[1:], fold))  # type: ignore[misc]
    return found


def _gram(block: np.ndarray, score: np.ndarray) -> np.ndarray:
    z = np.vstack([block, score])
    return z @ z.T


_WITH_FORECASTS = (
    "ate_error", "ate_covers", "pehe_in_regressions", "pehe_in_dr", "pehe_in_dr_boosting",
    "pehe_in_x", "pehe_out_regressions", "pehe_out_dr", "pehe_out_dr_boosting", "pehe_out_x",
    "ate_error_out_dr", "ATE_supported", "seconds",
)  # fmt: skip
MEASURES = {
    "IHDP": _WITH_FORECASTS,
    "ACIC 2016": _WITH_FORECASTS,
    "RealCause": ("ate_error", "ate_standard_error", "ate_covers", "att_error", "att_standard_error", "att_covers", "ATE_supported", "ATT_supported", "seconds"),
    "LaLonde": ("att", "att_standard_error", "att_error", "ATE_supported", "ATT_supported", "seconds"),
}  # fmt: skip


def publish(
    out: str, figures: Figures, verdicts: dict[str, dict[str, str]], versions: dict[str, str]
) -> None:
    """Print means over draws (RealCause and LaLonde: a table a data set), and one JSON object."""
    tables: dict[str, dict[str, dict[str, float]]] = {}
    for key, lines in figures.items():
        benchmark, _, name = key.partition("|")
        title = benchmark if benchmark in ("IHDP", "ACIC 2016") else f"{benchmark} {name}"
        ours_first = sorted(lines.items(), key=lambda line: not line[0].startswith("truelift"))
        for learner, found in ours_first:
            place = tables.setdefault(title, {}).setdefault(learner, {})
            for measure in MEASURES[benchmark]:
                if measure in found:
                    place.setdefault(measure, []).append(found[measure])  # type: ignore[arg-type, attr-defined]
    for title, lines in tables.items():
        benchmark = next(b for b in MEASURES if title.startswith(b))
        print(f"\n{title}")
        print(f"{'':36}" + "".join(f"{m:>21}" for m in MEASURES[benchmark]))
        for learner, found in lines.items():
            for measure, values in found.items():
                found[measure] = round(float(np.mean(values)), 4)
            cells = "".join(f"{found.get(m, float('nan')):>21.4g}" for m in MEASURES[benchmark])
            print(f"{learner:36}{cells}")
    for key, found in verdicts.items():
        if key.startswith("LaLonde"):
            for name, verdict in found.items():
                print(f"{key} {name}: {verdict}")
    result = {
        "benchmark": "truth", "versions": versions, "figures": tables, "ratios": ratios(tables),
        "verdicts": verdicts, "draws": figures,
    }  # fmt: skip
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(json.dumps(result, indent=1) + "\n")
    del result["draws"]
    print(json.dumps(result))


def ratios(tables: dict[str, dict[str, dict[str, float]]]) -> dict[str, float]:
    """Our best figure divided by the peers' best, for errors."""
    found = {}
    for title, lines in tables.items():
        for measure in ("ate_error", "pehe_out", "att_error"):
            ours, theirs = [], []
            for name, figures in lines.items():
                found_here = [v for m, v in figures.items() if m.startswith(measure)]
                (ours if name.startswith("truelift") else theirs).extend(found_here)
            if ours and theirs and min(theirs) > 0:
                found[f"{title} {measure}"] = round(min(ours) / min(theirs), 3)
    return found


if __name__ == "__main__":
    main()
