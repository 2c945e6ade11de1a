"""The sequence model as MLflow keeps it: raw item keys in, ranked item keys out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array

from truelift import __version__
from truelift.models.package import ModelPackage
from truelift.recommend.scorer import Scorer, histories_from_keys

PACKAGE = "package"


class SequenceModel(PythonModel):
    """Ten items for each history; see :func:`signature` for the columns."""

    def load_context(self, context: Any) -> None:
        """Read the package and build the model, once."""
        data = Path(context.artifacts[PACKAGE]).read_bytes()
        self._scorer = Scorer.from_package(ModelPackage.from_bytes(data))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Rank for each row.

        Parameters
        ----------
        context : object
            Unused.
        model_input : pandas.DataFrame
            ``items``: item keys in time order (unknown keys are left out); ``sessions``: the
            session number of each item, or missing for one item a session.
        params : dict, optional
            ``count`` and ``seen_items`` (``'keep'`` or ``'drop'``).

        Returns
        -------
        pandas.DataFrame
            ``items`` and ``scores``, best first; scores are comparable within a row.
        """
        given = params or {}
        keys = self._scorer.item_keys
        items = [list(row) for row in model_input["items"]]
        sessions = (
            [None if row is None else list(row) for row in model_input["sessions"]]
            if "sessions" in model_input
            else [None] * len(items)
        )
        histories = histories_from_keys(keys, items, sessions)
        count, seen = int(given.get("count", 10)), str(given.get("seen_items", "keep"))
        top, scores = self._scorer.top(histories, count, seen)
        return pd.DataFrame(
            {
                "items": [[keys[i - 1] for i in row if i > 0] for row in top],
                "scores": [
                    [float(s) for s in row[indices > 0]]
                    for row, indices in zip(scores, top, strict=True)
                ],
            }
        )


def signature() -> ModelSignature:
    """Columns and parameters of :class:`SequenceModel`."""
    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(Array(DataType.string), "items"),
                ColSpec(Array(DataType.long), "sessions", required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec(Array(DataType.string), "items"),
                ColSpec(Array(DataType.double), "scores"),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("count", DataType.long, 10),
                ParamSpec("seen_items", DataType.string, "keep"),
            ]
        ),
    )


def input_example(item_keys: tuple[str, ...]) -> pd.DataFrame:
    """Two short histories out of the vocabulary."""
    few = list(item_keys[:3])
    return pd.DataFrame(
        {"items": [few, few[:1]], "sessions": [list(range(len(few))), [0]]},
    )


def requirements() -> list[str]:
    """What serving needs, at the versions that are installed here.

    truelift itself is a wheel of this repository (``dist/``), not a package of an index.
    """
    from importlib.metadata import version

    names = ("keras", "numpy", "pandas", "pyarrow", "tensorflow")
    return [f"truelift=={__version__}", *(f"{name}=={version(name)}" for name in names)]


def save(package: ModelPackage, folder: Path) -> dict[str, str]:
    """Write the package; returns the artifacts for ``log_model``."""
    path = folder / "package.npz"
    path.write_bytes(package.to_bytes())
    return {PACKAGE: str(path)}


def read_package(folder: Path) -> ModelPackage:
    """The package inside a downloaded MLflow model.

    Raises
    ------
    DataError
        If the folder is not such a model.
    """
    from truelift.errors import DataError

    path = folder / "artifacts" / "package.npz"
    if not path.is_file():
        raise DataError(
            f"The registered model has no {path.name}, expected one that train_sequence logged; "
            "run train_sequence again."
        )
    return ModelPackage.from_bytes(path.read_bytes())
