"""The networks as MLflow keeps them: covariates in, chances and outcomes of every arm out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from mlflow.pyfunc.model import PythonModel

from truelift.effects.neural.package import CausalPackage
from truelift.strict_requests import refuse_unknown

PACKAGE = "package"
FILE = "causal.npz"


class CausalModel(PythonModel):
    """Predictions for units that are not in the panel: the mean over the folds' models."""

    def load_context(self, context: Any) -> None:
        """Read the package."""
        self._package = CausalPackage.from_bytes(Path(context.artifacts[PACKAGE]).read_bytes())
        refuse_unknown(self._package.design.columns(), ())

    def predict(
        self,
        context: Any,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Predict for each row.

        Parameters
        ----------
        context : object
            Unused.
        model_input : pandas.DataFrame
            The covariates' columns of the panel.
        params : dict, optional
            Unused.

        Returns
        -------
        pandas.DataFrame
            ``propensity_ARM`` for every arm, ``OUTCOME_ARM`` in the outcome's units, and
            ``OUTCOME_effect_ARM`` against the first arm. These are the networks' predictions,
            not doubly robust estimates: intervals come from ``estimate_effects``.
        """
        made = self._package
        columns = list(made.design.columns())
        table = pa.Table.from_pandas(model_input[columns], preserve_index=False).combine_chunks()
        if not table.num_rows:
            return pd.DataFrame()
        block = made.design.block(table.to_batches()[0], None)
        found = [made.nuisances.predict(block, fold) for fold in range(made.folds)]
        chance = np.mean([f.propensity for f in found], axis=0)
        outcome = np.mean([f.outcome_regression for f in found], axis=0)
        result = {f"propensity_{arm}": chance[a] for a, arm in enumerate(made.arms)}
        for j, (name, centre, scale) in enumerate(made.outcomes):
            own = outcome[:, j] * scale + centre
            for a, arm in enumerate(made.arms):
                result[f"{name}_{arm}"] = own[a]
            for a, arm in list(enumerate(made.arms))[1:]:
                result[f"{name}_effect_{arm}"] = own[a] - own[0]
        return pd.DataFrame(result)


def how_to_call(package: CausalPackage) -> str:
    """The signature in words (Markdown)."""
    arms, outcomes = ", ".join(package.arms), ", ".join(name for name, *_ in package.outcomes)
    return (
        f"Predictions of the networks for units that are not in the table: columns are the "
        f"covariates ({', '.join(package.design.columns())}), one row a unit.\n\n"
        f"The answer has `propensity_ARM` for every arm ({arms}), `OUTCOME_ARM` for every outcome "
        f"({outcomes}) in its own units, and `OUTCOME_effect_ARM` against {package.arms[0]}. They "
        "are a network's predictions, not doubly robust estimates: intervals come from "
        "`truelift estimate_effects`."
    )
