"""The command ``train_causal``: networks of a panel, trained by Horovod and registered in MLflow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truelift.effects.look import check_columns
from truelift.effects.neural.package import CausalPackage
from truelift.effects.nuisances.first_pass import first_moments
from truelift.effects.nuisances.learners.neural import NEURAL, train
from truelift.effects.nuisances.learners.reading import DesignReader
from truelift.effects.panel.selection import selected
from truelift.errors import TableError
from truelift.model_store import ModelStore

if TYPE_CHECKING:
    from truelift.effects.neural.results import NeuralFit
    from truelift.effects.panel.lake_panel import LakePanel
    from truelift.job import Job


@dataclass(frozen=True)
class CausalTraining:
    """What ``train_causal`` leaves behind.

    Parameters
    ----------
    kind, table : str
    table_version, rows, validation_rows, processes : int
    epochs : int
        Epochs run; the folds' models stop at their own best ones.
    validation_loss : float
        Mean over the folds' models, at their best epochs.
    seconds : float
    uri : str
        The registered model, to be named as ``effects.nuisances.learners.neural.model``.
    """

    kind: str
    table: str
    table_version: int
    rows: int
    validation_rows: int
    processes: int
    epochs: int
    validation_loss: float
    seconds: float
    uri: str

    def __str__(self) -> str:
        return (
            f"{self.kind} of {self.table} version {self.table_version}: {self.rows:,} units to "
            f"train on, {self.validation_rows:,} for validation, {self.processes} processes, "
            f"{self.epochs} epochs in {self.seconds:.0f} s, validation loss "
            f"{self.validation_loss:.4f}.\nApply it: learner: neural, neural: "
            f"{{model: '{self.uri}'}}"
        )


def train_causal(job: Job, panel: LakePanel) -> CausalTraining:
    """Train the networks of ``effects`` on a panel and register them.

    Raises
    ------
    DataError, TableError
        For rows that cannot support an estimate.
    """
    options = job.settings.effects
    check_columns(panel.schema, options, panel.name)
    chosen_rows = selected(panel, options)
    columns, source = chosen_rows.columns, chosen_rows.source
    moments = first_moments(source, columns, options, job.progress.update)
    chosen = options.of_learner(NEURAL)
    reader = DesignReader(moments.design, moments.outcomes, moments.columns)
    fit = train(source, reader, options.nuisances.folds, chosen, job.progress.update)
    package = CausalPackage(
        fit.nuisances,
        options.nuisances.folds,
        moments.design,
        moments.outcomes,
        columns.arms.column,
        columns.arms.labels,
        panel.name,
        panel.version,
    )
    for epoch, (trained, held) in enumerate(fit.curve, start=1):
        job.log_metrics({"train_loss": trained, "validation_loss": held}, step=epoch)
    job.log_metrics({"rows": fit.rows, "seconds": fit.seconds, "processes": fit.processes})
    job.log_figure("learning_curve.png", _curve(fit))
    job.progress.update("registering the networks")
    registered = _register(job, package, panel, chosen.kind)
    return CausalTraining(
        chosen.kind,
        panel.name,
        panel.version,
        fit.rows,
        fit.validation_rows,
        fit.processes,
        len(fit.curve),
        float(fit.validation_loss.mean()),
        fit.seconds,
        registered.uri,
    )


def _register(job: Job, package: CausalPackage, panel: LakePanel, kind: str) -> Any:
    from mlflow.models import infer_signature

    from truelift import __version__
    from truelift.effects.neural.pyfunc import FILE, PACKAGE, CausalModel, how_to_call

    path = job.workdir / FILE
    path.write_bytes(package.to_bytes())
    example = _example(panel, package)
    model = CausalModel()
    model._package = package
    return job.run.models.register(
        name=job.settings.tracking.model_name,
        python_model=CausalModel(),
        artifacts={PACKAGE: str(path)},
        signature=infer_signature(example, model.predict(None, example)),
        input_example=example,
        requirements=[f"truelift=={__version__}"],
        tags={
            "model": kind,
            "table": package.table,
            "table_version": str(package.table_version),
        },
        about=(
            "Networks of a treatment and its outcomes (truelift train_causal), which "
            "`effects.nuisances.learners.neural.model` applies to the table version that they were trained on.\n\n"
            f"{how_to_call(package)}"
        ),
        about_version=(
            f"{kind} of {package.table} version {package.table_version}: "
            f"{', '.join(name for name, *_ in package.outcomes)} by "
            f"{', '.join(package.arms)}, {package.folds} folds."
        ),
    )


def _example(panel: LakePanel, package: CausalPackage):  # type: ignore[no-untyped-def]
    from truelift.lake.scan import read_unit

    plan = panel.plan.select(package.design.columns())
    return read_unit(plan, plan.units[0]).slice(0, 3).to_pandas()


def load_package(model: str, folder: Path) -> CausalPackage:
    """The networks of a registered model.

    Raises
    ------
    TableError
        If the registry has no such model, or it is of another kind.
    """
    from truelift.effects.neural.pyfunc import FILE

    key = f"effects.nuisances.learners.neural.model {model}"
    place = ModelStore().download(model, folder, key, "Run train_causal, or leave the key out.")
    path = place / "artifacts" / FILE
    if not path.is_file():
        raise TableError(
            f"{key}: found no networks of train_causal in it; name a model that train_causal "
            "registered."
        )
    return CausalPackage.from_bytes(path.read_bytes())


def _curve(fit: NeuralFit) -> Any:
    """Losses by epoch, and the epochs that the folds' models stopped at."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    epochs = range(1, len(fit.curve) + 1)
    axes.plot(epochs, fit.curve[:, 0], label="training")
    axes.plot(epochs, fit.curve[:, 1], label="validation")
    for epoch in fit.best_epoch:
        axes.axvline(epoch, color="0.8", linewidth=1, zorder=0)
    axes.set(xlabel="epoch", ylabel="loss, mean of the folds' models")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
