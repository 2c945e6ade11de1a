"""What the commands of steps share: their options, a look ahead, and running one with what it needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from truelift.command_line import JobCommand, command, layer, setting
from truelift.step_graph import Step

if TYPE_CHECKING:
    from truelift.pipeline import StepOutcome
    from truelift.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="say what would run and why, and run nothing"
)
table_option = layer("--table", metavar="URI[@VERSION]", help="a table of your own")
spec_option = layer("--spec", metavar="NAME", help="of conf/effects, or YAML: see docs/effects.md")
test_option = setting(
    "--test", metavar="FILE", help="interactions that are the test part",
    stands_for=lambda path: [f"sequence.evaluation.test_file={json.dumps(path)}"],
)  # fmt: skip


def interaction_options(function: F) -> F:
    """The options of commands that take a file of interactions."""
    for option in reversed((
        layer(
            "--interactions", metavar="FILE",
            help="lines `user item [seconds]`; the steps before this one run first",
        ),
        setting(
            "--columns", metavar="NAMES", stands_for=_columns,
            help="what the values of a line are, such as user,item,rating,time ('-': leave out)",
        ),
        setting(
            "--min-rating", type=float, metavar="R", stands_for=_least,
            help="interactions rated below this do not count",
        ),
    )):  # fmt: skip
        function = option(function)
    return function


def _columns(text: str) -> Iterator[str]:
    # Text in quotes: to YAML a lone '-' would open a list.
    names = ", ".join(json.dumps(name.strip()) for name in text.split(","))
    yield f"source.columns=[{names}]"


def _least(rating: float) -> Iterator[str]:
    # How many fall short of a wish says nothing about the file.
    yield f"clean.amounts.min_value={rating}"
    yield "clean.max_quarantine_share=1.0"


def command_of(step: Step) -> JobCommand:
    """The command of a step that has no options of its own."""

    def run(settings: Settings, dry_run: bool) -> None:
        run_alone(step.name, settings, dry_run)

    run.__doc__ = f"{step.summary[:1].upper()}{step.summary[1:]}."
    example = f"truelift {step.name} --dataset complete_journey --set sample=0.05"
    return command(example, name=step.name)(dry_run_option(run))


def run_alone(
    name: str,
    settings: Settings,
    dry_run: bool,
    interactions: str | None = None,
    test: str | None = None,
) -> StepOutcome | None:
    """Run a step, after those that a file of interactions has to go through; None where none ran."""
    from truelift.console import step_line
    from truelift.lake import Lake
    from truelift.pipeline import run_step, run_steps_before

    if dry_run:
        show_plan(settings, None, name)
        return None
    if test:
        # Before the steps that it waits for.
        from truelift.evaluation.given_test import check_file

        check_file(settings)
    if interactions:
        for outcome in run_steps_before(name, settings, Lake.open(settings)):
            print(step_line(outcome), flush=True)
    outcome = run_step(name, settings)
    print(step_line(outcome), flush=True)
    return outcome


def show_plan(settings: Settings, start: str | None, only: str | None) -> None:
    """Say what a run would do; a step asked for by name would run in any case."""
    from truelift.console import planned_lines
    from truelift.lake import Lake
    from truelift.plan import plan

    print(planned_lines(plan(settings, Lake.open(settings), start, only)), flush=True)
