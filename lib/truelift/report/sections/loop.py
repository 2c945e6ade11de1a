"""The closed loop in a simulated shop: what strategies brought by round, and whether forecasts held.

The same section stands in the report and on the page of ``run_loop``. Its people do not exist: it says
so before it says anything else.
"""

from __future__ import annotations

from math import isfinite

from truelift.loop.results import COMPARED, TOLD, Comparison, LoopResult
from truelift.loop.table import ORACLE
from truelift.report.content import ReportContent
from truelift.report.markup import Html, bullets, element, fragment, note, section, table
from truelift.report.numbers import count, level, number, plural
from truelift.report.plots.loop import forecasts_and_what_came, loop_curves
from truelift.report.section import Figures, Section
from truelift.report.svg import figure_block

HEADING = "What do lists by effect bring, round after round?"
_EFFECT = "effect"
#: Strategies for people who have not read docs/loop.md.
_MEANS = {
    "nothing": "no lists at all",
    "random": "items by lot",
    "popularity": "what is bought most",
    "relevance": "what such a visitor buys most likely anyway",
    "click_greedy": "what is clicked most",
    "bandit": "what is clicked and then bought, with room to try",
    "effect": "what is bought because it was shown",
    "value": "profit that showing brings, within a budget",
    "oracle": "the truth, which no shop knows: the best there is",
}


def loop(content: ReportContent) -> Html | None:
    """Curves, comparisons and forecasts of a loop; None where there is none."""
    found = content.result(LoopResult)
    if found is None:
        return None
    return section(
        "loop", HEADING, _simulated(found), _finding(found),
        figure_block(
            lambda width: loop_curves(found, width),
            "loop-curves",
            f"By round, in {plural(len(found.seeds), 'simulated shop')} of {count(found.users)} users"
            f"{_bands(found)}. Round 1 is drawn by lot for all.",
            "Measures of every strategy by round.",
        ),
        _strategies(found),
        _missed(found),
        _last_round(found),
        *(_forecasts(found, h.strategy) for h in found.held() if h.strategy == _EFFECT),
        _held(found),
    )  # fmt: skip


def _simulated(found: LoopResult) -> Html:
    """That none of this is about the reader's own users."""
    rounds = len(found.curve(found.against, "purchases").mean)
    return note(
        "warning",
        "A simulated shop, not your data",
        element(
            "p",
            f"Nobody in this section exists. In the world {found.world!r} of truelift the truth is known, so that "
            f"one can see what deciding by effects brings: over {plural(rounds, 'round')} a strategy fills lists, "
            "people react, and what it learns decides about the next lists. How much it brings in your "
            "shop, only an experiment there can tell.",
        ),
    )


def _bands(found: LoopResult) -> str:
    return "" if len(found.seeds) < 2 else f", with {level(found.confidence)} bands over shops"


def _strategies(found: LoopResult) -> Html:
    """What every line is, and what it brought over the rounds that it decided."""
    held = {(c.strategy, c.measure): c for c in found.comparisons()}
    rows = []
    for name in found.strategies:
        differences = [held.get((name, measure)) for measure in COMPARED]
        cells = ["" if c is None else _difference(c) for c in differences]
        rows.append((name.replace("_", " "), _MEANS.get(name, ""), *cells))
    against = found.against.replace("_", " ")
    header = (
        "Strategy",
        "It shows",
        *(f"{w.capitalize()} against {against}" for w in COMPARED.values()),
    )
    return table(
        "What strategies brought, all rounds after the first", header, rows, frozenset({2, 3})
    )


def _difference(compared: Comparison) -> str:
    if not isfinite(compared.lower):
        return f"{compared.difference:+,.0f}"
    return f"{compared.difference:+,.0f} ({compared.lower:+,.0f} to {compared.upper:+,.0f})"


def _missed(found: LoopResult) -> Html | None:
    """Regrets, in sentences."""
    told = [element("span", r.sentence().replace("_", " ") + ".") for r in found.regrets()]
    return bullets(told) if told else None


def _finding(found: LoopResult) -> Html:
    """Who brought more of all purchases than the one that all are held against.

    What lists add to their readers' purchases, summed up, may be what others would have bought: it does not win.
    """
    held = {(c.strategy, c.measure): c for c in found.comparisons() if c.strategy != ORACLE}
    main = [c for (_, measure), c in held.items() if measure == "purchases"]
    best = max(main, key=lambda c: c.difference, default=None)
    if best is None:
        return element("p", "One strategy alone: nothing to compare it with.")
    told = [held[best.strategy, measure].sentence().replace("_", " ") for measure in COMPARED]
    shifts = [c for c in main if held[c.strategy, "additional_total"].wins and not c.wins]
    return note(
        "good" if best.wins else "warning",
        _title(found, best),
        *(element("p", f"{sentence}.", class_="finding") for sentence in told),
        *(element("p", _shifted(c)) for c in shifts),
    )


def _shifted(compared: Comparison) -> str:
    strategy, against = (n.replace("_", " ") for n in (compared.strategy, compared.against))
    return (
        f"{strategy} adds more to its readers' purchases than {against}, and not surely more to all purchases: "
        "what it sells to one, another would have bought or had."
    )


def _title(found: LoopResult, best: Comparison) -> str:
    strategy, against = (n.replace("_", " ") for n in (best.strategy, found.against))
    if best.wins:
        return f"{strategy} brought most, and surely more than {against}"
    if best.difference > 0:
        return f"No strategy surely brought more than {against}; {strategy} brought most here"
    return f"No strategy brought more than {against}"


def _last_round(found: LoopResult) -> Html:
    # Regrets are none where the oracle was not run.
    told = [m for m in TOLD if isfinite(found.curve(found.against, m).mean[-1])]
    rows = [
        (name.replace("_", " "), *(number(found.curve(name, m).mean[-1], 3) for m in told))
        for name in found.strategies
    ]
    header = ("Strategy", *(TOLD[m].capitalize() for m in told))
    return table(
        "The last round, means over worlds", header, rows, frozenset(range(1, len(header)))
    )


def _forecasts(found: LoopResult, strategy: str) -> Html:
    return figure_block(
        lambda width: forecasts_and_what_came(found, strategy, width),
        "loop-forecasts",
        "What the next lists would bring, estimated from the last round's logs before they were played.",
        "Forecasts with intervals beside what came, by round.",
    )


def _held(found: LoopResult) -> Html | None:
    rows = [
        (h.strategy.replace("_", " "), count(h.forecasts), count(h.truth), count(h.observed))
        for h in found.held()
    ]
    if not rows:
        return None
    header = ("Strategy", "Forecasts", "Held the truth that came", "Held what was seen of it")
    said = (
        "A forecast is about the people of the round before. Where they change from round to round, "
        "its interval, which knows of sampling alone, holds less often."
    )
    return fragment(
        table("Forecasts before play", header, rows, frozenset({1, 2, 3})), element("p", said)
    )


def _plots(content: ReportContent) -> Figures:
    found = content.result(LoopResult)
    if found is None:
        return {}
    figures = {"loop-curves": lambda: loop_curves(found)}
    if any(h.strategy == _EFFECT for h in found.held()):
        figures["loop-forecasts"] = lambda: forecasts_and_what_came(found, _EFFECT)
    return figures


LOOP = Section("loop", HEADING, 65, loop, _plots, (LoopResult,))
