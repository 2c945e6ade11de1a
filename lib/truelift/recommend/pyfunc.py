"""The sequence model as MLflow keeps it: raw item keys in, ranked item keys (or actions) out.

What is wrong with a request is raised as ``INVALID_PARAMETER_VALUE``, which MLflow's scoring
server answers with status 400 and the reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType, Array

from truelift import __version__
from truelift.errors import DataError
from truelift.models.package import ModelPackage
from truelift.recommend.requests import COLUMNS, RequestReader
from truelift.recommend.scorer import Scorer

PACKAGE = "package"
SEEN_ITEMS = ("keep", "drop")
# Places of a list where nobody says how many.
COUNT = 10


class SequenceModel(PythonModel):
    """The best items, or next actions, for each history; see :func:`signature`."""

    def load_context(self, context: Any) -> None:
        """Read the package and build the model, once."""
        package = ModelPackage.from_bytes(Path(context.artifacts[PACKAGE]).read_bytes())
        self._scorer = Scorer.from_package(package)
        self._reader = RequestReader(package.item_keys, package.sides, self._scorer.side_features)
        self._keys = (None, *package.labels)
        self._ranked = "actions" if package.classifies else "items"
        # The first call traces the model's graph; no user shall wait for it.
        self._scorer.top_of_request(self._reader.histories({"items": [[]]}), 1, "keep")

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Rank for each row.

        Parameters
        ----------
        context : object
            Unused.
        model_input : pandas.DataFrame
            ``items``: item keys in time order (unknown keys are left out; where none is known
            the row gets the list of someone without a history). Optional, as long as ``items``:
            ``sessions`` (session numbers; missing for one item a session), ``times`` (ISO texts
            or seconds since the epoch) and ``event_types``, which matter to models that were
            trained with them.
        params : dict, optional
            ``count`` and ``seen_items`` (``'keep'`` or ``'drop'``).

        Returns
        -------
        pandas.DataFrame
            ``items`` (of a classifier ``actions``) and ``scores``, best first; scores are
            comparable within a row.

        Raises
        ------
        MlflowException
            For a request that cannot be answered, with the reason.
        """
        count, seen = _checked(params or {}, len(self._keys) - 1, self._ranked)
        if "items" not in model_input:
            raise _refused(f"Found the columns {list(model_input)}, expected 'items'.")
        columns = {name: model_input[name].tolist() for name in COLUMNS if name in model_input}
        try:
            histories = self._reader.histories(columns)
        except DataError as error:
            raise _refused(str(error)) from error
        top, scores = self._scorer.top_of_request(histories, count, seen)
        keys = self._keys
        rows = list(zip(top.tolist(), scores.tolist(), strict=True))
        return pd.DataFrame(
            {
                self._ranked: [[keys[i] for i in items if i] for items, _ in rows],
                "scores": [
                    [score for i, score in zip(items, values, strict=True) if i]
                    for items, values in rows
                ],
            }
        )


def _checked(params: dict[str, Any], most: int, ranked: str) -> tuple[int, str]:
    count, seen = params.get("count"), params.get("seen_items", "keep")
    if count is None:
        count = min(COUNT, most)
    if not 1 <= int(count) <= most:
        raise _refused(f"count: found {count}, expected 1 to {most}, the number of {ranked}.")
    if seen not in SEEN_ITEMS:
        raise _refused(f"seen_items: found {seen!r}, expected 'keep' or 'drop'.")
    if seen == "drop" and ranked == "actions":
        raise _refused("seen_items: found 'drop', expected 'keep': actions come again and again.")
    return int(count), str(seen)


def _refused(reason: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(reason)


def signature(package: ModelPackage) -> ModelSignature:
    """Columns and parameters of :class:`SequenceModel` with a package.

    The columns are lists whose elements the model checks itself, with better reasons: MLflow's
    own check of typed lists refuses whole numbers as item ids, and makes a pandas series a row
    and column (2.8 ms for 32 rows, beside 0.3 ms).
    """
    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(AnyType(), "items"),
                *(ColSpec(AnyType(), name, required=False) for name in COLUMNS[1:]),
            ]
        ),
        outputs=Schema(
            [
                ColSpec(Array(DataType.string), "actions" if package.classifies else "items"),
                ColSpec(Array(DataType.double), "scores"),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("count", DataType.long, min(COUNT, len(package.labels))),
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
    path = folder / "artifacts" / "package.npz"
    if not path.is_file():
        raise DataError(
            f"The registered model has no {path.name}, expected one that train_sequence logged; "
            "run train_sequence again."
        )
    return ModelPackage.from_bytes(path.read_bytes())
