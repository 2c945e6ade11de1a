"""Experiments in one call, without a lake or a YAML file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from truelift.effects.panel.column_messages import missing_columns
from truelift.effects.results import EffectsResult
from truelift.errors import ConfigError, TableError
from truelift.experiments.analysis.results import Analysis, Look
from truelift.experiments.analysis.run import analyze
from truelift.experiments.analysis.sources import rows_here
from truelift.experiments.answers import ANSWER, ARM, AnswersResult, answers_of
from truelift.experiments.assignment import Assignment, assign, assignment_columns
from truelift.experiments.design_results import Design
from truelift.experiments.interleaving import Interleaved, Preference, preference
from truelift.experiments.interleaving import interleave as interleaved
from truelift.experiments.planning import planned, require_columns
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


def analyze_experiment(
    table: Any, spec: Mapping[str, Any] | ExperimentSpec, earlier: Iterable[Look] = ()
) -> Analysis:
    """What an experiment changed, and what its rule says.

    Parameters
    ----------
    table : DataFrame, Arrow table, str or path
        Rows with unit, arm and metrics, read into this process.
    spec : mapping or ExperimentSpec
        The keys of docs/experiments.md.
    earlier : iterable of Look, optional
        ``looks`` of an earlier analysis; planned looks share the level with them.

    Returns
    -------
    Analysis
        Prints the decision and its reasons; ``to_pandas()`` has a row an effect.

    Raises
    ------
    TrueliftError
        For a column or an arm that is missing, or units in two arms.
    """
    with naming_extras():
        chosen = spec_of(spec)
        return analyze(rows_here(opened(table), chosen), chosen, tuple(earlier))


def assign_experiment(
    table: Any, spec: Mapping[str, Any] | ExperimentSpec, known: pa.Table | None = None
) -> Assignment:
    """Who gets which arm: ``table`` of the result has a row a unit.

    Parameters
    ----------
    table : DataFrame, Arrow table, str or path
        Rows that name the units, with their strata.
    spec : mapping or ExperimentSpec
    known : pyarrow.Table, optional
        ``table`` of an earlier call: who takes part stays.

    Raises
    ------
    TrueliftError
        For a missing column, a unit without a name or in two strata.
    """
    with naming_extras():
        chosen, rows = spec_of(spec), opened(table)
        columns = assignment_columns(chosen)
        require_columns(rows, columns, chosen)
        return assign(rows.here(columns), chosen, known)


def interleave(
    first: Any, second: Any, lists: Iterable[Any], salt: str, method: str = "team draft"
) -> Interleaved:
    """Lists that show the items of two rankers.

    Parameters
    ----------
    first, second : array of int, lists x k
        The rankers' items, best first.
    lists : iterable of keys
        A list's coins are hashes of its key: a user and a visit, so that it can be made again.
    salt : str
        Of the experiment.
    method : str
        ``'team draft'`` compares clicks on the list; ``'causal'`` what a place in the list changes.

    Raises
    ------
    TrueliftError
        For rankings that do not fit each other.
    """
    keys = pa.array(list(lists))
    return interleaved(np.asarray(first), np.asarray(second), keys, salt, method)


def preferred(lists: Interleaved, outcome: Any, cluster: Iterable[Any]) -> Preference:
    """The second ranker against the first, with errors clustered by user.

    Parameters
    ----------
    lists : Interleaved
    outcome : array, lists x candidates
        Of each of ``lists.items``: clicks or purchases; of a causal interleaving also of items that were
        not shown.
    cluster : iterable of keys
        Of each list, a user.

    Raises
    ------
    TrueliftError
        For outcomes that do not fit the lists.
    """
    return preference(lists, np.asarray(outcome, float), pa.array(list(cluster)))


def spec_of(spec: Mapping[str, Any] | ExperimentSpec) -> ExperimentSpec:
    """The specification that plain keys say."""
    return spec if isinstance(spec, ExperimentSpec) else from_plain(ExperimentSpec, dict(spec))


#: Options of an estimation that a survey has no use for, or of which its counts and plain means know nothing.
_OWN = {"treatment", "outcomes", "arms", "estimands", "filter", "weight", "unit", "lake"}


def compare_answers(
    table: Any,
    *,
    arm: str,
    answer: str,
    covariates: str | Iterable[str],
    cluster: str | None = None,
    control: str | None = None,
    **options: Any,
) -> AnswersResult:
    """What arms change in a rating or survey that only some of the units answered, as if all had.

    Parameters
    ----------
    table : DataFrame, Arrow table, str or path
        A row a unit, of all units that were assigned; the answer is missing where there is none.
    arm, answer : str
        Columns of the arm, and of numbers.
    covariates : str or list of str
        What is known of units from before: who answers, and what, is told from these.
    cluster : str, optional
        Rows that share it may be dependent.
    control : str, optional
        Label of an arm; the first by default.
    **options
        Of :func:`truelift.estimate_effects`: ``nuisances={"learner": "boosting"}``, ``buckets``, ``confidence``;
        but for what is asked of it, and what would weigh or leave out rows.

    Returns
    -------
    AnswersResult
        Prints a sentence an arm, and has ``to_pandas()``.

    Examples
    --------
    >>> import truelift as tl
    >>> tl.compare_answers(orders, arm="page", answer="stars", covariates=["age", "spend"],
    ...                    cluster="customer")  # doctest: +SKIP
    """
    from truelift.public.effects import estimate_effects

    if taken := _OWN & options.keys():
        raise ConfigError(
            f"compare_answers: found {', '.join(sorted(taken))}, which it sets itself or does not know. Expected "
            "options that say how regressions are fitted and errors made; choose rows before."
        )
    held = opened(table)
    named = [covariates] if isinstance(covariates, str) else list(covariates)
    columns = tuple(dict.fromkeys([arm, answer, *named, *([cluster] if cluster else [])]))
    if missing := [name for name in columns if name not in held.schema.names]:
        raise TableError(
            missing_columns(dict.fromkeys(missing, "compare_answers"), held.schema.names, held.name)
        )

    def estimate(rows: pa.Table, arms: Sequence[str]) -> EffectsResult:
        return estimate_effects(
            rows, treatment=ARM, outcomes=ANSWER, covariates=named, cluster=cluster, arms=list(arms),
            control=arms[0], estimands=["APO", "ATE"], **options,
        )  # fmt: skip

    with naming_extras():
        return answers_of(held.here(columns), arm, answer, control, held.name, estimate)
