"""How the visitors of a simulated web shop behave, and what is wrong with its logs."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field, fields, replace

from truelift.errors import ConfigError

BLOCK_ROWS = 20_000
SLOTS_A_DAY = 10
LEAST_ROWS = 2_000


@dataclass(frozen=True)
class DirtShares:
    """Faulty rows of each kind, as shares of all rows but the top user's.

    The names are the reasons and labels of cleaning. The last three mark rows that are kept;
    all others are rows beside the clean ones, which cleaning should reject.
    """

    missing_user: float = 0.001
    missing_item: float = 0.001
    missing_time: float = 0.001
    unreadable_time: float = 0.001
    time_out_of_range: float = 0.001
    time_in_future: float = 0.001
    clock_skew: float = 0.001
    unknown_event_type: float = 0.001
    unreadable_quantity: float = 0.001
    negative_quantity: float = 0.001
    quantity_over_maximum: float = 0.001
    unreadable_value: float = 0.001
    value_over_maximum: float = 0.001
    corrupt_row: float = 0.0005
    duplicate: float = 0.01
    repeated_event_id: float = 0.002
    double_click: float = 0.005
    misclick: float = 0.005
    return_of_purchase: float = 0.003
    quantity_outlier: float = 0.0005
    value_outlier: float = 0.0005


@dataclass(frozen=True)
class BotShares:
    """Rows of each kind of bot, as shares of all rows but the top user's; bots are kept."""

    bot_declared: float = 0.01
    bot_rate: float = 0.01
    bot_breadth: float = 0.03
    bot_metronome: float = 0.005
    bot_round_the_clock: float = 0.005


DIRT_KINDS = tuple(f.name for f in fields(DirtShares))
LABEL_KINDS = ("return_of_purchase", "quantity_outlier", "value_outlier")
REJECTED_KINDS = tuple(kind for kind in DIRT_KINDS if kind not in LABEL_KINDS)
BOT_KINDS = tuple(f.name for f in fields(BotShares))


@dataclass(frozen=True)
class TrafficWorld:
    """The visitors of a web shop.

    People are awake 15 hours a day and come at most ten times; inside a session events follow
    after 3.5 seconds to 24 minutes, between sessions lie more than 35 minutes. So the true
    sessions are those of any timeout from 25 to 35 minutes.

    Parameters
    ----------
    days : int
        Length of the logs.
    first_day : str
        ISO date of the first day.
    items : int
        Size of the catalogue; a few items get most of the events.
    events_per_user : float
        Mean over the users.
    activity_spread : float
        Standard deviation of the logarithm of users' activity (log-normal, within each
        thousand users: nobody but the top user has more than a few hundred events).
    top_user_share : float
        Share of all events that one user owns: a till that never sleeps, in one session from
        its first day to its last. It is drawn in slices of time, so that no task holds all of
        its events. The truth calls it ``bot_round_the_clock``; where it has hundreds of items
        a day or more than 60 events a minute, other signs of bots are true of it as well.
    view_share, cart_share : float
        Shares of event types among people's events; the rest are purchases.
    events_per_session : float
        Mean number, at most 20 in a session.
    gap_seconds, gap_spread : float
        Median, and spread of the logarithm, of the gaps inside a session.
    late_share : float
        Share of clean rows that arrive one to 48 hours late.
    dirt : DirtShares
    bots : BotShares
    """

    days: int = 28
    first_day: str = "2024-01-01"
    items: int = 5_000
    events_per_user: float = 20.0
    activity_spread: float = 1.2
    top_user_share: float = 0.0
    view_share: float = 0.7
    cart_share: float = 0.12
    events_per_session: float = 6.0
    gap_seconds: float = 40.0
    gap_spread: float = 1.2
    late_share: float = 0.0
    dirt: DirtShares = field(default_factory=DirtShares)
    bots: BotShares = field(default_factory=BotShares)

    def __post_init__(self) -> None:
        try:
            datetime.date.fromisoformat(self.first_day)
        except ValueError:
            raise _refusal("first_day", self.first_day, "an ISO date such as 2024-01-01") from None
        shares = {
            **{f"dirt.{f.name}": getattr(self.dirt, f.name) for f in fields(self.dirt)},
            **{f"bots.{f.name}": getattr(self.bots, f.name) for f in fields(self.bots)},
            "late_share": self.late_share,
            "top_user_share": self.top_user_share,
        }
        for name, share in shares.items():
            if not 0 <= share <= 0.9:
                raise _refusal(name, share, "a share from 0 to 0.9")
        faulty = sum(v for k, v in shares.items() if k.startswith(("dirt.", "bots.")))
        checks = {
            "days": (self.days >= 1, "at least 1"),
            "items": (self.items >= 1_000, "at least 1000"),
            "activity_spread": (0 <= self.activity_spread <= 3, "0 to 3"),
            "events_per_session": (2 <= self.events_per_session <= 10, "2 to 10"),
            "gap_seconds": (5 <= self.gap_seconds <= 600, "5 to 600 seconds"),
            "gap_spread": (0 <= self.gap_spread <= 3, "0 to 3"),
            "events_per_user": (
                5 <= self.events_per_user <= self.most_events_per_user / 2,
                f"5 to {self.most_events_per_user / 2:g} (a user has {self.days} days)",
            ),
            "view_share": (
                self.view_share >= 0.1 and self.view_share + self.cart_share <= 0.95,
                "at least 0.1, and at most 0.95 with cart_share",
            ),
            "cart_share": (0 <= self.cart_share <= 0.85, "0 to 0.85"),
            "dirt": (faulty <= 0.4, f"shares of dirt and bots that add up to 0.4, not {faulty:g}"),
        }
        for name, (holds, expected) in checks.items():
            if not holds:
                raise _refusal(name, getattr(self, name), expected)

    @property
    def most_events_per_user(self) -> int:
        """Events that a person has time for."""
        return int(self.days * SLOTS_A_DAY * self.events_per_session / 2)

    def without(self, *kinds: str) -> TrafficWorld:
        """The same world without some kinds of dirt or bots."""
        dirt = {kind: 0.0 for kind in kinds if kind in DIRT_KINDS}
        bots = {kind: 0.0 for kind in kinds if kind in BOT_KINDS}
        if unknown := set(kinds) - {*dirt, *bots}:
            known = ", ".join((*DIRT_KINDS, *BOT_KINDS))
            raise ConfigError(f"There is no dirt or bot {sorted(unknown)}; known: {known}.")
        return replace(self, dirt=replace(self.dirt, **dirt), bots=replace(self.bots, **bots))


def _refusal(name: str, found: object, expected: str) -> ConfigError:
    return ConfigError(f"traffic.{name}: found {found!r}, expected {expected}.")
