"""What do people need? The needs that ``fit_needs`` found, and what acting changes."""

from __future__ import annotations

from functools import partial

from truelift.graph.need.results import NeedsResult
from truelift.graph.need.spec import NUMBERS
from truelift.report.content import ReportContent
from truelift.report.markup import Html, bullets, element, section, table
from truelift.report.numbers import EN_DASH, count, interval, level, number, share
from truelift.report.plots.needs import needs_forest, shown_effects
from truelift.report.section import Figures, Section
from truelift.report.svg import figure_block

HEADING = "What do people need?"


def needs(content: ReportContent) -> Html | None:
    """How many needs there are, what shows them, what moves them; None where none were learned."""
    result = content.result(NeedsResult)
    if result is None:
        return None
    parts: list[Html | None] = [element("p", _whence(result)), _tried(result), _shows(result)]
    if shown_effects(result):
        parts += [
            figure_block(
                partial(needs_forest, result), "needs-effects", "What acting changes at the step that it is for.",
                "; ".join(f"{e.intervention} on {e.of}: {e.estimate:+.3f}" for e in shown_effects(result)),
            ),
            _effects(result),
        ]  # fmt: skip
    parts += [_moves(result), bullets([*result.notes, *_believed(result)])]
    return section("needs", HEADING, *parts)


def _whence(result: NeedsResult) -> str:
    return (
        f"{len(result.needs)} needs behind {count(result.rows)} steps of {count(result.users)} users in {result.table}. A "
        "need is what makes behaviour and outcomes go together from step to step; its name is yours to give."
    )


def _tried(result: NeedsResult) -> Html:
    rows = [
        (
            f"{t.needs}{' (taken)' if t.needs == len(result.needs) else ''}", number(t.held_out, 3),
            number(t.behind, 3), number(t.standard_error, 3),
        )
        for t in result.tried
    ]  # fmt: skip
    return table(
        "How likely each number of needs makes users that it was not learned from (nats a user)",
        ("Needs", "Log-likelihood", "Behind the best", "Standard error"), rows, frozenset({1, 2, 3}),
    )  # fmt: skip


def _shows(result: NeedsResult) -> Html:
    names = [n.name for n in result.needs]
    if result.model == NUMBERS:
        return table(
            "What one more of each need adds (a need is counted in what chance moves it by in a step)", ("", *names),
            [(key, *(number(n.shows[key]) for n in result.needs)) for key in result.needs[0].shows],
            frozenset(range(1, len(names) + 1)),
        )  # fmt: skip
    rows: list[tuple[str, ...]] = [
        ("share of the steps", *(f"{share(n.share)} ({share(n.share_lower)} to {share(n.share_upper)})" for n in result.needs))
    ]  # fmt: skip
    rows += [(key, *(number(n.shows[key]) for n in result.needs)) for key in result.needs[0].shows]
    return table(
        "What shows each need: chances of levels, means of counts and numbers",
        ("", *names), rows, frozenset(range(1, len(names) + 1)),
    )  # fmt: skip


def _effects(result: NeedsResult) -> Html:
    rows = [
        (
            f"{e.intervention} against {e.versus}", e.of, number(e.estimate, 4, signed=True),
            interval(e.ci_lower, e.ci_upper, 4, signed=True),
        )
        for e in shown_effects(result)
    ]  # fmt: skip
    return table(
        f"What acting changes, with {level(result.confidence)} intervals clustered by user",
        ("Acting", "On", "Change", "Interval"), rows, frozenset({2, 3}),
    )  # fmt: skip


def _moves(result: NeedsResult) -> Html | None:
    names = [n.name for n in result.needs]
    if result.model == NUMBERS:
        later = [
            (name, *(number(v) for v in row))
            for matrix in result.moves.values()
            for name, row in zip(names, matrix, strict=True)
        ]
        return table(
            "How needs go on: what one more of a need adds a step later", ("One more of", *(f"to {n}" for n in names)),
            later, frozenset(range(1, 1 + len(names))),
        )  # fmt: skip
    if not result.moves or len(result.needs) < 2:
        return None
    rows = [
        (shown, name, *(number(v) for v in row))
        for shown, matrix in result.moves.items()
        for name, row in zip(names, matrix, strict=True)
    ]
    return table(
        "Where needs go: chances of the next need, by what is shown before it",
        ("Shown", "From", *(f"to {n}" for n in names)), rows, frozenset(range(2, 2 + len(names))),
    )  # fmt: skip


def _believed(result: NeedsResult) -> list[str]:
    found = [
        f"{result.agreed} of {result.starts} starts came to this {EN_DASH} where others are as likely and differ, nothing "
        "is said.",
        "A need is no covariate: effects that are adjusted for it are not identified by that.",
    ]
    if result.inputs and result.moves:
        found.append(
            "What was shown may depend on all that was seen before, and not on the need itself; it acts on what is "
            "seen through the need alone. Intervals take the number of needs as it is: with too few, effects may "
            "even have the wrong sign, so look whether they stay with one need more."
        )
    if result.model == NUMBERS:
        found.append(
            f"Needs and what they show in go together in straight lines with normal noise. The first {len(result.needs)} columns tell needs "
            "apart: the first shows need 1 alone, the second needs 1 and 2; another order of columns is another writing of the same model."
        )
    return found


def _plots(content: ReportContent) -> Figures:
    result = content.result(NeedsResult)
    if result is None or not shown_effects(result):
        return {}
    return {"needs-effects": partial(needs_forest, result)}


NEEDS = Section("needs", HEADING, 48, needs, _plots, (NeedsResult,))
