"""The job ``recommend``: the registered model's items for every user, bucket by bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from truelift.errors import DataError, JobFailure, TableError
from truelift.models.histories import COLUMNS, Histories
from truelift.models.package import ModelPackage
from truelift.recommend.results import RecommendationExample, RecommendResult

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.steps import StepReport

EXAMPLES = 5
RECENT_ITEMS = 5
_SCHEMA = pa.schema(
    [
        ("user_key", pa.string()),
        ("rank", pa.int32()),
        ("item_key", pa.string()),
        ("score", pa.float64()),
        ("reason", pa.string()),
        ("bucket", pa.int32()),
    ]
)


@dataclass(frozen=True)
class RecommendKernel:
    """Rows of ``gold.recommendations`` for the users of one bucket.

    Parameters
    ----------
    package : bytes
        The model; it travels with the kernel, so a worker needs no access to the registry.
    count : int
        Items a user.
    seen_items : str
        ``'keep'`` or ``'drop'``.
    """

    package: bytes
    count: int
    seen_items: str

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """Score the bucket's users, by user key."""
        from truelift.recommend.scorer import loaded

        scorer = loaded(self.package)
        histories = Histories.from_arrow(tables["sequences"].sort_by("user_key"))
        items, scores = scorer.top(histories, self.count, self.seen_items)
        keys = np.array(("", *scorer.item_keys), dtype=object)
        user, place = np.nonzero(items)
        chosen = items[user, place]
        return pa.table(
            {
                "user_key": histories.users[user],
                "rank": place + 1,
                "item_key": keys[chosen],
                "score": scores[user, place],
                "reason": reasons(histories, user, chosen),
                "bucket": np.full(len(user), bucket),
            },
        ).cast(_SCHEMA)


def reasons(histories: Histories, user: np.ndarray, item: np.ndarray) -> list[str]:
    """What the history says about each recommended item; the order itself is the model's."""
    span = int(max(item.max(initial=0), histories.items.max(initial=0))) + 1
    opens = histories.session_starts()
    sessions = np.bincount(histories.owner[opens], minlength=len(histories))
    cells, times = np.unique(histories.owner * span + histories.items, return_counts=True)
    if len(cells) == 0:
        return ["no history: popular start of the sequence model"] * len(user)
    wanted = user * span + item
    place = np.minimum(np.searchsorted(cells, wanted), len(cells) - 1)
    found = np.where(cells[place] == wanted, times[place], 0)
    return [_reason(int(n), int(sessions[u])) for n, u in zip(found, user, strict=True)]


def _reason(times: int, sessions: int) -> str:
    if sessions == 0:
        return "no history: popular start of the sequence model"
    if times == 0:
        return f"new to the user: sequence model on {sessions} sessions"
    return f"in {times} of the user's {sessions} sessions: sequence model"


def recommend(job: Job) -> StepReport:
    """Rank for all users with the registered model and write ``gold.recommendations``.

    Raises
    ------
    TableError
        If no model is registered yet, or it was trained on other items.
    JobFailure
        If a user is left without recommendations.
    """
    from truelift.lake.tables import table_spec
    from truelift.steps import StepReport

    options = job.settings.recommend
    version, package = load_challenger(job)
    job.run.log_tags({"truelift.model_version": version})
    _check_vocabulary(job, package)
    plan = job.plan("gold.sequences", [*COLUMNS, "bucket"])
    kernel = RecommendKernel(package.to_bytes(), options.per_user, options.seen_items)
    frame = job.lake.map_buckets(
        kernel, {"sequences": plan}, table_spec("gold.recommendations").schema()
    )
    job.progress.update("scoring all users")
    commit = job.replace("gold.recommendations", frame)
    users = job.read("gold.recommendations").select("user_key").distinct().count()
    sequences = job.read("gold.sequences").count()
    if users != sequences and options.seen_items == "keep":
        raise JobFailure(
            f"gold.recommendations: found {users} users, expected the {sequences} of "
            "gold.sequences."
        )
    result = RecommendResult(users, commit.rows, options.seen_items, _examples(job), version)
    job.log_metrics({"users": users, "recommendations": commit.rows})
    job.save_result(result)
    headline: dict[str, float | str | int] = {
        "users": users,
        "seen items": options.seen_items,
        "model version": version,
    }
    return StepReport(sequences, commit.rows, headline)


def load_challenger(job: Job) -> tuple[str, ModelPackage]:
    """The model that the last training registered, else the alias ``challenger``.

    Returns
    -------
    version, package
        The registered version, pinned before anything is scored.

    Raises
    ------
    TableError
        If there is none.
    """
    import mlflow

    from truelift.recommend.pyfunc import read_package
    from truelift.tracking import CHALLENGER
    from truelift.training.results import TrainingResult

    name = job.settings.tracking.model_name
    trained = job.load_result(TrainingResult)
    try:
        if trained is not None and trained.model_version is not None:
            version = trained.model_version
        else:
            found = mlflow.MlflowClient().get_model_version_by_alias(name, CHALLENGER)
            version = str(found.version)
        uri = f"models:/{name}/{version}"
        folder = mlflow.artifacts.download_artifacts(uri, dst_path=str(job.workdir / "model"))
    except mlflow.exceptions.MlflowException as error:
        raise TableError(
            f"The registry has no model {name} to recommend with ({error}). Run train_sequence."
        ) from error
    return version, read_package(Path(folder))


def _check_vocabulary(job: Job, package: ModelPackage) -> None:
    from truelift.training.job import vocabulary

    if vocabulary(job) != package.item_keys:
        raise DataError(
            "gold.items has other items than the registered model was trained on; run "
            "train_sequence again."
        )


def _examples(job: Job) -> tuple[RecommendationExample, ...]:
    """A few users with middling histories, by user key, with names in place of keys."""
    from pyspark.sql import functions as F

    items = job.read("gold.items").select("item_index", "item_key", "name").collect()
    by_key = {r.item_key: r.name or r.item_key for r in items}
    by_index = {r.item_index: by_key[r.item_key] for r in items}
    some = (
        job.read("gold.sequences")
        .where(F.size("item_index") >= RECENT_ITEMS)
        .orderBy(F.xxhash64("user_key"), "user_key")
        .limit(EXAMPLES)
        .select("user_key", F.slice("item_index", -RECENT_ITEMS, RECENT_ITEMS).alias("recent"))
        .collect()
    )
    users = [r.user_key for r in some]
    ranked: dict[str, list[str]] = {u: [] for u in users}
    recommended = job.read("gold.recommendations").where(F.col("user_key").isin(users))
    for row in recommended.orderBy("user_key", "rank").collect():
        ranked[row.user_key].append(by_key[row.item_key])
    return tuple(
        RecommendationExample(
            r.user_key, tuple(by_index[i] for i in reversed(r.recent)), tuple(ranked[r.user_key])
        )
        for r in some
    )
