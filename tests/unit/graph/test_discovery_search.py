"""What is learned: the best order by trying all, networks that are known, tiers, halves."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from truelift.graph.discovery.discover import discover
from truelift.graph.discovery.families import CountedFamilies
from truelift.graph.discovery.options import DiscoveryOptions, Tiers
from truelift.graph.discovery.order_search import SearchOptions, search
from truelift.graph.discovery.orientation import class_of_dag
from truelift.graph.discovery.stability import halves
from truelift.lake.foreign import frame_table


def sampled(seed: int, n: int = 800, p: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Codes of a random network of binary columns."""
    rng = np.random.default_rng(seed)
    parents = np.triu(rng.random((p, p)) < 0.5, 1)
    codes = np.zeros((p, n), np.uint8)
    for v in range(p):
        tables = rng.random(2 ** parents[:, v].sum())
        at = np.zeros(n, int)
        for u in np.flatnonzero(parents[:, v]):
            at = 2 * at + codes[u]
        codes[v] = rng.random(n) < tables[at]
    return codes, parents


def best_by_trying(scorer: CountedFamilies, allowed: np.ndarray) -> float:
    best = -np.inf
    for order in itertools.permutations(range(scorer.size)):
        total = 0.0
        for at, v in enumerate(order):
            before = [u for u in order[:at] if allowed[u, v]]
            sets = itertools.chain.from_iterable(
                itertools.combinations(sorted(before), k) for k in range(len(before) + 1)
            )
            total += max(scorer.scores([(v, own) for own in sets]))
        best = max(best, total)
    return best


@pytest.mark.parametrize("kind", ["bic", "bdeu", "qnml"])
@pytest.mark.parametrize("seed", range(4))
def test_the_best_order_is_found(kind, seed):
    codes, _ = sampled(seed)
    scorer = CountedFamilies(codes, np.full(5, 2), np.ones(800), kind)
    found = search(scorer, SearchOptions())
    assert found.score == pytest.approx(best_by_trying(scorer, np.ones((5, 5), bool)))


def test_the_best_order_within_tiers_is_found():
    codes, _ = sampled(1)
    tiers = np.array([1, 0, 0, 1, 2])
    scorer = CountedFamilies(codes, np.full(5, 2), np.ones(800), "bdeu")
    allowed = tiers[:, None] <= tiers[None, :]
    found = search(scorer, SearchOptions(), tiers)
    order_kept = [
        order for order in itertools.permutations(range(5)) if all(np.diff(tiers[list(order)]) >= 0)
    ]
    assert tuple(found.order) in order_kept and not (found.parents & ~allowed).any()
    assert found.score == pytest.approx(best_by_trying(scorer, allowed))


def test_equivalent_families_score_the_same():
    codes, _ = sampled(2)
    for kind in ("bic", "bdeu", "qnml"):
        scorer = CountedFamilies(codes, np.full(5, 2), np.ones(800), kind)
        one, other = (
            scorer.scores([(0, ()), (1, (0,))]).sum(),
            scorer.scores([(1, ()), (0, (1,))]).sum(),
        )
        assert one == pytest.approx(other)


