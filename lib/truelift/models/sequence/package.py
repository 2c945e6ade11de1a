"""A trained model as plain values: name, options, weights and vocabulary.

Weights are NumPy arrays by name, not a pickled object, so that a package made with one version
of Keras opens in another, and so that it can travel to a Spark worker as bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from truelift.arrays.archive import from_bytes, to_bytes
from truelift.errors import DataError
from truelift.models.sequence import registry
from truelift.models.sequence.registry import CLASSIFICATION
from truelift.models.sequence.sides import SideCodes

#: What a package is called among a registered model's files.
FILE = "package.npz"


@dataclass(frozen=True)
class ModelPackage:
    """Everything needed to score.

    Parameters
    ----------
    model : str
        Name in the registry.
    options : dict
        The model's options.
    max_length : int
        Sessions that the model looks back.
    step : str
        ``'session'`` or ``'event'``: what one step of the sequence is.
    item_keys : tuple of str
        ``item_keys[i]`` is the key of item index ``i + 1``.
    weights : dict of str to numpy.ndarray
    sides : SideCodes
        Codes of event types and categories, for models with such side features.
    split : dict of str to str
        What was kept apart in training: ``kind`` and the split's description.
    """

    model: str
    options: dict[str, Any]
    max_length: int
    step: str
    item_keys: tuple[str, ...]
    weights: Mapping[str, np.ndarray]
    sides: SideCodes = field(default_factory=SideCodes)
    split: dict[str, str] = field(default_factory=dict)

    @property
    def vocabulary_hash(self) -> str:
        """Equal for packages whose items have the same keys in the same order."""
        return vocabulary_hash(self.item_keys)

    @property
    def labels(self) -> tuple[str, ...]:
        """What the model ranks, place ``i`` for index ``i + 1``: item keys, or event types."""
        return self.sides.event_types if self.classifies else self.item_keys

    @property
    def classifies(self) -> bool:
        """Whether it tells the next event's type in place of the next item."""
        return self.model in registry.MODELS and registry.entry(self.model).task == CLASSIFICATION

    @property
    def side_features(self) -> tuple[str, ...]:
        """What the model reads of a history beside items."""
        if self.classifies:
            return ("event_type",)
        return tuple(str(name) for name, _ in self.options.get("side_features", ()))

    def build(self) -> Any:
        """The Keras model with these weights."""
        built = registry.entry(self.model).build(self.options)
        assign_weights(built, self.weights)
        return built

    def to_bytes(self) -> bytes:
        """A NumPy archive that holds the weights and, as JSON, the rest."""
        header = {
            "model": self.model,
            "options": self.options,
            "max_length": self.max_length,
            "step": self.step,
            "item_keys": list(self.item_keys),
            "event_types": list(self.sides.event_types),
            "split": self.split,
        }
        text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
        arrays = {"header": text, **{f"weight:{k}": v for k, v in self.weights.items()}}
        if self.sides.categories is not None:
            arrays["categories"] = self.sides.categories.astype(np.int32)
        return to_bytes(arrays, compressed=True)

    @classmethod
    def from_bytes(cls, data: bytes) -> ModelPackage:
        """The inverse of :meth:`to_bytes`; nothing in ``data`` is executed."""
        arrays = from_bytes(data)
        header = json.loads(arrays.pop("header").tobytes().decode())
        categories = arrays.pop("categories", None)
        weights = {name.removeprefix("weight:"): values for name, values in arrays.items()}
        header["item_keys"] = tuple(header["item_keys"])
        # Packages of before these were known have neither event types nor a split.
        sides = SideCodes(tuple(header.pop("event_types", ())), categories)
        return cls(weights=weights, sides=sides, **header)


def vocabulary_hash(item_keys: tuple[str, ...]) -> str:
    """A short hash of item keys in their order."""
    text = json.dumps(item_keys, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def named_weights(model: Any) -> dict[str, np.ndarray]:
    """The trainable weights by path."""
    return {v.path: np.asarray(v) for v in model.trainable_variables}


def assign_weights(model: Any, weights: Mapping[str, np.ndarray]) -> None:
    """Put weights back, each by its name.

    Raises
    ------
    DataError
        If a weight is missing, left over or of another shape: nothing is skipped silently.
    """
    own = {v.path: v for v in model.trainable_variables}
    if own.keys() != weights.keys():
        raise DataError(
            f"Model weights: missing {sorted(own.keys() - weights.keys())}, unexpected "
            f"{sorted(weights.keys() - own.keys())}; was the model saved with other options?"
        )
    for name, variable in own.items():
        if tuple(variable.shape) != weights[name].shape:
            raise DataError(
                f"Model weights: {name} has shape {weights[name].shape}, expected "
                f"{tuple(variable.shape)}."
            )
        variable.assign(weights[name])
