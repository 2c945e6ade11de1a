"""A search over orders of the nodes, each with its best parents among those before it.

The space is that of Teyssier & Koller (2005); the move takes one node to its best place, as BOSS does
(Andrews et al. 2023), and plateaus are left by kicks, the best order being kept (iterated local search,
as FLOP, Wienöbst et al. 2025). Sets of parents are scored beforehand, in a few large batches, and the
search over orders touches no data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truelift.graph.discovery.families import Family, FamilyScorer
from truelift.graph.discovery.family_kernels import compiled

_MOST_CANDIDATES = 60
_ANYWAY = 4


@dataclass(frozen=True)
class SearchOptions:
    """How long to search.

    Parameters
    ----------
    max_parents : int
    beam : int
        Sets of a size from which those of the next size are made, by node.
    kicks : int
        Perturbations, after each of which the order is improved again.
    starts : int
        Orders by chance to begin with, besides the one at hand.
    rounds : int
        Most times that candidates are looked for anew.
    marginal : int
        Most candidates of a node by their gain alone.
    seed : int
    """

    max_parents: int = 6
    beam: int = 60
    kicks: int = 200
    starts: int = 4
    rounds: int = 4
    marginal: int = 10
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Searched:
    """The best DAG that was found.

    Parameters
    ----------
    parents : ndarray of bool, p x p
        ``parents[i, j]``: ``i -> j``.
    order : ndarray of int
    score : float
    """

    parents: np.ndarray
    order: np.ndarray
    score: float


def search(
    scorer: FamilyScorer, options: SearchOptions, tiers: np.ndarray | None = None,
    forbidden: np.ndarray | None = None, start: np.ndarray | None = None,
) -> Searched:  # fmt: skip
    """The DAG of the best order.

    Parameters
    ----------
    scorer : FamilyScorer
    options : SearchOptions
    tiers : ndarray of int, optional
        A node has parents of its own tier and of earlier ones alone.
    forbidden : ndarray of bool, optional
        ``forbidden[i, j]``: no ``i -> j``.
    start : ndarray of int, optional
        An order to begin with.
    """
    p = scorer.size
    tiers = np.zeros(p, np.int64) if tiers is None else np.asarray(tiers, np.int64)
    allowed = tiers[:, None] <= tiers[None, :]
    if forbidden is not None:
        allowed &= ~forbidden
    np.fill_diagonal(allowed, False)
    rng = np.random.default_rng(options.seed)
    candidates = first_candidates(scorer, allowed, options)
    order = np.argsort(tiers, kind="stable") if start is None else np.asarray(start)
    found = None
    for turn in range(options.rounds):
        lists = family_lists(scorer, candidates, options)
        found = _search_lists(scorer, lists, order, tiers, options, rng)
        order = found.order
        if turn + 1 == options.rounds or not _widen(scorer, candidates, found, allowed, options):
            break
    assert found is not None
    return found


def first_candidates(
    scorer: FamilyScorer, allowed: np.ndarray, options: SearchOptions
) -> list[set[int]]:
    """Nodes that may be parents of each: what a greedy choice takes, and the strongest alone."""
    p = scorer.size
    singles: list[Family] = [(v, ()) for v in range(p)]
    pairs: list[Family] = [
        (v, (u,)) for v in range(p) for u in range(p) if u != v and allowed[u, v]
    ]
    empty = scorer.scores(singles)
    gains = np.full((p, p), -np.inf)  # gains[u, v]: of u as the only parent of v
    for (v, (u,)), score in zip(pairs, scorer.scores(pairs), strict=True):
        gains[u, v] = score - empty[v]
    # Whether two nodes depend on each other is a question without a direction.
    either = np.maximum(gains, gains.T)
    ranked = [np.argsort(-either[:, v], kind="stable") for v in range(p)]
    worth = either > 0
    for v in range(p):
        # The few strongest are looked at even if they gain nothing alone.
        worth[ranked[v][:_ANYWAY], v] |= np.isfinite(either[ranked[v][:_ANYWAY], v])
    chosen: list[tuple[int, ...]] = [()] * p
    best = empty.copy()
    going = list(range(p))
    for _ in range(options.max_parents + 4):
        asked: list[Family] = []
        for v in going:
            likely = [u for u in ranked[v][: 4 * options.marginal + 8] if worth[u, v]]
            asked += [
                (v, tuple(sorted((*chosen[v], int(u))))) for u in likely if u not in chosen[v]
            ]
        if not asked:
            break
        tops: dict[int, tuple[float, tuple[int, ...]]] = {}
        for (v, own), score in zip(asked, scorer.scores(asked), strict=True):
            if score > best[v] and (v not in tops or score > tops[v][0]):
                tops[v] = (float(score), own)
        going = list(tops)
        for v, (score, own) in tops.items():
            best[v], chosen[v] = score, own
    found: list[set[int]] = [set() for _ in range(p)]
    for v in range(p):
        strongest = [int(u) for u in ranked[v][: options.marginal] if worth[u, v]]
        for u in (*chosen[v], *strongest):
            if allowed[u, v]:
                found[v].add(u)
            if allowed[v, u]:
                found[u].add(v)
    return found


@dataclass(frozen=True, eq=False)
class FamilyLists:
    """Sets of parents of each node that are worth having, the best first.

    Parameters
    ----------
    candidates : ndarray of int, p x most
        Filled up with -1.
    starts : ndarray of int, p + 1
    masks : ndarray of uint64
        Of a set: bits by place among the candidates.
    scores : ndarray
    """

    candidates: np.ndarray
    starts: np.ndarray
    masks: np.ndarray
    scores: np.ndarray


def family_lists(
    scorer: FamilyScorer, candidates: Sequence[set[int]], options: SearchOptions
) -> FamilyLists:
    """Score sets of candidates by size; a set that a part of it beats is never chosen, so it is left out."""
    p = scorer.size
    kept: list[dict[tuple[int, ...], float]] = [{} for _ in range(p)]
    fronts: list[list[tuple[int, ...]]] = [[()] for _ in range(p)]
    for v, score in enumerate(scorer.scores([(v, ()) for v in range(p)])):
        kept[v][()] = float(score)
    for _ in range(options.max_parents):
        asked: list[Family] = []
        for v in range(p):
            wider = {
                tuple(sorted((*own, u))) for own in fronts[v] for u in candidates[v] if u not in own
            }
            asked += [(v, own) for own in sorted(wider)]
        if not asked:
            break
        level: list[list[tuple[float, tuple[int, ...]]]] = [[] for _ in range(p)]
        for (v, own), score in zip(asked, scorer.scores(asked), strict=True):
            if np.isfinite(score):
                level[v].append((float(score), own))
        for v in range(p):
            level[v].sort(key=lambda item: -item[0])
            fronts[v] = [own for _, own in level[v][: options.beam]]
            for score, own in level[v]:
                if score > _best_part(kept[v], own):
                    kept[v][own] = score
    return _packed(p, candidates, kept)


def _best_part(kept: dict[tuple[int, ...], float], own: tuple[int, ...]) -> float:
    """The best of the known subsets one smaller, and of the empty one."""
    best = kept[()]
    for out in range(len(own)):
        best = max(best, kept.get(own[:out] + own[out + 1 :], -np.inf))
    return best


def _packed(
    p: int, candidates: Sequence[set[int]], kept: Sequence[dict[tuple[int, ...], float]]
) -> FamilyLists:
    most = max((len(c) for c in candidates), default=0)
    table = np.full((p, max(most, 1)), -1, np.int64)
    starts, masks, scores = [0], [], []
    for v in range(p):
        own = sorted(candidates[v])
        table[v, : len(own)] = own
        place = {u: bit for bit, u in enumerate(own)}
        for family, score in sorted(kept[v].items(), key=lambda item: (-item[1], item[0])):
            masks.append(sum(1 << place[u] for u in family))
            scores.append(score)
        starts.append(len(masks))
    return FamilyLists(
        table, np.array(starts), np.array(masks, np.uint64), np.array(scores, np.float64)
    )


def _search_lists(
    scorer: FamilyScorer, lists: FamilyLists, order: np.ndarray, tiers: np.ndarray,
    options: SearchOptions, rng: np.random.Generator,
) -> Searched:  # fmt: skip
    p = scorer.size
    best, score = order, -np.inf
    for turn in range(options.starts + 1):
        begin = order.copy() if turn == 0 else np.lexsort((rng.random(p), tiers))
        kicks = rng.random((options.kicks, 2 * _KICK_MOVES))
        found, its = _iterated(
            lists.candidates, lists.starts, lists.masks, lists.scores, begin, tiers, kicks
        )
        if its > score + 1e-9:
            best, score = found, its
    chosen = _chosen(lists.candidates, lists.starts, lists.masks, best)
    parents = np.zeros((p, p), bool)
    for v in range(p):
        mask = int(lists.masks[chosen[v]])
        for bit, u in enumerate(lists.candidates[v]):
            if u >= 0 and mask >> bit & 1:
                parents[u, v] = True
    return Searched(parents, best, float(score))


def _widen(
    scorer: FamilyScorer, candidates: list[set[int]], found: Searched, allowed: np.ndarray,
    options: SearchOptions,
) -> bool:  # fmt: skip
    """Whether some node gains from a parent that was no candidate; those that do become candidates."""
    asked: list[Family] = []
    place = np.argsort(found.order)
    for v in range(scorer.size):
        own = tuple(int(u) for u in np.flatnonzero(found.parents[:, v]))
        asked.append((v, own))
        if len(own) < options.max_parents:
            for u in np.flatnonzero(allowed[:, v] & (place < place[v])).tolist():
                if u not in candidates[v]:
                    asked.append((v, tuple(sorted((*own, u)))))
    scores = dict(zip(asked, scorer.scores(asked), strict=True))
    grew = False
    for v, own in asked:
        now = tuple(int(u) for u in np.flatnonzero(found.parents[:, v]))
        if own != now and scores[v, own] > scores[v, now] + 1e-9:
            (new,) = set(own) - set(now)
            for a, b in ((new, v), (v, new)):
                if (
                    allowed[a, b]
                    and a not in candidates[b]
                    and len(candidates[b]) < _MOST_CANDIDATES
                ):
                    candidates[b].add(a)
                    grew = True
    return grew


# ------------------------------------------------------------------ compiled search over orders

_KICK_MOVES = 3


@compiled
def _best_of(starts: np.ndarray, masks: np.ndarray, v: int, before: np.uint64) -> int:
    """The first family of a node whose parents all stand before it."""
    for at in range(starts[v], starts[v + 1]):
        if masks[at] & ~before == 0:
            return int(at)
    return int(starts[v + 1] - 1)


@compiled
def _before(candidates: np.ndarray, place: np.ndarray, v: int) -> np.uint64:
    mask = np.uint64(0)
    for bit in range(candidates.shape[1]):
        u = candidates[v, bit]
        if u < 0:
            break
        if place[u] < place[v]:
            mask |= np.uint64(1) << np.uint64(bit)
    return mask


@compiled
def _chosen(
    candidates: np.ndarray, starts: np.ndarray, masks: np.ndarray, order: np.ndarray
) -> np.ndarray:
    p = len(order)
    place = np.empty(p, np.int64)
    for i in range(p):
        place[order[i]] = i
    chosen = np.empty(p, np.int64)
    for v in range(p):
        chosen[v] = _best_of(starts, masks, v, _before(candidates, place, v))
    return chosen


@compiled
def _improve(
    candidates: np.ndarray, starts: np.ndarray, masks: np.ndarray, scores: np.ndarray,
    bits: np.ndarray, order: np.ndarray, tiers: np.ndarray, turn: np.ndarray,
) -> float:  # fmt: skip
    """Move nodes to their best places until nothing gains; the order's score."""
    p = len(order)
    place = np.empty(p, np.int64)
    for i in range(p):
        place[order[i]] = i
    masked = np.empty(p, np.uint64)
    now = np.empty(p)
    total = 0.0
    for v in range(p):
        masked[v] = _before(candidates, place, v)
        now[v] = scores[_best_of(starts, masks, v, masked[v])]
        total += now[v]
    one = np.uint64(1)
    gained = True
    while gained:
        gained = False
        for x in turn:
            at = place[x]
            best_gain, best_at = 1e-9, at
            for direction in (-1, 1):
                gain, own, own_score = 0.0, masked[x], now[x]
                i = at + direction
                while 0 <= i < p and tiers[order[i]] == tiers[x]:
                    w = order[i]
                    bit_x, bit_w = bits[x, w], bits[w, x]  # of w among x's, of x among w's
                    if bit_x >= 0:
                        own ^= one << np.uint64(bit_x)
                        score = scores[_best_of(starts, masks, x, own)]
                        gain += score - own_score
                        own_score = score
                    if bit_w >= 0:
                        other = masked[w] ^ (one << np.uint64(bit_w))
                        gain += scores[_best_of(starts, masks, w, other)] - now[w]
                    if gain > best_gain:
                        best_gain, best_at = gain, i
                    i += direction
            if best_at == at:
                continue
            step = 1 if best_at > at else -1
            i = at
            while i != best_at:
                w = order[i + step]
                order[i], order[i + step] = w, x
                place[w], place[x] = i, i + step
                if bits[x, w] >= 0:
                    masked[x] ^= one << np.uint64(bits[x, w])
                if bits[w, x] >= 0:
                    masked[w] ^= one << np.uint64(bits[w, x])
                    now[w] = scores[_best_of(starts, masks, w, masked[w])]
                i += step
            now[x] = scores[_best_of(starts, masks, x, masked[x])]
            gained = True
    total = 0.0
    for v in range(p):
        total += now[v]
    return total


