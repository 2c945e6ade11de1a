"""Arrows that are known to be there, in every search."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from truelift.cli import main
from truelift.graph.discovery.families import CountedFamilies
from truelift.graph.discovery.options import Tiers
from truelift.graph.discovery.order_search import SearchOptions, search


def best_having(scorer: CountedFamilies, required: np.ndarray) -> float:
    """The best of all orders that required arrows allow, each node with them among its parents."""
    best = -np.inf
    for order in itertools.permutations(range(scorer.size)):
        if any(order.index(i) > order.index(j) for i, j in np.argwhere(required)):
            continue
        total = 0.0
        for at, v in enumerate(order):
            base = {int(u) for u in np.flatnonzero(required[:, v])}
            rest = [u for u in order[:at] if u not in base]
            sets = itertools.chain.from_iterable(
                itertools.combinations(rest, k) for k in range(len(rest) + 1)
            )
            total += max(scorer.scores([(v, tuple(sorted({*base, *own}))) for own in sets]))
        best = max(best, total)
    return best


@pytest.mark.parametrize("seed", range(4))
def test_the_best_order_with_required_arrows_is_found(seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2, (5, 500)).astype(np.uint8)
    codes[3] = (codes[0] ^ codes[1]) & (rng.random(500) < 0.9)
    codes[4] = codes[3] ^ (rng.random(500) < 0.2)
    scorer = CountedFamilies(codes, np.full(5, 2), np.ones(500), "qnml")
    required = np.zeros((5, 5), bool)
    required[4, 0] = required[2, 4] = (
        True  # one against what made the data, one between columns apart
    )
    found = search(scorer, SearchOptions(), required=required)
    assert found.parents[required].all()
    assert found.score == pytest.approx(best_having(scorer, required))


def rows(n: int = 3000) -> pa.Table:
    rng = np.random.default_rng(2)
    a, d = rng.normal(size=(2, n))
    b = a + rng.normal(size=n)
    c = b + rng.normal(size=n)
    return pa.table({"a": a, "b": b, "c": c, "d": d})


@pytest.mark.parametrize("method", ["order", "pc", "fci"])
def test_a_required_arrow_stands_in_the_graph_and_in_all_of_halves_and_turns_what_follows(method):
    found = tl.discover(rows(), required=["b -> c", "d -> c"], method=method, share=1.0, graphs=6)
    assert {"b -> c", "d -> c"} <= set(found.lines)
    known = [e for e in found.edges if e.line in ("b -> c", "d -> c")]
    assert [e.frequency for e in known] == [1.0, 1.0]
    if method != "fci":
        # a and b are open; c is no cause of either.
        assert set(found.lines) == {"a -- b", "b -> c", "d -> c"}
        turned = tl.discover(rows(), required="a -> b", method=method, share=1.0, graphs=0)
        assert set(turned.lines) == {"a -> b", "b -> c"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--required", "c -> a", "--tiers", "a < b < c < d"], "required: found c -> a, from a later tier"),
        (["--required", "a -> b", "--forbidden", "a -> b"], "which forbidden rules out"),
        (["--required", "a -> b; b -> c; c -> a"], "found a cycle, "),
        (["--required", "a -> e"], "required: found 'a -> e', expected 'a -> b' with two of the columns"),
        (["--forbidden", "a <-> b"], "forbidden: found 'a <-> b'"),
        (["--required", "a to b"], "required: found 'a to b'"),
    ],
)  # fmt: skip
def test_arrows_that_contradict_end_with_2_and_one_message(words, said, tmp_path, capsys):
    import pyarrow.parquet as pq

    pq.write_table(rows(200), tmp_path / "t.parquet")
    out = ["--out", str(tmp_path / "out")]
    assert main(["discover", "--table", str(tmp_path / "t.parquet"), *out, *words]) == 2
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told


def test_open_edges_become_a_graph_once_someone_says_which_way_they_go():
    found = tl.discover(rows(), share=1.0, graphs=0, tiers=[["a", "b", "d"], "c"])
    assert set(found.lines) == {"a -- b", "b -> c"}
    with pytest.raises(tl.TrueliftError, match="leave a -- b open"):
        found.graph()
    with pytest.raises(tl.TrueliftError, match="a and d have no open edge"):
        found.graph("a -> d")
    graph = found.graph("a -> b")
    assert set(graph.arrows) == {("a", "b"), ("b", "c")} and "d" in graph.measured
    assert tl.identify(graph, "b -> c").method == "back door"


def test_more_required_parents_than_a_family_can_have_are_one_message():
    names = [f"cause {i}" for i in range(64)] + ["effect"]
    tiers = Tiers(required=tuple(f"cause {i} -> effect" for i in range(64)))
    with pytest.raises(
        tl.TrueliftError, match="found 64 arrows into effect, expected at most 60"
    ) as told:
        tiers.needed(names)
    assert told.value.exit_code == 2
    assert Tiers(required=tiers.required[:60]).needed(names).sum() == 60
