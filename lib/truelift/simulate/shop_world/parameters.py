"""What a shop is like: all its dials, with what each does."""

from __future__ import annotations

from dataclasses import dataclass, replace

from truelift.settings.checks import needs


@dataclass(frozen=True)
class ShopWorld:
    """Parameters of the shop; the formulas are in docs/loop.md.

    Parameters
    ----------
    users, items, categories, nest_size : int
        Users at the start; items; categories of items; how many items of a category are substitutes
        of each other.
    list_length, familiar : int
        Items on a list; items that a user knows without any list.
    popularity : float
        Exponent of Zipf's law by which people come to know items.
    position, trust, patience, tiring : float
        Slot k (from 0) is looked at with chance ``trust_u (1 + k)^-position tiring^fatigue``, times
        ``patience`` for every click before it.
    substitution : float
        Between 0 (items compete as with the outside option) and 1 (an item only replaces another of
        its nest): one less the dissimilarity of the nested logit.
    intent, taste_spread, carry, drift, season, season_rounds, satiation, feed
        Of needs: what the reason of a visit adds; spread of tastes between users; what a need keeps of
        its last value; its own noise; height and length of the season; what a purchase takes off a need;
        what it adds to the taste.
    quality, errand : float
        Mean utility of an item before needs; spread between visits of what a visitor has come to buy at
        all: some baskets are large.
    click, appeal : float
        Log odds of a click on what is looked at, before needs; spread of what makes an item be clicked
        and does not sell it.
    persuasion, annoying_share, annoyance : float
        Mean of what being seen adds to an item's utility; share of items that spoil their category for
        those who see them; by how much.
    hidden, confounding : float
        How strongly what nobody records about a user moves purchases, and the dial: how strongly the
        operator's own lists follow it.
    price_spread, promotion, discount, stockout : float
        Spread of log prices; chance of a reduced price in a round, and its size; chance that an item is
        out of stock in a round.
    stock, branch, restock : int
        Of each item on a shelf when it is filled (0: sales use nothing up); users who share a shelf; rounds
        until it is filled again. Who comes first is served.
    visit, visit_spread, mood_pull, leave : float
        Log odds of a visit in a round; their spread between users; what mood adds to them; chance to
        leave for good in a round.
    newcomers, new_items, retired_items : float
        Shares of users and items that come later, and of items that go.
    horizon : int
        Rounds over which they do.
    answer, delay : float
        Chance that a satisfied user says so (half of it for others); chance that an answer waits one
        more round.
    minority, small_providers : float
        Share of users of group 1, who trust lists less; share of items of provider group 1, which fewer
        people know.
    holdout : float
        Share of visits that are shown an empty list, by lot.
    """

    users: int = 2_000
    items: int = 120
    categories: int = 6
    nest_size: int = 4
    list_length: int = 4
    familiar: int = 8
    popularity: float = 0.9
    position: float = 0.7
    trust: float = 0.9
    patience: float = 0.7
    tiring: float = 0.97
    substitution: float = 0.5
    intent: float = 0.8
    taste_spread: float = 0.6
    carry: float = 0.7
    drift: float = 0.25
    season: float = 0.2
    season_rounds: int = 12
    satiation: float = 1.0
    feed: float = 0.05
    quality: float = -3.0
    errand: float = 0.0
    click: float = -1.2
    appeal: float = 1.0
    persuasion: float = 0.5
    annoying_share: float = 0.1
    annoyance: float = 0.7
    hidden: float = 0.6
    confounding: float = 0.0
    price_spread: float = 0.4
    promotion: float = 0.1
    discount: float = 0.25
    stockout: float = 0.03
    stock: int = 0
    branch: int = 500
    restock: int = 1
    visit: float = 0.4
    visit_spread: float = 0.0
    mood_pull: float = 0.5
    leave: float = 0.01
    newcomers: float = 0.1
    new_items: float = 0.1
    retired_items: float = 0.05
    horizon: int = 20
    answer: float = 0.4
    delay: float = 0.5
    minority: float = 0.3
    small_providers: float = 0.4
    holdout: float = 0.1

    def __post_init__(self) -> None:
        need = needs("world", self)
        need("users", self.users >= 1, "at least 1")
        need("categories", 1 <= self.categories <= 64, "between 1 and 64")
        need("items", self.categories <= self.items <= 30_000, "from one a category to 30000")
        for name in ("nest_size", "familiar", "season_rounds", "horizon", "branch", "restock"):
            need(name, getattr(self, name) >= 1, "at least 1")
        need("familiar", self.familiar <= 64, "at most 64")
        # Half of a small assortment at most, so that a list always finds items that are there.
        need(
            "list_length", 1 <= self.list_length <= min(32, self.items // 2),
            "at least 1, at most half of the items and 32",
        )  # fmt: skip
        for name in (
            "trust", "patience", "tiring", "carry", "annoying_share", "promotion", "discount",
            "stockout", "leave", "newcomers", "new_items", "retired_items", "answer", "delay", "minority",
            "small_providers",
        ):  # fmt: skip
            need(name, 0 <= getattr(self, name) <= 1, "between 0 and 1")
        need("substitution", 0 <= self.substitution < 1, "from 0 to below 1")
        need("holdout", 0 <= self.holdout < 1, "from 0 to below 1")
        for name in (
            "popularity", "position", "taste_spread", "drift", "satiation", "feed", "appeal",
            "annoyance", "hidden", "price_spread", "errand", "visit_spread", "stock",
        ):  # fmt: skip
            need(name, getattr(self, name) >= 0, "0 or more")
        need(
            "new_items", self.new_items + self.retired_items <= 0.5,
            "at most 0.5 together with retired_items",
        )  # fmt: skip


def resized(world: ShopWorld, users: int) -> ShopWorld:
    """The same shop with another number of users."""
    return replace(world, users=users)
