"""Strategies that rank by what comes next for this user: SASRec or a GRU, trained on the loop's own purchases.

Kang & McAuley (2018); Hidasi, Karatzoglou, Baltrunas & Tikk (2016). The models know the history and not
why someone came, so what they say is put together with what the context says, as if the two were
independent given the item: ``p(i | history, context) ~ p(i | history) p(i | context) / p(i)``. They are trained in
this process, a few epochs a round, from the weights of the round before. Importing this module starts no
TensorFlow; deciding with it does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from truelift.config import load_settings
from truelift.loop.histories import HISTORY, histories_of
from truelift.loop.learning import by_context, shrunken_rates
from truelift.loop.strategies import Known
from truelift.models.sequence import registry
from truelift.models.sequence.batches import LengthBuckets, batched
from truelift.models.sequence.histories import Histories
from truelift.models.sequence.windows import training_windows
from truelift.settings import SequenceOptions
from truelift.simulate.shop_world.lists import ListPolicy

WEIGHTS = "weight:"
LENGTH, _UNITS, _EPOCHS, _BATCH, _RATE, _SEED = 20, 32, 10, 64, 3e-3, 7


def by_sequence(kind: str, known: Known) -> ListPolicy:
    """The next items of every user in every context.

    Parameters
    ----------
    kind : str
        Of ``models/sequence``: ``'sasrec'`` or ``'gru'``.
    known : Known
        What it keeps for the next round, the weights, is put into ``known.kept``.
    """
    shop, items = known.shop, known.shop.world.items
    histories = histories_of(known.kept[HISTORY], shop.world.users)
    machine = _machine(kind, items)
    before = {k.removeprefix(WEIGHTS): v for k, v in known.kept.items() if k.startswith(WEIGHTS)}
    weights = machine.learn(histories, before, shop.seed + known.moment)
    known.kept.update({WEIGHTS + name: value for name, value in weights.items()})
    scores = machine.ranker.scores(histories)[:, 1:].astype(float)
    order = _order(known, scores - scores.max(axis=1, keepdims=True))
    table = np.zeros((len(order), items))
    np.put_along_axis(table, order, 1e-9 ** np.arange(order.shape[1]), axis=1)
    return ListPolicy(kind, table, known.options.explore, by_user=True)


def _order(known: Known, scores: np.ndarray) -> np.ndarray:
    """The best items (users x contexts, L), by history and context."""
    shop, evidence = known.shop, known.evidence
    visits = np.broadcast_to(evidence.asked[:, None], evidence.bought.shape)
    shape, rate = shrunken_rates(shop, evidence.bought, visits)
    usual = by_context(shop, shape / rate)
    share = evidence.asked / max(evidence.asked.sum(), 1.0)
    lift = np.log(usual) - np.log(share @ usual)
    lift = np.where(shop.sold(known.moment), lift, -np.inf)
    length = shop.world.list_length
    found = np.empty((len(scores), shop.contexts, length), np.int64)
    for context in range(shop.contexts):
        both = scores + lift[context]
        found[:, context] = np.argsort(-both, axis=1, kind="stable")[:, :length]
    return found.reshape(-1, length)


@dataclass(frozen=True, eq=False)
class _Machine:
    """A compiled model, and all that makes it fresh again."""

    model: Any
    trainer: Any
    ranker: Any
    fresh: dict[str, np.ndarray]
    states: list[tuple[Any, np.ndarray]]

    def learn(
        self, histories: Histories, weights: dict[str, np.ndarray], seed: int
    ) -> dict[str, np.ndarray]:
        """Weights after some epochs, from those given or from fresh ones."""
        from truelift.models.sequence.package import assign_weights, named_weights

        assign_weights(self.model, weights or self.fresh)
        for variable, value in self.states:
            variable.assign(value)
        windows = list(training_windows(histories, LENGTH, "event"))
        random = np.random.default_rng(seed)
        for _ in range(_EPOCHS):
            mixed = [windows[i] for i in random.permutation(len(windows))]
            for batch in batched(mixed, LengthBuckets(LENGTH, _BATCH)):
                self.trainer.step(batch)
        return named_weights(self.model)


@cache
def _machine(kind: str, items: int) -> _Machine:
    from truelift.models.runtime import start_tensorflow

    start_tensorflow()
    import keras

    from truelift.models.sequence.package import named_weights
    from truelift.models.sequence.scoring import SequenceRanker
    from truelift.training.epochs import random_states
    from truelift.training.loop import Trainer

    keras.utils.set_random_seed(_SEED)
    entry, options = registry.entry(kind), _options(kind)
    model = entry.build(entry.options(items, options))
    optimizer = keras.optimizers.Adam(_RATE)
    optimizer.build(model.trainable_variables)
    changing = [*optimizer.variables, *random_states(model)]
    return _Machine(
        model, Trainer(model, optimizer), SequenceRanker(model, items, LENGTH, "event"),
        named_weights(model), [(v, np.array(keras.ops.convert_to_numpy(v))) for v in changing],
    )  # fmt: skip


def _options(kind: str) -> SequenceOptions:
    """A small model by the recipe of its kind: histories of a loop are short."""
    given = load_settings(dataset="interactions", recipe=kind).sequence
    return replace(
        given,
        histories=replace(given.histories, max_length=LENGTH),
        network=replace(given.network, units=_UNITS, layers=1),
    )
