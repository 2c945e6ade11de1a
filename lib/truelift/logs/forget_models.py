"""Which registered models have learned from a person's rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from truelift.lake.lake import lake_root
from truelift.lake.tables import TABLES
from truelift.logs.person import Person, condition_of, shares_keys
from truelift.model_store import ModelStore

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job


def models_trained_on(job: Job, person: Person, users: DataFrame) -> tuple[str, ...]:
    """Registered models whose run read a version of a table that held a person.

    To be asked while the versions can still be read. A version that cannot be read any more,
    or whose keys are of another secret, counts as one that held the person.

    Parameters
    ----------
    users : DataFrame
        Every user with the key under the secret in use (``user_key``).

    Returns
    -------
    tuple of str
        ``name, version N``.
    """
    import mlflow
    from mlflow.tracking import MlflowClient

    mlflow.set_tracking_uri(job.settings.tracking.uri)
    client = MlflowClient()
    held: dict[tuple[str, int], bool] = {}
    found = []
    for name, version, run_id in ModelStore().versions():
        for table in _tables_read(job, client, run_id):
            if table not in held:
                held[table] = _holds(job, *table, person, users)
            if held[table]:
                found.append(f"{name}, version {version}")
                break
    return tuple(sorted(found))


def _tables_read(job: Job, client: Any, run_id: str | None) -> Iterator[tuple[str, int]]:
    """Tables of this lake that a run read, and at which version.

    MLflow knows a data set by name and digest alone, so the lake is asked of the run's
    settings. A run whose lake cannot be told is taken for one of this lake.
    """
    if not run_id:
        return
    run = client.get_run(run_id)
    lake = run.data.params.get("lake", "")
    if lake.startswith("/") and lake_root(lake) != job.lake.root:
        return
    for item in run.inputs.dataset_inputs:
        name, digest = item.dataset.name, item.dataset.digest.removeprefix("v")
        if name in TABLES and digest.isdigit() and job.lake.version(name) is not None:
            yield name, int(digest)


def _holds(job: Job, name: str, version: int, person: Person, users: DataFrame) -> bool:
    from pyspark.sql import functions as F

    try:
        table = job.lake.read(name, version)
        condition = F.expr(condition_of(job, name))
        own = table.alias("t").join(
            F.broadcast(person.frame(job)).alias("f"), condition, "left_semi"
        )
        if not own.isEmpty():
            return True
        return "user_key" in table.columns and not shares_keys(
            table.select("user_key").dropna(), users
        )
    except Exception:  # its files may be purged, its columns may have been others
        return True
