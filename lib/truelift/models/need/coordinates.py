"""A model of states as a vector without bounds, its score, and what the score of a user is made of.

Chances enter by their logs, which are normalised again, so that each distribution has a direction in which
nothing changes; scores have no part in it, and :func:`grounded` gives an information matrix one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from truelift.models.need.linear import LinearModel, NumberLayout
from truelift.models.need.states import Layout, StateModel

#: A model of either family: needs that are states, or numbers.
Model = StateModel | LinearModel
AnyLayout = Layout | NumberLayout
_SMALLEST = 1e-12


def _rows(layout: Layout) -> Iterator[tuple[str, tuple[int | slice, ...]]]:
    """The distributions, each by its part and its place there."""
    for a in range(layout.inputs):
        yield "initial", (a,)
    if layout.changing:
        for a in range(layout.inputs):
            for j in range(layout.needs):
                yield "transition", (a, j)
    for start, size in zip(layout.offsets.tolist(), layout.levels, strict=True):
        for k in range(layout.needs):
            yield "table", (slice(start, start + size), k)


def vector_of(model: Model) -> np.ndarray:
    """Logs of chances, logs of rates, means, logs of standard deviations."""
    if isinstance(model, LinearModel):
        return model.vector()
    parts = [
        np.log(np.maximum(getattr(model, name)[place], _SMALLEST))
        for name, place in _rows(model.layout)
    ]
    rate, mean, sd = model.rate.ravel(), model.mean.ravel(), model.sd.ravel()
    return np.concatenate([*parts, np.log(np.maximum(rate, _SMALLEST)), mean, np.log(sd)])


def model_of(vector: np.ndarray, like: Model) -> Model:
    """The model of a vector, of the layout of another one."""
    if isinstance(like, LinearModel):
        return like.at(vector)
    layout = like.layout
    found = {name: getattr(like, name).copy() for name in ("initial", "transition", "table")}
    at = 0
    for name, place in _rows(layout):
        size = found[name][place].size
        chances = np.exp(vector[at : at + size] - vector[at : at + size].max())
        found[name][place] = chances / chances.sum()
        at += size
    rest = vector[at:]
    n_rate, n_mean = like.rate.size, like.mean.size
    return StateModel(
        layout, **found, rate=np.exp(rest[:n_rate]).reshape(like.rate.shape),
        mean=rest[n_rate : n_rate + n_mean].reshape(like.mean.shape),
        sd=np.exp(rest[n_rate + n_mean :]).reshape(like.sd.shape),
    )  # fmt: skip


def score_matrix(model: Model) -> np.ndarray:
    """The score of a user or of all is this matrix times the sums (Fisher's identity; Louis 1982)."""
    if isinstance(model, LinearModel):
        return model.score_matrix()
    layout = model.layout
    places = layout.parts(np.arange(layout.size))
    lines = []
    for name, place in _rows(layout):
        index = places[name][place]
        chances = getattr(model, name)[place]
        block = np.zeros((len(index), layout.size))
        block[:, index] = np.eye(len(index)) - chances[:, None]
        lines.append(block)
    w, wx = np.moveaxis(places["counts"], -1, 0).reshape(2, -1)
    block = np.zeros((len(w), layout.size))
    block[np.arange(len(w)), wx], block[np.arange(len(w)), w] = 1.0, -model.rate.ravel()
    lines.append(block)
    w, wx, wxx = np.moveaxis(places["numbers"], -1, 0).reshape(3, -1)
    mean, sd, each = model.mean.ravel(), model.sd.ravel(), np.arange(len(w))
    of_mean, of_sd = np.zeros((2, len(w), layout.size))
    of_mean[each, wx], of_mean[each, w] = 1 / sd**2, -mean / sd**2
    of_sd[each, wxx], of_sd[each, wx] = 1 / sd**2, -2 * mean / sd**2
    of_sd[each, w] = mean**2 / sd**2 - 1
    return np.concatenate([*lines, of_mean, of_sd])


def grounded(information: np.ndarray, layout: AnyLayout) -> np.ndarray:
    """An information matrix with something in the directions in which nothing changes."""
    found = information.copy()
    size = max(float(np.abs(np.diag(information)).mean()), 1e-300)
    if isinstance(layout, NumberLayout):
        # Levels that were never shown.
        found[np.diag_indices_from(found)] += np.where(
            np.abs(np.diag(found)) < 1e-12 * size, size, 0.0
        )
        return found
    at = 0
    shapes = {"initial": layout.needs, "transition": layout.needs}
    for name, place in _rows(layout):
        size_of = shapes.get(name) or place[0].stop - place[0].start  # type: ignore[union-attr]
        own = slice(at, at + size_of)
        found[own, own] += size
        at += size_of
    return found
