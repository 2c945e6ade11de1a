"""MLflow: one run a job, under the pipeline's run, with the pedigree of every number."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from truelift.config import without_secrets
from truelift.errors import MachineError
from truelift.model_store import ModelStore
from truelift.run_notes import experiment_note, parameters
from truelift.settings import Settings
from truelift.typed import to_plain

# What MLflow's pages show as a description.
NOTE = "mlflow.note.content"


class JobRun:
    """The MLflow run of one job: what it logs goes through here."""

    def __init__(self, mlflow: Any, run_id: str, settings: Settings):
        self._mlflow = mlflow
        self._settings = settings
        self._logged: set[str] = set()
        self.run_id = run_id

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Numbers of this run; names are flat, with dots between the parts."""
        names = metric_names(list(metrics))
        clean = {names[k]: float(v) for k, v in metrics.items()}
        self._logged |= clean.keys()
        self._mlflow.log_metrics(clean, step=step)

    def log_headline(self, headline: Mapping[str, float | str | int]) -> None:
        """The numbers of a headline, where the job has not logged figures of its own.

        A job that has logged them itself, under names of its own, must not have each one twice.
        """
        if not self._logged:
            self.log_metrics({k: v for k, v in headline.items() if not isinstance(v, str)})

    def describe(self, text: str) -> None:
        """What MLflow shows on top of the run's page (Markdown)."""
        self._mlflow.set_tag(NOTE, text)

    def log_figure(self, name: str, figure: Any) -> None:
        """A matplotlib figure under ``figures/``."""
        self._mlflow.log_figure(figure, f"figures/{name}")

    def log_artifact(self, path: str | Path, folder: str | None = None) -> None:
        """A file as it is."""
        self._mlflow.log_artifact(str(path), folder)

    def log_dict(self, name: str, value: Mapping[str, Any]) -> None:
        """A dictionary as JSON or YAML, by the name's ending."""
        self._mlflow.log_dict(to_plain(dict(value)), name)

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Tags of this run; characters that a tag's name may not have become ``_``."""
        self._mlflow.set_tags({re.sub(r"[^\w\-. /:]", "_", k): v for k, v in tags.items()})

    def log_table(self, name: str, uri: str, version: int, context: str) -> None:
        """A Delta table at a version, as a data set of the run (``context``: input, output)."""
        from mlflow.data.delta_dataset_source import DeltaDatasetSource
        from mlflow.data.meta_dataset import MetaDataset

        source = DeltaDatasetSource(path=uri, delta_table_version=version)
        self._mlflow.log_input(
            MetaDataset(source, name=name, digest=f"v{version}"),  # type: ignore[abstract]
            context=context,
            tags={"delta_version": str(version)},
        )

    def nested(self, name: str, params: Mapping[str, Any], note: str = "") -> NestedRun:
        """Open a run below this one; several may be open at once."""
        client = self._mlflow.MlflowClient()
        experiment = client.get_run(self.run_id).info.experiment_id
        run = client.create_run(
            experiment,
            run_name=name,
            tags={
                "mlflow.parentRunId": self.run_id,
                NOTE: note
                or f"{name[:1].upper()}{name[1:]} of the search for settings in the run above.",
                **origin(self._settings),
            },
        ).info.run_id
        for key, value in params.items():
            client.log_param(run, key, value)
        return NestedRun(client, run)

    @property
    def models(self) -> ModelStore:
        """The registry, in which this run's models come to lie."""
        return ModelStore(origin(self._settings))


class NestedRun:
    """A run below a job's, such as a trial of a search."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self.run_id = run_id

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Numbers of this run, in one request."""
        from mlflow.entities import Metric

        names, now = metric_names(list(metrics)), int(time.time() * 1000)
        made = [Metric(names[k], float(v), now, step or 0) for k, v in metrics.items()]
        self._client.log_batch(self.run_id, metrics=made)

    def finish(self, tags: Mapping[str, str]) -> None:
        """Tag it and close it."""
        for key, value in tags.items():
            self._client.set_tag(self.run_id, key, value)
        self._client.set_terminated(self.run_id)


def origin(settings: Settings) -> dict[str, str]:
    """Tags that say which data a run or a model version comes from, and what share of the users."""
    return {"truelift.dataset": settings.dataset, "truelift.sample": f"{settings.sample:g}"}


