"""What the command line prints: a heading, a line a step, a closing table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from truelift.pipeline import StepOutcome
from truelift.plan import PlannedStep
from truelift.progress import duration
from truelift.settings import Settings
from truelift.tracking import ui_command


def heading(settings: Settings) -> str:
    """The run in one line: data set, share of users, lake."""
    share = "all users" if settings.sample == 1 else f"{settings.sample:.2%} of users"
    return f"truelift · {settings.dataset} · {share} · lake {settings.lake}"


def step_line(outcome: StepOutcome) -> str:
    """One finished step: rows in, rows out, time, headline."""
    record = outcome.record
    if outcome.skipped:
        return f"{record.step:<17} unchanged, skipped (ran {record.finished})"
    rows = f"{record.rows_in:>11,} → {record.rows_out:>11,} rows"
    line = f"{record.step:<17} {rows}  {duration(record.seconds):>12}  {_headline(record.headline)}"
    return "\n".join((line, *(f"  note: {note}" for note in record.notes)))


def planned_lines(planned: Sequence[PlannedStep]) -> str:
    """What a run would do, a line a step with a line for each reason, and how many would run."""
    lines = []
    for found in planned:
        if not found.runs:
            lines.append(f"{found.step:<17} unchanged (ran {found.last})")
            continue
        lines.append(f"{found.step:<17} {'cannot run yet' if found.stuck else 'would run'}")
        lines += [f"{'':<17} - {reason}" for reason in found.reasons]
    runs = sum(found.runs for found in planned)
    lines += ["", f"{runs} of {len(planned)} steps would run. Nothing was run or written."]
    return "\n".join(lines)


def closing_table(outcomes: list[StepOutcome], settings: Settings) -> str:
    """All steps, then where to look."""
    lines = ["", f"{'step':<17} {'rows in':>11} {'rows out':>11} {'time':>13}  outcome"]
    for outcome in outcomes:
        record = outcome.record
        time = "skipped" if outcome.skipped else duration(record.seconds)
        lines.append(
            f"{record.step:<17} {record.rows_in:>11,} {record.rows_out:>11,} {time:>13}  "
            f"{_headline(record.headline)}"
        )
    total = sum(o.record.seconds for o in outcomes if not o.skipped)
    page = Path(settings.report.path) / "index.html"
    lines += ["", f"total {duration(total)}"]
    if page.is_file():
        lines.append(f"report     {page}")
    lines.append(f"MLflow UI  {ui_command(settings)}")
    return "\n".join(lines)


def _headline(headline: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_figure(value)}" for key, value in headline.items())


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
