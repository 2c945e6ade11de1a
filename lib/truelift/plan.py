"""What a run would do, and why: ``truelift plan``. Nothing is written, and Spark is not started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from truelift.config import without_secrets
from truelift.errors import TrueliftError
from truelift.step_graph import Step, chosen_steps
from truelift.step_identity import StepIdentity, identity_of, lost
from truelift.steps import StepRecord, StepStore

if TYPE_CHECKING:
    from truelift.lake import Lake
    from truelift.settings import Settings

_MOST_NAMED = 4


@dataclass(frozen=True)
class PlannedStep:
    """What would become of one step.

    Attributes
    ----------
    step : str
    runs : bool
        Whether it would run.
    reasons : tuple of str
        Why it would run; what stands in its way.
    last : str
        When it last finished, empty if it never did.
    stuck : bool
        Whether it would fail for what it reads, as things are.
    """

    step: str
    runs: bool
    reasons: tuple[str, ...] = ()
    last: str = ""
    stuck: bool = False


def plan(
    settings: Settings, lake: Lake, start: str | None = None, only: str | None = None
) -> tuple[PlannedStep, ...]:
    """What :func:`~truelift.pipeline.run_pipeline` would do with the same arguments.

    Raises
    ------
    ConfigError
        For a step that there is not.
    """
    chosen, forced = chosen_steps(start, only)
    store, planned = StepStore(lake.root), []
    running: list[Step] = []
    for step in chosen:
        found = _planned(step, settings, lake, store, running, step.name in forced)
        planned.append(found)
        if found.runs:
            running.append(step)
    return tuple(planned)


def _planned(
    step: Step, settings: Settings, lake: Lake, store: StepStore, running: list[Step], forced: bool
) -> PlannedStep:
    last = store.read(step.name, step.panel(settings))
    finished = last.finished if last else ""
    waits = tuple(_waits(step, running))
    asked = ("asked for",) if forced else ()
    try:
        identity = identity_of(step, settings, lake, store)
    except TrueliftError as error:
        if waits:
            return PlannedStep(step.name, True, (*asked, *waits), finished)
        return PlannedStep(step.name, True, (*asked, str(error)), finished, stuck=True)
    changed = tuple(changes(last, identity)) if last else ("it has not run on this lake yet",)
    gone = lost(last, lake) if last else ()
    reasons = (*asked, *changed, *gone, *waits)
    return PlannedStep(step.name, bool(reasons), reasons, finished)


def _waits(step: Step, running: list[Step]) -> Iterator[str]:
    reads = {name.rstrip("?") for name in step.reads}
    for earlier in running:
        if tables := [name for name in earlier.writes if name in reads]:
            yield f"{earlier.name} runs before it and may write {_listed(tables)} anew"
        elif earlier.name in step.after:
            yield f"{earlier.name} runs before it"


def changes(last: StepRecord, now: StepIdentity) -> Iterator[str]:
    """What is different from when the step last finished, in sentences; none if nothing is."""
    if last.fingerprint == now.fingerprint:
        return
    then = last.identity
    if not then:
        yield "it was last run by a truelift that did not record what it ran with"
        return
    said = [
        *_code_changes(then.get("code", {}), now.code),
        *_setting_changes(then.get("settings", {}), without_secrets(dict(now.settings))),
        *_version_changes(then.get("inputs", {}), now.inputs, "version "),
        *_version_changes(then.get("foreign", {}), now.foreign, ""),
        *(
            f"{name} has run again with something else"
            for name, print_ in now.after.items()
            if then.get("after", {}).get(name) != print_
        ),
    ]
    yield from said or ["a setting that is kept secret has changed"]


def _code_changes(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    changed = [name for name in now if name in then and then[name] != now[name]]
    for names, what in (
        (changed, "changed"),
        ([name for name in now if name not in then], "is new to it"),
        ([name for name in then if name not in now], "is no part of it any more"),
    ):
        if names:
            yield f"code: {_listed(names)} {what}"


def _setting_changes(then: Any, now: Any, key: str = "") -> Iterator[str]:
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys([*now, *then]):
            below = f"{key}.{name}" if key else name
            yield from _setting_changes(then.get(name), now.get(name), below)
    elif then != now:
        yield f"{key}: {_shown(then)} → {_shown(now)}"


def _version_changes(then: Mapping[str, Any], now: Mapping[str, Any], word: str) -> Iterator[str]:
    for name in dict.fromkeys([*now, *then]):
        old, new = then.get(name), now.get(name)
        if old == new:
            continue
        if old is None or new is None:
            yield f"{name} is {'new' if old is None else 'not read any more'}"
        elif word or (str(old).isdigit() and str(new).isdigit()):
            yield f"{name}: {word or 'version '}{old} → {new}"
        else:
            yield f"{name} changed"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _shown(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
