"""The job ``recommend``: the registered model's items for every user, bucket by bucket."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_keys
from truelift.errors import DataError, JobFailure, TableError
from truelift.evaluation import champion, gate, lists
from truelift.evaluation.named_metrics import flat
from truelift.evaluation.registered import current_champion, load_package
from truelift.features.side_codes import side_codes
from truelift.features.vocabulary import vocabulary
from truelift.model_store import CHALLENGER, ModelStore
from truelift.models.sequence import registry
from truelift.models.sequence.histories import COLUMNS
from truelift.models.sequence.package import ModelPackage
from truelift.recommend.attribution import Attribution, attribution_figure, attributions
from truelift.recommend.by_effect import EffectKernel, EffectLists
from truelift.recommend.limited import limits_of, written
from truelift.recommend.limits.limits import Limits
from truelift.recommend.relevance import RecommendKernel, whole_users
from truelift.recommend.results import RecommendationExample, RecommendResult
from truelift.recommend.shown.lake import Learnt, learnt, mean_prices
from truelift.recommend.shown.ranking import RankBy
from truelift.recommend.what_if import compared
from truelift.training.results import TrainingResult

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.steps import StepReport

_logger = logging.getLogger("truelift.recommend")
EXAMPLES = 5
RECENT_ITEMS = 5
# Users and interactions of the attribution figure.
EXPLAINED = 3
EXPLAINED_EVENTS = 12


def recommend(job: Job) -> StepReport:
    """Rank for all users with the registered model and write ``gold.recommendations``.

    Raises
    ------
    TableError
        If no model is registered yet, or it was trained on other items.
    JobFailure
        If a user is left without recommendations.
    """
    from truelift.steps import StepReport

    options = job.settings.recommend
    item_keys = vocabulary(job)
    version, package = load_model(job, item_keys)
    job.run.log_tags({"truelift.model_version": version})
    plan = job.plan("gold.sequences", [*COLUMNS, *package.side_features, "bucket"])
    index = champion.item_index(package, item_keys)
    allowed, notes = _allowed(job, item_keys, index)
    wanted = _users(job)
    kernel = RecommendKernel(
        package.to_bytes(),
        item_keys,
        index,
        options.per_user,
        options.seen_items,
        allowed,
        wanted,
    )
    limits, more = limits_of(job, kernel)
    notes += more
    rows, known_effects = _rows_by(job, kernel, limits)
    unknown = int(np.count_nonzero(kernel.index[1:] == 0))
    if unknown:
        notes.append(gate.never_offered(version, unknown, len(item_keys)))
        _logger.warning(notes[-1])
    job.progress.update("scoring all users")
    commit, rows, kept, rounds = written(job, rows, plan)
    users = job.read("gold.recommendations").select("user_key").distinct().count()
    known = job.read("gold.sequences").select("user_key").distinct()
    if wanted is not None:
        asked = [(key,) for key in wanted]
        known = known.join(job.lake.spark.createDataFrame(asked, "user_key string"), "user_key")
    sequences = known.count()
    if wanted is not None:
        notes += lists.sentence("users", len(wanted), sequences, "recommend.users")
    # Under value a list may be empty, as nothing is worth its slot, and under limits, as nothing is left.
    full = options.seen_items == "keep" and options.by != "value" and limits is None
    if users != sequences and full:
        raise JobFailure(
            f"gold.recommendations: found {users} users, expected the {sequences} of "
            "gold.sequences that were asked for."
        )
    examples = _examples(job, kernel, package.side_features)
    what_if = None
    if isinstance(rows, EffectKernel) and known_effects is not None:
        job.progress.update("what other lists would bring")
        what_if = compared(job, rows, known_effects, package.side_features)
    result = RecommendResult(
        users,
        commit.rows,
        options.seen_items,
        examples,
        version,
        catalogue=len(item_keys),
        unknown_items=unknown,
        notes=tuple(notes),
        by=options.by,
        explore=options.exploration,
        limits=kept,
        rounds=rounds,
    )
    if what_if is not None:
        job.save_result(what_if)
        job.log_metrics({
            "switching.gain": what_if.gain, "switching.lower": what_if.lower,
            "switching.upper": what_if.upper,
        })  # fmt: skip
    job.log_metrics(
        {
            "users": users,
            "recommendations": commit.rows,
            "users_without": sequences - users,
            "items_never_offered": unknown,
            **{f"limit.{flat(k.name.partition(';')[0])}": k.used for k in kept},
        }
    )
    job.save_result(result)
    headline: dict[str, float | str | int] = {
        "users": users,
        "without recommendations": sequences - users,
        "seen items": options.seen_items,
        "model version": version,
    }
    if what_if is not None:
        headline["by"] = options.by
        headline["more purchases in 100 lists"] = (
            f"{100 * what_if.gain:+.2f} ({100 * what_if.lower:+.2f} to {100 * what_if.upper:+.2f})"
        )
    if limits is not None:
        headline["places left empty"] = sequences * options.per_user - commit.rows
    if unknown:
        headline["items never offered"] = unknown
    return StepReport(sequences, commit.rows, headline)


def _rows_by(
    job: Job, kernel: RecommendKernel, limits: Limits | None
) -> tuple[RecommendKernel | EffectKernel, Learnt | None]:
    """The kernel that makes the rows, and what the lists of the past say where it needs that."""
    options = job.settings.recommend
    if options.by == "relevance" and not options.exploration and limits is None:
        return kernel, None
    found = learnt(job, kernel.item_keys) if options.by != "relevance" else None
    category = (
        found.shelf.category if found is not None else np.zeros(len(kernel.item_keys) + 1, int)
    )
    how = RankBy(
        options.by,
        options.weight,
        options.exploration,
        options.margin,
        options.cost,
        drawn_by(job),
        options.most_of_category,
    )
    made = EffectLists(
        how, options.per_user, options.seen_items, category,
        found.effects if found is not None else None,
        mean_prices(job, kernel.item_keys) if options.by == "value" else None, limits,
    )  # fmt: skip
    return EffectKernel(kernel, made, options.effects.confidence), found


def drawn_by(job: Job) -> int:
    """What lots hang on: the seed, and the round that lists are made for.

    Without a name of its own a round is known by the lake's latest interaction, so each has lots of its own and a run
    on the same data has the same ones.
    """
    from pyspark.sql import functions as F

    named = job.settings.recommend.round
    if named is None:
        latest = F.max(F.array_max("event_time")).alias("latest")
        named = str(job.read("gold.sequences").agg(latest).collect()[0]["latest"])
    return int(hash_keys(pa.array([f"{job.settings.seed} {named}"]))[0] >> np.uint64(1))


def _allowed(
    job: Job, item_keys: tuple[str, ...], index: np.ndarray
) -> tuple[np.ndarray | None, list[str]]:
    """The items that may be offered (None: all), and a sentence on ids that are none."""
    address = job.settings.recommend.items
    if address is None:
        return None, []
    ids = lists.read_ids(address, "recommend.items")
    allowed = lists.allowed_items(ids, item_keys, "recommend.items")
    if not (allowed & (index > 0)).any():
        raise DataError(
            f"recommend.items: the model has never seen any of the {int(allowed.sum()):,} items "
            f"that {address} allows; run train_sequence, or allow others."
        )
    return allowed, list(lists.sentence("items", len(ids), int(allowed.sum()), "recommend.items"))


def _users(job: Job) -> frozenset[str] | None:
    """Keys of the users to rank for; None: all."""
    address = job.settings.recommend.users
    if address is None:
        return None
    return frozenset(lists.user_keys(job, lists.read_ids(address, "recommend.users")).values())


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
    name = job.settings.tracking.model_name
    trained = job.load_result(TrainingResult)
    if trained is not None and trained.model_uri == f"models:/{name}/{trained.model_version}":
        version: str | None = str(trained.model_version)
    else:
        version = ModelStore().version(name, CHALLENGER)
    if version is None:
        raise TableError(f"The registry has no model {name} to recommend with. Run train_sequence.")
    return version, load_package(job, name, version)


def load_model(job: Job, item_keys: tuple[str, ...]) -> tuple[str, ModelPackage]:
    """The champion; where there is none, or none for these items, the newest model.

    Parameters
    ----------
    job : Job
    item_keys : tuple of str
        Keys of ``gold.items`` by index.

    Raises
    ------
    TableError
        If no model is registered.
    DataError
        If the newest model is one of other items, or its side features have other codes.
    """
    name = job.settings.tracking.model_name
    holder = current_champion(job, name)
    best = holder.package if holder is not None else None
    if holder is not None and best is not None and _obstacle(job, best, item_keys) is None:
        return holder.version, best
    version, package = load_challenger(job)
    if holder is not None:
        why = _obstacle(job, best, item_keys) if best is not None else "its package cannot be read"
        _logger.warning(
            "The champion, version %s, cannot rank for this catalogue (%s); version %s does.",
            holder.version,
            why,
            version,
        )
    obstacle = _obstacle(job, package, item_keys)
    if obstacle is not None:
        raise DataError(f"Model version {version}: {obstacle}; run train_sequence again.")
    return version, package


def _obstacle(job: Job, package: ModelPackage, item_keys: tuple[str, ...]) -> str | None:

    if package.model not in registry.MODELS or registry.entry(package.model).task != "ranking":
        return f"a model {package.model} does not rank items"
    if not champion.knows(package, item_keys):
        return "gold.items has other items than it was trained on"
    if package.side_features:
        present = side_codes(job, package.side_features)
        if package.item_keys != item_keys or not package.sides.same_codes(present):
            return "items, event types or categories have other codes than in its training"
    return None


def _examples(
    job: Job, kernel: RecommendKernel, side_features: tuple[str, ...]
) -> tuple[RecommendationExample, ...]:
    """A few users with middling histories, by user key, with names in place of keys."""
    from pyspark.sql import functions as F

    items = job.read("gold.items").select("item_index", "item_key", "name").collect()
    by_key = {r.item_key: r.name or r.item_key for r in items}
    index = {r.item_key: r.item_index for r in items}
    names = ["", *(by_key[key] for key in kernel.item_keys)]
    some = (
        job.read("gold.sequences")
        .where(F.size("item_index") >= RECENT_ITEMS)
        .join(job.read("gold.recommendations").select("user_key"), "user_key", "left_semi")
        .orderBy(F.xxhash64("user_key"), "user_key", "session_number")
        .limit(EXAMPLES)
        .select(*COLUMNS, *side_features)
        .toArrow()
    )
    histories = whole_users(some)
    users = histories.users.tolist()
    ranked: dict[str, list[str]] = {u: [] for u in users}
    recommended = job.read("gold.recommendations").where(F.col("user_key").isin(users))
    for row in recommended.orderBy("user_key", "rank").collect():
        ranked[row.user_key].append(row.item_key)
    shown = np.array([bool(ranked[u]) for u in users], dtype=bool)
    found = attributions(
        kernel.scorer().ranker,
        histories.take(shown),
        [index[ranked[u][0]] for u in users if ranked[u]],
        EXPLAINED_EVENTS,
    )
    if found:
        job.log_figure("attribution.png", attribution_figure(found[:EXPLAINED], names))
    return tuple(_example(a, ranked[a.user_key], names, by_key) for a in found)


def _example(
    found: Attribution, ranked: list[str], names: list[str], by_key: dict[str, str]
) -> RecommendationExample:
    return RecommendationExample(
        found.user_key,
        tuple(names[i] for i in found.recent[:RECENT_ITEMS]),
        tuple(by_key[key] for key in ranked),
        tuple(float(np.exp(g)) for g in found.gains[:RECENT_ITEMS]),
    )
