"""What data say against a graph: tests that respect users, violations by strength, shuffled graphs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from tests.unit.graph.shop import GRAPH, shop_rows
from truelift.errors import DataError, TableError
from truelift.graph.coded_columns import coded_columns
from truelift.graph.falsify import falsified
from truelift.graph.files import read_graph
from truelift.graph.identify import identified
from truelift.graph.implied import Claim, claims_of
from truelift.graph.partial_association import Associations
from truelift.lake.foreign import frame_table


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    file = tmp_path_factory.mktemp("graphs") / "shop.graph.yaml"
    file.write_text(GRAPH)
    return read_graph(str(file))


def coded(graph, rows, cluster="customer"):
    columns = {name: graph.by_name[name].column for name in graph.measured}
    return coded_columns(frame_table(rows, "the shop"), columns, cluster)


def association(rows, claim, cluster="user"):
    names = {n: n for n in (claim.a, claim.b, *claim.given)}
    return Associations(coded_columns(frame_table(rows, "rows"), names, cluster)).of(claim)


def test_a_graph_claims_an_independence_for_every_pair_that_measured_nodes_part():
    graph = read_graph("latent U; U -> a; U -> b; a -> c -> d; b -> d")
    assert set(claims_of(graph)) == {Claim("a", "d", ("b", "c")), Claim("b", "c", ("a",))}


def test_a_true_graph_is_not_contradicted_and_does_better_than_shuffled_ones(shop):
    found = falsified(shop, coded(shop, shop_rows()), shuffled=100)
    assert not found.violated and found.informative and found.exit_code == 0
    assert "The data contradict 0 of 7 independences" in str(found)


def test_a_way_that_the_graph_does_not_have_is_found_and_the_effect_leans_on_it(shop):
    rows = shop_rows(beside=4.0)
    effect = identified(shop, "campaign", "sales")
    found = falsified(shop, coded(shop, rows), effect, shuffled=20)
    worst = found.violated[0]
    assert {worst.claim.a, worst.claim.b} == {"region", "sales"} and worst.leaning
    assert found.exit_code == 3 and "the effect campaign -> sales leans on it" in str(found)
    # With the region adjusted for as well, the effect does not lean on that claim.
    safe = identified(shop, "campaign", "sales", ["age", "visits_before", "region"])
    assert not falsified(shop, coded(shop, rows), safe, shuffled=20).violated[0].leaning


def test_a_graph_that_knows_nothing_is_not_told_from_shuffled_ones():
    graph = read_graph("age -> region -> visits -> x_visits; region -> mailed; node sales")
    found = falsified(graph, coded(graph, shop_rows()), shuffled=60)
    assert found.violated and not found.informative
    assert "the data do not tell it from those" in str(found)


@pytest.mark.parametrize("texts", [False, True])
def test_dependent_rows_of_a_user_do_not_make_false_findings(texts):
    rng = np.random.default_rng(5)
    users, each, worlds, false, naive = 100, 10, 120, 0, 0
    user = np.repeat(np.arange(users), each)
    for world in range(worlds):
        a, b = (rng.normal(size=users)[user] + 0.5 * rng.normal(size=len(user)) for _ in range(2))
        if texts:
            a, b = (np.array(["p", "q", "r"])[np.digitize(v, [-0.5, 0.5])] for v in (a, b))
        rows = pa.table({"user": user, "a": a, "b": b})
        false += association(rows, Claim("a", "b")).p_value < 0.05
        if world < 20:
            naive += association(rows, Claim("a", "b"), None).p_value < 0.05
    assert false / worlds <= 0.13  # four standard errors above .05
    assert naive >= 6


def test_strength_is_the_partial_correlation():
    rng = np.random.default_rng(0)
    c = rng.normal(size=4000)
    a, b = c + rng.normal(size=4000), c + rng.normal(size=4000)
    rows = pa.table({"user": np.arange(4000), "a": a, "b": b, "c": c})
    one = np.column_stack([np.ones(4000), c])
    left = [v - one @ np.linalg.lstsq(one, v, rcond=None)[0] for v in (a, b)]
    assert association(rows, Claim("a", "b", ("c",))).strength == pytest.approx(
        abs(np.corrcoef(*left)[0, 1]), abs=1e-9
    )
    assert association(rows, Claim("a", "b")).p_value < 1e-6


def test_texts_are_held_fixed_in_all_their_combinations():
    rng = np.random.default_rng(2)
    c, d = rng.choice(["u", "v"], 6000), rng.choice(["s", "t"], 6000)
    same = ((c == "u") == (d == "s")).astype(float)
    a, b = same + rng.normal(size=6000), same + rng.normal(size=6000)
    rows = pa.table({"user": np.arange(6000), "a": a, "b": b, "c": c, "d": d})
    # Neither c nor d alone tells of a, so that sums of both would leave all of it.
    assert association(rows, Claim("a", "b", ("c", "d"))).p_value > 0.01
    assert association(rows, Claim("a", "b", ("c",))).p_value < 1e-6


def test_rows_with_gaps_are_left_out_and_said(shop):
    rows = shop_rows(400)
    ages = pa.array([None] * 30 + rows["age"].to_pylist()[30:])
    found = falsified(shop, coded(shop, rows.set_column(1, "age", ages)), shuffled=5)
    assert found.rows == 1170 and "30 with gaps left out" in str(found)


def test_a_column_that_is_not_there_and_too_few_users_are_refused(shop):
    rows = shop_rows(100)
    with pytest.raises(TableError, match=r"no column 'x_visits' \(the node 'visits_before'\)"):
        coded(shop, rows.drop_columns(["x_visits"]))
    with pytest.raises(DataError, match="fill 1 of 40 buckets, expected at least 10"):
        coded(shop, rows.set_column(0, "customer", pa.array([1] * 300)))


def test_what_is_infinite_is_a_gap():
    rng = np.random.default_rng(0)
    a = rng.normal(size=2000)
    b = a + rng.normal(size=2000)
    c = a + b + rng.normal(size=2000)
    rows = pa.table({"user": np.arange(2000), "a": np.append(a[:-1], np.inf), "b": b, "c": c})
    found = falsified(read_graph("a -> c; b -> c"), three(rows))
    assert found.dropped == 1 and len(found.violated) == 1


def test_of_two_or_three_nodes_shuffled_graphs_tell_nothing():
    rng = np.random.default_rng(0)
    rows = pa.table({"user": np.arange(500)} | {name: rng.normal(size=500) for name in "abc"})
    found = falsified(read_graph("a -> c; b -> c"), three(rows))
    assert not found.tellable
    assert "cannot be said" in str(found)


def three(rows):
    return coded_columns(frame_table(rows, "rows"), {"a": "a", "b": "b", "c": "c"}, "user")


def test_a_text_of_many_levels_is_held_fixed_by_all_of_them():
    rng = np.random.default_rng(4)
    shop = rng.integers(0, 300, 12_000)
    level = rng.normal(size=300)
    a, b = level[shop] + rng.normal(size=12_000), level[shop] + rng.normal(size=12_000)
    names = np.array([f"shop {i}" for i in range(300)])
    rows = pa.table({"user": np.arange(12_000), "a": a, "b": b, "shop": names[shop]})
    found = association(rows, Claim("a", "b", ("shop",)))
    # By 50 levels alone most of what the shops have in common would be left.
    left = [
        v - (np.bincount(shop, v, 300) / np.bincount(shop, minlength=300))[shop] for v in (a, b)
    ]
    assert found.strength == pytest.approx(abs(np.corrcoef(*left)[0, 1]), abs=1e-9)
    assert found.p_value > 0.01 and association(rows, Claim("a", "b")).p_value < 1e-6


def test_claims_given_too_many_combinations_are_said_to_be_untested():
    rng = np.random.default_rng(0)
    texts = {name: rng.integers(0, 400, 9000).astype(str) for name in "cd"}
    rows = pa.table(
        {"user": np.arange(9000), "a": rng.normal(size=9000), "b": rng.normal(size=9000), **texts}
    )
    found = falsified(
        read_graph("c, d -> a; c, d -> b"),
        coded(read_graph("c, d -> a; c, d -> b"), rows, "user"),
        shuffled=5,
    )
    assert [str(one.claim) for one in found.untested] == ["a and b, given c, d"]
    assert "1 of them could not be tested" in str(found) and not found.untested[0].violated


def test_findings_are_the_same_in_whatever_parts_and_order_rows_come(shop, tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    from truelift.graph import coded_columns as module

    rows = shop_rows(400)
    whole = falsified(shop, coded(shop, rows), shuffled=5)
    monkeypatch.setattr(module, "_IN_MEMORY", 1)  # a reading for each set of combinations
    mixed = rows.take(np.random.default_rng(0).permutation(len(rows)))
    for parts in (1, 8, 200):
        folder = tmp_path / str(parts)
        folder.mkdir()
        cuts = np.linspace(0, len(rows), parts + 1).astype(int)
        for number, (a, b) in enumerate(pairwise(cuts)):
            pq.write_table(mixed.slice(a, b - a), folder / f"{number}.parquet")
        assert tl.falsify(shop, str(folder), cluster="customer", shuffled=5) == whole


def wide_texts(seed: int, alike: float) -> pa.Table:
    """Two texts of 400 levels, which agree in a share of the rows beside chance."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 400, (2, 4000))
    b = np.where(rng.random(4000) < alike, a, b)
    names = pa.array([f"level {i}" for i in range(400)])
    return pa.table({"a": names.take(pa.array(a)), "b": names.take(pa.array(b))})


def test_two_texts_of_many_rare_levels_are_tested_by_groups_of_them():
    def p_value(seed: int, alike: float) -> float:
        table = frame_table(wide_texts(seed, alike), "t")
        columns = coded_columns(table, {"a": "a", "b": "b"}, None)
        return Associations(columns).of(Claim("a", "b", ())).p_value

    # Of 15 tests at .05 more than 3 reject once in 200 times.
    assert sum(p_value(seed, 0.0) < 0.05 for seed in range(15)) <= 3
    assert p_value(0, 0.5) < 0.001
