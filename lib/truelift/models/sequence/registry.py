"""The sequence models by name; a new one is a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from truelift.errors import ConfigError
from truelift.models.sequence.event_options import EventModelOptions, SASRecOptions
from truelift.models.sequence.small_options import BasketGRUOptions, NextActionOptions

Sizes = Mapping[str, int] | None

RANKING, CLASSIFICATION = "ranking", "classification"


@dataclass(frozen=True)
class ModelEntry:
    """How to make a model.

    Parameters
    ----------
    make_options : callable
        Options as plain values from the vocabulary size, the section ``sequence`` and, where
        known, the number of codes of each side feature.
    build : callable
        The model with fresh weights from such options.
    step : str
        What one step of its sequence is: ``'session'`` or ``'event'``.
    task : str
        ``'ranking'`` of items, or ``'classification'`` of the next event's type.
    """

    make_options: Callable[[int, Any, Sizes], dict[str, Any]]
    build: Callable[[dict[str, Any]], Any]
    step: str = "event"
    task: str = RANKING

    def options(self, items: int, sequence: Any, sizes: Sizes = None) -> dict[str, Any]:
        """Options from the settings.

        Raises
        ------
        ConfigError
            If ``sequence.histories.step`` is not the model's.
        """
        if sequence.histories.step != self.step:
            raise ConfigError(
                f"sequence.histories.step: found {sequence.histories.step!r}, expected "
                f"{self.step!r} for sequence.model {sequence.model!r}."
            )
        return self.make_options(items, sequence, sizes)


def _basket_gru_options(items: int, sequence: Any, sizes: Sizes) -> dict[str, Any]:  # noqa: ARG001
    network = sequence.network
    return asdict(BasketGRUOptions(items, network.units, network.layers, network.dropout))


def _build_basket_gru(options: dict[str, Any]) -> Any:
    from truelift.models.sequence.basket_gru import BasketGRU

    given = {**options, "half_lives": tuple(options["half_lives"])}
    model = BasketGRU(BasketGRUOptions(**given))
    model.build()
    return model


def _event_options(items: int, sequence: Any, sizes: Sizes) -> dict[str, Any]:
    return EventModelOptions.from_settings(items, sequence, sizes).plain()


def _sasrec_options(items: int, sequence: Any, sizes: Sizes) -> dict[str, Any]:
    return SASRecOptions.from_settings(items, sequence, sizes).plain()


def _build_sasrec(options: dict[str, Any]) -> Any:
    from truelift.models.sequence.sasrec import SASRec

    model = SASRec(SASRecOptions.from_plain(options))
    model.build()
    return model


def _build_recurrent(cell: str) -> Callable[[dict[str, Any]], Any]:
    def build(options: dict[str, Any]) -> Any:
        from truelift.models.sequence.recurrent_models import Recurrent

        model = Recurrent(EventModelOptions.from_plain(options), cell)
        model.build()
        return model

    return build


def _pair_lstm_options(items: int, sequence: Any, sizes: Sizes) -> dict[str, Any]:
    # Pairs are told from sampled ones: the softmax losses do not apply.
    chosen = sequence.training.loss
    loss = chosen if chosen in ("bce", "gbce") else "bce"
    return EventModelOptions.from_settings(items, sequence, sizes, loss=loss).plain()


def _build_pair_lstm(options: dict[str, Any]) -> Any:
    from truelift.models.sequence.recurrent_models import PairLSTM

    model = PairLSTM(EventModelOptions.from_plain(options))
    model.build()
    return model


def _next_action_options(items: int, sequence: Any, sizes: Sizes) -> dict[str, Any]:
    return NextActionOptions.from_settings(items, sequence, sizes).plain()


def _build_next_action(options: dict[str, Any]) -> Any:
    from truelift.models.sequence.next_action import NextAction

    model = NextAction(NextActionOptions(**options))
    model.build()
    return model


MODELS: dict[str, ModelEntry] = {
    "basket_gru": ModelEntry(_basket_gru_options, _build_basket_gru, step="session"),
    "sasrec": ModelEntry(_sasrec_options, _build_sasrec),
    "gru": ModelEntry(_event_options, _build_recurrent("gru")),
    "lstm": ModelEntry(_event_options, _build_recurrent("lstm")),
    "pair_lstm": ModelEntry(_pair_lstm_options, _build_pair_lstm),
    "next_action": ModelEntry(_next_action_options, _build_next_action, task=CLASSIFICATION),
}


def entry(name: str) -> ModelEntry:
    """The registered model.

    Raises
    ------
    ConfigError
        For a name that is not registered.
    """
    if name not in MODELS:
        raise ConfigError(
            f"sequence.model: found {name!r}, expected one of {', '.join(sorted(MODELS))}."
        )
    return MODELS[name]
