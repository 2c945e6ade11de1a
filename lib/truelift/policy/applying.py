"""``truelift apply_policy``: a registered policy over any table, on Spark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from truelift.effects.panel.parts import is_number
from truelift.errors import ConfigError, TableError
from truelift.lake.address import TableAddress
from truelift.lake.foreign import open_foreign
from truelift.policy.package import PolicyPackage

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.policy.off_policy.spec import BanditSpec

DECISIONS = "unit_id string, arm string, best_arm string, propensity double"


@dataclass(frozen=True)
class Applied:
    """What was done: rows decided on, and where they lie."""

    rows: int
    model: str
    uri: str

    def __str__(self) -> str:
        return f"{self.model} decided on {self.rows:,} units: {self.uri}"


def apply_policy(job: Job, model: str, table: str, unit: str, out: str) -> Applied:
    """Write what a policy does with every row of a table, as a Delta table.

    Parameters
    ----------
    job : Job
    model : str
        A version or alias of the registered policy, or a whole address ``models:/NAME@ALIAS``.
    table : str
        Where the units lie: Delta, Parquet or CSV.
    unit : str
        The column that names them; lots go by it.
    out : str
        Where the decisions go; what lies there is replaced.

    Raises
    ------
    TableError
        For a model that is not there, and columns that it needs and the table lacks.
    """
    package = load_policy(model, job.workdir)
    held = open_foreign(TableAddress.parse(table))
    rule = package.rule
    for name in (unit, *rule.numbers, *rule.texts):
        if name not in held.schema.names:
            raise TableError(
                f"{held.name} has no column {name!r}, which the policy {model} looks at; its columns are "
                f"{', '.join(held.schema.names)}."
            )
        kind = held.schema.field(name).type
        if name in rule.numbers and not is_number(kind):
            raise TableError(f"{held.name}, column {name!r}: found type {kind}, expected a number.")
    columns = (unit, *rule.numbers, *rule.texts)
    run = partial(_decisions, text=package.to_text())
    rows = held.rows(job.lake.spark, columns).mapInArrow(run, DECISIONS)
    job.progress.update("deciding")
    rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(out)
    count = job.lake.spark.read.format("delta").load(out).count()
    job.log_metrics({"units": count})
    return Applied(count, model, out)


def load_policy(model: str, folder: Path) -> PolicyPackage:
    """The package of a registered policy.

    Raises
    ------
    TableError
        If the registry has no such model, or it is of another kind.
    """
    import mlflow

    from truelift.policy.pyfunc import FILE

    try:
        place = mlflow.artifacts.download_artifacts(model, dst_path=str(folder))
    except mlflow.exceptions.MlflowException as error:
        raise TableError(
            f"--model {model}: the registry has no such model ({error}). Run learn_policy first."
        ) from error
    path = Path(place) / "artifacts" / FILE
    if not path.is_file():
        raise TableError(f"--model {model}: it is no policy that learn_policy registered.")
    return PolicyPackage.from_text(path.read_text(encoding="utf-8"))


def with_packages(spec: BanditSpec, folder: Path) -> BanditSpec:
    """A specification whose learned policies are read, from files or from the registry.

    Raises
    ------
    TableError
        For a model that is not there, or is no policy.
    """
    read = {
        name: replace(policy, package=_package(policy.model, folder / str(i)).to_text())
        for i, (name, policy) in enumerate(spec.policies.items())
        if policy.model
    }
    return replace(spec, policies={**spec.policies, **read}) if read else spec


def _package(model: str, folder: Path) -> PolicyPackage:
    place = Path(model)
    if not place.is_file():
        return load_policy(model, folder)
    try:
        return PolicyPackage.from_text(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, ConfigError) as error:
        raise TableError(f"{model}: it is no policy that learn_policy made ({error}).") from error


def _decisions(batches: Iterator[pa.RecordBatch], text: str) -> Iterator[pa.RecordBatch]:
    package = PolicyPackage.from_text(text)
    arms, rule = np.array(package.arms), package.rule
    for batch in batches:
        if not batch.num_rows:
            continue
        unit, *held = batch.columns
        numbers, texts = held[: len(rule.numbers)], held[len(rule.numbers) :]
        columns: dict[str, np.ndarray | pa.Array] = {
            name: column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            for name, column in zip(rule.numbers, numbers, strict=True)
        }
        columns |= {n: c.cast(pa.string()) for n, c in zip(rule.texts, texts, strict=True)}
        keys = unit.cast(pa.string())
        made = package.decide(columns, keys)
        yield pa.record_batch(
            {
                "unit_id": keys,
                "arm": pa.array(arms[made.taken], pa.string()),
                "best_arm": pa.array(arms[made.best], pa.string()),
                "propensity": pa.array(made.propensity),
            }
        )
