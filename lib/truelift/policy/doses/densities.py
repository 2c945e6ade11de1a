"""Densities of doses that the log lacks: a location and a scale that go with the context, and the shape of what is left.

With mu and sigma from regressions on context and its squares, ``f(a|x) = g((a - mu(x)) / sigma(x)) / sigma(x)``, g the
density of the standardised doses by counts on a fine grid, smoothed by a Gaussian of Silverman's width. All three are
of the other folds' users, and each is a sum: three passes. Dose and context are centred first: of a year, of a price far
from zero, nothing would else be left beside the ridge. Context that is missing is its mean, with a column that says so. Where the shape itself changes with the context this is
wrong, as it is where the log chose by what the context lacks; of the first the weights' mean, of the second nothing tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from truelift.errors import DataError
from truelift.inference.normal_equations import solve_symmetric
from truelift.policy.doses.reward_model import coefficients, model_sums
from truelift.policy.off_policy.log import BanditLog
from truelift.policy.off_policy.reward_model import in_fold
from truelift.progress import Tell

if TYPE_CHECKING:
    from truelift.policy.doses.evaluate import DoseReader, DoseRows

State = dict[str, np.ndarray]
# Standardised doses fall into bins of a fiftieth from -12 to 12; beyond there is the last one.
_REACH, _STEP = 12.0, 0.02
_CENTRES = np.arange(-_REACH + _STEP / 2, _REACH, _STEP)
# Of the density a wide normal one, so that no dose is impossible.
_WIDE, _SHARE = 3.0, 1e-3
_LEAST = 1e-200
# The mean of the logarithm of a squared standard normal number.
_LOG_SQUARE = -1.2703628454614782


@dataclass(frozen=True, eq=False)
class Centred:
    """What dose and context are less their means, by their deviations, over all rows.

    Parameters
    ----------
    dose : (float, float)
        Mean and deviation.
    context : ndarray, 2 x c
        Means and deviations of what is there.
    """

    dose: tuple[float, float]
    context: np.ndarray

    @classmethod
    def of(cls, dose: np.ndarray, context: np.ndarray) -> Centred:
        """From counts, sums and sums of squares (3, and 3 x c)."""
        mean, deviation = _moments(dose[:, None])
        return cls((float(mean[0]), float(deviation[0])), np.stack(_moments(context)))

    def doses(self, rows: DoseRows) -> np.ndarray:
        """Of the rows (n)."""
        return (rows.logged - self.dose[0]) / self.dose[1]

    def features(self, rows: DoseRows) -> np.ndarray:
        """One, the context, its squares, and whether it is missing (n x 1 + 3 c)."""
        missing = ~np.isfinite(rows.context)
        context = (
            np.where(missing, self.context[0], rows.context) - self.context[0]
        ) / self.context[1]
        return np.column_stack([np.ones(len(context)), context, context**2, missing])


def _moments(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count, total, squares = sums
    mean = total / np.maximum(count, 1)
    deviation = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0))
    return mean, np.where(deviation > 0, deviation, 1.0)


@dataclass(frozen=True, eq=False)
class DoseDensities:
    """Location, scale and shape of the doses by fold.

    Parameters
    ----------
    centred : Centred
    location, scale : ndarray, K x d
        Coefficients on context and squares; of the scale those of the logarithm of a squared residual.
    shape : ndarray, K x bins
        Densities of standardised doses; empty before they are counted.
    """

    centred: Centred
    location: np.ndarray
    scale: np.ndarray
    shape: np.ndarray

    def standardised(self, rows: DoseRows, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Doses less their location by their scale, and the scale (n each)."""
        features = self.centred.features(rows)
        scale = np.exp(0.5 * features @ self.scale[fold])
        z = (self.centred.doses(rows) - features @ self.location[fold]) / scale
        return z, scale * self.centred.dose[1]

    def of_rows(self, rows: DoseRows, fold: int) -> np.ndarray:
        """The density of each row's dose (n)."""
        z, scale = self.standardised(rows, fold)
        shape = np.interp(z, _CENTRES, self.shape[fold], left=0.0, right=0.0)
        wide = np.exp(-0.5 * (z / _WIDE) ** 2) / (_WIDE * np.sqrt(2 * np.pi))
        return np.asarray(np.maximum((1 - _SHARE) * shape + _SHARE * wide, _LEAST) / scale)