def shop(users: int = 1500, seed: int = 0) -> pa.Table:
    """A chain, a collider and a column apart; every user has two rows of one need."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(users), 2)
    n = len(who)
    age, need = rng.normal(size=n), rng.normal(size=users)[who]
    mailed = 0.8 * age + rng.normal(size=n)
    visits = need + rng.normal(size=n)
    sales = 0.7 * mailed + 0.7 * visits + rng.normal(size=n)
    return pa.table(
        {
            "user": who,
            "age": age,
            "mailed": mailed,
            "visits": visits,
            "sales": sales,
            "noise": rng.normal(size=n),
        }
    )


@pytest.mark.parametrize("method", ["order", "pc"])
def test_a_collider_is_found_and_a_chain_stays_open(method):
    options = DiscoveryOptions(cluster="user", method=method, share=1.0, bootstraps=10, alpha=0.001)
    found = discover(frame_table(shop(), "shop"), options)
    assert set(found.lines) == {"age -- mailed", "mailed -> sales", "visits -> sales"}
    assert all(e.frequency == 1.0 for e in found.edges if e.line)


def test_tiers_of_many_columns_are_no_path():
    names = [f"a_column_with_a_rather_long_name_{i}" for i in range(40)]
    assert Tiers.parse(f"{', '.join(names)} < sales").groups == (tuple(names), ("sales",))


@pytest.mark.parametrize("method", ["order", "pc", "fci"])
def test_no_arrow_goes_against_the_tiers(method):
    # Backwards on purpose: what is true may not come out.
    tiers = Tiers.parse("sales < visits, noise < mailed < age")
    options = DiscoveryOptions(
        cluster="user", method=method, tiers=tiers, share=1.0, bootstraps=4, alpha=0.05
    )
    found = discover(frame_table(shop(600), "shop"), options)
    place = {name: t for t, group in enumerate(tiers.groups) for name in group}
    for edge in found.edges:
        first, second = place[edge.first], place[edge.second]
        if edge.line and first != second:
            assert edge.line.split()[1][-1 if first < second else 0] in "<>"
        if first > second:
            assert not edge.forward
        if first < second:
            assert not edge.backward


def test_hidden_causes_leave_ends_open_where_tests_alone_speak():
    options = DiscoveryOptions(cluster="user", method="fci", share=1.0, bootstraps=0, alpha=0.001)
    found = discover(frame_table(shop(), "shop"), options)
    assert found.kind == "PAG"
    assert {"mailed o-> sales", "visits o-> sales"} <= set(found.lines)


def test_half_of_the_buckets_is_left_for_estimation():
    options = DiscoveryOptions(cluster="user", bootstraps=0)
    found = discover(frame_table(shop(), "shop"), options)
    assert len(found.learned_on) == len(found.left) == 40
    assert not set(found.learned_on) & set(found.left)
    assert 1200 < found.rows < 1800  # of 3,000


def test_graphs_of_halves_come_in_pairs_that_share_no_bucket():
    pairs = list(halves(10, 6, 0))
    for one, other in zip(pairs[::2], pairs[1::2], strict=True):
        assert (one ^ other).all() and one.sum() == 5


def test_weak_dependences_are_no_edges_below_the_floor():
    how = {"cluster": "user", "method": "pc", "share": 1.0, "bootstraps": 0}
    table = frame_table(shop(), "shop")
    found = discover(table, DiscoveryOptions(**how, floor=0.1))
    # The largest correlation is .63, of age and mailed.
    assert len(found.lines) == 3 and not discover(table, DiscoveryOptions(**how, floor=0.65)).lines
    curve = {p.floor: p.edges for p in found.curve}
    assert (curve[0.0], curve[0.3]) == (3, 3)


def test_counts_of_levels_give_the_class_of_a_known_network():
    rng = np.random.default_rng(11)
    n = 4000
    rain = rng.random(n) < 0.3
    sprinkler = rng.random(n) < 0.4
    wet = rng.random(n) < np.select([rain & sprinkler, rain, sprinkler], [0.95, 0.8, 0.7], 0.05)
    slippery = rng.random(n) < np.where(wet, 0.9, 0.1)
    table = pa.table({"rain": rain, "sprinkler": sprinkler, "wet": wet, "slippery": slippery})
    found = discover(frame_table(table, "lawn"), DiscoveryOptions(share=1.0, bootstraps=0))
    truth = np.zeros((4, 4), bool)
    truth[0, 2] = truth[1, 2] = truth[2, 3] = True
    assert found.lines == class_of_dag(found.names, truth, np.zeros(4, int)).lines()
    assert "counts" in found.method


@pytest.mark.parametrize("method", ["order", "pc"])
def test_an_arrow_that_is_forbidden_one_way_points_the_other_way(method):
    rng = np.random.default_rng(5)
    a = rng.normal(size=3000)
    table = pa.table({"a": a, "b": a + rng.normal(size=3000)})
    tiers = Tiers((("a", "b"),), ("a -> b",))
    options = DiscoveryOptions(share=1.0, bootstraps=0, method=method, tiers=tiers)
    found = discover(frame_table(table, "t"), options)
    assert found.lines == ("b -> a",)
