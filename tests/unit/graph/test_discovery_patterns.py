"""Classes of graphs: from a DAG, from lines, under tiers, and how far apart two of them are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truelift.graph.discovery.comparing import distance
from truelift.graph.discovery.latent import lay_known_ends
from truelift.graph.discovery.orientation import class_of_dag
from truelift.graph.discovery.pattern import ARROW, CIRCLE, pattern_of_lines

NAMES = tuple("abcde")
ONE_TIER = np.zeros(5, np.int64)


def parents_of(lines: str) -> np.ndarray:
    found = np.zeros((5, 5), bool)
    for line in filter(None, lines.split(";")):
        cause, effect = line.split("->")
        found[NAMES.index(cause.strip()), NAMES.index(effect.strip())] = True
    return found


def colliders(parents: np.ndarray) -> set[tuple[int, int, int]]:
    near = parents | parents.T
    return {
        (a, z, b)
        for z in range(5)
        for a, b in itertools.combinations(np.flatnonzero(parents[:, z]).tolist(), 2)
        if not near[a, b]
    }


@st.composite
def dags(draw):
    bits = draw(st.lists(st.booleans(), min_size=10, max_size=10))
    order = draw(st.permutations(range(5)))
    parents = np.zeros((5, 5), bool)
    for bit, (i, j) in zip(bits, itertools.combinations(range(5), 2), strict=True):
        parents[order[i], order[j]] = bit
    return parents


def same_class(parents: np.ndarray) -> list[np.ndarray]:
    """All DAGs with the skeleton and the colliders of one, by trying every direction."""
    pairs = np.argwhere(np.triu(parents | parents.T)).tolist()
    found = []
    for turns in itertools.product((False, True), repeat=len(pairs)):
        trial = np.zeros((5, 5), bool)
        for (i, j), turn in zip(pairs, turns, strict=True):
            trial[(j, i) if turn else (i, j)] = True
        reach = np.linalg.matrix_power(trial.astype(int) + np.eye(5, dtype=int), 5) > 0
        if not (reach & reach.T & ~np.eye(5, dtype=bool)).any() and colliders(trial) == colliders(
            parents
        ):
            found.append(trial)
    return found


@settings(max_examples=40, deadline=None)
@given(dags())
def test_an_arrow_of_the_class_is_one_that_all_its_dags_have(parents):
    every = np.all(same_class(parents), axis=0)
    assert (class_of_dag(NAMES, parents, ONE_TIER).directed == every).all()


@settings(max_examples=40, deadline=None)
@given(dags(), st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_tiers_leave_the_dags_of_the_class_that_keep_to_them(parents, tiers):
    tiers = np.sort(np.array(tiers))
    if (parents & (tiers[:, None] > tiers[None, :])).any():
        parents = np.triu(parents | parents.T, 1)
    kept = [d for d in same_class(parents) if not (d & (tiers[:, None] > tiers[None, :])).any()]
    assert (class_of_dag(NAMES, parents, tiers).directed == np.all(kept, axis=0)).all()


def test_lines_are_read_back():
    lines = ("a -> b", "a -- c", "b <-> d", "c o-> d", "d o-o e")
    assert pattern_of_lines(NAMES, lines).lines() == lines


def test_a_pair_with_another_edge_counts_once_in_the_distance():
    truth = pattern_of_lines(NAMES, ("a -> b", "b -- c", "c -> d"))
    learned = pattern_of_lines(NAMES, ("a -- b", "b -- c", "d -> e"))
    found = distance(truth, learned)
    assert (found.shd, found.false_arrows) == (3, 1)
    assert found.f1 == pytest.approx(2 / 3)


def test_the_distance_is_that_of_causal_learn():
    shd = pytest.importorskip("causallearn.graph.SHD").SHD
    graphs = pytest.importorskip("causallearn.graph.GeneralGraph")
    nodes = [pytest.importorskip("causallearn.graph.GraphNode").GraphNode(n) for n in NAMES]

    def theirs(pattern):
        made = graphs.GeneralGraph(nodes)
        made.graph = np.select([pattern.marks.T == ARROW, pattern.marks.T > 0], [1, -1], 0)
        return made

    rng = np.random.default_rng(3)
    for _ in range(20):
        truth, learned = (
            class_of_dag(NAMES, np.triu(rng.random((5, 5)) < 0.5, 1), ONE_TIER) for _ in range(2)
        )
        assert distance(truth, learned).shd == shd(theirs(truth), theirs(learned)).get_shd()


def test_a_later_tier_makes_an_arrow_and_no_tail_where_hidden_causes_are_allowed():
    pattern = pattern_of_lines(NAMES, ("a o-o b", "b o-o c"))
    ruled_out = np.zeros((5, 5), bool)
    ruled_out[1, 0] = True  # no b -> a
    marks = pattern.marks.copy()
    lay_known_ends(marks, ruled_out)
    assert marks[0, 1] == ARROW and marks[1, 0] == CIRCLE
    # a and c are apart and b is no collider of theirs, so what points into b goes on.
    assert pattern_of_lines(NAMES, ("b -> c",)).marks[1, 2] == marks[1, 2] == ARROW
