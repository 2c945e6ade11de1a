"""A policy as MLflow keeps it: what is known of units in, arms and their chances out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from mlflow.pyfunc.model import PythonModel

from truelift.policy.package import PolicyPackage
from truelift.policy.rules import columns_of
from truelift.strict_requests import refuse_unknown

PACKAGE = "package"
FILE = "policy.json"
UNIT = "unit_id"


class PolicyModel(PythonModel):
    """Decides for units by the columns that the rule looks at, and draws lots by ``unit_id``."""

    def load_context(self, context: Any) -> None:
        """Read the package."""
        text = Path(context.artifacts[PACKAGE]).read_text(encoding="utf-8")
        self._package = PolicyPackage.from_text(text)
        rule = self._package.rule
        refuse_unknown((*rule.numbers, *rule.texts, UNIT), ())

    def predict(
        self,
        context: Any,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Decide for each row.

        Parameters
        ----------
        context : object
            Unused.
        model_input : pandas.DataFrame
            ``unit_id`` and the rule's columns.
        params : dict, optional
            Unused.

        Returns
        -------
        pandas.DataFrame
            ``action``, its ``propensity``, the rule's own ``best``, and ``propensity_ARM`` of every arm.
        """
        return decided(self._package, model_input)


def decided(package: PolicyPackage, frame: pd.DataFrame) -> pd.DataFrame:
    """Decisions for the rows of a frame, with the chances to be logged."""
    rule, arms = package.rule, np.array(package.arms, dtype=object)
    keys = pa.array(frame[UNIT].astype(str).tolist(), pa.string())
    columns = columns_of(rule, frame)
    made = package.decide(columns, keys)
    found = {"action": arms[made.taken], "propensity": made.propensity, "best": arms[made.best]}
    chances = package.propensities(made.best)
    return pd.DataFrame(found | {f"propensity_{arm}": chance for arm, chance in chances.items()})


def how_to_call(package: PolicyPackage) -> str:
    """The signature in words (Markdown)."""
    columns = ", ".join((*package.rule.numbers, *package.rule.texts))
    return (
        f"A policy of truelift: one row a unit with {UNIT} and {columns}; the answer has `action`, the "
        f"`propensity` to log beside it, and `propensity_ARM` of {', '.join(package.arms)}. "
        f"{package.exploration:.0%} of the units are treated by lot."
    )