@dataclass(frozen=True, eq=False)
class _Location:
    """Sums for the location, or for the scale where the location is known."""

    reader: DoseReader
    centred: Centred
    location: np.ndarray | None = None

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        rows = self.reader.rows(batches)
        if rows is None:
            return None
        folds = self.reader.spec.folds
        features, target = self.centred.features(rows), self.centred.doses(rows)
        if self.location is not None:
            left = target - features @ self.location[bucket % folds]
            target = np.log(np.maximum(left**2, 1e-300)) - _LOG_SQUARE
            # A dose on the line to the last digit has no logarithm that is of use.
            features, target = features[left != 0], target[left != 0]
        return in_fold(model_sums(features, target[:, None]), bucket % folds, folds)


@dataclass(frozen=True, eq=False)
class _Shape:
    """Counts of standardised doses."""

    reader: DoseReader
    densities: DoseDensities

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        rows = self.reader.rows(batches)
        if rows is None:
            return None
        fold = bucket % self.reader.spec.folds
        z, _ = self.densities.standardised(rows, fold)
        place = np.clip((z + _REACH) / _STEP, 0, len(_CENTRES) - 1).astype(np.int64)
        counts = np.bincount(place, minlength=len(_CENTRES)).astype(float)
        return in_fold({"counts": counts}, fold, self.reader.spec.folds)


def dose_densities(
    log: BanditLog, reader: DoseReader, centred: Centred, progress: Tell
) -> DoseDensities:
    """Densities from three passes over the log, each fold's without its users.

    Raises
    ------
    DataError
        Where all users are in one fold.
    """
    progress("densities: location")
    sums = log.sum(_Location(reader, centred))
    rows = sums["gram"][:, 0, 0]
    if rows.max() == rows.sum():
        raise DataError(
            f"{log.name}: all rows are of users in one fold, so that nothing tells the densities of their doses. Use more "
            "users, or another number of folds."
        )
    location = coefficients(sums["gram"], sums["right"])[:, :, 0]
    progress("densities: scale")
    sums = log.sum(_Location(reader, centred, location))
    scale = np.array([_of_all(sums, fold) for fold in range(len(location))])
    progress("densities: shape")
    found = DoseDensities(centred, location, scale, np.zeros((0, 0)))
    counts = log.sum(_Shape(reader, found))["counts"]
    shape = np.array([_smoothed(counts.sum(axis=0) - counts[k]) for k in range(len(counts))])
    return DoseDensities(centred, location, scale, shape)


def _of_all(sums: State, fold: int) -> np.ndarray:
    """Coefficients of the scale from all folds but one, with a ridge that no column of zeros stops."""
    gram = sums["gram"].sum(axis=0) - sums["gram"][fold]
    right = sums["right"].sum(axis=0) - sums["right"][fold]
    penalty = np.diag(np.maximum(np.diag(gram), 1e-12)) * 1e-6
    return np.asarray(solve_symmetric(gram + penalty, right[:, 0]))


def _smoothed(counts: np.ndarray) -> np.ndarray:
    """A density on the grid from its counts."""
    total = float(counts.sum())
    mean = float(counts @ _CENTRES) / total
    spread = max(float(counts @ (_CENTRES - mean) ** 2) / total, 0.0) ** 0.5
    width = max(0.9 * spread * total**-0.2, _STEP)
    reach = int(np.ceil(4 * width / _STEP))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * _STEP / width) ** 2)
    smooth = np.convolve(counts, kernel / kernel.sum())[reach : reach + len(counts)]
    return smooth / (total * _STEP)
