"""What a round came to: for the shop, for its visitors, for its items, and in truth."""

from __future__ import annotations

import numpy as np

from truelift.arrays.compiled import compiled
from truelift.simulate.shop_world.shop import Played, Shop

_PAIRS = 2_000


def gini(count: np.ndarray) -> float:
    """Gini's coefficient of how unequal counts are: 0 for equal ones, towards 1 for one alone."""
    ordered, n = np.sort(count.astype(float)), len(count)
    total = ordered.sum()
    if total == 0:
        return 0.0
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total))


def similarity(items: np.ndarray, seed: int) -> float:
    """Mean Jaccard similarity of two rows' items, over 2,000 pairs of rows."""
    random = np.random.default_rng([seed, 3])
    pairs = random.integers(0, max(len(items), 1), (_PAIRS, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return float(_jaccard(items, pairs)) if len(pairs) else 0.0


@compiled
def _jaccard(items, pairs):  # type: ignore[no-untyped-def]
    total, width = 0.0, items.shape[1]
    for p in range(len(pairs)):
        first, second = items[pairs[p, 0]], items[pairs[p, 1]]
        shared, union = 0, 0
        for j in range(width):
            again = False
            for m in range(j):
                again |= first[m] == first[j]
            if not again:
                union += 1
                for m in range(width):
                    if second[m] == first[j]:
                        shared += 1
                        break
        for j in range(width):
            again = False
            for m in range(j):
                again |= second[m] == second[j]
            for m in range(width):
                again |= first[m] == second[j]
            union += not again
        total += shared / union
    return total / len(pairs)


def measures_of(shop: Shop, played: list[Played], share_known: np.ndarray) -> dict[str, float]:
    """Measures of a round by name.

    Parameters
    ----------
    played : list of Played
        All blocks of users.
    share_known : ndarray, items
        Each item's share of the purchases of the first round, for novelty.
    """

    def every(field: str) -> np.ndarray:
        return np.concatenate([getattr(p.responses, field) for p in played])

    items = np.concatenate([p.items for p in played])
    bought, clicked, chance = every("bought"), every("clicked"), every("chance")
    added = (chance - every("chance_without")).sum(axis=1)
    group = np.concatenate([p.group for p in played])
    listed = items[:, 0] >= 0
    purchases = (bought >= 0).sum(axis=1)
    shown = items[listed].ravel()
    moment = played[0].moment
    there = shop.sold(moment)
    exposures = np.bincount(shown, minlength=shop.world.items)
    sales = np.bincount(bought[bought >= 0], minlength=shop.world.items)
    price = shop.market(moment).price
    hits = sum(
        int((items[listed][:, k] == bought[listed, shop.goods.category[items[listed][:, k]]]).sum())
        for k in range(items.shape[1])
    )
    precision = hits / max(len(shown), 1)
    recall = hits / max(int(purchases[listed].sum()), 1)
    satisfied = every("satisfied")
    n, m = int(listed.sum()), int((~listed).sum())
    with_list, without = purchases[listed], purchases[~listed]
    observed = with_list.mean() - without.mean() if n and m else np.nan
    spread = np.sqrt(with_list.var() / n + without.var() / m) if n > 1 and m > 1 else np.nan
    surprise = -np.log2(np.maximum(share_known, 1e-6))
    return {
        "visits": float(len(items)),
        "purchases": float(purchases.sum()),
        "purchases_a_visit": float(purchases.mean()),
        "additional": float(added[listed].mean()) if n else 0.0,
        "additional_total": float(added.sum()),
        "additional_observed": float(observed),
        "additional_observed_error": float(spread),
        "click_rate": float(clicked[listed].mean()) if n else 0.0,
        "conversion": float((purchases > 0).mean()),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if hits else 0.0,
        "satisfaction": float((satisfied == 1).sum() / max((satisfied >= 0).sum(), 1)),
        "answers": float((satisfied >= 0).mean()),
        "revenue": float(price[bought[bought >= 0]].sum()),
        "placement_price": float(price[shown].sum() / max(n, 1)),
        "coverage": float((exposures[there] > 0).mean()),
        "gini_shown": gini(exposures[there]),
        "gini_bought": gini(sales[there]),
        "novelty": float(surprise[shown].mean()) if n else 0.0,
        "small_providers": float(shop.goods.provider[shown].mean()) if n else 0.0,
        "list_similarity": similarity(items[listed], shop.seed) if n else 0.0,
        "group_gap": _gap(added, listed, group),
    }


def _gap(added: np.ndarray, listed: np.ndarray, group: np.ndarray) -> float:
    """Additional purchases of the smaller group of users less those of the larger."""
    few, many = listed & (group == 1), listed & (group == 0)
    return float(added[few].mean() - added[many].mean()) if few.any() and many.any() else 0.0
