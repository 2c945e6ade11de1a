"""Ratings and surveys that only some of the units answer: means as if all had, and what an arm changed in them.

Of a unit one sees its arm and, where it answered, the answer. Given what is known of it from before, an answer
that is missing is taken to be as those of the units that are alike and answered (missing at random). The doubly
robust score of the mean in arm a is

    q_a(x) + 1[arm = a, answered] / P(arm = a, answered | x) (y - q_a(x))

(Robins, Rotnitzky & Zhao 1994), which is that of a treatment with the arms among those who answered, and one
more arm for all who did not. So the chances of answering and the regressions are cross-fitted, errors are
clustered, and few who answer stop an estimate, as in any estimation of effects. Weights alone would leave out
what the regression knows, and complete cases alone are right only where answering goes with nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from truelift.effects.panel.arms import label_in, label_of
from truelift.effects.panel.parts import is_number
from truelift.effects.results import EffectsResult, Estimate
from truelift.errors import DataError, NotSupportedError, TableError
from truelift.experiments.history import given_answers

if TYPE_CHECKING:
    import pandas as pd

#: What units that did not answer are called beside the arms.
SILENT = "no answer"
#: Names of the columns that are made; a table's own may not be called so.
ARM, ANSWER = "__arm_if_answered__", "__answer_or_nothing__"


@dataclass(frozen=True)
class ArmAnswers:
    """Answers of one arm.

    Parameters
    ----------
    arm : str
    units, answers : int
    of_answers : float
        The mean of those who answered.
    mean, ci_lower, ci_upper : float
        As if all had answered.
    difference, difference_lower, difference_upper, p_value : float, optional
        Against the control, as if all had answered; None of the control.
    naive_difference : float, optional
        Between those who answered.
    """

    arm: str
    units: int
    answers: int
    of_answers: float
    mean: float
    ci_lower: float
    ci_upper: float
    difference: float | None = None
    difference_lower: float | None = None
    difference_upper: float | None = None
    p_value: float | None = None
    naive_difference: float | None = None


@dataclass(frozen=True, repr=False)
class AnswersResult:
    """Answers of all arms, the control first, and the estimation that they are from.

    Parameters
    ----------
    answer : str
    arms : tuple of ArmAnswers
    effects : EffectsResult
        Of the arms among those who answered; its arm of those who did not means nothing.
    supported : bool
    reasons : tuple of str
        Why an arm is not supported.
    """

    answer: str
    arms: tuple[ArmAnswers, ...]
    effects: EffectsResult
    supported: bool
    reasons: tuple[str, ...] = ()

    def to_pandas(self) -> pd.DataFrame:
        """One row an arm."""
        import pandas as pd

        return pd.DataFrame([vars(a) for a in self.arms])

    def summary(self) -> str:
        """A sentence an arm."""
        control, lines = self.arms[0], []
        for a in self.arms:
            line = (
                f"{a.arm}: {a.answers:,} of {a.units:,} answered ({a.answers / a.units:.1%}), {a.of_answers:.4g} on "
                f"average; {a.mean:.4g} [{a.ci_lower:.4g}, {a.ci_upper:.4g}] if all had"
            )
            if a.difference is not None:
                line += (
                    f", {a.difference:+.4g} [{a.difference_lower:+.4g}, {a.difference_upper:+.4g}] against "
                    f"{control.arm} ({a.naive_difference:+.4g} between those who answered)"
                )
            lines.append(f"{line}.")
        lines += [f"Not supported: {reason}" for reason in self.reasons]
        lines.append(
            "Answers that are missing are taken to be as those of units alike in the covariates who answered."
        )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.summary()


def with_silence(rows: pa.Table, arm: str, answer: str, name: str) -> pa.Table:
    """The table with the arms of those who answered, and their answers, 0 for the others.

    Raises
    ------
    TableError, DataError
        For columns that are not there or no numbers, rows without an arm, and nobody who answered or was silent.
    """
    for column, key in ((arm, "arm"), (answer, "answer")):
        if column not in rows.schema.names:
            raise TableError(
                f"{name} has no column {column!r} ({key}); its columns are {', '.join(rows.schema.names)}."
            )
    if not is_number(rows.schema.field(answer).type):
        raise TableError(
            f"{name}, column {answer!r}: found type {rows.schema.field(answer).type}, expected numbers (answer), "
            "missing where there is none."
        )
    labels = np.array(
        [None if v is None else label_of(v) for v in rows[arm].to_pylist()], dtype=object
    )
    if lost := int(np.count_nonzero(labels == None)):  # noqa: E711
        raise DataError(
            f"{name}, column {arm!r}: {lost:,} rows have no arm; leave them out or find theirs."
        )
    held, told = given_answers(rows, answer)
    if told.all() or not told.any():
        raise DataError(
            f"{name}, column {answer!r}: {'all' if told.all() else 'none'} of {rows.num_rows:,} rows have an answer. "
            + ("Compare them as a metric of the kind mean, or by estimate_effects." if told.all() else "There is nothing to tell.")
        )  # fmt: skip
    if SILENT in set(labels):
        raise DataError(f"{name}, column {arm!r}: an arm is called {SILENT!r}; name it otherwise.")
    shown = np.where(told, labels, SILENT)
    return rows.append_column(ARM, pa.array(shown, pa.string())).append_column(
        ANSWER, pa.array(held)
    )


def answers_of(
    rows: pa.Table, arm: str, answer: str, control: str | None, name: str,
    estimate: Callable[[pa.Table, Sequence[str]], EffectsResult],
) -> AnswersResult:  # fmt: skip
    """Answers of all arms.

    Parameters
    ----------
    rows : pyarrow.Table
    arm, answer : str
    control : str, optional
        The first of the labels by default.
    name : str
        Of the table, for messages.
    estimate : callable
        Estimates APO and ATE of the arms that it is given, the control first, on the rows that it is given.
    """
    made = with_silence(rows, arm, answer, name)
    whole = np.array([label_of(v) for v in rows[arm].to_pylist()], dtype=object)
    told = np.array(made[ARM].to_pylist(), dtype=object)
    labels = sorted(set(whole))
    first = labels[0] if control is None else label_in(label_of(control), labels)
    if first is None:
        raise DataError(f"{name}, column {arm!r}: no arm {control!r}; it has {', '.join(labels)}.")
    if mute := [label for label in labels if not np.any(told == label)]:
        raise NotSupportedError(
            f"{name}, column {answer!r}: nobody of the arm {mute[0]} answered ({int(np.sum(whole == mute[0])):,} "
            "units), so nothing says what they would have. Leave the arm out, or ask again."
        )
    ordered = [first, *(label for label in labels if label != first)]
    effects = estimate(made, (*ordered, SILENT))
    values = made[ANSWER].to_numpy()
    naive = {label: float(values[told == label].mean()) for label in ordered}
    found = []
    for label in ordered:
        level = estimate_of(effects, "APO", label)
        parts: dict[str, float | None] = {}
        if label != first:
            gap = estimate_of(effects, "ATE", label)
            parts = {
                "difference": gap.estimate, "difference_lower": gap.ci_lower,
                "difference_upper": gap.ci_upper, "p_value": gap.p_value,
                "naive_difference": naive[label] - naive[first],
            }  # fmt: skip
        found.append(
            ArmAnswers(
                label, int(np.count_nonzero(whole == label)), int(np.count_nonzero(told == label)),
                naive[label], level.estimate, level.ci_lower, level.ci_upper, **parts,
            )
        )  # fmt: skip
    # Of one arm nothing but the comparison with those who did not answer says whether it is supported.
    looked = [s for s in effects.support if s.arm in ordered or len(ordered) == 1]
    refused = [s for s in looked if not s.supported]
    reasons = tuple(dict.fromkeys(f"{s.arm or first}: {' '.join(s.reasons)}" for s in refused))
    return AnswersResult(answer, tuple(found), effects, not reasons, reasons)


def estimate_of(effects: EffectsResult, estimand: str, arm: str) -> Estimate:
    """An arm's mean (APO) or difference to the control (ATE), as if all had answered.

    Raises
    ------
    NotSupportedError
        For an arm without an estimate.
    """
    for estimate in effects.estimates:
        if (estimate.estimand, estimate.arm) == (estimand, arm):
            return estimate
    raise NotSupportedError(
        f"Too few of {arm!r} answered for an estimate; expected answers of some tens of units in every arm."
    )
