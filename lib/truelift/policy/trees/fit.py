"""Exact trees of depth one to three for every fold, and deeper ones that look two cuts ahead.

Zhou, Athey & Wager (2023), "Offline multi-action policy learning", maximise the sum of the doubly robust
scores of the arms that a tree chooses. Over binned covariates the sums that a cut needs are prefix sums of
histograms: of pairs for depth two, of triples for depth three. Histograms add up over rows, so the tree of a
fold, which has not seen its rows, comes from the total less the fold's own (one reading for all folds).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from truelift.policy.trees.histograms import ByFold, ByNode, Grouping, Request, Sums
from truelift.policy.trees.kernels import best_tree, best_under_root, own_splits, side_splits
from truelift.policy.trees.tree import LEAF, PolicyTree, grown

#: Of the sum of all scores' sizes: cuts that gain less are the same but for rounding.
_TIE = 1e-11
#: Depths that are searched exactly.
MOST_EXACT = 3


@dataclass(frozen=True)
class TreeOptions:
    """How trees are fitted.

    Parameters
    ----------
    depth : int
        Cuts on a way: 0 (one arm for all) to 3 exactly; beyond, each cut is the root of the best tree of
        depth two below it, and the last two levels are exact.
    least : int
        Rows of a leaf.
    """

    depth: int = 2
    least: int = 1


@dataclass(frozen=True, eq=False)
class FittedTrees:
    """Trees of every fold's complement, and the tree of all rows.

    Parameters
    ----------
    of_folds : tuple of PolicyTree
        The k-th has not seen fold k.
    of_pairs : tuple of PolicyTree
        Of all folds but two, in the order of ``combinations(range(K), 2)``: by them the values of the
        folds' trees know how much they have in common.
    of_all : PolicyTree
    sums_of_folds : ndarray, K
        In-sample sum of the scores that each tree chooses.
    sum_of_all : float
    """

    of_folds: tuple[PolicyTree, ...]
    of_pairs: tuple[PolicyTree, ...]
    of_all: PolicyTree
    sums_of_folds: np.ndarray
    sum_of_all: float


def fit_trees(
    sums: Sums, covariates: int, bins: int, arms: int, folds: int, options: TreeOptions,
    threads: int = 2,
) -> FittedTrees:  # fmt: skip
    """Fit the tree of every fold's complement and that of all rows.

    Parameters
    ----------
    sums : callable
        Answers requests for histograms.
    covariates, bins, arms, folds : int
        p, B, A and K.
    options : TreeOptions
    threads : int
    """
    search = _Search(sums, covariates, bins, arms, options, threads)
    unseen = unseen_folds(folds)
    others = np.ones((len(unseen), folds))
    for line, gone in zip(others, unseen, strict=True):
        line[list(gone)] = 0.0
    if options.depth <= MOST_EXACT:
        found = search.fitted(ByFold(folds), others, options.depth)
    else:
        found = search.levels(ByFold(folds), others, unseen)
    trees, values = [t for t, _ in found], np.array([v for _, v in found])
    return FittedTrees(
        tuple(trees[:folds]), tuple(trees[folds:-1]), trees[-1], values[:folds], float(values[-1])
    )


def unseen_folds(folds: int) -> tuple[tuple[int, ...], ...]:
    """What the rules of a fit have not seen: each fold, each pair of folds, and nothing."""
    return (*((k,) for k in range(folds)), *combinations(range(folds), 2), ())


@dataclass(frozen=True, eq=False)
class _Search:
    sums: Sums
    covariates: int
    bins: int
    arms: int
    options: TreeOptions
    threads: int

    def fitted(
        self, grouping: Grouping, mix: np.ndarray, depth: int
    ) -> list[tuple[PolicyTree, float]]:
        """The best tree of every line of ``mix`` (problems x groups), with its sum of scores."""
        marginals = self._answer(grouping, np.arange(self.covariates)[:, None], mix)
        ties = np.array([_tie_of(m) for m in marginals])
        if depth <= 2:
            return self._depth_two(grouping, mix, marginals, ties, depth)
        return self._depth_three(grouping, mix, marginals, ties)

    def levels(
        self, grouping: Grouping, mix: np.ndarray, unseen: tuple[tuple[int, ...], ...]
    ) -> list[tuple[PolicyTree, float]]:
        """Trees deeper than three: the best root of depth two, then each child in the same way."""
        shallow = self.fitted(grouping, mix, 2)
        partial = [_root_of(tree) for tree, _ in shallow]
        for left in range(self.options.depth - 1, 1, -1):
            nodes = tuple(
                (t, n) for t, tree in enumerate(partial) for n in tree.leaves if tree.depth
            )
            if not nodes:
                break
            found = self.fitted(ByNode(tuple(partial), unseen, nodes), np.eye(len(nodes)), 2)
            below = {node: tree for node, (tree, _) in zip(nodes, found, strict=True)}
            partial = [
                _joined(tree, {n: (b if left == 2 else _root_of(b))
                               for (o, n), b in below.items() if o == t})
                for t, tree in enumerate(partial)
            ]  # fmt: skip
        return self._valued(partial, unseen)

    def _valued(
        self, trees: Sequence[PolicyTree], unseen: tuple[tuple[int, ...], ...]
    ) -> list[tuple[PolicyTree, float]]:
        """The trees with the sums of their leaves, of the rows that they have seen."""
        nodes = tuple((t, n) for t, tree in enumerate(trees) for n in tree.leaves)
        grouping = ByNode(tuple(trees), unseen, nodes)
        request = Request(grouping, np.zeros((1, 1), int), self.bins, self.arms + 1)
        by_leaf = self.sums(request)[0].sum(axis=1)
        value = np.zeros(len(trees))
        for (t, n), leaf in zip(nodes, by_leaf, strict=True):
            value[t] += leaf[trees[t].arm[n]]
        return list(zip(trees, value.tolist(), strict=True))

    def _answer(self, grouping: Grouping, combos: np.ndarray, mix: np.ndarray) -> np.ndarray:
        """Problems x combinations x B^d x channels."""
        request = Request(grouping, combos, self.bins, self.arms + 1)
        parts = [np.einsum("qg,cgbv->qcbv", mix, self.sums(part)) for part in request.chunks()]
        found = np.concatenate(parts, axis=1)
        return found.reshape(*found.shape[:2], *[self.bins] * combos.shape[1], found.shape[-1])

    def _depth_two(
        self, grouping: Grouping, mix: np.ndarray, marginals: np.ndarray, ties: np.ndarray,
        depth: int,
    ) -> list[tuple[PolicyTree, float]]:  # fmt: skip
        problems, p = len(mix), self.covariates
        values = np.full((problems, p, p, 2, self.bins), -np.inf)
        cuts = np.full(values.shape, -1)
        least = self.options.least
        with ThreadPoolExecutor(self.threads) as pool:
            if depth == 2:
                for q, i in np.ndindex(problems, p):
                    own_splits(marginals[q, i], least, ties[q], values[q, i, i], cuts[q, i, i])
                pairs = np.array(list(combinations(range(p), 2)), int).reshape(-1, 2)
                request = Request(grouping, pairs, self.bins, self.arms + 1)
                for part in request.chunks() if len(pairs) else ():
                    answer = self.sums(part)

                    def both(place: int, part: Request = part, answer: np.ndarray = answer) -> None:
                        i, j = part.combinations[place]
                        shape = (self.bins, self.bins, -1)
                        mixed = np.tensordot(mix, answer[place], axes=1)
                        for q in range(problems):
                            pair = np.ascontiguousarray(mixed[q].reshape(shape))
                            turned = np.ascontiguousarray(pair.transpose(1, 0, 2))
                            side_splits(pair, least, ties[q], values[q, i, j], cuts[q, i, j])
                            side_splits(turned, least, ties[q], values[q, j, i], cuts[q, j, i])

                    list(pool.map(both, range(len(part.combinations))))
        found = []
        for q in range(problems):
            nodes = np.full((3, 2), -1)
            if depth == 0:
                one = float(marginals[q, 0].sum(axis=0)[:-1].max())
            else:
                one = best_tree(marginals[q], values[q], cuts[q], least, ties[q], nodes)
            found.append((nodes, one))
        trees = self._with_arms(grouping, mix, [_walk(nodes) for nodes, _ in found])
        return [(tree, value) for tree, (_, value) in zip(trees, found, strict=True)]

    def _depth_three(
        self, grouping: Grouping, mix: np.ndarray, marginals: np.ndarray, ties: np.ndarray
    ) -> list[tuple[PolicyTree, float]]:
        problems, p = len(mix), self.covariates
        shallow = self._depth_two(grouping, mix, marginals, ties, 2)
        best = [value for _, value in shallow]
        walks: list[list[tuple[int, int] | None]] = [_cuts_of(tree) for tree, _ in shallow]
        pairs = np.array(list(combinations(range(p), 2)), int).reshape(-1, 2)
        for root in range(p):
            combos = np.column_stack([np.full(len(pairs), root), pairs])
            triples = self._answer(grouping, combos, mix) if len(pairs) else None
            with_root = np.column_stack([np.full(p, root), np.arange(p)])
            doubles = self._answer(grouping, with_root, mix)

            def one(
                q: int, root: int = root, triples: np.ndarray | None = triples,
                doubles: np.ndarray = doubles,
            ) -> tuple[float, np.ndarray]:  # fmt: skip
                nodes = np.full((7, 2), -1)
                none = np.zeros((0, self.bins, self.bins, self.bins, self.arms + 1))
                value = best_under_root(
                    none if triples is None else triples[q], doubles[q], pairs[:, 0], pairs[:, 1],
                    root, self.options.least, ties[q], nodes,
                )  # fmt: skip
                return value, nodes

            with ThreadPoolExecutor(self.threads) as pool:
                for q, (value, nodes) in enumerate(pool.map(one, range(problems))):
                    if value > best[q] + ties[q]:
                        best[q], walks[q] = value, _walk(nodes)
        trees = self._with_arms(grouping, mix, walks)
        return list(zip(trees, best, strict=True))

    def _with_arms(
        self, grouping: Grouping, mix: np.ndarray, walks: Sequence[list[tuple[int, int] | None]]
    ) -> list[PolicyTree]:
        """Trees from their cuts, with the best arm of every node by the rows that they have seen."""
        trees = [grown(walk, [0] * len(walk)) for walk in walks]
        asked = _Leaves(grouping, tuple(trees))
        request = Request(asked, np.zeros((1, 1), int), self.bins, self.arms + 1)
        by_group = self.sums(request)[0].sum(axis=1).reshape(-1, grouping.groups, self.arms + 1)
        done, place = [], 0
        for q, (tree, walk) in enumerate(zip(trees, walks, strict=True)):
            arms = [0] * len(walk)
            for node in tree.leaves:
                arms[node] = int(np.argmax((mix[q] @ by_group[place])[:-1]))
                place += 1
            done.append(grown(walk, arms))
        return done


@dataclass(frozen=True)
class _Leaves:
    """The leaves of the problems' trees, each by the groups of another grouping."""

    grouping: Grouping
    trees: tuple[PolicyTree, ...]

    @property
    def groups(self) -> int:
        return self.grouping.groups * sum(len(tree.leaves) for tree in self.trees)

    def of(self, rows):  # type: ignore[no-untyped-def]
        parts = list(self.grouping.of(rows))
        start = 0
        for tree in self.trees:
            place = np.full(len(tree.arm), 0, np.int64)
            place[list(tree.leaves)] = np.arange(len(tree.leaves))
            leaf = (start + place[tree.leaf(rows.codes)]) * self.grouping.groups
            start += len(tree.leaves)
            for group in parts:
                yield np.where(group < 0, -1, leaf + group)


