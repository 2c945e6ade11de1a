"""A result as a notebook shows it: plain markup, escaped, without style sheets or scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from truelift.effects.scores.kinds.kind import kind_of
from truelift.effects.telling.decision import decision
from truelift.effects.telling.figures import figure, p_text, percent, places_of
from truelift.effects.telling.names import in_words
from truelift.effects.telling.sentences import (
    check_sentences,
    method_name,
    source_sentence,
    verdict_text,
)

if TYPE_CHECKING:
    from truelift.effects.experiment.results import ExperimentEstimate
    from truelift.effects.results import EffectsResult, Estimate

MOST_ROWS = 60
_LEFT, _RIGHT = "text-align:left", "text-align:right"
_HEADER = ("Outcome", "Effect", "Supported", "Estimate", "Interval", "p", "Over")
_NUMBERS = frozenset({3, 4, 5})


def markup(result: EffectsResult) -> str:
    """Verdict, cautions, a table of the estimates, checks and the closing sentence."""
    told = in_words(result)
    rows = [_row(told, e) for e in told.estimates]
    if told.experiment is not None:
        rows += [_experiment_row(x) for x in told.experiment.estimates]
    parts = [f"<p><strong>Verdict:</strong> {escape(verdict_text(told))}</p>"]
    parts += [f"<p><strong>Caution:</strong> {escape(c.text)}</p>" for c in told.cautions]
    parts.append(table(_HEADER, rows, _NUMBERS))
    parts.append(listed(check_sentences(told)))
    parts.append(listed(f"Not made, {what}: {why}" for what, why in told.not_made.items()))
    parts.append(f"<p>{escape(source_sentence(told))}</p>")
    parts.append(f"<p><strong>For the one who decides:</strong> {escape(decision(told))}</p>")
    return f"<div>{''.join(parts)}</div>"


def _row(result: EffectsResult, e: Estimate) -> tuple[str, ...]:
    supported = {None: "\N{EN DASH}", True: "yes", False: "no"}[result.supports(e)]
    if kind_of(e.estimand).share:
        value, lower, upper = (
            percent(v, signed=True) for v in (e.estimate, e.ci_lower, e.ci_upper)
        )
    else:
        places = places_of(e.standard_error, e.ci_lower, e.ci_upper)
        value = figure(e.estimate, places, signed=bool(e.versus))
        lower, upper = figure(e.ci_lower, places), figure(e.ci_upper, places)
    named = f"{e.estimand}: {compared(e.arm, e.versus)}" if e.arm else e.estimand
    p = "" if e.p_value is None else p_text(e.p_value).removeprefix("p ")
    return e.outcome, named, supported, value, f"{lower} to {upper}", p, e.population


def _experiment_row(x: ExperimentEstimate) -> tuple[str, ...]:
    places = places_of(x.standard_error, x.ci_lower, x.ci_upper)
    return (
        x.outcome,
        f"{method_name(x.method)}: {compared(x.arm, x.versus)}",
        "\N{EN DASH}",
        figure(x.estimate, places, signed=True),
        f"{figure(x.ci_lower, places)} to {figure(x.ci_upper, places)}",
        p_text(x.p_value).removeprefix("p "),
        "units as they were assigned",
    )


def compared(arm: str, versus: str) -> str:
    """An arm, and what it is compared with where it is compared at all."""
    return f"{arm} against {versus}" if versus else arm


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], numeric: frozenset[int] = frozenset()
) -> str:
    """Rows of text as a table; at most ``MOST_ROWS``, the rest is counted."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f'<{tag} style="{_RIGHT if i in numeric else _LEFT}">{escape(cell)}</{tag}>'
            for i, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows[:MOST_ROWS])
    left = len(rows) - MOST_ROWS
    more = f"<p>{left} more rows: to_pandas().</p>" if left > 0 else ""
    return (
        f"<table><thead><tr>{cells('th', header)}</tr></thead><tbody>{body}</tbody></table>{more}"
    )


def listed(sentences: Iterable[str]) -> str:
    """Sentences as a list; nothing for none."""
    items = "".join(f"<li>{escape(text)}</li>" for text in sentences)
    return f"<ul>{items}</ul>" if items else ""


def one_sentence(text: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A smaller result: its sentence and a table."""
    return (
        f"<div><p>{escape(text)}</p>{table(header, rows, frozenset(range(1, len(header))))}</div>"
    )
