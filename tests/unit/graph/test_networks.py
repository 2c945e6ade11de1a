"""Networks: counts against loops, tables by formula, questions against all cells, and the worked example."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import truelift as tl
from tests.unit.graph.brute_force import random_graph
from truelift.cli import main
from truelift.errors import ConfigError, DataError, NotSupportedError
from truelift.graph.files import read_network, write_network
from truelift.graph.formats.bif import as_bif, read_bif
from truelift.graph.network import counts as counting
from truelift.graph.network.counts import FamilyCounts
from truelift.graph.network.model import BayesianNetwork
from truelift.graph.network.parameters import Prior, log_likelihood, table_of
from truelift.graph.network.query import answered

GIVEN = """
network given { }
variable X { type discrete [ 3 ] { x1, x2, x3 }; }
variable Y { type discrete [ 2 ] { y1, y2 }; }
variable Z { type discrete [ 2 ] { z1, z2 }; }
probability ( X ) { table 0.3333333333333333, 0.3333333333333333, 0.3333333333333333; }
probability ( Y | X ) { (x1) 0.5, 0.5; (x2) 0.5, 0.5; (x3) 0.8, 0.2; }
probability ( Z | Y ) { table 0.5, 0.25, 0.5, 0.75; }
"""


def drawn(seed: int, nodes: int = 5) -> BayesianNetwork:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, nodes, 0.5, 0.0)
    levels = {n: tuple("abc"[: rng.integers(2, 4)]) for n in graph.measured}
    parents = {n: tuple(graph.dag.predecessors(n)) for n in levels}
    tables = {
        n: rng.dirichlet(np.ones(len(levels[n])), [len(levels[p]) for p in parents[n]])
        for n in levels
    }
    return BayesianNetwork(levels, parents, tables)


def cell_chances(network: BayesianNetwork, do: dict[str, str]):
    for values in product(*network.levels.values()):
        cell = dict(zip(network.levels, values, strict=True))
        chance = 1.0
        for n, table in network.tables.items():
            if n in do:
                chance *= cell[n] == do[n]
            else:
                chance *= table[
                    tuple(network.levels[m].index(cell[m]) for m in (*network.parents[n], n))
                ]
        yield cell, chance


def by_all_cells(network, of, do, seen):
    every = [
        (c, p) for c, p in cell_chances(network, do) if all(c[n] == v for n, v in seen.items())
    ]
    whole = sum(p for _, p in every)
    return sum(p for c, p in every if all(c[n] == v for n, v in of.items())) / whole


@pytest.mark.parametrize("seed", range(15))
def test_answers_with_evidence_and_interventions_are_those_of_all_cells(seed):
    network = drawn(seed)
    found = answered(network, "P(y, z0 | do(x), z1=a)")
    assert len(found.rows) == math.prod(len(network.levels[n]) for n in ("x", "y", "z0"))
    for done, of, chance in found.rows:
        assert chance == pytest.approx(by_all_cells(network, of, done, {"z1": "a"}), abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_a_written_network_is_read_again_to_the_last_bit(seed, tmp_path):
    network = drawn(seed)
    write_network(network, tmp_path / "n.bif")
    again = read_network(str(tmp_path / "n.bif"))
    assert again.levels == network.levels and again.parents == network.parents
    for name, table in network.tables.items():
        assert np.array_equal(again.tables[name], table)


def test_a_number_of_a_file_is_the_double_nearest_to_it():
    network = read_bif(GIVEN, "given")
    assert network.tables["Y"][2, 0] == 0.8  # single precision would be .800000012
    # In a table without rows the first name, the child, varies slowest.
    assert network.tables["Z"].tolist() == [[0.5, 0.5], [0.25, 0.75]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("(x3) 0.8, 0.2;", ""), r"P\(Y\): found rows missing"),
        (("(x3) 0.8", "(x3) 0.9"), r"P\(Y\): found rows that sum to 1 ... 1.1"),
        (("(x3)", "(x4)"), "which are no levels of its parents"),
        (("(x3) 0.8,", "(x3) 0.1, 0.7,"), "found 3 numbers in a row, expected 2"),
        (("probability ( Z | Y ) { table 0.5, 0.25, 0.5, 0.75; }", ""), "no table of 'Z'"),
        (("( Y | X )", "( Y | W )"), "names 'W', which is no variable"),
        (("probability ( X ) { table", "probability ( X ) { table a"), "expected numbers"),
        (("discrete", "continuous"), "expected type discrete"),
    ],
)
def test_a_file_that_is_no_network_is_refused(change, said):
    with pytest.raises(ConfigError, match=said):
        read_bif(GIVEN.replace(*change), "given")


def test_given_tables_make_the_worked_example_083():
    """P(X) P(Y | X) P(Z | Y) = 1/3 x 1/2 x 1/2, from tables that are given and not learned."""
    network = read_bif(GIVEN, "given")
    assert network.chance({"X": "x1", "Y": "y1", "Z": "z1"}) == pytest.approx(1 / 12, abs=1e-15)
    (_, _, chance), *_ = answered(network, "P(X=x1, Y=y1, Z=z1)").rows
    assert f"{chance:.3f}" == "0.083"


def test_maximum_likelihood_on_the_examples_three_rows_gives_333_instead():
    # Each row has values of its own, so that X tells Y and Y tells Z: 1/3 x 1 x 1.
    sizes = {"X": 3, "Y": 3, "Z": 3}
    parents = {"X": (), "Y": ("X",), "Z": ("Y",)}
    counts = FamilyCounts(sizes, parents)
    counts.add(np.array([[0, 1, 2]] * 3, np.uint8))
    tables = {name: table_of(counts, name, Prior("none")) for name in sizes}
    network = BayesianNetwork({name: ("1", "2", "3") for name in sizes}, parents, tables)
    assert f"{network.chance(dict.fromkeys(sizes, '1')):.3f}" == "0.333"


def test_counts_are_those_of_a_loop_whatever_batches_threads_and_kind(monkeypatch):
    rng = np.random.default_rng(0)
    sizes = {"a": 3, "b": 2, "c": 4, "d": 2}
    parents = {"a": (), "b": ("a",), "c": ("b", "a"), "d": ("c", "a", "b")}
    codes = np.stack([rng.integers(0, size, 20_000) for size in sizes.values()]).astype(np.uint8)
    whole = FamilyCounts(sizes, parents)
    whole.add(codes)
    monkeypatch.setattr(counting, "MOST_CELLS", 20)  # c and d are kept by key
    parted = FamilyCounts(sizes, parents, threads=2)
    for part in np.array_split(codes, 7, axis=1):
        parted.add(part)
    for name, above in parents.items():
        table = np.zeros([sizes[n] for n in (*above, name)])
        np.add.at(table, tuple(codes[list(sizes).index(n)] for n in (*above, name)), 1)
        assert np.array_equal(whole.table(name), table)
        cells = parted.cells(name)
        assert (
            np.array_equal(cells.counts, table.ravel()[cells.keys]) and cells.counts.sum() == 20_000
        )
    monkeypatch.setattr(counting, "MOST_TABLE", 40)
    with pytest.raises(
        NotSupportedError, match="d with its parents c, a, b has a table of 4 x 3 x 2 x 2"
    ):
        parted.table("d")
    prior = Prior()
    assert log_likelihood(parted, whole, prior) == pytest.approx(
        log_likelihood(whole, whole, prior)
    )


def test_a_family_of_many_levels_takes_no_table():
    sizes = dict.fromkeys("abcdefgh", 200)
    parents = {name: () for name in "abcdefg"} | {"h": tuple("abcdefg")}
    counts = FamilyCounts(sizes, parents)  # 2.6e18 cells
    counts.add(np.random.default_rng(0).integers(0, 200, (8, 5000)).astype(np.uint8))
    assert counts.cells("h").counts.sum() == 5000
    with pytest.raises(NotSupportedError, match="expected fewer than"):
        FamilyCounts(
            dict.fromkeys("abcdefghi", 200), {n: () for n in "abcdefgh"} | {"i": tuple("abcdefgh")}
        )


def test_the_likelihood_of_rows_is_that_of_the_tables():
    network = drawn(3)
    rng = np.random.default_rng(1)
    sizes = {n: len(levels) for n, levels in network.levels.items()}
    learned, held = FamilyCounts(sizes, network.parents), FamilyCounts(sizes, network.parents)
    codes = [np.stack([rng.integers(0, s, rows) for s in sizes.values()]) for rows in (300, 50)]
    learned.add(codes[0])
    held.add(codes[1])
    prior = Prior("bdeu", 5.0)
    tables = {n: table_of(learned, n, prior) for n in sizes}
    made = BayesianNetwork(network.levels, network.parents, tables)
    named = [dict(zip(sizes, column, strict=True)) for column in codes[1].T]
    logs = [math.log(made.chance({n: made.levels[n][c] for n, c in row.items()})) for row in named]
    assert log_likelihood(learned, held, prior) == pytest.approx(sum(logs))
    assert log_likelihood(learned, held, Prior("none")) in (
        -math.inf,
        pytest.approx(sum(logs), rel=0.5),
    )


def people(rows: int = 4000) -> pa.Table:
    rng = np.random.default_rng(3)
    age = rng.integers(18, 80, rows)
    mail = rng.random(rows) < np.where(age > 50, 0.7, 0.3)
    buy = rng.random(rows) < 0.1 + 0.2 * mail + 0.3 * (age > 50)
    who = rng.integers(0, rows // 4, rows)
    return pa.table(
        {"who": who, "age": age, "mail": mail.astype(int), "buy": np.where(buy, "yes", "no")}
    )


GRAPH = "nodes: {age: {cuts: [30, 50]}}\narrows: [age -> mail -> buy, age -> buy]\n"


def test_a_network_is_learned_written_and_asked_by_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.yaml").write_text(GRAPH)
    pa.csv.write_csv(people(), "people.csv")
    words = ["--graph", "g.yaml", "--table", "people.csv", "--out", "shop.bif", "--cluster", "who"]
    assert main(["learn_network", *words]) == 0
    assert "the arrows tell something" in capsys.readouterr().out
    assert main(["query", "P(buy=yes | do(mail), age=30)", "--network", "shop.bif"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "P(buy=yes | do(mail), age=30)" and "buy=yes  | do(mail=1)" in lines[2]
    network = read_network("shop.bif")
    assert network.levels["age"] == ("<30", "30..50", ">=50")
    age, mail, buy = (people()[n].to_numpy(zero_copy_only=False) for n in ("age", "mail", "buy"))
    chosen = (age >= 30) & (age < 50) & (mail == 1)
    assert float(lines[2].split()[0]) == pytest.approx((buy[chosen] == "yes").mean(), abs=2e-3)


def test_doing_is_not_seeing():
    network = tl.learn_network("age -> mail -> buy; age -> buy", coarse(people())).network
    seen, done = (
        tl.query(q, network).rows[0][2] for q in ("P(buy=yes | mail=1)", "P(buy=yes | do(mail=1))")
    )
    assert seen - done > 0.03


def coarse(rows: pa.Table) -> pa.Table:
    return rows.set_column(
        1, "age", pa.array(np.where(rows["age"].to_numpy() > 50, "old", "young"))
    )


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("buy given mail", "expected such as 'P"),
        ("P(do(mail))", "expected names before the bar"),
        ("P(buy | mail)", "expected mail=VALUE or do"),
        ("P(buy | male=1)", "no node 'male'. Did you mean 'mail'"),
        ("P(buy | mail=7)", "found mail=7, expected one of 0, 1"),
        ("P(buy | mail=1, do(mail=0))", "found mail twice"),
        ("P(buy | do(mail=1)", "cannot read|expected such as"),
    ],
)
def test_a_question_that_is_none_is_refused(question, said):
    network = tl.learn_network("age -> mail -> buy; age -> buy", coarse(people(200))).network
    with pytest.raises(ConfigError, match=said):
        tl.query(question, network)


def test_what_cannot_happen_is_no_evidence():
    network = read_bif(GIVEN.replace("(x3) 0.8, 0.2", "(x3) 1.0, 0.0"), "given")
    with pytest.raises(NotSupportedError, match="Y=y2 has no chance"):
        answered(network, "P(Z | do(X=x3), Y=y2)")


def test_latent_nodes_numbers_without_cuts_and_gaps():
    with pytest.raises(ConfigError, match="found latent U, which no table has counts of"):
        tl.learn_network("latent U; U -> buy; mail -> buy", people(50))
    with pytest.raises(ConfigError, match="62 distinct values, expected at most 50"):
        tl.learn_network("age -> buy", people())
    rows = coarse(people(100))
    gaps = rows.set_column(1, "age", pa.array([None] * 10 + rows["age"].to_pylist()[10:]))
    assert tl.learn_network("age -> buy", gaps).rows == 90
    with pytest.raises(ConfigError, match="--prior: found 'bdeu:x'"):
        tl.learn_network("age -> buy", rows, prior="bdeu:x")
    with pytest.raises(DataError, match="found gaps alone"):
        tl.learn_network("age -> buy", rows.set_column(1, "age", pa.nulls(100, pa.string())))


def test_bif_of_pyagrum_reads_the_same_network_in_single_precision(tmp_path):
    import pyagrum

    (tmp_path / "given.bif").write_text(as_bif(read_bif(GIVEN, "given")))
    theirs = pyagrum.loadBN(str(tmp_path / "given.bif"))
    found = float(theirs.cpt("Y")[{"X": "x3", "Y": "y1"}])
    assert found != 0.8 and found == pytest.approx(0.8, abs=1e-6)  # why it is not used


def test_a_family_beyond_a_million_cells_has_a_table_and_one_beyond_four_tells_likelihoods_alone():
    rng = np.random.default_rng(0)
    rows = pa.table({name: rng.integers(0, 34, 3000) for name in "abcde"})
    found = tl.learn_network("a, b, c -> d", rows)  # 34^4 = 1.3 million cells
    assert found.network.tables["d"].shape == (34,) * 4 and not found.too_large
    found = tl.learn_network("a, b, c, d -> e", rows)
    assert found.too_large == ("e",) and math.isfinite(found.held_out)
    assert "no table  of e: more than 4,194,304 cells" in str(found)
    with pytest.raises(NotSupportedError, match="no network to write or to ask"):
        _ = found.network


def test_without_a_prior_combinations_not_seen_are_said_and_no_number_is_printed():
    rng = np.random.default_rng(0)
    rows = pa.table({name: rng.integers(0, 12, 400) for name in "abc"})
    told = str(tl.learn_network("a, b -> c", rows, prior="none"))
    assert "nan" not in told and "inf" not in told and "no chance" in told


def test_a_network_is_the_same_in_whatever_files_and_batches_its_rows_lie(tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    from truelift.graph.network import learn

    rows, lines = people(900), "age -> mail -> buy; age -> buy"
    whole = tl.learn_network(lines, coarse(rows), cluster="who")
    monkeypatch.setattr(learn, "_BATCH", 64)
    for part in range(9):
        piece = coarse(rows).slice(part * 100, 100)
        pq.write_table(piece, tmp_path / f"{part}.parquet", row_group_size=30)
    parts = tl.learn_network(lines, str(tmp_path), cluster="who")
    assert as_bif(parts.network) == as_bif(whole.network)
    assert parts.held_out == whole.held_out


def test_a_number_may_be_cut_into_more_classes_than_a_byte_counts(tmp_path):
    cuts = ", ".join(str(cut) for cut in range(1, 400))
    graph = tmp_path / "cut.graph.yaml"
    graph.write_text(f"nodes:\n  x: {{cuts: [{cuts}]}}\narrows: [x -> y]\n")
    x = np.arange(4000) % 400
    learned = tl.learn_network(
        str(graph), pa.table({"x": x, "y": np.where(x > 300, "high", "low")}), prior="none"
    )
    for number, chance in ((310, 1.0), (44, 0.0)):
        found = tl.query(f"P(y | x={number})", learned)
        assert {of["y"]: p for _, of, p in found.rows}["high"] == chance
