"""Experiments in one call, without a lake or a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from truelift.experiments.design_results import Design
from truelift.experiments.planning import planned
from truelift.experiments.spec import ExperimentSpec
from truelift.extras import naming_extras
from truelift.public.tables import opened
from truelift.typed import from_plain


def design_experiment(
    spec: Mapping[str, Any] | ExperimentSpec, past: Any = None, repetitions: int = 500
) -> Design:
    """How many units an experiment takes, what it can find, and how long it lasts.

    Parameters
    ----------
    spec : mapping or ExperimentSpec
        The keys of docs/experiments.md.
    past : DataFrame, Arrow table, str or path, optional
        Past outcomes, a row a unit or several. What ``design.baseline`` does not state is taken from
        them, and experiments are drawn from them: without an effect, and with it.
    repetitions : int
        Experiments drawn.

    Returns
    -------
    Design
        Prints sentences and a table; ``to_pandas()`` is the power curve.

    Raises
    ------
    TrueliftError
        For a design that finds nothing, or numbers that cannot be.

    Examples
    --------
    >>> import truelift as tl
    >>> tl.design_experiment({
    ...     "name": "checkout", "unit": "customer", "metrics": {"revenue": {}},
    ...     "design": {"baseline": {"mean": 52, "sd": 80}, "lift": 0.02},
    ... })  # doctest: +SKIP
    """
    with naming_extras():
        return planned(spec_of(spec), None if past is None else opened(past), repetitions)


def spec_of(spec: Mapping[str, Any] | ExperimentSpec) -> ExperimentSpec:
    """The specification that plain keys say."""
    return spec if isinstance(spec, ExperimentSpec) else from_plain(ExperimentSpec, dict(spec))
