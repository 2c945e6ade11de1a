"""Events as the text that a shop's log holds, and their truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.simulate.traffic.events import NO_NUMBER, Events
from truelift.simulate.traffic.sessions import DAY, SECOND
from truelift.simulate.traffic.world import BOT_KINDS, DIRT_KINDS, REJECTED_KINDS

EVENT_TYPES = ("view", "cart", "purchase")
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "ShopApp/4.2 (Android 14)",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
)
CAMPAIGNS = (None, "newsletter", "search", "spring-sale")
PAGES = ("home", "category", "search", "item")

EVENT_COLUMNS = (
    "event_id", "user", "item", "time", "type", "quantity", "price", "session", "agent",
    "campaign", "received", "page",
)  # fmt: skip
TRUTH_SCHEMA = pa.schema(
    {
        "row": pa.int64(),
        "true_user": pa.string(),
        "true_session": pa.int32(),
        "dirt": pa.string(),
        "is_bot": pa.bool_(),
        "bot": pa.string(),
    }
)
BLOCK_SCHEMA = pa.schema([*((name, pa.string()) for name in EVENT_COLUMNS), *TRUTH_SCHEMA])

# What a kind of dirt makes of a column; None is an empty field.
_WRITTEN: dict[str, tuple[str, tuple[str | None, ...]]] = {
    "missing_user": ("user", (None,)),
    "missing_item": ("item", (None,)),
    "missing_time": ("time", (None,)),
    "unreadable_time": ("time", ("yesterday", "2024-13-45T25:61:00Z", "n/a", "31.12.", "0000")),
    "unknown_event_type": ("type", ("hover", "scroll_depth", "test")),
    "unreadable_quantity": ("quantity", ("three", "1 pc", "--")),
    "unreadable_value": ("price", ("free", "12,50 EUR", "#REF!")),
}


def block_table(events: Events, block: int, first_row: int) -> pa.Table:
    """The rows of a block, in the columns of ``BLOCK_SCHEMA``.

    Parameters
    ----------
    events : Events
    block : int
        Goes into the event ids.
    first_row : int
        Rows of the traffic before this block.
    """
    user = digits_text("u", (events.user, 10))
    columns: dict[str, pa.Array] = {
        "event_id": digits_text("e", (np.full(len(events), block), 7), (events.number, 6)),
        "user": user,
        "item": digits_text("i", (events.item, 7)),
        "time": instant_text(events.time),
        "type": _named(EVENT_TYPES, events.kind),
        "quantity": _numbers(events.quantity, events.quantity),
        "price": _numbers(events.cents, events.cents / 100),
        "session": digits_text("s", (events.user, 10), (events.session, 5)),
        "agent": _named(AGENTS, events.agent),
        "campaign": _named(CAMPAIGNS, events.campaign),
        "received": instant_text(events.received),
        "page": _named(PAGES, events.page),
    }
    for kind, (name, texts) in _WRITTEN.items():
        hit = events.dirt == DIRT_KINDS.index(kind)
        if hit.any():
            texts_of = pa.array([texts[n % len(texts)] for n in events.number[hit]], pa.string())
            columns[name] = pc.replace_with_mask(columns[name], pa.array(hit), texts_of)
    rejected = np.isin(events.dirt, [DIRT_KINDS.index(kind) for kind in REJECTED_KINDS])
    columns |= {
        "row": pa.array(first_row + np.arange(len(events))),
        "true_user": user,
        "true_session": pa.array(events.session.astype(np.int32), mask=rejected),
        "dirt": _named(DIRT_KINDS, events.dirt),
        "is_bot": pa.array(events.bot >= 0),
        "bot": _named(BOT_KINDS, events.bot),
    }
    return pa.table(columns, schema=BLOCK_SCHEMA)


def digits_text(prefix: str, *parts: tuple[np.ndarray, int]) -> pa.Array:
    """A letter and numbers with leading zeros: ``(values, width)``, one after the other."""
    width = len(prefix) + sum(w for _, w in parts)
    out = np.empty((len(parts[0][0]), width), np.uint8)
    out[:, : len(prefix)] = np.frombuffer(prefix.encode(), np.uint8)
    at = len(prefix)
    for values, wide in parts:
        _write_digits(out, at, wide, values)
        at += wide
    return _fixed_width(out)


def instant_text(micros: np.ndarray) -> pa.Array:
    """Microseconds since 1970 as ``2024-01-31T23:59:59.000001Z``."""
    out = np.empty((len(micros), 27), np.uint8)
    day, place = np.unique(micros // DAY, return_inverse=True)
    dates = np.datetime_as_string(day.astype("datetime64[D]")).astype("S10")
    out[:, :10] = dates.view(np.uint8).reshape(-1, 10)[place]
    out[:, [10, 13, 16, 19, 26]] = np.frombuffer(b"T::.Z", np.uint8)
    rest = micros % DAY
    second = rest // SECOND
    _write_digits(out, 11, 2, second // 3_600)
    _write_digits(out, 14, 2, second // 60 % 60)
    _write_digits(out, 17, 2, second % 60)
    _write_digits(out, 20, 6, rest % SECOND)
    return _fixed_width(out)


def _write_digits(out: np.ndarray, at: int, width: int, values: np.ndarray) -> None:
    rest = values
    for place in range(at + width - 1, at - 1, -1):
        rest, digit = np.divmod(rest, 10)
        out[:, place] = digit + 48


def _fixed_width(out: np.ndarray) -> pa.Array:
    rows, width = out.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(out))


def _named(names: Sequence[str | None], places: np.ndarray) -> pa.Array:
    codes = pa.array(places.astype(np.int32), mask=places < 0)
    return pa.array(names, pa.string()).take(codes)


def _numbers(present: np.ndarray, values: np.ndarray) -> pa.Array:
    return pa.array(values, mask=present == NO_NUMBER).cast(pa.string())
