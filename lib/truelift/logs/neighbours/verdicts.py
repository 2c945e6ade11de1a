"""What the rules say, written into the rows: reasons, labels, and the purchase of a return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.logs.added_rules import NeighbourRule
from truelift.logs.bots import DECLARED, crawler_flags
from truelift.logs.neighbours.appending import appended, appended_entry
from truelift.logs.neighbours.copies import copies
from truelift.logs.neighbours.days import day_signs
from truelift.logs.neighbours.names import (
    DOUBLE_CLICK,
    DUPLICATE,
    LINK,
    MISCLICK,
    ORPHAN,
    REPEATED,
    RETURN,
    default_action,
)
from truelift.logs.neighbours.order import UserEvents, user_events
from truelift.logs.neighbours.returns import purchases_returned
from truelift.logs.neighbours.slips import double_clicks, misclicks
from truelift.logs.neighbours.users import is_valid
from truelift.logs.rules import action_of
from truelift.settings import CleanOptions

_DAY = 86_400.0


@dataclass(frozen=True)
class NeighbourRules:
    """The rules on neighbours, as the settings have them.

    Attributes
    ----------
    options : CleanOptions
    ids_are_given : bool
        Whether the source has event ids of its own; else they are made of the content.
    added : tuple of NeighbourRule
        Those of other packages.
    """

    options: CleanOptions
    ids_are_given: bool
    added: tuple[NeighbourRule, ...] = ()

    def names(self, action: str, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Those findings that are to have the action."""
        return {
            name: rows
            for name, rows in found.items()
            if action_of(name, self.options, default_action(name)) == action
        }


def judge_users(rows: pa.Table, rules: NeighbourRules) -> tuple[pa.Table, pa.Table]:
    """The own rows of whole users to keep, and those to remove, as their neighbours say.

    Parameters
    ----------
    rows : pyarrow.Table
        Columns of ``silver.quarantine``, with ``_own`` and ``_user_agent``; rows of a slice
        follow each other, and no user is missing some. A row with a reason keeps what it has,
        and nothing is made of it.
    rules : NeighbourRules

    Returns
    -------
    kept, removed : pyarrow.Table
        The same columns; rows in the order of slice, user, time and event id.
    """
    events = user_events(rows)
    valid = is_valid(rows)[events.order]
    found, purchase = _findings(events, rules)
    found = {name: marked & valid for name, marked in found.items()}
    # The one sign that a row rejected for its own sake shows, too.
    found = {DECLARED: crawler_flags(rows["_user_agent"])[events.order], **found}
    reasons, labels = rules.names("reject", found), rules.names("label", found)
    own = np.asarray(rows["_own"].fill_null(False))[events.order]
    kept = valid & ~np.logical_or.reduce([np.zeros(len(own), bool), *reasons.values()])
    linked = np.flatnonzero(valid & (purchase >= 0))
    ids = rows["event_id"].take(pa.array(events.order[purchase[linked]]))
    parts = []
    for wanted in (kept & own, ~kept & own):
        places = np.flatnonzero(wanted)
        part = rows.take(pa.array(events.order[places]))
        for column, marks in (("reasons", reasons), ("labels", labels)):
            lists = appended(part[column], {n: marked[places] for n, marked in marks.items()})
            part = _replaced(part, column, lists)
        here = wanted[linked]
        entered = np.searchsorted(places, linked[here])
        context = appended_entry(part["context"], entered, LINK, ids.filter(pa.array(here)))
        parts.append(_replaced(part, "context", context))
    return parts[0], parts[1]


def _findings(
    events: UserEvents, rules: NeighbourRules
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rows by what is found in them, and the place of the purchase that each row returns."""
    options = rules.options
    window = _micros(options.repeats.repeat_window_seconds) if rules.ids_are_given else None
    copy, equal = copies(events, window)
    counted = ~copy
    found = {DUPLICATE: equal, REPEATED: copy & ~equal}
    if options.repeats.double_click_seconds is not None:
        twice = double_clicks(events, counted, _micros(options.repeats.double_click_seconds))
        found[DOUBLE_CLICK] = counted & twice
    if options.repeats.misclick_seconds is not None:
        left = misclicks(events, counted, _micros(options.repeats.misclick_seconds))
        found[MISCLICK] = counted & left & events.is_kind(options.repeats.misclick_types)
    purchase = np.full(len(copy), -1, np.int64)
    if options.repeats.return_days is not None:
        back, purchase = purchases_returned(events, _micros(options.repeats.return_days * _DAY))
        found[RETURN] = counted & (purchase >= 0)
        found[ORPHAN] = counted & back & (purchase < 0)
    found |= day_signs(events, counted, options.bots)
    return {**found, **{r.name: r.found(events, counted) for r in rules.added}}, purchase


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _replaced(rows: pa.Table, name: str, column: pa.ChunkedArray | pa.Array) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, column)
