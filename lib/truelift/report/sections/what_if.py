"""What if we showed other things? Lists by what comes next beside lists by what being shown changes."""

from __future__ import annotations

from truelift.recommend.results import ListedItem, TwoLists, WhatIf
from truelift.report.content import ReportContent
from truelift.report.markup import Html, element, note, section, table
from truelift.report.numbers import count, interval, level, number, share
from truelift.report.section import Section

HEADING = "What if we showed other things?"
_HUNDRED = 100.0


def what_if(content: ReportContent) -> Html | None:
    """The value of changing lists, and lists of some users side by side; None where effects are not known."""
    found = content.result(WhatIf)
    if found is None:
        return None
    return section(
        "what-if", HEADING, element("p", _learnt(found)), _finding(found),
        *(_pair(two) for two in found.examples), element("p", _limits(found)),
    )  # fmt: skip


def _learnt(found: WhatIf) -> str:
    lot = (
        f" A share of {share(found.explore)} of each place is filled by lot, so that the next round can be learnt from."
        if found.explore
        else ""
    )
    return (
        f"From {count(found.lists)} lists that were shown, and {count(found.purchases)} purchases after them, "
        "we know what showing an item adds. The most likely purchase is often one that happens anyway; "
        f"a list gains by what it changes. Lists here are made by {found.by}.{lot}"
    )


def _finding(found: WhatIf) -> Html:
    gain, ends = _HUNDRED * found.gain, (_HUNDRED * found.lower, _HUNDRED * found.upper)
    better, worse = found.lower > 0, found.upper < 0
    title = (
        "Other lists would bring more purchases"
        if better
        else "Other lists would bring fewer purchases"
        if worse
        else "Whether other lists would bring more is open"
    )
    text = (
        f"In 100 lists, those by effect bring {number(gain, 1, signed=True)} purchases against those by "
        f"relevance ({level(found.confidence)} interval {interval(*ends, 1, signed=True)}): "
        f"{number(_HUNDRED * found.by_relevance, 1)} additional purchases by relevance, "
        f"{number(_HUNDRED * found.by_effect, 1)} by effect. The two share {share(found.shared)} of their items, "
        f"over {count(found.users)} users."
    )
    return note("good" if better else "warning", title, element("p", text, class_="finding"))


def _pair(two: TwoLists) -> Html:
    usual = {item.name for item in two.relevance}
    before = {item.name for item in two.effect}
    return element(
        "article",
        element("h3", f"User {two.user_key}"),
        _listed("By relevance", two.relevance, before, "left out"),
        _listed("By effect", two.effect, usual, "new"),
        element("p", _why(two)),
        class_="card",
    )


def _listed(title: str, items: tuple[ListedItem, ...], other: set[str], tag: str) -> Html:
    rows = [
        (
            item.name if item.name in other else f"{item.name} ({tag})",
            share(item.relevance),
            f"{number(_HUNDRED * item.effect, 1, signed=True)} "
            f"({interval(_HUNDRED * item.lower, _HUNDRED * item.upper, 1, signed=True)})",
            count(item.times),
        )
        for item in items
    ]
    header = ("Item", "Comes next", "Added in 100 lists", "Times shown")
    return table(title, header, rows, frozenset({1, 2, 3}))


def _why(two: TwoLists) -> str:
    """The largest exchange, in a sentence."""
    kept = {item.name for item in two.effect} & {item.name for item in two.relevance}
    leaving = [item for item in two.relevance if item.name not in kept]
    coming = [item for item in two.effect if item.name not in kept]
    if not leaving or not coming:
        return "Both lists have the same items."
    out, into = min(leaving, key=lambda i: i.effect), max(coming, key=lambda i: i.effect)
    why = "showing it spoils sales" if out.upper < 0 else "it is bought with or without the list"
    return (
        f"{out.name} leaves: it comes next with a chance of {share(out.relevance)}, and showing it adds "
        f"{number(_HUNDRED * out.effect, 1, signed=True)} purchases in 100 lists ({why}). {into.name} comes in for "
        f"{number(_HUNDRED * into.effect, 1, signed=True)}."
    )


def _limits(found: WhatIf) -> str:
    wider = (
        f" Users who come again widen the errors' squares up to {number(found.clustering, 1)} times."
        if found.clustering > 1
        else ""
    )
    return (
        "One half of the users chose the lists and the other half judged them, both ways, so the gain is not "
        "the luck of what was picked. An effect is looked for in purchases from the item's own category, within the "
        f"window after a list.{wider} Only an experiment says it for sure: truelift design_experiment plans one."
    )


WHATIF = Section("what-if", HEADING, 27, what_if, reads=(WhatIf,))
