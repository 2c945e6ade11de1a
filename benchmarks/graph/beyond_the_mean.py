"""How often intervals beside the mean effect hold the truth: quantiles, mediators, the front door, many campaigns.

    python benchmarks/graph/beyond_the_mean.py [--repetitions 200] [--units 1000] [--only quantiles] [--out FILE]

Simulated tables (``simulate/worlds/designed.py``) of units in clusters of about four that share errors; of the effects of
30 campaigns the estimates are drawn as normal about skewed effects. Prints a
line a figure and, as last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from truelift.effects.panel.source import MemoryPanel
from truelift.effects.results import EffectsResult
from truelift.effects.whole import estimate_all
from truelift.inference.robust_shrinkage import robust_shrinkage
from truelift.settings import EffectOptions
from truelift.simulate.worlds.designed import FRONT_DOOR, MEDIATED, mediated, skewed_outcomes

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
_SHARED = {"outcomes": ("y",), "cluster": "user"}
#: Name, whether the interval or band holds the truth, the error, the standard error.
Found = tuple[str, bool, float, float]


def in_buckets(table: pa.Table) -> MemoryPanel:
    """The table as a panel in memory."""
    bucket = table["bucket"].to_numpy()
    return MemoryPanel({b: table.filter(pa.array(bucket == b)) for b in np.unique(bucket).tolist()})


def quantile_truth() -> dict[str, float]:
    """Effects on quantiles and beyond them over two million units."""
    _, without, within = skewed_outcomes(99, 2_000_000, 100_000)
    found = {}
    for level in LEVELS:
        cuts = [float(np.quantile(y, level)) for y in (within, without)]
        found[f"the {level:g} quantile"] = cuts[0] - cuts[1]
        means = [y[y >= cut].mean() for y, cut in zip((within, without), cuts, strict=True)]
        found[f"beyond the {level:g} quantile"] = float(means[0] - means[1])
    return found


def quantiles(seeds: range, units: int) -> Iterator[Found]:
    """Intervals by level, and the band over all levels of either kind."""
    truth = quantile_truth()
    options = EffectOptions(**_SHARED, quantiles=LEVELS, estimands=("ATE",))
    for seed in seeds:
        table, _, _ = skewed_outcomes(seed, units, units // 4)
        result = estimate_all(in_buckets(table), options).result
        for kind in ("quantile effect", "CVaR effect"):
            mine = [e for e in result.estimates if e.estimand == kind]
            held = [
                (e.band_lower or 0.0) <= truth[e.population] <= (e.band_upper or 0.0) for e in mine
            ]
            yield f"{kind}: band over levels", all(held), 0.0, 1.0
            for e in mine:
                error = e.estimate - truth[e.population]
                inside = e.ci_lower <= truth[e.population] <= e.ci_upper
                yield f"{kind}: {e.population}", inside, error, e.standard_error


def through(seeds: range, units: int) -> Iterator[Found]:
    """Direct and indirect effects with the share, and the front door."""
    mediators = ("m_0", "m_1")
    direct = EffectOptions(**_SHARED, mediators=mediators, estimands=("ATE",))
    door = EffectOptions(**_SHARED, front_door=mediators)
    truth = {
        **{"NDE": MEDIATED["NDE"], "NIE": MEDIATED["NIE"], "total NDE": MEDIATED["TNDE"]},
        **{"pure NIE": MEDIATED["PNIE"], "ATE": MEDIATED["ATE"], "front-door ATE": FRONT_DOOR},
    }
    for seed in seeds:
        result = estimate_all(in_buckets(mediated(seed, units, units // 4)), direct).result
        behind = mediated(seed, units, units // 4, front_door=True)
        for e in (*result.estimates, *estimate_all(in_buckets(behind), door).result.estimates):
            inside = e.ci_lower <= truth[e.estimand] <= e.ci_upper
            yield e.estimand, inside, e.estimate - truth[e.estimand], e.standard_error
        yield _share(result, MEDIATED["NIE"] / MEDIATED["ATE"])


def _share(result: EffectsResult, truth: float) -> Found:
    figures = next(f for f in result.findings if f.look == "mediators").figures
    key = "share through mediators of y"
    low, high = figures.get(f"{key}, lower", -np.inf), figures.get(f"{key}, upper", np.inf)
    return "share mediated (Fieller)", low <= truth <= high, figures[key] - truth, 1.0


def campaigns(seeds: range, units: int) -> Iterator[Found]:
    """Shrunken effects of 30 campaigns: robust and normal intervals, and errors beside unshrunken estimates."""
    for name, drawn in {
        "skewed": lambda rng: 1.0 + 0.5 * (rng.exponential(size=30) - 1.0),
        "two stand out": lambda rng: (
            np.where(np.arange(30) < 2, 3.0, 0.3) + 0.1 * rng.normal(size=30)
        ),
    }.items():
        for seed in seeds:
            rng = np.random.default_rng(seed)
            truth, errors = drawn(rng), rng.uniform(0.3, 0.8, 30)
            seen = truth + errors * rng.normal(size=30)
            made = robust_shrinkage(seen, errors, 0.95)
            half = 1.959964 * np.sqrt(made.weights) * errors
            apart = made.values - truth
            for i in range(30):
                yield (
                    f"{name}: robust",
                    abs(apart[i]) <= made.half[i],
                    apart[i],
                    made.half[i] / 1.959964,
                )
                yield f"{name}: normal", abs(apart[i]) <= half[i], apart[i], half[i] / 1.959964
                plain = seen[i] - truth[i]
                yield f"{name}: unshrunken", abs(plain) <= 1.959964 * errors[i], plain, errors[i]


STUDIES = {"quantiles": quantiles, "through": through, "campaigns": campaigns}


def summary(found: Iterator[Found]) -> dict[str, dict[str, float]]:
    """By name: coverage, bias in standard deviations, mean standard error over the standard deviation."""
    rows: dict[str, list[tuple[bool, float, float]]] = {}
    for name, *figures in found:
        rows.setdefault(name, []).append(tuple(figures))  # type: ignore[arg-type]
    made = {}
    for name, of_name in rows.items():
        held, error, standard_error = (np.array(line, float) for line in zip(*of_name, strict=True))
        made[name] = {"coverage": float(held.mean()), "repetitions": len(held)}
        if error.std() > 0:
            made[name]["error"] = round(float(np.sqrt((error**2).mean())), 4)
            made[name]["bias / sd"] = round(float(error.mean() / error.std()), 3)
            made[name]["se / sd"] = round(float(standard_error.mean() / error.std()), 3)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--units", type=int, default=1000)
    parser.add_argument("--only", choices=sorted(STUDIES))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    seeds = range(asked.first_seed, asked.first_seed + asked.repetitions)
    figures = {
        name: summary(study(seeds, asked.units))
        for name, study in STUDIES.items()
        if asked.only in (None, name)
    }
    for study in figures.values():
        for name, line in study.items():
            told = ", ".join(f"{key} {value:.3f}" for key, value in line.items())
            print(f"{name:45} {told}")
    text = json.dumps({"benchmark": "beyond_the_mean", "units": asked.units, "figures": figures})
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
