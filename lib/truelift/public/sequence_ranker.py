"""A sequence model on a table at hand, as one more ranker of ``tl.fit_recommender``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from truelift.errors import ConfigError
from truelift.extras import missing_extra
from truelift.models.sequence import registry
from truelift.models.sequence.registry import RANKING
from truelift.settings import SequenceOptions

if TYPE_CHECKING:
    from truelift.evaluation.evaluator import Ranker
    from truelift.models.sequence.histories import Histories
    from truelift.progress import Tell

# What training imports that the core does not bring; several processes need Horovod too.
_NEEDED = ("tensorflow", "keras", "psutil", "yaml")


def options_of(model: str | SequenceOptions, seen_items: str, top_k: int) -> SequenceOptions:
    """How a model is trained and measured here: by its recipe or the options given, leaving one out.

    Raises
    ------
    ConfigError
        For a recipe that is not there, a model that ranks no items or has other steps than events,
        and what only a lake has.
    MissingExtraError
        Without the extra ``[train]``.
    """
    for module in _NEEDED:
        if find_spec(module) is None and (missing := missing_extra(module)):
            raise missing
    given = _of_recipe(model) if isinstance(model, str) else model
    entry, step = registry.entry(given.model), given.histories.step
    if entry.task != RANKING or entry.step != "event" or step != "event":
        able = [n for n, e in registry.MODELS.items() if e.task == RANKING and e.step == "event"]
        raise ConfigError(
            f"model: found {given.model!r} with {step!r} as the step, expected one of "
            f"{', '.join(able)} with sequence.histories.step event. `truelift train_sequence` "
            "trains the others."
        )
    if given.histories.side_features or given.training.tune or given.training.warm_start:
        raise ConfigError(
            "model: found side features, a search (tune) or a warm start, expected none of them: "
            "they need a lake. `truelift train_sequence` has them."
        )
    measured = replace(
        given.evaluation, split="leave_one_out", positions="next", test_file=None,
        top_k=top_k, seen_items=seen_items,
    )  # fmt: skip
    return replace(given, evaluation=measured)


def trained_ranker(
    histories: Histories, items: int, options: SequenceOptions, seed: int, progress: Tell
) -> tuple[str, Ranker]:
    """Train on all but the last two interactions of a user; the last but one chooses the epoch."""
    from truelift.models.runtime import start_tensorflow
    from truelift.training.in_memory import train_here

    def tell(event: Mapping[str, Any]) -> None:
        progress(str(event["text"]))

    _, weights = train_here(histories, items, options, seed, tell)
    start_tensorflow(options.ranks.threads_per_process)
    from truelift.models.sequence.package import assign_weights
    from truelift.models.sequence.scoring import SequenceRanker

    entry = registry.entry(options.model)
    model = entry.build(entry.options(items, options))
    assign_weights(model, weights)
    seen = options.histories
    return options.model.upper(), SequenceRanker(model, items, seen.max_length, seen.step)


def _of_recipe(name: str) -> SequenceOptions:
    from truelift.config import load_settings

    given = load_settings(dataset="interactions", recipe=name).sequence
    return replace(given, ranks=replace(given.ranks, processes=1))
