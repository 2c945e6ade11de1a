"""The sequence model as MLflow keeps it: raw item keys in, ranked item keys (or actions) out.

What is wrong with a request is raised as ``INVALID_PARAMETER_VALUE``, which MLflow's scoring
server answers with status 400 and the reason.
"""

from __future__ import annotations

import json
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
from truelift.models.sequence.package import FILE, ModelPackage
from truelift.serving.requests import COLUMNS, RequestReader
from truelift.serving.scorer import Scorer
from truelift.strict_requests import refuse_unknown

PACKAGE = "package"
SEEN_ITEMS = ("keep", "drop")
PARAMETERS = ("count", "seen_items")
# Places of a list where nobody says how many.
COUNT = 10


class SequenceModel(PythonModel):
    """The best items, or next actions, for each history; see :func:`signature`."""

    def load_context(self, context: Any) -> None:
        """Read the package and build the model, once."""
        package = ModelPackage.from_bytes(Path(context.artifacts[PACKAGE]).read_bytes())
        refuse_unknown(COLUMNS, PARAMETERS)
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
            comparable within a row. ``known_items``: how many of the items given the model knows.

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
                "known_items": self._reader.known(columns),
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
                ColSpec(DataType.long, "known_items"),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("count", DataType.long, min(COUNT, len(package.labels))),
                ParamSpec("seen_items", DataType.string, "keep"),
            ]
        ),
    )


def how_to_call(package: ModelPackage) -> str:
    """The signature in words: MLflow has no place for them beside its columns (Markdown)."""
    actions = package.classifies
    answer = "actions" if actions else "items"
    what = "the likeliest next actions" if actions else "the best next items"
    return (
        f"Gives {what} for each row, which is one history.\n\n"
        "| column of a row | |\n|---|---|\n"
        "| `items` | list of item ids in the order of time, texts or whole numbers, spelt as in "
        "the source; unknown ones are left out |\n"
        "| `sessions` | optional list, as long: session numbers; without it each item is a session "
        "of its own |\n"
        "| `times` | optional list, as long: ISO texts, or seconds since the epoch |\n"
        "| `event_types` | optional list, as long: names of event types |\n\n"
        "| parameter | |\n|---|---|\n"
        f"| `count` | how many, 1 to {len(package.labels)} |\n"
        "| `seen_items` | `keep`, or `drop` to leave out what the history holds |\n\n"
        "| column of the answer | |\n|---|---|\n"
        f"| `{answer}` | best first |\n"
        "| `scores` | as long; comparable within a row only |\n"
        "| `known_items` | how many of the row's items the model knows; at 0 the answer is that of "
        "someone without a history |\n\n"
        'Example: `{"dataframe_records": [{"items": '
        f"{json.dumps(list(package.item_keys[:2]), ensure_ascii=False)}"
        '}], "params": {"count": 3}}`'
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
    path = folder / FILE
    path.write_bytes(package.to_bytes())
    return {PACKAGE: str(path)}
