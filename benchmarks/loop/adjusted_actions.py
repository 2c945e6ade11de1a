"""Are predicted actions more accurate once what people were shown is taken into account?

    python benchmarks/loop/adjusted_actions.py [--users 3000] [--seeds 10]
    python benchmarks/loop/adjusted_actions.py --table FILE --user COL --shown COL --action COL [--chance COL]

The experiment that articles report with .815 before and .8375 after, done so that it cannot gain from knowing the
answers: the effect of being shown has a sign, is learnt from other users than those whose actions are foretold, and
the difference of accuracies has an interval over users (``recommend/adjusted.py``). Simulated people act by habit, are
shown things by an operator who knows part of it, and are moved up or down by them, by ``--effects`` at most; at 0
nothing may be gained. All other columns of ``--table`` that are numbers are features. Prints, as last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from scipy import stats

import truelift as tl
from truelift.public.tables import named_columns, opened
from truelift.recommend.adjusted import AdjustedActions, adjusted_actions

ROWS = 6


def simulated(effect: float, users: int, seed: int) -> AdjustedActions:
    """Rows of people of whom half are drawn, and half put off."""
    rng = np.random.default_rng([seed, int(1000 * effect)])
    owner = np.repeat(np.arange(users), ROWS)
    x = np.repeat(rng.normal(size=(users, 4)), ROWS, axis=0)
    x = x + 0.5 * rng.normal(size=x.shape)
    chance = np.clip(0.5 + 0.2 * x[:, 0] + 0.1 * x[:, 2], 0.05, 0.95)
    shown = rng.random(len(owner)) < chance
    odds = 1.6 * x[:, 0] + 0.8 * x[:, 3] + np.repeat(0.7 * rng.normal(size=users), ROWS)
    odds = odds + effect * np.tanh(2 * x[:, 1]) * (2 * shown - 1)
    action = rng.random(len(owner)) < 1 / (1 + np.exp(-odds))
    return adjusted_actions(owner, x, shown, action)


def told(found: AdjustedActions) -> dict[str, Any]:
    gain = found.accuracy
    return {
        "before": round(found.before["accuracy"].value, 4),
        "after": round(found.after["accuracy"].value, 4),
        "difference": [round(v, 4) for v in (gain.value, gain.lower, gain.upper)],
        "f1": [round(j["f1"].value, 4) for j in (found.before, found.after)],
        "auc": [round(j["auc"].value, 4) for j in (found.before, found.after)],
    }


def of_table(asked: argparse.Namespace) -> AdjustedActions:
    """The columns that are named, and all others that are numbers."""
    table = opened(asked.table)
    named = {"user": asked.user, "shown": asked.shown, "action": asked.action}
    if asked.chance:
        named["chance"] = asked.chance
    free = [n for n in table.schema.names if n not in named.values()]
    numbers = [
        n for n in free if str(table.schema.field(n).type).rstrip("0123456789") in ("int", "uint", "double", "float")
    ]  # fmt: skip
    rows = named_columns(
        table, {n: (c, n) for n, c in named.items()} | {n: (n, n) for n in numbers}, frozenset()
    )
    values = {n: np.asarray(rows[n].to_numpy()) for n in rows.column_names}
    features = np.column_stack([np.asarray(values[n], float) for n in numbers])
    return adjusted_actions(
        values["user"], np.nan_to_num(features), values["shown"].astype(float),
        values["action"].astype(float) > 0, values.get("chance"),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=3_000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--effects", default="0,0.5,1.0")
    parser.add_argument("--table")
    for name in ("user", "shown", "action", "chance"):
        parser.add_argument(f"--{name}")
    asked = parser.parse_args()
    figures: dict[str, Any] = {}
    if asked.table:
        found = of_table(asked)
        print(found)
        figures["table"] = told(found)
    for effect in () if asked.table else [float(e) for e in asked.effects.split(",")]:
        each = [simulated(effect, asked.users, seed) for seed in range(asked.seeds)]
        gains = np.array([f.accuracy.value for f in each])
        half = stats.t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains))
        figures[f"effect {effect:g}"] = {
            "first": told(each[0]),
            "over_worlds": [round(v, 4) for v in (gains.mean(), gains.mean() - half, gains.mean() + half)],
            "above_0": sum(f.accuracy.lower > 0 for f in each),
        }  # fmt: skip
        print(f"effect {effect:g}: {each[0]}")
    print(json.dumps({"benchmark": "adjusted_actions", "figures": figures, "ratios": {}}))


if __name__ == "__main__":
    try:
        main()
    except tl.TrueliftError as error:
        raise SystemExit(str(error)) from None