def metric_name(name: str) -> str:
    """A name as MLflow takes it: ``ndcg@10`` is ``ndcg_at_10``, other odd characters ``_``.

    Blanks are odd too: a search such as ``metrics.ndcg > 0.1`` has no place for them.
    """
    return re.sub(r"[^\w\-.:/]+", "_", name.replace("@", "_at_")).strip("_")


def metric_names(names: Sequence[str]) -> dict[str, str]:
    """By metric its name in MLflow; those that would share one end in a hash of what sets them apart."""
    found = {name: metric_name(name) for name in names}
    times = Counter(found.values())
    return {
        name: short
        if times[short] == 1
        else f"{short}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"
        for name, short in found.items()
    }


def local_store(uri: str) -> Path | None:
    """The sqlite file behind a tracking URI, or None for a server."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def ui_command(settings: Settings) -> str:
    """The command that opens the MLflow UI on these runs."""
    store = local_store(settings.tracking.uri)
    if store is None:
        return f"MLflow UI: {settings.tracking.uri}"
    shown = store if store.is_absolute() else Path(os.path.relpath(store.resolve()))
    return f"mlflow ui --backend-store-uri sqlite:///{shown} --port 5000"


@contextmanager
def job_run(
    settings: Settings,
    job: str,
    tags: Mapping[str, str],
    parent: str | None = None,
    sections: Sequence[str] = (),
    about: str = "",
) -> Iterator[JobRun]:
    """Start the run of one job.

    Parameters
    ----------
    settings : Settings
        The resolved configuration; logged whole as ``resolved.yaml``.
    job : str
        The run's name.
    tags : mapping
        Fingerprint, code version and the like.
    parent : str, optional
        Run id of the pipeline.
    sections : sequence of str
        Sections of the settings that the job uses: its parameters are made of them
        (:func:`~.run_notes.parameters`).
    about : str
        What the job does; the run's description until the job says more.
    """
    mlflow = connect(settings)
    with mlflow.start_run(
        run_name=job,
        parent_run_id=parent,
        nested=parent is not None,
        log_system_metrics=settings.tracking.system_metrics,
    ) as run:
        mlflow.set_tags(
            {
                "truelift.job": job,
                **origin(settings),
                "truelift.env": settings.env,
                **({NOTE: about} if about else {}),
                **tags,
            }
        )
        mlflow.log_params(parameters(settings, sections))
        mlflow.log_text(
            yaml.safe_dump(without_secrets(to_plain(settings)), sort_keys=False), "resolved.yaml"
        )
        yield JobRun(mlflow, run.info.run_id, settings)


def connect(settings: Settings) -> Any:
    """MLflow pointed at the configured store and experiment.

    Raises
    ------
    MachineError
        If the store cannot be opened.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    # Importing MLflow sets its loggers up, so this comes after it.
    for name in ("alembic", "mlflow", "mlflow.store.db.utils", "mlflow.tracking"):
        logging.getLogger(name).setLevel(logging.ERROR)
    uri = settings.tracking.uri
    store = local_store(uri)
    try:
        if store is not None:
            check_store(store.resolve())
            uri = f"sqlite:///{store.resolve()}"
        mlflow.set_tracking_uri(uri)
        name = settings.tracking.experiment
        if mlflow.get_experiment_by_name(name) is None:
            artifacts = settings.tracking.artifacts
            place = artifacts
            if artifacts is not None and "://" not in artifacts:
                Path(artifacts).resolve().mkdir(parents=True, exist_ok=True)
                place = Path(artifacts).resolve().as_uri()
            mlflow.create_experiment(name, artifact_location=place)
        experiment = mlflow.set_experiment(name)
        if NOTE not in experiment.tags:  # what a person wrote there stays
            mlflow.set_experiment_tag(NOTE, experiment_note(settings))
    except MachineError:
        raise
    except Exception as error:  # of MLflow, SQLAlchemy, requests, ...
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise MachineError(
            f"tracking.uri {uri}: MLflow cannot use it: {said}. Give another store with --set "
            "tracking.uri=sqlite:///FILE, or the address of a server."
        ) from error
    return mlflow


def check_store(path: Path) -> None:
    """Refuse a file that cannot be MLflow's database; MLflow itself tries for two minutes.

    Raises
    ------
    MachineError
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path, timeout=1)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except (OSError, sqlite3.Error) as error:
        if "locked" in str(error):  # by another run, which will be done in a moment
            return
        what = "is a folder" if path.is_dir() else str(error)
        raise MachineError(
            f"tracking.uri: MLflow's database {path} cannot be opened and written: {what}. Give "
            "another file with --set tracking.uri=sqlite:///FILE."
        ) from error
