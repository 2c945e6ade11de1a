"""A shop's logs as files: raw events for the log engine, exposures with chances, and the truth apart.

Users are written a block at a time, through all rounds, so memory does not grow with them. A file of
events, exposures, answers and truth each is named by its block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml
from pyarrow import csv, parquet

from truelift.errors import ConfigError, MachineError
from truelift.simulate.shop_world.lists import ListPolicy
from truelift.simulate.shop_world.people import People
from truelift.simulate.shop_world.shop import Played, Shop

#: A round is a day; the first is this one.
FIRST_DAY = np.datetime64("2024-01-01", "s")
EVENTS, EXPOSURES, ANSWERS, TRUTH = "events", "exposures", "answers", "truth"


@dataclass(frozen=True)
class Written:
    """What lies in the folder now."""

    folder: Path
    visits: int
    events: int
    exposures: int

    @property
    def dataset(self) -> Path:
        """The mapping for ``--dataset``."""
        return self.folder / "dataset.yaml"


def write_world(
    shop: Shop, policy: ListPolicy | None, rounds: int, out: str | Path,
    tell: Callable[[str, float, float], None] = lambda text, done, total: None,
) -> Written:  # fmt: skip
    """Play rounds under one policy and write what is logged, and what is true.

    Raises
    ------
    ConfigError
        If the folder has something in it.
    MachineError
        If it cannot be written.
    """
    folder = Path(out).absolute()
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"--out: found files in {folder}, expected an empty or a new folder.")
    visits = events = exposures = 0
    try:
        for name in (EVENTS, EXPOSURES, ANSWERS, TRUTH):
            (folder / name).mkdir(parents=True, exist_ok=True)
        csv.write_csv(item_table(shop), folder / "items.csv")
        (folder / "dataset.yaml").write_text(dataset_yaml(shop, folder), encoding="utf-8")
        for block, people in enumerate(shop.blocks()):
            tell("users", float(people.user[0]), float(shop.world.users))
            tables = {
                name: _chained(found) for name, found in _rounds(shop, people, policy, rounds)
            }
            csv.write_csv(tables[EVENTS], folder / EVENTS / f"part-{block:05d}.csv")
            for name in (EXPOSURES, ANSWERS, TRUTH):
                parquet.write_table(tables[name], folder / name / f"part-{block:05d}.parquet")
            visits += tables[TRUTH].num_rows
            events += tables[EVENTS].num_rows
            exposures += tables[EXPOSURES].num_rows
    except OSError as error:
        raise MachineError(
            f"--out {folder} cannot be written ({error.strerror}). Choose another folder."
        ) from error
    return Written(folder, visits, events, exposures)


def _chained(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables)


def _rounds(
    shop: Shop, people: People, policy: ListPolicy | None, rounds: int
) -> Iterator[tuple[str, list[pa.Table]]]:
    """All rounds of a block, table by table."""
    played = [shop.play(people, policy, moment) for moment in range(rounds)]
    name = policy.name if policy is not None else "nothing"
    yield EVENTS, [event_table(shop, p) for p in played]
    yield EXPOSURES, [exposure_table(shop, p, name) for p in played]
    yield ANSWERS, [answer_table(p) for p in played]
    yield TRUTH, [truth_table(p) for p in played]


def item_name(item: np.ndarray) -> np.ndarray:
    """``i0007``."""
    return np.char.add("i", np.char.zfill(item.astype(str), 4))


def user_name(user: np.ndarray) -> np.ndarray:
    """``u0000007``."""
    return np.char.add("u", np.char.zfill(user.astype(str), 7))


def category_name(category: np.ndarray) -> np.ndarray:
    """``section 03``."""
    return np.char.add("section ", np.char.zfill(category.astype(str), 2))


def visit_times(played: Played) -> np.ndarray:
    """When each visit began (datetime64[s], UTC)."""
    # Between 8 and 22 hours.
    within = (28_800 + 50_400 * played.visits.clock).astype(np.int64)
    return FIRST_DAY + (played.moment * 86_400 + within).astype("timedelta64[s]")


def visit_names(played: Played) -> np.ndarray:
    """Of a user in a round: one visit each."""
    return np.char.add(user_name(played.visits.user), f"-{played.moment}")


def event_table(shop: Shop, played: Played) -> pa.Table:
    """Raw events: the page that was opened, clicks on the list, purchases with or without it."""
    visits, came = played.visits, played.responses
    began, names = visit_times(played), visit_names(played)
    market, goods = shop.market(played.moment), shop.goods
    first = np.searchsorted(goods.category, visits.context // 2)
    opened = first + visits.user % np.bincount(goods.category)[visits.context // 2]
    clicked, slot = np.nonzero(came.clicked)
    buyer, section = np.nonzero(came.bought >= 0)
    item = np.concatenate([opened, played.items[clicked, slot], came.bought[buyer, section]])
    visit = np.concatenate([np.arange(len(visits)), clicked, buyer])
    after = np.concatenate([np.zeros(len(visits), int), 20 + 15 * slot, 300 + 20 * section])
    kinds = np.repeat(["view", "click", "purchase"], [len(visits), len(clicked), len(buyer)])
    paid = np.where(kinds == "purchase", market.price[item], 0.0)
    order = np.lexsort((after, visit))
    columns = {
        "event": np.char.add(np.char.add(names[visit], "-"), after.astype(str)),
        "visitor": user_name(visits.user[visit]),
        "at": began[visit] + after.astype("timedelta64[s]"),
        "action": kinds,
        "item": item_name(item),
        "quantity": (kinds == "purchase").astype(np.int64),
        "amount": np.round(paid, 2),
        "visit": names[visit],
    }
    return pa.table({name: pa.array(values[order]) for name, values in columns.items()})


def exposure_table(shop: Shop, played: Played, policy: str) -> pa.Table:
    """A row a slot that was filled: its chance given the slots before, and that of the whole list."""
    visits, came = played.visits, played.responses
    visit, slot = np.nonzero(played.items >= 0)
    item = played.items[visit, slot]
    slate = played.chances.prod(axis=1)
    market, category = shop.market(played.moment), shop.goods.category[item]
    bought = came.bought[visit, category]
    context = visits.context[visit]
    return pa.table(
        {
            "visitor": user_name(visits.user[visit]),
            "visit": visit_names(played)[visit],
            "at": visit_times(played)[visit],
            "round": pa.array(np.full(len(visit), played.moment, np.int32)),
            "policy": pa.array([policy] * len(visit), pa.string()),
            "context": category_name(context // 2),
            "bought_lately": context % 2 == 1,
            "slot": pa.array(slot.astype(np.int32)),
            "item": item_name(item),
            "propensity": played.chances[visit, slot],
            "slate_propensity": slate[visit],
            "price": np.round(market.price[item], 2),
            "clicked": came.clicked[visit, slot].astype(np.int32),
            "bought": (bought == item).astype(np.int32),
            "bought_in_category": (bought >= 0).astype(np.int32),
            "bought_in_visit": (came.bought[visit] >= 0).sum(axis=1).astype(np.int32),
        }
    )


def answer_table(played: Played) -> pa.Table:
    """Who said how content he was, and when the answer came; most say nothing."""
    came = played.responses
    said = np.flatnonzero(came.satisfied >= 0)
    asked = visit_times(played)[said]
    return pa.table(
        {
            "visitor": user_name(played.visits.user[said]),
            "visit": visit_names(played)[said],
            "asked_at": asked,
            "answered_at": asked + (came.waits[said].astype(np.int64) * 86_400 + 3_600),
            "satisfied": came.satisfied[said].astype(np.int32),
        }
    )


def truth_table(played: Played) -> pa.Table:
    """What nobody logs: who was asked what lists change, and by how much they did."""
    came = played.responses
    return pa.table(
        {
            "visit": visit_names(played),
            "group": played.group,
            "holdout": played.visits.holdout,
            "purchases": (came.bought >= 0).sum(axis=1),
            "expected": came.chance.sum(axis=1),
            "expected_without_list": came.chance_without.sum(axis=1),
        }
    )


def item_table(shop: Shop) -> pa.Table:
    """The catalogue as the shop lists it."""
    goods, n = shop.goods, shop.world.items
    number = np.arange(n)
    section = category_name(goods.category)
    return pa.table(
        {
            "item": item_name(number),
            "title": [f"{s}, kind {k}, no. {i}" for i, (s, k) in enumerate(zip(section, goods.nest, strict=True))],
            "section": section,
            "provider": np.where(goods.provider == 1, "small", "large"),
            "price": np.round(goods.price, 2),
        }
    )  # fmt: skip


def dataset_yaml(shop: Shop, folder: Path) -> str:
    """The mapping with which the log engine reads the folder."""
    settings: dict[str, Any] = {
        "source": {
            "format": "csv",
            "path": str(folder / EVENTS),
            "mapping": {
                "user": "visitor",
                "item": "item",
                "time": "at",
                "event_type": "action",
                "quantity": "quantity",
                "value": "amount",
                "session": "visit",
                "event_id": "event",
            },
            "items": {
                "path": str(folder / "items.csv"),
                "columns": {"item_id": "item", "name": "title", "category": "section"},
            },
            "exposures": {
                "path": str(folder / EXPOSURES),
                "columns": {
                    "user": "visitor",
                    "list": "visit",
                    "time": "at",
                    "item": "item",
                    "slot": "slot",
                    "propensity": "propensity",
                    "list_propensity": "slate_propensity",
                    "context": "context",
                    "segment": "bought_lately",
                },
            },
        },
        "features": {"category_column": "category", "min_item_count": 3},
        "sequence": {"evaluation": {"validation_days": 1, "test_days": 1}},
    }
    heading = (
        f"# A simulated shop of {shop.world.users:,} users, seed {shop.seed}.\n"
        "# exposures/ has the chances of the lists' slots; truth/ is what nobody logs.\n"
    )
    return heading + yaml.safe_dump(settings, sort_keys=False)