@compiled
def _iterated(
    candidates: np.ndarray, starts: np.ndarray, masks: np.ndarray, scores: np.ndarray,
    order: np.ndarray, tiers: np.ndarray, kicks: np.ndarray,
) -> tuple[np.ndarray, float]:  # fmt: skip
    p = len(order)
    bits = np.full((p, p), -1, np.int64)
    for v in range(p):
        for bit in range(candidates.shape[1]):
            if candidates[v, bit] >= 0:
                bits[v, candidates[v, bit]] = bit
    turn = np.arange(p)
    best = order.copy()
    score = _improve(candidates, starts, masks, scores, bits, best, tiers, turn)
    for k in range(len(kicks)):
        trial = best.copy()
        for m in range(kicks.shape[1] // 2):
            # A node goes to another place of its tier.
            i = int(kicks[k, 2 * m] * p)
            x = trial[i]
            low, high = i, i
            while low > 0 and tiers[trial[low - 1]] == tiers[x]:
                low -= 1
            while high < p - 1 and tiers[trial[high + 1]] == tiers[x]:
                high += 1
            j = low + int(kicks[k, 2 * m + 1] * (high - low + 1))
            while i < j:
                trial[i] = trial[i + 1]
                i += 1
            while i > j:
                trial[i] = trial[i - 1]
                i -= 1
            trial[j] = x
        found = _improve(candidates, starts, masks, scores, bits, trial, tiers, turn)
        if found > score - 1e-9:  # a plateau is walked
            best = trial
            score = max(score, found)
    return best, score
