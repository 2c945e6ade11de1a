"""Where to start, how many needs there are, and whether the data say which they are.

Starts and numbers of needs are tried on a sample of users, of whom a fifth is held out. Of numbers of needs the smallest is
taken whose users that were not learned from are as likely as under the best, up to one standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truelift.errors import NotSupportedError
from truelift.models.need.acting import measured
from truelift.models.need.coordinates import AnyLayout, Model, vector_of
from truelift.models.need.fitting import Fit, Passes, em
from truelift.models.need.information import Covariance
from truelift.models.need.linear import LinearModel, NumberLayout
from truelift.models.need.matching import distance
from truelift.models.need.rows import NeedRows
from truelift.models.need.states import StateModel, prior_sums

#: Nats within which two fits are as likely: a likelihood ratio that no test at .05 tells apart.
ALIKE = 1.92
# A pass that brings fewer nats ends a try; what is left then decides on no number of needs.
_LEAST = 0.02
# A standard error from which on a chance, or a mean in spreads, is not known.
_GUESS = 0.15
_WAYS = (
    "Name fewer needs, more columns of behaviour (three that depend on the need each in its own way), or users with "
    "more steps."
)
#: From which difference on, in chances or in spreads, two fits are not the same.
APART = 0.1


@dataclass(frozen=True, eq=False)
class Scale:
    """The columns as a whole.

    Parameters
    ----------
    shares : ndarray, levels
        Of the levels of all categorical columns.
    mean_count : ndarray, P
    mean, sd : ndarray, G
    """

    shares: np.ndarray
    mean_count: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


def scale_of(layout: AnyLayout, parts: Sequence[NeedRows]) -> Scale:
    """Of all rows of a sample."""
    codes = np.concatenate([p.codes for p in parts])
    shares = [
        np.bincount(codes[codes[:, c] >= 0, c], minlength=size) + 0.5
        for c, size in enumerate(layout.levels)
    ]
    counts, numbers = (
        np.concatenate([getattr(p, n) for p in parts]) for n in ("counts", "numbers")
    )
    return Scale(
        np.concatenate([np.zeros(0), *(s / s.sum() for s in shares)]),
        np.maximum(_mean(counts), 1e-6), _mean(numbers),
        np.sqrt(np.maximum(_mean((numbers - _mean(numbers)) ** 2), 1e-12)),
    )  # fmt: skip


def _mean(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def prior_of(layout: AnyLayout, scale: Scale, rows: float) -> np.ndarray:
    """See :func:`~.states.prior_sums`; needs that are numbers have none."""
    if isinstance(layout, NumberLayout):
        return np.zeros(layout.size)
    return prior_sums(layout, rows, scale.mean_count, scale.mean, scale.sd)


def start(layout: AnyLayout, scale: Scale, rng: np.random.Generator) -> Model:
    """A model from nowhere: needs around what the columns are overall, that tend to stay."""
    if isinstance(layout, NumberLayout):
        return _numbers(layout, scale, rng)
    k, m = layout.needs, layout.inputs
    table = scale.shares[:, None] * rng.gamma(1.0, size=(len(scale.shares), k)) + 1e-6
    for begin, size in zip(layout.offsets, layout.levels, strict=True):
        table[begin : begin + size] /= table[begin : begin + size].sum(axis=0)
    stay = np.eye(k) if not layout.changing else np.full((k, k), 0.4 / k) + 0.6 * np.eye(k)
    away = rng.normal(size=(layout.numbers, k))
    return StateModel(
        layout, np.full((m, k), 1 / k), np.repeat(stay[None], m, axis=0), table,
        scale.mean_count[:, None] * np.exp(0.7 * rng.normal(size=(layout.counts, k))),
        scale.mean[:, None] + scale.sd[:, None] * away, np.repeat(scale.sd[:, None], k, axis=1),
    )  # fmt: skip


def _numbers(layout: NumberLayout, scale: Scale, rng: np.random.Generator) -> LinearModel:
    k, m = layout.needs, layout.inputs
    stay = np.diag(rng.uniform(0.3, 0.9, k))
    loading = scale.sd[:, None] * rng.normal(size=(layout.numbers, k)) * 0.5
    model = LinearModel(
        layout, stay, np.zeros((k, m)), np.zeros((k, m)), np.diag(1 / (1 - np.diag(stay) ** 2)), loading,
        scale.mean, 0.7 * scale.sd,
    )  # fmt: skip
    return model.in_units_of(np.eye(k))


def passes_of(parts: Sequence[NeedRows]) -> Passes:
    """Sums over parts in this process, in their order."""

    def total(model: Model) -> np.ndarray:
        found = np.zeros(model.layout.size)
        for part in parts:
            found += model.sums(part)
        return found

    return total


def tried(
    layout: AnyLayout, parts: Sequence[NeedRows], scale: Scale, prior_rows: float, starts: int, seed: int, passes: int,
) -> list[Fit]:  # fmt: skip
    """Fits from several starts, the likeliest first.

    All go a few passes; the better half goes on to the end.
    """
    prior, total = prior_of(layout, scale, prior_rows), passes_of(parts)
    rng = np.random.default_rng([seed, layout.needs])
    number = 1 if layout.shares == 1 else starts  # one need that is a state has one best fit
    first = [em(total, start(layout, scale, rng), prior, scale.sd, 0.0, 20) for _ in range(number)]
    first.sort(key=lambda fit: -fit.objective)
    kept = first[: max((number + 1) // 2, min(number, 2))]
    found = [em(total, fit.model, prior, scale.sd, _LEAST, passes) for fit in kept]
    return sorted(found, key=lambda fit: -fit.objective)


def require_agreement(fits: Sequence[Fit]) -> list[Fit]:
    """The fits that are as likely as the first, the best, and the same model.

    Raises
    ------
    NotSupportedError
        If one that is as likely is another model.
    """
    best = fits[0]
    alike = [fit for fit in fits if abs(best.log_likelihood - fit.log_likelihood) < ALIKE]
    for fit in alike:
        apart = distance(fit.model, best.model)
        if apart > APART:
            raise NotSupportedError(
                f"needs: with {best.model.needs} needs two starts end {abs(best.log_likelihood - fit.log_likelihood):.2f} nats apart, and "
                f"what their needs show differs by {apart:.2f}: the data do not say which of them it is. "
                f"{_WAYS}"
            )
    return alike


def require_known(model: Model, information: np.ndarray) -> None:
    """See that the likelihood, and not the prior, says what each need shows.

    Starts may come to one point of a ridge on which the likelihood is as high everywhere; its curvature tells.

    Parameters
    ----------
    model : StateModel
    information : ndarray
        As :class:`~.information.Information` has it.

    Raises
    ------
    NotSupportedError
        If a standard error of what a need shows is as large as that of a guess.
    """
    shares = model.layout.shares
    if shares == 1:
        return
    size = len(information)
    matrix = np.zeros((size + shares, size + shares))
    matrix[:size, :size] = np.linalg.inv(information)
    share = np.full(shares, 1 / max(shares, 1))
    known = Covariance(np.concatenate([vector_of(model), share]), matrix)
    error = measured(model, known, lambda near, _: near.profile()).standard_error
    if error.max() > _GUESS:
        worst = int(error.reshape(model.needs, -1).max(axis=1).argmax())
        raise NotSupportedError(
            f"needs: with {model.needs} needs the standard error of what one of them shows is {error.max():.2f}, in chances "
            f"or in spreads (need {worst + 1} as the fit has them): the data hardly say what it is. {_WAYS}"
        )


@dataclass(frozen=True)
class Tried:
    """A number of needs, and how likely it makes users that were not learned from.

    Parameters
    ----------
    needs : int
    held_out : float
        Nats a user.
    behind : float
        How far it is behind the best, nats a user.
    standard_error : float
        Of that.
    """

    needs: int
    held_out: float
    behind: float
    standard_error: float


def compared(needs: Sequence[int], told: Sequence[np.ndarray]) -> tuple[tuple[Tried, ...], int]:
    """Numbers of needs by the log-likelihoods of users that were held out; which is taken."""
    means = [float(t.mean()) for t in told]
    best = int(np.argmax(means))
    found = []
    for number, mean, own in zip(needs, means, told, strict=True):
        apart = told[best] - own
        error = float(apart.std(ddof=1) / np.sqrt(len(apart))) if len(apart) > 1 else 0.0
        found.append(Tried(number, mean, means[best] - mean, error))
    taken = next(i for i, t in enumerate(found) if t.behind <= t.standard_error)
    return tuple(found), taken
