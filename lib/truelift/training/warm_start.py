"""A training that begins with the weights of a registered model, such as the champion.

Items go by their keys: what the earlier model knew of an item is carried to the item's place in
the vocabulary of today, and a new item begins as it would without. The optimizer begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from truelift.errors import DataError
from truelift.evaluation import champion
from truelift.models.sequence.package import ModelPackage, assign_weights, named_weights

# Weights that hold something for each item, and along which axis.
ITEM_AXES = {"item_embedding": 0, "item_bias": 0, "candidate_embedding": 0, "item_repeat": 1}


def as_arrays(old: ModelPackage, label: str, new: ModelPackage) -> dict[str, np.ndarray]:
    """What travels to the ranks.

    Parameters
    ----------
    old : ModelPackage
        To begin with.
    label : str
        What it is called in messages.
    new : ModelPackage
        The model to train; its weights do not matter.

    Raises
    ------
    DataError
        If it is another kind of model, has learned from what the new one is chosen or tested on,
        or reads side features whose codes have changed.
    """
    reason = _obstacle(old, new)
    if reason is not None:
        raise DataError(
            f"sequence.training.warm_start: {label} cannot be begun with: {reason}. Train without it, or "
            "name another version."
        )
    return {
        "warm_start": np.frombuffer(old.to_bytes(), dtype=np.uint8),
        "warm_start_index": champion.item_index(old, new.item_keys),
    }


def _obstacle(old: ModelPackage, new: ModelPackage) -> str | None:
    if old.model != new.model:
        return f"it is a {old.model}, not a {new.model}"
    if not champion.knows(old, new.item_keys):
        return f"other vocabulary: it knows less than {champion.LEAST_KNOWN:.0%} of the items"
    reason = champion.split_obstacle(old.split, new.split)
    if reason is not None:
        return reason
    later = new.split.get("validation_start", "")
    if old.split.get("validation_start", "") > later:
        return f"it has learned from events after {later}, where the validation part begins"
    if old.side_features != new.side_features:
        return "it reads other side features"
    if old.side_features and not (
        old.item_keys == new.item_keys and old.sides.same_codes(new.sides)
    ):
        return "its side features have other codes"
    return None


def begin(model: Any, arrays: Mapping[str, np.ndarray]) -> bool:
    """Give a fresh model the weights that travelled; whether there were any.

    Raises
    ------
    DataError
        As :func:`carried`.
    """
    if "warm_start" not in arrays:
        return False
    package = ModelPackage.from_bytes(arrays["warm_start"].tobytes())
    weights = carried(named_weights(model), package.weights, arrays["warm_start_index"])
    assign_weights(model, weights)
    return True


def carried(
    fresh: Mapping[str, np.ndarray], old: Mapping[str, np.ndarray], index: np.ndarray
) -> dict[str, np.ndarray]:
    """Weights to begin with.

    Parameters
    ----------
    fresh : mapping of str to numpy.ndarray
        The new model's own, by name.
    old : mapping of str to numpy.ndarray
        The earlier model's.
    index : numpy.ndarray of int32, shape (items + 1,)
        The earlier model's index of each item, 0 for one that it does not know.

    Raises
    ------
    DataError
        If the two have other weights, or some of another shape: other options.
    """
    if fresh.keys() != old.keys():
        odd = sorted(fresh.keys() ^ old.keys())
        raise DataError(
            f"sequence.training.warm_start: {_OTHER} Only one of them has {', '.join(odd[:3])}."
        )
    found = {}
    for name, own in fresh.items():
        earlier, axis = old[name], ITEM_AXES.get(name.rpartition("/")[2])
        if axis is None:
            if earlier.shape != own.shape:
                raise _other_shape(name, earlier, own)
            found[name] = earlier
            continue
        if np.delete(earlier.shape, axis).tolist() != np.delete(own.shape, axis).tolist():
            raise _other_shape(name, earlier, own)
        known = index > 0
        known[0] = True  # padding is padding
        taken = np.moveaxis(np.array(own), axis, 0)
        taken[known] = np.moveaxis(earlier, axis, 0)[index[known]]
        found[name] = np.moveaxis(taken, 0, axis)
    return found


_OTHER = "the earlier model was trained with other options (units, layers, max_length, ..)."


def _other_shape(name: str, earlier: np.ndarray, own: np.ndarray) -> DataError:
    return DataError(
        f"sequence.training.warm_start: {_OTHER} {name} has the shape {earlier.shape}, expected {own.shape}."
    )
