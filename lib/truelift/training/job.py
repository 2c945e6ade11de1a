"""The job ``train_sequence``: pinned tables in, a registered model beside its baselines out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truelift.errors import DataError, TableError
from truelift.evaluation import champion, gate
from truelift.evaluation.by_lot_results import LotEvaluation
from truelift.evaluation.by_lot_rows import LotRows, labels_by_lot
from truelift.evaluation.by_lot_table import judged_on_table
from truelift.evaluation.figures import segments_figure
from truelift.evaluation.job import side_columns
from truelift.evaluation.known_items import known_items
from truelift.evaluation.lake_split import split_of
from truelift.evaluation.named_metrics import flat, named_metrics
from truelift.evaluation.on_spark import PackagedRanker
from truelift.evaluation.registered import current_champion, load_models, registered_name
from truelift.evaluation.sampled import WARNING
from truelift.evaluation.splits import Split, split_to_plain
from truelift.features.side_codes import side_codes
from truelift.features.vocabulary import vocabulary
from truelift.models.sequence import registry
from truelift.models.sequence.exposure import refuse_without_items
from truelift.models.sequence.histories import COLUMNS
from truelift.models.sequence.package import ModelPackage
from truelift.training import warm_start
from truelift.training.card import about_model, about_version, card, headline_of
from truelift.training.checkpoints import CheckpointFolder
from truelift.training.corrected import corrected_or_plain
from truelift.training.figures import learning_curve
from truelift.training.launcher import launch
from truelift.training.owner import new_token
from truelift.training.rank import RankJob, RankResult
from truelift.training.results import TrainingResult
from truelift.training.search import search, with_checkpoints

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.lake import ScanPlan
    from truelift.steps import StepReport

# The new model among rankers by lot.
_OWN = "model"
_logger = logging.getLogger("truelift.training")


def train_sequence(job: Job) -> StepReport:
    """Train, evaluate on the test part, log, register, and see whether a champion is beaten.

    Reads ``gold.sequences`` and ``gold.items`` at their pinned versions. The model learns from
    events before the validation window only; it is not trained again on the validation window
    before the test, so that the tested weights are the ones that are registered.

    Raises
    ------
    DataError
        If the sequences are too few or too short for the split.
    """
    from truelift.steps import StepReport

    options = job.settings.sequence
    entry = registry.entry(options.model)
    refuse_without_items(options.training, entry.task)
    if entry.task == "classification":  # its classes are a side feature
        features = dict.fromkeys((*options.histories.side_features, "event_type"))
        histories = replace(options.histories, side_features=tuple(features))
        options = replace(options, histories=histories)
    plan = _readable_plan(job, options.histories.side_features)
    item_keys = vocabulary(job)
    split, asides = split_of(job, item_keys)
    labels = labels_by_lot(job, item_keys, entry.task)
    sides = side_codes(job, options.histories.side_features)
    folder = job.workdir / "ranks"
    rank_job = RankJob(
        plan=plan.to_json(),
        split=split_to_plain(split),
        items=len(item_keys),
        seed=job.settings.seed,
        sequence=options,
        codes=sides.sizes,
        owner=new_token(),
    )

    def on_progress(event: Mapping[str, Any]) -> None:
        job.progress.update(event["text"], event.get("done"), event.get("total"))

    root = checkpoint_root(job)
    used: list[str] = []
    if options.training.tune:
        best_trial, used = search(rank_job, root, folder, job.run.nested, on_progress)
        options = best_trial.options
        job.run.log_tags({f"truelift.tuned.{k}": str(v) for k, v in best_trial.values.items()})
    package = ModelPackage(
        model=options.model,
        options=entry.options(len(item_keys), options, sides.sizes),
        max_length=options.histories.max_length,
        step=options.histories.step,
        item_keys=item_keys,
        weights={},
        sides=sides,
        split=split.describe(),
    )
    name = registered_name(job.settings)
    holder = current_champion(job, name)
    obstacle = champion.obstacle(holder, package) if holder else None
    known, notes = known_items(job, split, len(item_keys))
    if holder and not obstacle:
        known |= champion.as_arrays(holder, item_keys)
    if (earlier := options.training.warm_start) is not None:
        label, begun = next(iter(load_models(job, [earlier]).items()))
        known |= warm_start.as_arrays(begun, label, package)
        # The version, not the alias: it is part of what the training comes to.
        version = label.rpartition(" ")[2]
        options = replace(options, training=replace(options.training, warm_start=version))
        job.run.log_tags({"truelift.warm_start": version})
    rank_job = with_checkpoints(replace(rank_job, sequence=options, arrays=known), root)
    job.progress.update(f"starting {options.ranks.processes} processes")
    choice = None
    if options.training.correction == "none":
        trained, weights = launch(rank_job, folder / "final", on_progress)
    else:
        plan_of_all = job.plan("gold.sequences", [*COLUMNS, *package.side_features, "bucket"])
        choice = corrected_or_plain(job, rank_job, root, package, split, plan_of_all, on_progress)
        trained, weights = choice.trained, choice.weights
        used.append(choice.checkpoints)
        job.log_metrics(choice.metrics())
    for sentence in trained.warnings:
        _logger.warning(sentence)
    package = replace(package, weights=weights)
    _log(job, trained, plan)
    job.run.log_tags(
        {
            "truelift.vocabulary": package.vocabulary_hash,
            "truelift.precision": trained.precision,
            **{f"truelift.{table}": str(version) for table, version in job.inputs.items()},
        }
    )
    by_lot = _by_lot(job, labels, package, holder, split)
    registered = _register(job, name, package, trained)
    verdict = _verdict(job, holder, obstacle, trained, item_keys)
    _logger.log(logging.WARNING if verdict.below_baseline else logging.INFO, verdict.reason)
    standing = holder if holder and not verdict.promoted else None
    unknown = champion.unknown_items(standing.package, item_keys) if standing else 0
    if standing and unknown:
        _logger.warning(gate.never_offered(standing.version, unknown, len(item_keys)))
    job.run.models.close_gate(registered, verdict.promoted, verdict.reason)
    result = TrainingResult(
        epochs=trained.epochs,
        test=trained.test,
        processes=trained.processes,
        parameters=trained.parameters,
        train_sequences=trained.train_windows,
        split=split.describe(),
        model_uri=registered.uri,
        model_version=registered.version,
        best_baseline=trained.best_baseline,
        seen_items=options.evaluation.seen_items,
        left_out=trained.left_out,
        notes=(
            *asides,
            *notes,
            *((WARNING,) if options.evaluation.sampled_candidates else ()),
            *(f"Restarted: {reason}" for reason in trained.restarts),
            *trained.warnings,
            *((choice.sentence,) if choice is not None else ()),
        ),
        gate=verdict.reason,
        below_baseline=verdict.below_baseline,
        champion_version=standing.version if standing else registered.version,
        champion_unknown_items=unknown,
    )
    job.save_result(result)
    if by_lot is not None:
        job.save_result(by_lot)
        job.log_metrics(by_lot.metrics())
    for uri in {*used, str(rank_job.checkpoints)}:
        CheckpointFolder(uri).remove(rank_job.owner)  # the training is over: nothing to go on from
    best, *others = trained.test
    measure, value = headline_of(best)
    headline: dict[str, float | str | int] = {
        "processes": trained.processes,
        "epochs": len(trained.epochs),
        measure: round(value, 4),
        **{f"{o.model} {measure.split('@')[0]}": round(headline_of(o)[1], 4) for o in others},
        "version": registered.version,
        "champion": standing.version if standing else registered.version,
        "gate": verdict.reason,
    }
    if choice is not None:
        headline["correction"] = choice.kept
    if by_lot is not None and (auc := by_lot.figure(_OWN, "auc")) is not None:
        headline["AUC by lot"] = round(auc.value, 4)
    if verdict.below_baseline:
        headline["below the baseline"] = verdict.below_baseline
    if unknown:
        headline["items that the champion cannot offer"] = unknown
    return StepReport(plan.rows, trained.train_windows, headline)


def _by_lot(
    job: Job, labels: LotRows | None, package: ModelPackage, holder: champion.Champion | None,
    split: Split,
) -> LotEvaluation | None:  # fmt: skip
    """The new model, the champion that it meets and popularity on ``sequence.evaluation.table``."""
    if labels is None:
        return None
    keys = package.item_keys
    models = {_OWN: package}
    if holder is not None and not champion.obstacle(holder, package) and holder.package is not None:
        models[champion.NAME] = holder.package
    rankers = {
        n: PackagedRanker(p.to_bytes(), champion.item_index(p, keys)) for n, p in models.items()
    }
    plan = job.plan("gold.sequences", [*COLUMNS, *side_columns(models.values()), "bucket"])
    return judged_on_table(job, labels, rankers, split, keys, plan)


def checkpoint_root(job: Job) -> str:
    """Where trainings have their checkpoints: as configured, else beside the tables.

    The lake is a place that all ranks reach, also those in Spark tasks on other machines.
    """
    root = job.settings.sequence.recovery.checkpoint or f"{job.lake.root}/_truelift/checkpoints"
    return root if "://" in root else str(Path(root.removeprefix("file:")).absolute())


def _readable_plan(job: Job, features: Sequence[str]) -> ScanPlan:
    plan = job.plan("gold.sequences", [*COLUMNS, *features])
    if not plan.direct:
        raise TableError(
            f"gold.sequences cannot be read by the training processes: {plan.reason}. Run "
            "build_features again, which writes it afresh."
        )
    if plan.rows == 0:
        raise DataError("gold.sequences: found no row, expected one a user; is the source empty?")
    return plan


def _log(job: Job, trained: RankResult, plan: ScanPlan) -> None:
    for record in trained.epochs:
        job.log_metrics(record.metrics(), step=record.epoch)
    job.log_metrics(named_metrics(trained.test))
    for model, (mean, lower, upper) in trained.gains.items():
        name = f"test.ndcg_gain.{flat(model)}"
        job.log_metrics({name: mean, f"{name}.ci_lower": lower, f"{name}.ci_upper": upper})
    job.log_metrics(
        {
            "parameters": trained.parameters,
            "train_windows": trained.train_windows,
            "users": plan.rows,
            "best_epoch": trained.best_epoch,
            "processes": trained.processes,
            "epochs": len(trained.epochs),
            "restarts": len(trained.restarts),
            "test_users": trained.test[0].users,
            **{f"seconds.{part}": value for part, value in trained.seconds.items()},
        }
    )
    job.log_figure("learning_curve.png", learning_curve(trained))
    if trained.test[0].segments:
        rival = next((m for m in trained.test if m.model == trained.best_baseline), None)
        job.log_figure("segments.png", segments_figure(trained.test[0], rival))


def _verdict(
    job: Job,
    holder: champion.Champion | None,
    obstacle: str | None,
    trained: RankResult,
    item_keys: tuple[str, ...],
) -> gate.Verdict:
    """Whether the new model is to be champion; its rival was one of the evaluated rankers."""
    own, tracking = trained.test[0], job.settings.tracking
    best = own.difference(headline_of(own)[0].partition("@")[0])
    if holder is None:
        return gate.beside_baseline(gate.first_model(), best)
    gain = trained.gains.get(champion.NAME)
    if obstacle is not None or gain is None:
        found = gate.not_comparable(holder.version, obstacle or "it cannot be built here")
    else:
        found = gate.decide(
            gain,
            own.users,
            own.k,
            holder.version,
            tracking.promote_confidence,
            tracking.promote_margin,
        )
    unknown = champion.unknown_items(holder.package, item_keys)
    found = gate.with_catalogue(found, holder.version, unknown, len(item_keys))
    return gate.beside_baseline(found, best)


def _register(job: Job, name: str, package: ModelPackage, trained: RankResult) -> Any:
    from truelift.models.runtime import start_tensorflow

    job.progress.update("registering the model")
    start_tensorflow()
    from truelift.serving import pyfunc

    best = trained.test[0]
    made = card(trained)
    hits = {f"test.hit_rate_at_{best.k}": f"{best.hit_rate:.4f}"} if not package.classifies else {}
    return job.run.models.register(
        name=name,
        python_model=pyfunc.SequenceModel(),
        artifacts=pyfunc.save(package, job.workdir),
        signature=pyfunc.signature(package),
        input_example=pyfunc.input_example(package.item_keys),
        requirements=pyfunc.requirements(),
        about=about_model(job.settings.dataset, package, pyfunc.how_to_call(package)),
        about_version=about_version(
            package, made, job.inputs, job.settings.dataset, job.settings.sample
        ),
        tags={
            "model": package.model,
            "split": str(package.split.get("kind", "")),
            **made.tags(),
            **hits,
            "gold.sequences": str(job.inputs["gold.sequences"]),
            "gold.items": str(job.inputs["gold.items"]),
            "vocabulary": package.vocabulary_hash,
        },
    )
