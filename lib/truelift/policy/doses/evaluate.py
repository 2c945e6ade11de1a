"""From a dose log and policies to their values: a check, a model of rewards, sums at all bandwidths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import count_nameless, hash_keys
from truelift.effects.panel.column_messages import missing_columns
from truelift.effects.panel.columns import number_column
from truelift.errors import DataError, TableError
from truelift.lake.foreign import ForeignTable
from truelift.policy.doses.densities import Centred, DoseDensities, dose_densities
from truelift.policy.doses.judging import judge
from truelift.policy.doses.kernel import dose_sums
from truelift.policy.doses.results import DosesResult
from truelift.policy.doses.reward_model import coefficients, features_of, model_sums
from truelift.policy.doses.spec import DoseSpec
from truelift.policy.off_policy.log import BanditLog, column_of, is_numeric
from truelift.policy.off_policy.reward_model import in_fold
from truelift.progress import Tell

State = dict[str, np.ndarray]
#: Bandwidths in units of the rule's; each is the square root of two of the one before it.
STEPS = tuple(2.0 ** (k / 2) for k in range(-6, 3))


@dataclass(frozen=True, eq=False)
class DoseRows:
    """Rows of a log as arrays: logged dose, density, policies' doses (n x P), rewards (n x R), context.

    A density that is to be estimated is 1, and context that is missing NaN.
    """

    logged: np.ndarray
    density: np.ndarray
    given: np.ndarray
    rewards: np.ndarray
    context: np.ndarray
    users: np.ndarray


@dataclass(frozen=True)
class DoseReader:
    """What turns batches into arrays."""

    spec: DoseSpec

    def rows(self, batches: Iterator[pa.RecordBatch]) -> DoseRows | None:
        """All rows of a bucket, None where there are none."""
        spec = self.spec
        kept = [batch for batch in batches if batch.num_rows]
        if not kept:
            return None
        n = sum(batch.num_rows for batch in kept)

        def columns(names: tuple[str, ...]) -> np.ndarray:
            parts = [[number_column(b, name) for b in kept] for name in names]
            return np.column_stack([*(np.concatenate(p) for p in parts), np.zeros((n, 0))])

        given = [
            columns((p.dose,))[:, 0] if p.dose else np.full(n, float(p.always or 0.0))
            for p in spec.policies.values()
        ]
        if spec.user:
            users = np.concatenate([hash_keys(column_of(b, spec.user)) for b in kept])
        else:
            users = np.arange(n, dtype=np.uint64)
        density = columns((spec.density,))[:, 0] if spec.density else np.ones(n)
        return DoseRows(
            columns((spec.dose,))[:, 0], density, np.column_stack(given),
            columns(spec.rewards), columns(spec.context), users,
        )  # fmt: skip


@dataclass(frozen=True)
class CheckDoses:
    """Counts of rows that cannot be used, moments of the dose, and cross-products by fold."""

    reader: DoseReader

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        spec, held = self.reader.spec, list(batches)
        rows = self.reader.rows(iter(held))
        if rows is None:
            return None
        nameless = sum(count_nameless(column_of(b, spec.user))[0] for b in held) if spec.user else 0
        bad = [
            np.count_nonzero(~np.isfinite(rows.logged)),
            np.count_nonzero(~((rows.density > 0) & np.isfinite(rows.density))),
            nameless,
            *np.count_nonzero(~np.isfinite(rows.rewards), axis=0),
            *np.count_nonzero(~np.isfinite(rows.given), axis=0),
        ]
        dose = np.where(np.isfinite(rows.logged), rows.logged, 0.0)
        given = np.isfinite(rows.context)
        context = np.where(given, rows.context, 0.0)
        state: State = {
            "bad": np.array(bad, float),
            "moments": np.array([len(dose), dose.sum(), (dose**2).sum()]),
            "context": np.stack([given.sum(axis=0), context.sum(axis=0), (context**2).sum(axis=0)]),
            "max_dose": np.array([dose.max(), -dose.min()]),
            "max_reward": np.array([rows.rewards.max(axis=0), -rows.rewards.min(axis=0)]),
        }
        sums = model_sums(features_of(rows.context, dose), np.nan_to_num(rows.rewards))
        return state | in_fold(sums, bucket % spec.folds, spec.folds)


@dataclass(frozen=True, eq=False)
class DoseValues:
    """Sums of the rows at every bandwidth."""

    reader: DoseReader
    beta: np.ndarray
    widths: np.ndarray
    densities: DoseDensities | None = None

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        rows = self.reader.rows(batches)
        if rows is None:
            return None
        fold = bucket % self.reader.spec.folds
        beta, density = self.beta[fold], rows.density
        if self.densities is not None:
            density = self.densities.of_rows(rows, fold)
        own = features_of(rows.context, rows.logged) @ beta
        predicted = np.stack([features_of(rows.context, d) @ beta for d in rows.given.T], axis=1)
        return dose_sums(
            rows.users, rows.logged, density, rows.given, rows.rewards, own, predicted, self.widths
        )  # fmt: skip


def check_dose_columns(table: ForeignTable, spec: DoseSpec) -> None:
    """See that a log has the columns that the specification names, and that they are numbers.

    Raises
    ------
    TableError
    """
    keys = dict(spec.numbers) | ({spec.user: "user"} if spec.user else {})
    missing = {name: key for name, key in keys.items() if name not in table.schema.names}
    if missing:
        raise TableError(missing_columns(missing, table.schema.names, table.name))
    kinds = {f.name: f.type for f in table.stored(spec.columns())}
    for name, key in spec.numbers.items():
        if not is_numeric(kinds[name]):
            raise TableError(
                f"{table.name}, column {name!r}: found type {kinds[name]}, expected numbers ({key})."
            )


def evaluate_doses(
    log: BanditLog, spec: DoseSpec, progress: Tell = lambda text: None
) -> DosesResult:
    """Values of all policies at all bandwidths, with one covariance clustered by user.

    Raises
    ------
    DataError
        For rows that cannot be used: naming the column, how many, and what was expected.
    """
    reader = DoseReader(spec)
    progress("checking rows")
    checked = log.sum(CheckDoses(reader))
    _refuse(log, spec, checked)
    rows, total, squares = checked["moments"]
    spread = float(np.sqrt(max(squares / rows - (total / rows) ** 2, 0.0)))
    most, least = checked["max_dose"]
    if spread == 0 or most == -least:  # a spread from sums may be rounding
        raise DataError(
            f"{log.name}, column {spec.dose!r}: the dose is {total / rows:g} in every row, so the log says "
            "nothing of another."
        )
    widths = np.array(sorted(spec.bandwidths)) if spec.bandwidths else rule(spread, rows) * STEPS
    centred = Centred.of(checked["moments"], checked["context"])
    densities = dose_densities(log, reader, centred, progress) if spec.density_model else None
    progress("values")
    beta = coefficients(checked["gram"], checked["right"])
    state = log.sum(DoseValues(reader, beta, widths, densities))
    return judge(spec, state, widths, log.name, log.version)


def rule(spread: float, rows: float) -> np.ndarray:
    """Silverman's rule for this kernel: ``2.34 sd n^(-1/5)``."""
    return np.array(2.34 * spread * rows**-0.2)


def _refuse(log: BanditLog, spec: DoseSpec, checked: State) -> None:
    rows = int(checked["moments"][0])
    expected = [
        (spec.dose, "a number in every row: the dose that was given"),
        (spec.density or "", "a density above zero in every row, of the dose that was given"),
        (spec.user, "a key in every row"),
        *((r, "a number in every row: 0 where nothing came of it") for r in spec.rewards),
        *((p.dose or "", f"a dose in every row (policies.{n})") for n, p in spec.policies.items()),
    ]
    for count, (column, wanted) in zip(checked["bad"], expected, strict=True):
        if count:
            raise DataError(
                f"{log.name}, column {column!r}: missing or impossible in {int(count):,} of {rows:,} rows; "
                f"expected {wanted}."
            )
    for j, reward in enumerate(spec.rewards):
        most, least = checked["max_reward"][:, j]
        if most == -least:
            raise DataError(
                f"{log.name}, column {reward!r}: the reward is {most:g} in every row, so every policy is worth "
                "the same. Look at how it was made, or leave it out."
            )
