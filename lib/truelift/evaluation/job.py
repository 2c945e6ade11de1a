"""The job ``evaluate_sequence``: registered models beside the baselines, on the lake's test part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from truelift.errors import DataError, TableError
from truelift.evaluation import champion, lists
from truelift.evaluation.by_lot_rows import labels_by_lot
from truelift.evaluation.by_lot_table import judged_on_table
from truelift.evaluation.figures import segments_figure
from truelift.evaluation.given_test import GivenTest
from truelift.evaluation.known_items import known_items
from truelift.evaluation.lake_split import split_of
from truelift.evaluation.named_metrics import named_metrics
from truelift.evaluation.on_spark import PackagedRanker, SparkComparison
from truelift.evaluation.registered import load_models
from truelift.evaluation.results import EvaluationResult
from truelift.evaluation.sampled import WARNING
from truelift.features.vocabulary import vocabulary
from truelift.models.sequence import registry
from truelift.models.sequence.histories import COLUMNS
from truelift.models.sequence.package import ModelPackage
from truelift.models.sequence.registry import CLASSIFICATION

if TYPE_CHECKING:
    from truelift.job import Job


def evaluate_sequence(
    job: Job,
    models: Sequence[str] = (),
    only_items: str | None = None,
    only_users: str | None = None,
) -> EvaluationResult:
    """Evaluate registered models on the test part and log all to one MLflow run.

    Parameters
    ----------
    job : Job
    models : sequence of str
        Versions or aliases; the first is the one that the gains are of. Without any, the
        challenger and the champion, as far as there are.
    only_items, only_users : str, optional
        Files of ids, one a line: only these items compete, only these users are tested.

    Raises
    ------
    TableError
        If the lake has no sequences or the registry no such model.
    DataError
        If a model foretells something else than the first, or knows too few of the items.
    """
    for table in ("gold.sequences", "gold.items"):
        version = job.lake.version(table)
        if version is None:
            raise TableError(f"The lake has no {table}. Run build_features.")
        job.inputs[table] = version
        job.run.log_table(table, job.lake.uri(table), version, "input")
    packages = load_models(job, models)
    first = next(iter(packages.values()))
    keys = vocabulary(job)
    task = registry.entry(first.model).task
    rankers: dict[str, Any] = {}
    for name, package in packages.items():
        if registry.entry(package.model).task != task:
            raise DataError(f"Model {name} foretells something else than the first, {task}.")
        if not champion.knows(package, keys):
            raise DataError(
                f"Model {name} knows less than {champion.LEAST_KNOWN:.0%} of the items of "
                "gold.items; run train_sequence."
            )
        rankers[name] = PackagedRanker(package.to_bytes(), champion.item_index(package, keys))
    configured = job.settings.sequence
    options = replace(configured, histories=replace(configured.histories, step=first.step))
    split, asides = split_of(job, keys)
    if isinstance(split, GivenTest):
        split = replace(split, features=tuple(side_columns(packages.values())))
    classifies = task == CLASSIFICATION
    labels = labels_by_lot(job, keys, task)
    items = int(first.options["items"]) if classifies else len(keys)
    arrays, notes = ({}, ()) if classifies else known_items(job, split, len(keys))
    if only_items is not None:
        ids = lists.read_ids(only_items, "--items")
        arrays["allowed"] = lists.allowed_items(ids, keys, "--items")
        notes += lists.sentence("items", len(ids), int(arrays["allowed"].sum()), "--items")
    if only_users is not None:
        asked = lists.user_keys(job, lists.read_ids(only_users, "--users"))
        split = lists.SomeUsers(split, frozenset(asked.values()))
    plan = job.plan("gold.sequences", [*COLUMNS, *side_columns(packages.values()), "bucket"])
    comparison = SparkComparison(
        job.lake.spark, plan, job.lake.buckets, split, items, options,
        seed=job.settings.seed, arrays=arrays, task=task,
    )  # fmt: skip
    job.progress.update(f"ranking for all users with {', '.join(rankers)}")
    tested = comparison.compare(rankers)
    trained_on = {
        n: p.split
        for n, p in packages.items()
        if p.split and _held_out(p.split) != _held_out(split.describe())
    }
    result = EvaluationResult(
        test=tested.metrics,
        split=split.describe(),
        seen_items=comparison.options.seen_items,
        best_baseline=tested.best_baseline,
        left_out=tested.left_out,
        versions={name: name.rsplit(" ", 1)[-1] for name in packages},
        notes=(
            *asides,
            *notes,
            *(f"{n} was trained with another split: {s}" for n, s in trained_on.items()),
            *(
                f"{n} has never seen {unknown:,} of {len(keys):,} items, which it ranks last."
                for n, p in packages.items()
                if not classifies and (unknown := champion.unknown_items(p, keys))
            ),
            *((WARNING,) if options.evaluation.sampled_candidates else ()),
        ),
        by_lot=None if labels is None else judged_on_table(job, labels, rankers, split, keys, plan),
    )
    job.log_metrics(named_metrics(tested.metrics))
    if result.by_lot is not None:
        job.log_metrics(result.by_lot.metrics())
    if tested.metrics[0].segments:
        rival = next((m for m in tested.metrics if m.model == tested.best_baseline), None)
        job.log_figure("segments.png", segments_figure(tested.metrics[0], rival))
    job.save_result(result)
    return result


def _held_out(told: Mapping[str, str]) -> dict[str, str]:
    """What of a split's description says what was learned from, and not who is asked about."""
    return {key: value for key, value in told.items() if key not in ("users", "positions")}


def side_columns(packages: Iterable[ModelPackage]) -> list[str]:
    """Columns of side features that any of the models reads."""
    found: set[str] = set()
    for package in packages:
        found |= set(package.side_features)
    return sorted(found)
