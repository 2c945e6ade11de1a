"""Learning a policy from rows of scores: options against columns, the fit, the value, the rule to keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from truelift.effects.panel.arms import label_in
from truelift.effects.panel.parts import as_number, is_number
from truelift.effects.panel.source import PanelSource
from truelift.effects.support.supported import Support
from truelift.errors import ConfigError, NotSupportedError, TableError
from truelift.policy.fitting import Fitting
from truelift.policy.options import LearnOptions, RewardOptions
from truelift.policy.results import PolicyResult
from truelift.policy.rows import BlockReader, RowColumns
from truelift.policy.rules import Rule, columns_of
from truelift.policy.values import valued
from truelift.progress import Tell


@dataclass(frozen=True)
class Arms:
    """Arms that may be chosen, the control first, and what is to be said of the others."""

    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()


def arms_of(labels: Sequence[str], support: Sequence[Support], options: RewardOptions) -> Arms:
    """The arms that options and data allow.

    Parameters
    ----------
    labels : sequence of str
        All arms, the control first.
    support : sequence of Support
        Of the effects' verdict: an arm whose average effect is not supported is not chosen.
    options : RewardOptions

    Raises
    ------
    ConfigError
        For an arm that is not there.
    NotSupportedError
        If the data support no arm.
    """
    known = ", ".join(labels)
    for key, named in (("costs", options.costs), ("arms", options.arms)):
        for name in named:
            if label_in(name, labels) is None:
                raise ConfigError(f"{key}: there is no arm {name!r}; the arms are {known}.")
    control = labels[0] if options.control is None else label_in(options.control, labels)
    if control is None:
        raise ConfigError(f"control: there is no arm {options.control!r}; the arms are {known}.")
    wanted = {label_in(name, labels) for name in options.arms} or {*labels}
    others = [a for a in labels if a != control and a in wanted]
    refused = {
        judged.arm or labels[-1]: judged.reason
        for judged in support
        if judged.estimand == "ATE" and not judged.supported
    }
    kept = [a for a in others if a not in refused]
    notes = tuple(
        f"Not chosen: {a}, whose effect the data do not support. {refused[a]}"
        for a in others
        if a in refused
    )
    if not kept:
        reasons = " ".join(notes) or f"No arm is left beside {control}."
        raise NotSupportedError(f"The data support no policy. {reasons}")
    return Arms((control, *kept), notes)


def costs_of(options: RewardOptions, arms: Sequence[str]) -> tuple[float | str, ...]:
    """By arm, a number or the name of a column."""
    costs = {label_in(name, arms): text for name, text in options.costs.items()}
    found: list[float | str] = []
    for arm in arms:
        text = costs.get(arm, "0")
        number = as_number(text)
        found.append(text if number is None else number)
    return tuple(found)


def row_columns(
    arms: Sequence[str], options: LearnOptions, schema: pa.Schema, table: str
) -> RowColumns:
    """The columns that a policy's rows carry.

    Raises
    ------
    TableError
        For a column that is not there or is no number where one is needed.
    """
    numbers, texts = looked_at(options, schema)
    costs = {c: "costs" for c in costs_of(options.reward, arms) if isinstance(c, str)}
    if both := {*options.groups} & {*numbers, *costs}:
        # A group's levels are kept as texts.
        raise ConfigError(
            f"groups: {', '.join(sorted(both))} is a number that the policy looks at or pays; cut it "
            "into ranges in a column of its own."
        )
    read = dict.fromkeys(numbers, "covariates") | costs
    told = dict.fromkeys(texts, "categorical") | dict.fromkeys(options.groups, "groups")
    carried = carried_columns(arms, read, told, schema, table)
    return replace(carried, paid=options.reward.cost_outcome)


def carried_columns(
    arms: Sequence[str], numbers: Mapping[str, str], texts: Mapping[str, str], schema: pa.Schema,
    table: str,
) -> RowColumns:  # fmt: skip
    """The rows' columns, of numbers and texts that options name by their keys.

    Raises
    ------
    TableError
        For a column that is not there or is no number where one is needed.
    """
    for name, key in (*numbers.items(), *texts.items()):
        if name not in schema.names:
            raise TableError(
                f"{table} has no column {name!r} ({key}); its columns are {', '.join(schema.names)}."
            )
        if name in numbers and not is_number(schema.field(name).type):
            raise TableError(
                f"{table}, column {name!r}: found type {schema.field(name).type}, expected a number "
                f"({numbers[name]})."
            )
    return RowColumns(tuple(arms), (*numbers, *texts), tuple(texts))


def looked_at(options: LearnOptions, schema: pa.Schema) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Numbers and texts that the policy looks at."""
    if options.covariates is None:
        numbers = tuple(
            n for n in schema.names if n.startswith("x_") and n not in options.categorical
        )
    else:
        numbers = options.covariates
    return numbers, options.categorical


@dataclass(frozen=True, eq=False)
class Ground:
    """Rows of scores that a policy is learned on.

    Parameters
    ----------
    source : PanelSource
    columns : RowColumns
    folds : int
    notes : tuple of str
    """

    source: PanelSource
    columns: RowColumns
    folds: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class LearnedPolicy:
    """A policy: its rule, and what it is worth.

    Parameters
    ----------
    result : PolicyResult
    rule : Rule
    """

    result: PolicyResult
    rule: Rule

    def choose(self, frame: pd.DataFrame) -> np.ndarray:
        """The arm of every row of a frame, by its label."""
        columns = columns_of(self.rule, frame)
        return np.array(self.result.arms)[self.rule.choose(columns)]

    def __repr__(self) -> str:
        return self.result.summary()


def learn(
    ground: Ground, options: LearnOptions, progress: Tell = lambda text: None
) -> LearnedPolicy:
    """Fit the rules and value them; see :func:`learn_with`."""
    return learn_with(ground, options, progress)[0]


def learn_with(
    ground: Ground, options: LearnOptions, progress: Tell = lambda text: None
) -> tuple[LearnedPolicy, Fitting]:
    """Fit the rules and value them; the fitting reads the rows again for those who want more of them.

    Raises
    ------
    DataError
        For rows that cannot be fitted on.
    ConfigError
        For texts that a linear rule cannot look at.
    """
    columns = ground.columns
    if options.method != "tree" and options.categorical:
        raise ConfigError(
            f"categorical: found {', '.join(options.categorical)}, and a {options.method} rule looks at "
            "numbers alone. Use method: tree, or make numbers of them."
        )
    reader = BlockReader(columns, options.reward.worth, costs_of(options.reward, columns.arms))
    texts = tuple(c for c in columns.carried if c in options.categorical)
    if options.covariates is None:
        numbers = tuple(c for c in columns.carried if c.startswith("x_") and c not in texts)
    else:
        numbers = tuple(c for c in columns.carried if c in options.covariates and c not in texts)
    fitting = Fitting(ground.source, reader, options, numbers, texts, ground.folds, progress)
    learned = fitting.learned()
    return LearnedPolicy(valued(fitting, learned, ground.notes), learned.of_all), fitting
