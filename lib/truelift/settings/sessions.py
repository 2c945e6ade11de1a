"""What ends a session: the section ``sessions``."""

from __future__ import annotations

from dataclasses import dataclass

from truelift.settings.checks import require, require_time_zone


@dataclass(frozen=True)
class SessionOptions:
    """What ends a session, and what the session ids of the source count for.

    A session ends where the gap to the next event is greater than ``timeout_seconds``; the
    names in ``split_on`` add further ends: the calendar ``day`` of ``time_zone``, a change to
    another ``campaign`` (``campaign_key`` of the events' context), or ``max_duration``
    (``max_duration_seconds`` after the start). ``given`` session ids are left alone
    (``ignore``), compared with the sessions by time (``check``), or are the sessions
    (``respect``). A bucket of more than ``most_bytes`` in memory is cut stretch by stretch of
    time.
    """

    timeout_seconds: int = 1800
    split_on: tuple[str, ...] = ("gap",)
    time_zone: str = "UTC"
    campaign_key: str = "campaign"
    max_duration_seconds: int | None = None
    given: str = "check"
    conversion_types: tuple[str, ...] = ("purchase", "transaction", "order", "orders")
    most_bytes: int = 256 * 2**20

    def __post_init__(self) -> None:
        seconds = "a positive number of seconds"
        require(self.timeout_seconds > 0, "sessions.timeout_seconds", self.timeout_seconds, seconds)
        known = ("gap", "day", "campaign", "max_duration")
        require(
            set(self.split_on) <= set(known), "sessions.split_on", self.split_on, f"some of {known}"
        )
        ways = ("ignore", "check", "respect")
        require(self.given in ways, "sessions.given", self.given, f"one of {ways}")
        most = self.max_duration_seconds
        if "max_duration" in self.split_on:
            require(most is not None and most > 0, "sessions.max_duration_seconds", most, seconds)
        else:
            require(
                most is None,
                "sessions.max_duration_seconds",
                most,
                "no value unless sessions.split_on names max_duration",
            )
        require_time_zone(self.time_zone, "sessions.time_zone")
