"""Trained networks as plain values: what MLflow keeps, and what a later estimation applies.

A NumPy archive of the weights with a JSON header; nothing in it is executed when it is read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from truelift.arrays.archive import from_bytes, to_bytes
from truelift.effects.neural.nuisances import NeuralNuisances
from truelift.effects.nuisances.moments import Moments
from truelift.effects.panel.arms import Levels
from truelift.effects.panel.columns import Scale
from truelift.effects.panel.design import Category, Design, Hashed, OneHot
from truelift.effects.panel.target_encoding import TargetEncoded
from truelift.errors import DataError
from truelift.models.causal.options import NeuralOptions
from truelift.typed import from_plain, to_plain

_OF_LEVELS: dict[str, type] = {
    "keys": np.uint64, "values": np.float64, "known": np.bool_, "open": np.float64
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class CausalPackage:
    """Networks of all folds, and the features and outcomes that they speak of.

    Parameters
    ----------
    nuisances : NeuralNuisances
    folds : int
    design : Design
    outcomes : Scale
    treatment : str
    arms : tuple of str
        Labels, the control first.
    table : str
    table_version : int
        What they were trained on.
    """

    nuisances: NeuralNuisances
    folds: int
    design: Design
    outcomes: Scale
    treatment: str
    arms: tuple[str, ...]
    table: str
    table_version: int

    def to_bytes(self) -> bytes:
        """The archive."""
        header = {
            "options": to_plain(self.nuisances.options),
            "folds": self.folds,
            "design": _design_to_plain(self.design),
            "outcomes": _scale_to_plain(self.outcomes),
            "treatment": self.treatment,
            "arms": list(self.arms),
            "table": self.table,
            "table_version": self.table_version,
        }
        text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
        arrays = {f"weight:{name}": w for name, w in self.nuisances.weights.items()}
        return to_bytes({"header": text, **arrays}, compressed=True)

    @classmethod
    def from_bytes(cls, data: bytes) -> CausalPackage:
        """The inverse of :meth:`to_bytes`."""
        arrays = from_bytes(data)
        header: dict[str, Any] = json.loads(arrays.pop("header").tobytes().decode())
        weights = {name.removeprefix("weight:"): values for name, values in arrays.items()}
        return cls(
            NeuralNuisances(from_plain(NeuralOptions, header["options"]), weights),
            header["folds"],
            _design_from_plain(header["design"]),
            _scale_from_plain(header["outcomes"]),
            header["treatment"],
            tuple(header["arms"]),
            header["table"],
            header["table_version"],
        )

    def check(self, moments: Moments, folds: int, table: str, version: int, model: str) -> None:
        """Refuse to be applied to rows that the models may have seen in another fold.

        Raises
        ------
        DataError
            If table, version, folds, features, arms or outcomes are not those of the training.
        """
        arms = moments.columns.arms
        pairs = {
            "table": (self.table, table),
            "version": (self.table_version, version),
            "folds": (self.folds, folds),
            "treatment": (self.treatment, arms.column),
            "arms": (self.arms, arms.labels),
            "outcomes": (self.outcomes.names, moments.outcomes.names),
            "features": (self.design.names, moments.design.names),
        }
        for part, (trained, found) in pairs.items():
            if trained != found:
                raise DataError(
                    f"effects.nuisances.learners.neural.model {model} was trained with {part} {trained!r}, found "
                    f"{found!r}: its predictions would not be out of fold. Run train_causal again."
                )


def _scale_to_plain(scale: Scale) -> dict[str, Any]:
    return {
        "names": list(scale.names),
        "centre": scale.centre.tolist(),
        "scale": scale.scale.tolist(),
    }


def _scale_from_plain(plain: dict[str, Any]) -> Scale:
    return Scale(tuple(plain["names"]), np.array(plain["centre"]), np.array(plain["scale"]))


def _design_to_plain(design: Design) -> dict[str, Any]:
    categories: list[dict[str, Any]] = []
    for category in design.categories:
        if isinstance(category, OneHot):
            levels = category.levels
            categories.append({"column": levels.column, "values": list(levels.values)})
        elif isinstance(category, Hashed):
            categories.append({"column": category.column, "size": category.size})
        else:
            arrays = {name: getattr(category, name).tolist() for name in _OF_LEVELS}
            plain = {"column": category.column, "targets": list(category.targets), **arrays}
            categories.append({**plain, "levels": category.levels})
    return {
        "numbers": _scale_to_plain(design.numbers),
        "missing": list(design.missing),
        "categories": categories,
        "expansion": design.expansion,
        "kept": None if design.kept is None else design.kept.tolist(),
    }


def _category_from_plain(plain: dict[str, Any]) -> Category:
    if "keys" in plain:
        return TargetEncoded(
            column=plain["column"],
            targets=tuple(plain["targets"]),
            levels=plain["levels"],
            **{name: np.array(plain[name], kind) for name, kind in _OF_LEVELS.items()},
        )
    if "size" in plain:
        return Hashed(plain["column"], plain["size"])
    return OneHot(Levels(plain["column"], tuple(plain["values"])))


def _design_from_plain(plain: dict[str, Any]) -> Design:
    categories = tuple(_category_from_plain(c) for c in plain["categories"])
    kept = plain["kept"]
    return Design(
        _scale_from_plain(plain["numbers"]),
        tuple(plain["missing"]),
        categories,
        plain["expansion"],
        None if kept is None else np.array(kept, dtype=int),
    )
