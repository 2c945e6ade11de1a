"""The steps in their order: what each reads, writes and depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from truelift.errors import ConfigError

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.settings import Settings
    from truelift.steps import StepReport


@dataclass(frozen=True)
class Step:
    """One job of the pipeline.

    ``reads`` names tables; a trailing ``?`` marks one that a data set may lack. ``writes``
    names those that others wait for. ``after`` names steps whose results (not tables) go in.
    ``foreign`` names functions of the settings that pin inputs outside of these tables, such as
    raw files: each gives texts by name that tell one content from another.
    """

    name: str
    function: str
    summary: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    needs_spark: bool = True
    per_panel: bool = False

    def panel(self, settings: Settings) -> str:
        """The table outside of the steps that an execution is of; empty for the lake's own panel.

        A step that is ``per_panel`` is one of its own for each: effects of X, report of X.
        """
        from truelift.lake.address import TableAddress  # help lists the steps and needs no Arrow

        table = settings.effects.table if self.per_panel else None
        return TableAddress.parse(table).uri if table else ""

    @property
    def module(self) -> str:
        """Where the job's function stands."""
        return self.function.partition(":")[0]

    def run(self, job: Job) -> StepReport:
        """Call the job's function."""
        return resolved(self.function)(job)


STEPS: tuple[Step, ...] = (
    Step(
        "ingest",
        "truelift.logs.ingest:ingest",
        "raw files to bronze, as text, each batch once",
        writes=("bronze.events",),
        sections=("source", "sample"),
        foreign=("truelift.logs.ingest:raw_files",),
    ),
    Step(
        "clean",
        "truelift.logs.clean:clean",
        "bronze to silver and quarantine, every row accounted for",
        reads=("bronze.events", "bronze.identities?"),
        writes=("silver.events", "silver.quarantine"),
        sections=("source", "clean", "buckets", "period", "privacy", "report"),
        foreign=("truelift.logs.pseudonyms:secret_in_use",),
    ),
    Step(
        "sessionize",
        "truelift.logs.sessionize:sessionize",
        "events to sessions with stable ids, bucket by bucket",
        reads=("silver.events",),
        writes=("silver.sessions",),
        sections=("sessions",),
    ),
    Step(
        "build_features",
        "truelift.features.build:build_features",
        "items, users, sequences and exposures",
        reads=(
            "silver.events",
            "silver.sessions",
            "bronze.items?",
            "bronze.users?",
            "bronze.exposures?",
            "bronze.responses?",
            "bronze.identities?",
        ),
        writes=(
            "gold.sequences",
            "gold.items",
            "gold.users",
            "gold.exposures",
            "gold.vocabularies",
        ),
        sections=("source", "clean", "privacy", "features", "buckets"),
        foreign=("truelift.logs.pseudonyms:secret_in_use",),
    ),
    Step(
        "build_panel",
        "truelift.features.panels.step:build_panel_step",
        "units, treatment, outcomes, and what was known before: the panel by its specification",
        reads=(
            "silver.events",
            "silver.sessions",
            "gold.users",
            "gold.exposures?",
            "bronze.items?",
        ),
        writes=("gold.panel",),
        sections=("source", "clean", "features", "panel", "buckets"),
        foreign=("truelift.features.panels.step:pinned_sources",),
    ),
    Step(
        "train_sequence",
        "truelift.training.job:train_sequence",
        "the sequence model, trained by Horovod processes from a scan plan",
        reads=("gold.sequences", "gold.items", "gold.vocabularies?"),
        sections=("sequence", "seed", "tracking"),
        foreign=("truelift.evaluation.given_test:pinned_file",),
    ),
    Step(
        "estimate_effects",
        "truelift.effects.job:estimate_effects",
        "cross-fitted doubly robust effects with clustered intervals",
        reads=("gold.panel?",),
        sections=("effects", "seed", "buckets"),
        foreign=("truelift.effects.panel.pinned:pinned_table",),
        per_panel=True,
    ),
    Step(
        "recommend",
        "truelift.recommend.job:recommend",
        "the next items of every user",
        reads=(
            "gold.sequences",
            "gold.items",
            "gold.vocabularies?",
            "gold.exposures?",
            "silver.events?",
        ),
        writes=("gold.recommendations",),
        sections=("recommend", "tracking", "seed"),
        after=("train_sequence",),
        foreign=("truelift.evaluation.lists:pinned_files",),
    ),
    Step(
        "play_loop",
        "truelift.loop.step:play_loop",
        "strategies of lists against each other, round by round, in a simulated shop",
        writes=("gold.rounds",),
        sections=("loop",),
        foreign=("truelift.loop.pinned:pinned_world",),
        needs_spark=False,
    ),
    Step(
        "report",
        "truelift.report.job:report",
        "one HTML page with plots and the pedigree of every number",
        sections=("report", "dataset"),
        after=(
            "ingest",
            "clean",
            "sessionize",
            "build_features",
            "build_panel",
            "train_sequence",
            "estimate_effects",
            "recommend",
            "play_loop",
        ),
        needs_spark=False,
        per_panel=True,
    ),
)


def step_named(name: str) -> Step:
    """The step of that name.

    Raises
    ------
    ConfigError
        Naming the steps there are.
    """
    for step in STEPS:
        if step.name == name:
            return step
    raise ConfigError(
        f"There is no step {name!r}; the steps are {', '.join(s.name for s in STEPS)}."
    )


def chosen_steps(
    start: str | None = None, only: str | None = None
) -> tuple[list[Step], frozenset[str]]:
    """Steps that a run goes through, and the names of those that run whether they changed or not.

    Raises
    ------
    ConfigError
        For a step that there is not, or both at once.
    """
    if start and only:
        raise ConfigError("--from and --only cannot be given together.")
    if only:
        return [step_named(only)], frozenset({only})
    later = STEPS[STEPS.index(step_named(start)) :] if start else ()
    return list(STEPS), frozenset(step.name for step in later)


def resolved(path: str) -> Callable[..., Any]:
    """The function that ``module:function`` names."""
    module, _, name = path.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
