"""What lists are made of, and by what they are ranked (the section ``recommend``)."""

from __future__ import annotations

from dataclasses import dataclass, field

from truelift.settings.checks import needs, require
from truelift.settings.recommend_limits import LimitOptions

WAYS = ("relevance", "effect", "value", "mixture")
#: Share of a slot that is drawn uniformly where lists know effects and nothing else is asked for.
EXPLORE = 0.1


@dataclass(frozen=True)
class ShownOptions:
    """What counts as an effect of being shown (``recommend.effects``).

    Parameters
    ----------
    purchase, click : str
        Types of events in ``silver.events``.
    window_seconds : float
        For how long after a list a purchase counts as one after it.
    confidence : float
        Of intervals.
    """

    purchase: str = "purchase"
    click: str = "click"
    window_seconds: float = 3600.0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        need = needs("recommend.effects", self)
        need("window_seconds", self.window_seconds > 0, "more than 0")
        need("confidence", 0 < self.confidence < 1, "between 0 and 1")


@dataclass(frozen=True)
class RecommendOptions:
    """How many items a user gets, by what they are ranked, and whether items seen may come again.

    Parameters
    ----------
    per_user : int
    seen_items : str
        ``keep`` or ``drop``.
    items, users : str, optional
        Files of ids, one a line: only these items are offered (what is in stock, what is allowed), and
        only these users are ranked for.
    by : str
        ``relevance`` (what comes next), ``effect`` (what being shown adds to purchases), ``value``
        (``margin`` x price x effect - ``cost``) or ``mixture`` (``weight`` of effect, the rest relevance).
    weight : float
        Of effect in a mixture.
    explore : float, optional
        Share of each slot that is drawn uniformly over all items; 0.1 where lists know effects, 0 under
        relevance.
    margin, cost : float
        Of ``value``: profit as a share of an item's mean price, and what a slot costs.
    most_of_category : int, optional
        Most items of one category on a list; with lists that know effects.
    round : str, optional
        Name of the round that lists are made for: slots by lot are drawn anew in each. By default the
        lake's latest interaction names it.
    effects : ShownOptions
    limits : LimitOptions
    """

    per_user: int = 10
    seen_items: str = "keep"
    items: str | None = None
    users: str | None = None
    by: str = "relevance"
    weight: float = 0.5
    explore: float | None = None
    margin: float = 0.3
    cost: float = 0.0
    most_of_category: int | None = None
    round: str | None = None
    effects: ShownOptions = field(default_factory=ShownOptions)
    limits: LimitOptions = field(default_factory=LimitOptions)

    def __post_init__(self) -> None:
        require(self.per_user >= 1, "recommend.per_user", self.per_user, "at least 1")
        require(
            self.seen_items in ("keep", "drop"),
            "recommend.seen_items",
            self.seen_items,
            "'keep' or 'drop'",
        )
        require(self.by in WAYS, "recommend.by", self.by, f"one of {', '.join(WAYS)}")
        need = needs("recommend", self)
        need("weight", 0 <= self.weight <= 1, "between 0 and 1")
        need("explore", self.explore is None or 0 <= self.explore <= 1, "between 0 and 1")
        need("margin", self.margin > 0, "more than 0")
        need("cost", self.cost >= 0, "0 or more")
        most = self.most_of_category
        need("most_of_category", most is None or most >= 1, "at least 1")
        need(
            "most_of_category", most is None or self.by != "relevance",
            "none with recommend.by 'relevance', which knows no categories",
        )  # fmt: skip

    @property
    def exploration(self) -> float:
        """The share of each slot that is drawn uniformly."""
        if self.explore is not None:
            return self.explore
        return 0.0 if self.by == "relevance" else EXPLORE
