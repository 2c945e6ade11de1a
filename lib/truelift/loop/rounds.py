"""Rounds of one strategy in one world: play, measure, learn, decide, forecast, and go on after a kill.

What a round leaves is one file, written beside and moved into place: people, evidence, and all results so
far. A run that ends anywhere goes on from the last file, and comes to the same numbers: a round depends on
seed and state alone.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from truelift.arrays.keys import mix
from truelift.lake.states import add_states
from truelift.loop.evidence import Evidence, evidence_of, eyes_on_slots, no_evidence
from truelift.loop.forecast import Forecast, forecast_of, forecast_state, outlook_of, rates_of
from truelift.loop.histories import HISTORY, history_of
from truelift.loop.learning import effects_of
from truelift.loop.measures import measures_of, similarity
from truelift.loop.options import LoopOptions
from truelift.loop.strategies import BY_USER, STRATEGIES, Known
from truelift.loop.worth import list_model
from truelift.progress import Tell
from truelift.simulate.shop_world.lists import ListPolicy
from truelift.simulate.shop_world.people import People
from truelift.simulate.shop_world.shop import BLOCK, Played, Shop

Row = dict[str, Any]
FOLDS = 4


@dataclass(eq=False)
class State:
    """Where a strategy stands between two rounds."""

    moment: int
    people: People
    folds: tuple[Evidence, ...]
    eyes: np.ndarray
    share_known: np.ndarray
    policy: ListPolicy | None
    forecast: Forecast | None
    rows: list[Row]
    kept: dict[str, np.ndarray] = field(default_factory=dict)


def run_strategy(
    shop: Shop, name: str, options: LoopOptions, file: Path | None = None,
    tell: Tell = lambda text: None, threads: int = 1,
) -> list[Row]:  # fmt: skip
    """All rounds of a strategy, a row each.

    Parameters
    ----------
    shop : Shop
    name : str
        Of the strategy.
    options : LoopOptions
    file : Path, optional
        Where the state is kept between rounds, and gone on from.
    """
    state = _begun(shop, name, file)
    while state.moment < options.rounds:
        tell(f"{name}, seed {shop.seed}, round {state.moment + 1} of {options.rounds}")
        _round(shop, name, options, state, threads)
        if file is not None:
            _save(file, state)
    return state.rows


def _begun(shop: Shop, name: str, file: Path | None) -> State:
    """The state that is kept, or the one before the first round."""
    saved = _load(file) if file is not None else None
    if saved is not None:
        return saved
    people = shop.people(np.arange(shop.world.users))
    # Everyone begins with the operator's lists, by lot; who shows nothing, with nothing.
    policy = None if name == "nothing" else shop.operator()
    length = shop.world.list_length
    return State(
        0, people, (no_evidence(shop),) * FOLDS, np.ones(length), np.ones(shop.world.items), policy,
        None, [],
    )  # fmt: skip


def _round(shop: Shop, name: str, options: LoopOptions, state: State, threads: int) -> None:
    """Play a round, measure it, learn from it, decide about the next one and forecast it."""
    moment, policy = state.moment, state.policy

    def play(people: People) -> Played:
        return shop.play(people, policy, moment)

    n = len(state.people.user)
    size = shop.whole_branches(BLOCK)
    parts = [state.people.part(slice(first, first + size)) for first in range(0, n, size)]
    with ThreadPoolExecutor(threads) as pool:
        played = list(pool.map(play, parts))
    if moment == 0:
        if policy is not None:
            state.eyes = eyes_on_slots(played, shop.world.list_length)
        bought = np.concatenate([p.responses.bought for p in played])
        count = np.bincount(bought[bought >= 0], minlength=shop.world.items) + 0.5
        state.share_known = count / count.sum()
    row: Row = {"strategy": name, "seed": shop.seed, "round": moment}
    row |= measures_of(shop, played, state.share_known)
    row["similarity"] = similarity(state.people.known, shop.seed)
    row["profit_a_visit"] = (
        options.margin * row["revenue"] / max(row["visits"], 1.0)
        - options.placement * row["placement_price"]
    )
    row |= _judged(state.forecast, row)
    state.rows.append(row)
    folds = [[_of_fold(p, fold) for p in played] for fold in range(FOLDS)]
    state.folds = tuple(
        old.plus(_gathered(shop, parts, policy, state.eyes, options), options.memory)
        for old, parts in zip(state.folds, folds, strict=True)
    )
    if name in BY_USER:
        before = state.kept.get(HISTORY, np.zeros((0, 3), np.int64))
        state.kept[HISTORY] = np.concatenate([before, history_of(played)])
    state.moment += 1
    state.forecast = None
    if state.moment == options.rounds or policy is None:
        return
    state.policy = STRATEGIES[name](
        _known(shop, options, state, reduce(Evidence.plus, state.folds))
    )
    if state.policy is not None and name not in BY_USER:
        state.forecast = _forecast(shop, name, options, state, folds, policy)


def _of_fold(played: Played, fold: int) -> Played:
    """The visits of a quarter of the users: always the same ones."""
    mine = mix(played.visits.user.astype(np.uint64)) % np.uint64(FOLDS) == fold
    return played.part(np.flatnonzero(mine))


def _gathered(
    shop: Shop,
    played: list[Played],
    policy: ListPolicy | None,
    eyes: np.ndarray,
    options: LoopOptions,
) -> Evidence:
    found = [evidence_of(shop, p, policy, eyes, options.propensities) for p in played]
    return reduce(Evidence.plus, found)


def _known(shop: Shop, options: LoopOptions, state: State, evidence: Evidence) -> Known:
    """What evidence says, for who decides about the round to come."""
    model = list_model(shop, evidence, effects_of(shop, evidence), state.eyes)
    return Known(shop, options, evidence, model, state.moment, state.people, state.kept)


def _forecast(
    shop: Shop, name: str, options: LoopOptions, state: State, folds: list[list[Played]],
    policy: ListPolicy,
) -> Forecast | None:  # fmt: skip
    """What the next lists would bring, by the logs of the last round, each fold by the other three."""
    last = state.moment - 1
    rates = rates_of(shop, [p for parts in folds for p in parts])
    present = outlook_of(shop, policy, last, state.eyes)
    states = []
    for fold, parts in enumerate(folds):
        others = reduce(Evidence.plus, (e for f, e in enumerate(state.folds) if f != fold))
        known = _known(shop, options, state, others)
        planned = STRATEGIES[name](known)
        assert planned is not None
        coming = outlook_of(shop, planned, last, state.eyes)
        states += [forecast_state(shop, p, known.model, present, coming, rates) for p in parts]
    return forecast_of(add_states(states), options.confidence)


def _judged(forecast: Forecast | None, row: Row) -> Row:
    """The forecast of a round beside what came."""
    if forecast is None:
        return dict.fromkeys(("forecast", "forecast_error", "forecast_lower", "forecast_upper")) | {
            "held": None, "held_observed": None,
        }  # fmt: skip
    scale = (forecast.upper - forecast.lower) / 2 / max(forecast.error, 1e-12)
    both = np.hypot(forecast.error, row["additional_observed_error"])
    return {
        "forecast": forecast.estimate,
        "forecast_error": forecast.error,
        "forecast_lower": forecast.lower,
        "forecast_upper": forecast.upper,
        "held": bool(forecast.lower <= row["additional"] <= forecast.upper),
        "held_observed": bool(abs(forecast.estimate - row["additional_observed"]) <= scale * both),
    }


def _save(file: Path, state: State) -> None:
    """All that the next round needs, in one file that is there whole or not at all."""
    arrays = {f"people.{f.name}": getattr(state.people, f.name) for f in fields(People)}
    arrays |= {
        f"evidence.{fold}.{f.name}": getattr(evidence, f.name)
        for fold, evidence in enumerate(state.folds)
        for f in fields(Evidence)
    }
    arrays |= {f"kept.{key}": value for key, value in state.kept.items()}
    arrays |= {"eyes": state.eyes, "share_known": state.share_known}
    told: Row = {"moment": state.moment, "rows": state.rows, "policy": None, "forecast": None}
    if state.policy is not None:
        arrays["weights"] = state.policy.weights
        policy = state.policy
        told["policy"] = [policy.name, policy.explore, policy.tilt, policy.by_user]
    if state.forecast is not None:
        told["forecast"] = [getattr(state.forecast, f.name) for f in fields(Forecast)]
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    with part.open("wb") as out:
        np.savez(out, told=np.array(json.dumps(told)), **arrays)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)


def _load(file: Path) -> State | None:
    """The state of a file, if there is one."""
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as found:
        told = json.loads(str(found["told"]))
        people = People(*(found[f"people.{f.name}"] for f in fields(People)))
        evidence = tuple(
            Evidence(*(found[f"evidence.{fold}.{f.name}"] for f in fields(Evidence)))
            for fold in range(FOLDS)
        )
        policy = None
        if told["policy"] is not None:
            name, explore, tilt, by_user = told["policy"]
            policy = ListPolicy(name, found["weights"], explore, tilt, by_user)
        forecast = Forecast(*told["forecast"]) if told["forecast"] else None
        return State(
            told["moment"], people, evidence, found["eyes"], found["share_known"], policy, forecast,
            told["rows"],
            {key.removeprefix("kept."): found[key] for key in found.files if key.startswith("kept.")},
        )  # fmt: skip
