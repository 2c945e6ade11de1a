"""The sequence models by name; a new one is a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from truelift.errors import ConfigError


@dataclass(frozen=True)
class ModelEntry:
    """How to make a model: its options from the vocabulary size and settings, and itself."""

    options: Callable[[int, Any], dict[str, Any]]
    build: Callable[[dict[str, Any]], Any]


def _basket_gru_options(items: int, sequence: Any) -> dict[str, Any]:
    from truelift.models.basket_gru import BasketGRUOptions

    return asdict(BasketGRUOptions(items, sequence.units, sequence.layers, sequence.dropout))


def _build_basket_gru(options: dict[str, Any]) -> Any:
    from truelift.models.basket_gru import BasketGRU, BasketGRUOptions

    given = {**options, "half_lives": tuple(options["half_lives"])}
    model = BasketGRU(BasketGRUOptions(**given))
    model.build()
    return model


MODELS: dict[str, ModelEntry] = {"basket_gru": ModelEntry(_basket_gru_options, _build_basket_gru)}


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
