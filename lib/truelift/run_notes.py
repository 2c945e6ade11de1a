"""What a stranger reads in MLflow: descriptions of experiments and runs, and a run's parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from truelift.config import describe
from truelift.settings import Settings

#: Settings that identify a run (by its lake ``forget_user`` finds the models of a person), and those
#: that a reader looks for first, whatever their value.
_ALWAYS = ("dataset", "sample", "env", "lake", "seed")
_SOUGHT = {
    "sequence": ("model", "training.loss", "network.units", "histories.max_length",
                 "training.epochs", "training.batch_size", "training.learning_rate",
                 "evaluation.split", "ranks.processes"),
    "effects": ("table", "treatment", "outcomes", "nuisances.learner", "nuisances.folds",
                "support.clip"),
    "sessions": ("timeout_seconds",),
    "source": ("format", "path"),
}  # fmt: skip
_LONGEST = 500


def parameters(settings: Settings, sections: Sequence[str]) -> dict[str, str]:
    """The parameters of a run: few, and only of what its job uses.

    Parameters
    ----------
    settings : Settings
        All of them are in the run's ``resolved.yaml``.
    sections : sequence of str
        Of the settings that the job uses. Of each the settings that differ from the default are
        given, and the few that everybody looks for.
    """
    flat, usual = describe(settings), describe(Settings())
    sought = {f"{section}.{key}" for section in sections for key in _SOUGHT.get(section, ())}
    chosen = [
        key
        for key, value in flat.items()
        if key in _ALWAYS
        or (key in sought and not _is_nothing(value))
        or (key.partition(".")[0] in sections and value != usual.get(key))
    ]
    return {key: str(flat[key])[:_LONGEST] for key in sorted(chosen)}


def _is_nothing(value: Any) -> bool:
    return value is None or value in ([], {})


def experiment_note(settings: Settings) -> str:
    """What is found in an experiment."""
    return (
        f"Runs of truelift on the data set **{settings.dataset}**{_share(settings)}: raw logs to "
        "sessions, a sequence model, effects of treatments, recommendations and a report.\n\n"
        "A run named *pipeline* holds one run for each step that was run; steps whose inputs, "
        "settings and code had not changed were skipped. Every run names the tables that it read "
        "and wrote, with their versions (*Datasets*), its figures, and the whole configuration "
        f"(`resolved.yaml`). The tables are in `{describe(settings)['lake']}`; the registered model is "
        f"`{settings.tracking.model_name}`."
    )


def step_note(
    summary: str, settings: Settings, headline: Mapping[str, float | str | int] | None = None
) -> str:
    """What a run is, and what came out.

    Parameters
    ----------
    summary : str
        What the job does, as the command line says it.
    settings : Settings
    headline : mapping, optional
        Once it is over.
    """
    said = f"{summary[:1].upper()}{summary[1:]}: data set **{settings.dataset}**{_share(settings)}."
    return said if not headline else f"{said}\n\n{_listed(headline.items())}"


def pipeline_note(settings: Settings, steps: Iterable[tuple[str, bool, Mapping[str, Any]]]) -> str:
    """What a run of the pipeline came to.

    Parameters
    ----------
    settings : Settings
    steps : iterable of (str, bool, mapping)
        Name, whether it was skipped, and the headline of each.
    """
    lines = [
        f"* **{name}**{' (unchanged, not run)' if skipped else ''}: "
        + (", ".join(f"{key} {value}" for key, value in headline.items()) or "done")
        for name, skipped, headline in steps
    ]
    return "\n".join([step_note("all steps in order", settings), "", *lines])


def _share(settings: Settings) -> str:
    return "" if settings.sample == 1 else f", **a sample of {settings.sample:.3g} of its users**"


def _listed(pairs: Iterable[tuple[str, Any]]) -> str:
    return "\n".join(f"* {name}: {value}" for name, value in pairs)
