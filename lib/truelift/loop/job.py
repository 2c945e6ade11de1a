"""A loop into a folder: what was asked, the state of every run, the table of rounds."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyarrow import parquet

from truelift.errors import ConfigError, MachineError
from truelift.loop.options import LoopOptions
from truelift.loop.results import LoopResult
from truelift.loop.rounds import run_strategy
from truelift.loop.strategies import STRATEGIES
from truelift.loop.table import columns_of
from truelift.progress import Tell
from truelift.settings.checks import require_known
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.shop import Shop
from truelift.typed import to_plain

ASKED, ROUNDS, STATE = "loop.json", "rounds.parquet", "state"
#: The honest competitor, where it is run.
RIVAL = "click_greedy"


def run_loop(
    world: ShopWorld, options: LoopOptions, strategies: Sequence[str], seeds: Sequence[int],
    out: Path | None = None, name: str = "shop", tell: Tell = lambda text: None,
    threads: int = 1,
) -> LoopResult:  # fmt: skip
    """Every strategy in every world; in a folder it goes on where it stopped.

    Parameters
    ----------
    world : ShopWorld
    options : LoopOptions
    strategies : sequence of str
    seeds : sequence of int
        Of worlds.
    out : Path, optional
        A new folder, or one of the same loop.
    name : str
        Of the world, for people.
    tell : callable
        Told what is being done.
    threads : int
        Over which blocks of users are played.

    Raises
    ------
    ConfigError
        For an unknown strategy, or a folder with another loop in it.
    MachineError
        If the folder cannot be written.
    """
    require_known(strategies, STRATEGIES, "--strategies")
    if not strategies or not seeds:
        raise ConfigError(
            "run_loop: found no strategies or no seeds, expected at least one of each."
        )
    rows: list[dict[str, Any]] = []
    try:
        if out is not None:
            _same_loop(out, {"world": to_plain(world), "options": to_plain(options)})
        for seed in seeds:
            shop = Shop(world, seed)
            for strategy in strategies:
                file = out / STATE / f"{strategy}-{seed}.npz" if out is not None else None
                rows += run_strategy(shop, strategy, options, file, tell, threads)
        against = RIVAL if RIVAL in strategies else strategies[0]
        columns = columns_of(rows, name, world.users)
        found = LoopResult(name, world.users, columns, against, options.confidence)
        if out is not None:
            part = out / f"{ROUNDS}.{os.getpid()}.part"
            parquet.write_table(found.rounds, part)
            part.replace(out / ROUNDS)
    except OSError as error:
        raise MachineError(
            f"--out {out} cannot be written ({error.strerror}). Choose another folder."
        ) from error
    return found


def _same_loop(out: Path, asked: dict[str, Any]) -> None:
    """Refuse a folder of another loop, and remember what this one is."""
    file = out / ASKED
    if file.exists():
        before = json.loads(file.read_text(encoding="utf-8"))
        if before == json.loads(json.dumps(asked)):
            return
        changed = [
            f"{part}.{key}: {before.get(part, {}).get(key)!r} then, {value!r} now"
            for part, values in asked.items()
            for key, value in values.items()
            if before.get(part, {}).get(key) != value
        ]
        raise ConfigError(
            f"--out {out}: found a loop with other options ({'; '.join(changed[:3])}). Choose a new "
            "folder, or ask as then."
        )
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"--out: found files in {out}, expected a new folder or one of a loop.")
    out.mkdir(parents=True, exist_ok=True)
    part = out / f"{ASKED}.{os.getpid()}.part"
    part.write_text(json.dumps(asked, indent=1), encoding="utf-8")
    part.replace(file)
