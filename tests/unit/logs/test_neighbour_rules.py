"""All rules on neighbours together, against the rules written out row by row."""

from __future__ import annotations

import statistics
from dataclasses import replace
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.logs.user_rows import judged, rows
from truelift.logs.neighbours.names import default_action, neighbour_labels
from truelift.logs.neighbours.verdicts import NeighbourRules, judge_users
from truelift.settings import BotOptions, CleanOptions

ROW = st.fixed_dictionaries(
    {
        "user_key": st.sampled_from("ab"),
        "event_id": st.sampled_from("efghijkl"),
        "at": st.one_of(
            st.integers(0, 12), st.integers(86_390, 86_410), st.sampled_from([None, 3600, 9e4])
        ),
        "event_type": st.sampled_from(["view", "buy", None]),
        "item_id": st.sampled_from(["x", "y", None]),
        "quantity": st.sampled_from([1.0, -1.0, 0.0, None]),
        "value": st.sampled_from([1.0, None]),
        "labels": st.sampled_from([[], ["zero_value"]]),
        "context": st.sampled_from([[], [("channel", "web")]]),
        "_own": st.booleans(),
    }
)
MAYBE = st.sampled_from([None, 2])
BOTS = st.builds(
    BotOptions, MAYBE, MAYBE, st.sampled_from([None, 3]), st.just(0.1), st.sampled_from([None, 2])
)
OPTIONS = st.builds(
    CleanOptions,
    bots=BOTS,
    double_click_seconds=MAYBE,
    misclick_seconds=MAYBE,
    return_days=st.sampled_from([None, 0.0001, 2]),
    repeat_window_seconds=st.sampled_from([0, 3]),
    actions=st.dictionaries(
        st.sampled_from(neighbour_labels()), st.sampled_from(["reject", "label", "ignore"])
    ),
)


def near(later, earlier, seconds):
    known = None not in (later["at"], earlier["at"])
    return known and later["at"] - earlier["at"] <= seconds


def day_of(row):
    return None if row["at"] is None else row["at"] // 86_400


def read(history, options, ids_are_given):
    """``{row: names}`` and ``{row: purchase id}`` of one user's rows in their order."""
    names = {row["source_row"]: [] for row in history}
    links, counted = {}, []
    for place, row in enumerate(history):
        same = ("event_id", "at", "item_id", "event_type", "quantity", "value")
        before = history[place - 1] if place else None
        earlier = [r for r in history[:place] if r["event_id"] == row["event_id"]]
        if ids_are_given:
            copy = bool(earlier) and near(row, earlier[-1], options.repeat_window_seconds)
            equal = before is not None and all(before[name] == row[name] for name in same)
        else:
            copy = any(near(row, r, 0) for r in earlier)
            equal = True
        if copy:
            names[row["source_row"]].append("duplicate" if equal else "repeated_event_id")
        counted.append(not copy)
    for place, row in enumerate(history):
        mine = names[row["source_row"]]
        past, future = (
            range(max(place - 3, 0), place),
            range(place + 1, min(place + 3, len(history))),
        )
        item, kind = row["item_id"], row["event_type"]
        clicked = counted[place] and item is not None and kind is not None
        if options.double_click_seconds is not None:
            again = any(
                counted[p]
                and (history[p]["item_id"], history[p]["event_type"]) == (item, kind)
                and near(row, history[p], options.double_click_seconds)
                for p in past
            )
            mine += ["double_click"] * (clicked and again)
        if options.misclick_seconds is not None:
            left = any(
                counted[p]
                and history[p]["item_id"] not in (None, item)
                and near(history[p], row, options.misclick_seconds)
                for p in future
            )
            mine += ["misclick"] * (clicked and kind == "view" and left)
        if options.return_days is not None and (row["quantity"] or 0) < 0:
            bought = [
                r for r in history[:place] if r["item_id"] == item and (r["quantity"] or 0) > 0
            ]
            if bought and near(row, bought[-1], options.return_days * 86_400):
                links[row["source_row"]] = bought[-1]["event_id"]
                mine += ["return_of_purchase"] * counted[place]
            else:
                mine += ["return_without_purchase"] * counted[place]
    for day, places in groupby(range(len(history)), lambda p: day_of(history[p])):
        day_rows = list(places)
        signs = machine(history, counted, day, day_rows, options.bots)
        for place in day_rows:
            names[history[place]["source_row"]] += signs
    return names, links


def machine(history, counted, day, places, bots):
    mine = [p for p in places if counted[p]]
    signs = []
    steps = bots.events_per_minute
    if steps is not None and any(
        p >= steps and counted[p - steps] and near(history[p], history[p - steps], 60) for p in mine
    ):
        signs.append("bot_rate")
    items = {history[p]["item_id"] for p in mine} - {None}
    if bots.items_per_day is not None and len(items) > bots.items_per_day:
        signs.append("bot_breadth")
    gaps = [
        history[p]["at"] - history[p - 1]["at"] for p in mine if p > places[0] and day is not None
    ]
    if bots.metronome_events is not None and gaps and len(gaps) + 1 >= bots.metronome_events:
        mean = statistics.fmean(gaps)
        if mean > 0 and statistics.pstdev(gaps) <= bots.metronome_variation * mean:
            signs.append("bot_metronome")
    hours = {history[p]["at"] // 3600 for p in mine if day is not None}
    if bots.hours_per_day is not None and hours and len(hours) >= bots.hours_per_day:
        signs.append("bot_round_the_clock")
    return signs


@settings(max_examples=200)
@given(st.lists(ROW, max_size=14), OPTIONS, st.booleans())
def test_the_kernels_say_what_the_rules_say_row_by_row(changes, options, ids_are_given):
    changes = [{**change, "source_row": number} for number, change in enumerate(changes)]
    changes.sort(key=lambda row: row["user_key"])
    expected = {}
    for _, group in groupby(changes, lambda row: row["user_key"]):
        history = sorted(
            group,
            key=lambda r: (r["at"] is not None, r["at"] or 0, r["event_id"], r["source_row"]),
        )
        names, links = read(history, options, ids_are_given)
        for row in history:
            acts = {"reject": [], "label": [], "ignore": []}
            for name in names[row["source_row"]]:
                acts[options.actions.get(name, default_action(name))].append(name)
            link = links.get(row["source_row"])
            context = dict(row["context"]) | ({} if link is None else {"purchase_event_id": link})
            if row["_own"]:
                labels = row["labels"] + acts["label"]
                expected[row["source_row"]] = (acts["reject"], labels, context)
    found = judged(rows(*changes), ids_are_given, **_fields(options))
    assert found == expected


def _fields(options):
    return {name: getattr(options, name) for name in CleanOptions.__dataclass_fields__}


@given(st.lists(ROW, max_size=12), OPTIONS)
def test_rows_kept_and_rows_removed_stay_in_the_order_of_the_rules(changes, options):
    changes.sort(key=lambda row: row["user_key"])
    table = rows(*changes)
    alone = replace(options, bots=BotOptions(None, None, None, hours_per_day=None))
    for part in _parts(table, alone):
        keys = [
            (r["user_key"], r["event_time"] is not None, r["event_time"] or 0, r["event_id"])
            for r in part.to_pylist()
        ]
        assert keys == sorted(
            keys, key=lambda key: (*key[:2], key[2] and key[2].timestamp(), key[3])
        )


def _parts(table, options):
    return judge_users(table, NeighbourRules(options, ids_are_given=True))