def _tie_of(marginals: np.ndarray) -> float:
    return _TIE * float(np.abs(marginals[0, :, :-1]).sum())


def _walk(nodes: np.ndarray) -> list[tuple[int, int] | None]:
    """Cuts below first, from the nodes that the kernels fill in."""

    def cut(place: int) -> tuple[int, int] | None:
        covariate, at = nodes[place]
        return None if covariate < 0 else (int(covariate), int(at))

    root = cut(0)
    if root is None:
        return [None]
    if len(nodes) == 3:
        sides: list[list[tuple[int, int] | None]] = [
            [None] if cut(side) is None else [cut(side), None, None] for side in (1, 2)
        ]
        return [root, *sides[0], *sides[1]]
    return [root, *_walk(nodes[1:4]), *_walk(nodes[4:7])]


def _cuts_of(tree: PolicyTree) -> list[tuple[int, int] | None]:
    return [
        None if covariate == LEAF else (covariate, cut)
        for covariate, cut in zip(tree.covariate, tree.cut, strict=True)
    ]


def _root_of(tree: PolicyTree) -> PolicyTree:
    """A tree's first cut alone."""
    if tree.covariate[0] == LEAF:
        return tree
    return grown([(tree.covariate[0], tree.cut[0]), None, None], [tree.arm[0]] * 3)


def _joined(tree: PolicyTree, below: dict[int, PolicyTree]) -> PolicyTree:
    """The tree with its leaves replaced by trees."""
    cuts: list[tuple[int, int] | None] = []
    arms: list[int] = []
    waiting = [0]
    while waiting:
        node = waiting.pop()
        if node in below:
            cuts += _cuts_of(below[node])
            arms += below[node].arm
        elif tree.covariate[node] == LEAF:
            cuts.append(None)
            arms.append(tree.arm[node])
        else:
            cuts.append((tree.covariate[node], tree.cut[node]))
            arms.append(tree.arm[node])
            waiting += [tree.above[node], tree.below[node]]
    return grown(cuts, arms)
