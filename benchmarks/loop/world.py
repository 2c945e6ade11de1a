"""How fast the shop answers: visits, lists, looks, choices and states, by user and item shown.

    python benchmarks/loop/world.py [--users 200000] [--rounds 5] [--repeats 3] [--partitions 1 8 200]

A response is an item that was shown to a visitor, with all that the shop does about it: who comes, what
for, a list of five by lot with its chances, attention, clicks, a nested logit in every category with and
without the list, answers, and the new state. Blocks of 20,000 users go through all rounds, one after the
other, on one core; what a block leaves is a digest, so memory does not grow with users. Then the logs of
2,000 users are made in several numbers of partitions and compared byte by byte. Both once more with stock that
sales use up. Prints, as last line, one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import statistics
import time

import numpy as np

from truelift.simulate.shop_world.lists import ListPolicy, by_scores
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.shop import Played, Shop

TARGET = 300_000
#: Shelves that run empty; branches of ten, so that 200 partitions of 2,000 users part none.
SCARCE = {"stock": 20}
FEW = {"stock": 2, "branch": 10, "restock": 2}


def softly(shop: Shop) -> ListPolicy:
    """A policy with preferences in every context."""
    scores = np.random.default_rng(0).standard_normal((shop.contexts, shop.world.items))
    return by_scores("soft", scores, 0.1, 0.5)


def logged(played: Played) -> list[np.ndarray]:
    """What a log of a round holds."""
    found = played.responses
    return [
        played.visits.user, played.visits.context, played.items, played.chances, found.clicked,
        found.bought, found.satisfied, found.waits,
    ]  # fmt: skip


def timed(world: ShopWorld, rounds: int) -> tuple[float, float, int, int]:
    """CPU and wall seconds, items shown, visits."""
    shop = Shop(world, 1)
    policy, shown, visits = softly(shop), 0, 0
    cpu, wall = time.process_time(), time.perf_counter()
    for people in shop.blocks():
        for moment in range(rounds):
            played = shop.play(people, policy, moment)
            shown += int((played.items >= 0).sum())
            visits += len(played.visits)
    return time.process_time() - cpu, time.perf_counter() - wall, shown, visits


def digest(world: ShopWorld, rounds: int, partitions: int) -> str:
    """Of the logs of all rounds, in the order of users."""
    shop = Shop(world, 1)
    policy = softly(shop)
    found: list[list[list[np.ndarray]]] = [[] for _ in range(rounds)]
    for users in np.array_split(np.arange(world.users), partitions):
        people = shop.people(users)
        for moment in range(rounds):
            found[moment].append(logged(shop.play(people, policy, moment)))
    whole = hashlib.sha256()
    for parts in found:
        for column in zip(*parts, strict=True):
            whole.update(np.concatenate(column).tobytes())
    return whole.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=float, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--partitions", type=int, nargs="+", default=[1, 8, 200])
    options = parser.parse_args()
    timed(ShopWorld(users=100), 1)  # compiles
    started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    world = ShopWorld(users=int(options.users), list_length=5)
    runs = [timed(world, options.rounds) for _ in range(options.repeats)]
    cpu = statistics.median(r[0] for r in runs)
    shown, visits = runs[0][2:]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    timed(ShopWorld(users=100, **SCARCE), 1)
    scarce = ShopWorld(users=int(options.users), list_length=5, **SCARCE)
    with_stock = [timed(scarce, options.rounds) for _ in range(options.repeats)]
    scarce_cpu = statistics.median(r[0] for r in with_stock)
    few = ShopWorld(users=2_000, list_length=5), ShopWorld(users=2_000, list_length=5, **FEW)
    digests = [{digest(world, 3, n) for n in options.partitions} for world in few]
    result = {
        "users": world.users,
        "rounds": options.rounds,
        "visits": visits,
        "responses": shown,
        "cpu_seconds": round(cpu, 3),
        "responses_a_second_a_core": round(shown / cpu),
        "target": TARGET,
        "memory_grown_mb": round((peak - started) / 1024, 1),
        "partitions": options.partitions,
        "identical": len(digests[0]) == 1,
        "with_stock_a_second_a_core": round(with_stock[0][2] / scarce_cpu),
        "with_stock_identical": len(digests[1]) == 1,
    }
    for key, value in result.items():
        print(f"{key:>28}  {value}")
    ratios = {"responses a second a core / target": round(shown / cpu / TARGET, 2)}
    print(json.dumps({"benchmark": "world", "figures": result, "ratios": ratios}))


if __name__ == "__main__":
    main()
