"""Needs in a world whose truth is known: regret to the oracle filter, coverage of intervals, effects of acting.

    python benchmarks/graph/need.py [--users 1e5] [--steps 8] [--worlds 1] [--out FILE]
    python benchmarks/graph/need.py --intervals 100 --users 1500 --out benchmarks/results/need_intervals.json
    python benchmarks/graph/need.py --numbers 60 --users 500 --out benchmarks/results/need_numbers.json

The world is `truelift.simulate.needs`: three needs, mails that move people and that depend on what they bought. Nothing of the truth goes
into the fit: its starts, its number of needs (2, 3 and 4 are tried) and its labels are its own; labels are matched afterwards.

- regret: (log loss of the filter - that of the filter by the true numbers) / (log loss of the needs' shares - the same).
- intervals: shares of steps and needs at which the 90% interval of the filter holds the filter by the true numbers.
- likely: chance that the need lies in the smallest set of needs of 90% (sets of whole needs hold more), and what the filter says it is.
- effects: whether 95% intervals of what a mail changes hold the truth, in chances of needs and of a purchase.
- by doing: the same change in people of the world who all got a mail at the last step, or none.

All rows of a world share one error of the model, so the share that intervals hold in one world says little of them. `--intervals N`
goes through N worlds for that alone: three needs, EM from the true numbers (as the best of several starts ends), other people's filter.

`--numbers N` goes through N worlds of `truelift.simulate.number_needs` for needs that are numbers: 90% intervals of the needs themselves, 95% intervals
of what a mail changes in both needs and in money at the next three steps, and the filter's squared error beside that of the filter by the
true numbers.

The median of worlds is printed; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from pathlib import Path

import numpy as np

import truelift as tl
from truelift.graph.need.posteriors import intervals, likely_sets
from truelift.models.need.choosing import passes_of, prior_of, scale_of
from truelift.models.need.fitting import em, newton
from truelift.models.need.information import (
    clustered,
    information_of,
    models_near,
    outer_products,
)
from truelift.models.need.matching import matched
from truelift.simulate.needs import NeedWorld
from truelift.simulate.number_needs import SEEN, NumberNeedWorld

KEYS = {
    "user": "customer", "time": "week", "inputs": "mailed", "behaviour": ["section", "pages", "minutes"],
    "outcomes": "bought", "needs": [2, 3, 4],
}  # fmt: skip


def log_loss(chances: np.ndarray, need: np.ndarray) -> float:
    return float(-np.log(chances[np.arange(len(need)), need]).mean())


def one_world(world: NeedWorld, users: int, steps: int, seed: int) -> dict[str, float]:
    table, needs = world.draw(users, steps, seed)
    need = needs.ravel()
    share = np.bincount(need, minlength=3) / len(need)
    began, used = time.perf_counter(), time.process_time()
    found = tl.fit_needs(table, **KEYS)
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    if len(found.result.needs) != 3:
        raise SystemExit(f"world {seed}: found {len(found.result.needs)} needs, expected 3.")
    model, drawn = found.fitted.model, tuple(found.fitted.drawn())
    order = matched(model, world.truth)
    oracle = world.filter(table)
    # Users lie in buckets; the world's table is in order, so each bucket says which rows it has.
    mine, low, high = np.empty((3, len(need), 3))
    users_of = table["customer"].to_numpy()
    first = np.searchsorted(users_of, np.arange(users))
    for rows in found.held.tables.values():
        steps_of = found.fitted.coding.steps(rows)
        who = rows["customer"].to_numpy()[steps_of.order]
        place = first[who] + rows["week"].to_numpy()[steps_of.order]
        mine[place] = model.posteriors(steps_of.rows)[0]
        low[place], high[place] = intervals(mine[place], drawn, steps_of.rows, 0.9)
    mine, low, high = mine[:, order], low[:, order], high[:, order]
    best, prior = log_loss(oracle, need), log_loss(np.tile(share, (len(need), 1)), need)
    sets = likely_sets(mine, 0.9)
    change, of_outcome = world.effect(share)
    rows = found.to_pandas()
    rows = rows[(rows.population == "all steps") & (rows.step == 1)]
    rows = rows[rows.intervention == "do(mailed=1)"].set_index("of")
    names = [f"need {order[k] + 1}" for k in range(3)] + ["bought=1"]
    truth = [*change, of_outcome]
    held = [rows.ci_lower[n] < t < rows.ci_upper[n] for n, t in zip(names, truth, strict=True)]
    return {
        "regret": (log_loss(mine, need) - best) / (prior - best),
        "log_loss": log_loss(mine, need), "log_loss_oracle": best, "log_loss_shares": prior,
        "interval_coverage": float(((low <= oracle) & (oracle <= high)).mean()),
        "interval_width": float((high - low).mean()),
        "likely_coverage": float(sets[np.arange(len(need)), need].mean()),
        "likely_said": float((mine * sets).sum(axis=1).mean()),
        "effects_covered": float(np.mean(held)),
        "effect_error": float(max(abs(rows.estimate[n] - t) for n, t in zip(names, truth, strict=True))),
        "standard_error": float(max(rows.standard_error[n] for n in names)),
        "seconds": seconds, "cpu_seconds": cpu, "passes": float(found.result.passes),
    }  # fmt: skip


def interval_study(world: NeedWorld, users: int, steps: int, worlds: int) -> dict[str, float]:
    """Over worlds, the share of filters by the true numbers that 90% intervals hold, and its standard error."""
    truth, layout = world.truth, world.truth.layout
    inside, used = [], time.process_time()
    for seed in range(1, worlds + 1):
        rows = world.rows(world.draw(users, steps, seed)[0])
        scale = scale_of(layout, [rows])
        prior, total = prior_of(layout, scale, 1.0), passes_of([rows])
        near = em(total, truth, prior, scale.sd, 1e-2, 30)
        matrix = information_of(near.model, [rows], prior, users).matrix
        fit = newton(total, near, prior, matrix, scale.sd, 1e-4, 20)
        found = information_of(fit.model, [rows], prior, users)
        products = outer_products(fit.model, rows)
        known = clustered(fit.model, fit.sums, products, found, prior)
        others = world.rows(world.draw(300, steps, 1_000_000 + seed)[0])
        drawn = tuple(models_near(fit.model, known, 20, seed))
        low, high = intervals(fit.model.posteriors(others)[0], drawn, others, 0.9)
        oracle = truth.posteriors(others)[0]
        inside.append(float(((low <= oracle) & (oracle <= high)).mean()))
    return {
        "interval_coverage": round(statistics.mean(inside), 4),
        "standard_error": round(statistics.stdev(inside) / worlds**0.5, 4),
        "between_worlds": round(statistics.stdev(inside), 4),
        "cpu_seconds": round(time.process_time() - used, 1),
    }  # fmt: skip


def number_study(users: int, steps: int, worlds: int) -> dict[str, float]:
    """Needs that are numbers: what intervals hold over worlds, and how much is lost by learning the model."""
    world, used = NumberNeedWorld(), time.process_time()
    keys = {
        "user": "customer",
        "time": "week",
        "inputs": "mailed",
        "behaviour": SEEN[:3],
        "outcomes": SEEN[3],
    }
    truth, inside, effects, lost = world.effects(3), [], [], []
    for seed in range(1, worlds + 1):
        table, need = world.draw(users, steps, seed)
        found = tl.fit_needs(table, **keys, model="numbers", needs=[2], starts=2)
        rows = found.posteriors()
        place = rows.user_key.astype(int).to_numpy() * steps + rows.step.to_numpy() - 1
        which = (rows.need == "need 2").astype(int).to_numpy()
        true = need.reshape(-1, 2)[place, which]
        inside.append(float(((rows.filtered_lower < true) & (true < rows.filtered_upper)).mean()))
        best = world.filter(table)[place, which]
        lost.append(float(((rows.filtered - true) ** 2).mean() / ((best - true) ** 2).mean() - 1))
        told = found.to_pandas()
        told = told[told.intervention == "do(mailed=1)"].set_index(["of", "step"])
        effects.append([
            [told.ci_lower[of, t] < truth[t - 1, i] < told.ci_upper[of, t] for t in (1, 2, 3)]
            for i, of in enumerate(("need 1", "need 2", SEEN[3]))
        ])  # fmt: skip
    covered = np.mean(effects, axis=(0, 2))
    return {
        "interval_coverage": round(statistics.mean(inside), 4),
        "standard_error": round(statistics.stdev(inside) / worlds**0.5, 4),
        "effects_on_need_1": round(float(covered[0]), 4), "effects_on_need_2": round(float(covered[1]), 4),
        "effects_on_spend": round(float(covered[2]), 4), "squared_error_lost": round(statistics.mean(lost), 4),
        "cpu_seconds": round(time.process_time() - used, 1),
    }  # fmt: skip


def by_doing(world: NeedWorld, users: int, steps: int) -> dict[str, float]:
    """What the world says where everyone, or no one, gets a mail at the last step."""
    ends = [world.draw(users, steps, 10_000, always=a) for a in (0, 1)]
    needs = [np.bincount(n[:, -1], minlength=3) / users for _, n in ends]
    before = np.bincount(ends[0][1][:, -2], minlength=3) / users
    change = world.effect(before)[0]
    return {f"need_{k + 1}": float(needs[1][k] - needs[0][k] - change[k]) for k in range(3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("--users", type=lambda text: int(float(text)), default=100_000)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--worlds", type=int, default=1)
    parser.add_argument("--intervals", type=int, default=0, metavar="WORLDS")
    parser.add_argument("--numbers", type=int, default=0, metavar="WORLDS")
    parser.add_argument("--out")
    args = parser.parse_args()
    world = NeedWorld()
    if args.intervals:
        told = interval_study(world, args.users, args.steps, args.intervals)
        ended({
            "benchmark": "need_intervals", "users": args.users, "steps": args.steps, "worlds": args.intervals,
            "figures": told,
        }, args.out)  # fmt: skip
        return
    if args.numbers:
        told = number_study(args.users, args.steps, args.numbers)
        ended({
            "benchmark": "need_numbers", "users": args.users, "steps": args.steps, "worlds": args.numbers,
            "figures": told,
        }, args.out)  # fmt: skip
        return
    tl.fit_needs(world.draw(100, 4, 0)[0], **{**KEYS, "needs": [1], "starts": 1})  # compiles
    told = [one_world(world, args.users, args.steps, seed) for seed in range(1, args.worlds + 1)]
    figures = {name: round(statistics.median(t[name] for t in told), 4) for name in told[0]}
    for name in ("interval_coverage", "effects_covered", "likely_coverage", "likely_said"):
        figures[name] = round(statistics.mean(t[name] for t in told), 4)
    figures["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    for name, value in figures.items():
        print(f"  {name:<20}{value:>12}")
    result = {
        "benchmark": "need", "users": args.users, "steps": args.steps, "worlds": args.worlds, "figures": figures,
        "by_doing_less_truth": by_doing(world, args.users, args.steps), "ratios": {"regret": figures["regret"]},
    }  # fmt: skip
    ended(result, args.out)


def ended(result: dict[str, object], out: str | None) -> None:
    if out:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        Path(out).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
