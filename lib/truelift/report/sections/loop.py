"""The closed loop: what strategies brought, round by round, and whether forecasts held."""

from __future__ import annotations

from truelift.loop.results import TOLD, Comparison, LoopResult
from truelift.report.content import ReportContent
from truelift.report.markup import Html, bullets, element, fragment, note, section, table
from truelift.report.numbers import count, number, plural
from truelift.report.plots.loop import forecasts_and_what_came, loop_curves
from truelift.report.section import Figures, Section
from truelift.report.svg import figure_block

HEADING = "What if we showed other things?"
_ORACLE, _EFFECT = "oracle", "effect"


def loop(content: ReportContent) -> Html | None:
    """Curves, comparisons and forecasts of a loop; None where there is none."""
    found = content.result(LoopResult)
    if found is None:
        return None
    return section(
        "loop", HEADING, _finding(found),
        figure_block(
            lambda width: loop_curves(found, width),
            "loop-curves",
            f"By round; {plural(len(found.seeds), 'world')} of {count(found.users)} users. "
            "Round 1 is the operator's for all.",
            "Measures of every strategy by round.",
        ),
        _last_round(found),
        *(_forecasts(found, h.strategy) for h in found.held() if h.strategy == _EFFECT),
        _held(found),
    )  # fmt: skip


def _finding(found: LoopResult) -> Html:
    """Who brought more than the one that all are held against."""
    compared = found.comparisons()
    main = [c for c in compared if c.measure == "additional_total" and c.strategy != _ORACLE]
    best = max(main, key=lambda c: c.difference, default=None)
    if best is None:
        return element("p", "One strategy alone: nothing to compare it with.")
    return note(
        "good" if best.wins else "warning",
        _title(found, best),
        element("p", best.sentence().replace("_", " ") + ".", class_="finding"),
        bullets([c.sentence().replace("_", " ") for c in compared if c is not best]),
    )


def _title(found: LoopResult, best: Comparison) -> str:
    strategy, against = (n.replace("_", " ") for n in (best.strategy, found.against))
    if best.wins:
        return f"{strategy} brought most, and surely more than {against}"
    return f"No strategy surely brought more than {against}; {strategy} brought most here"


def _last_round(found: LoopResult) -> Html:
    rows = [
        (name.replace("_", " "), *(number(found.curve(name, m).mean[-1], 3) for m in TOLD))
        for name in found.strategies
    ]
    header = ("Strategy", *(text.capitalize() for text in TOLD.values()))
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
    return {} if found is None else {"loop-curves": lambda: loop_curves(found)}


LOOP = Section("loop", HEADING, 28, loop, _plots, (LoopResult,))
