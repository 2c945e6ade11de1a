"""How sure the numbers of a model are: the information of a sample of users, and a covariance clustered by user.

The likelihood's score of a user is linear in the user's expected sums. Its outer products are summed over all users; its
derivative is taken by central differences on a sample. Both together are the sandwich (White 1982), which
holds where the model is no more than close; users are the units, so steps of one may depend in any way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truelift.models.need.coordinates import Model, grounded, model_of, score_matrix, vector_of
from truelift.models.need.rows import NeedRows

_STEP = 1e-4
_USERS_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class Information:
    """Derivatives of the score by the model's coordinates, for all users.

    Parameters
    ----------
    matrix : ndarray, p x p
        Minus the derivative of the score, with a ground in the directions in which nothing changes.
    steps : ndarray, K x p
        Derivative of the expected steps in each need.
    """

    matrix: np.ndarray
    steps: np.ndarray


def information_of(
    model: Model, parts: Sequence[NeedRows], prior: np.ndarray, users: float
) -> Information:
    """By central differences of a sample's score, scaled to so many users.

    Parameters
    ----------
    model : Model
    parts : sequence of NeedRows
        The sample.
    prior : ndarray
        Sums of the prior, which are not scaled.
    users : float
        That the sample stands for.
    """
    factor = users / max(sum(part.users for part in parts), 1)
    vector = vector_of(model)
    size = len(vector)
    matrix, steps = np.zeros((size, size)), np.zeros((model.layout.shares, size))
    for place in range(size):
        for sign in (1.0, -1.0):
            moved = vector.copy()
            moved[place] += sign * _STEP
            near = model_of(moved, model)
            sums = factor * np.sum([near.sums(part) for part in parts], axis=0)
            score = score_matrix(near) @ (sums + prior)
            matrix[:, place] -= sign * score / (2 * _STEP)
            steps[:, place] += sign * model.layout.parts(sums)["steps"] / (2 * _STEP)
    return Information(grounded((matrix + matrix.T) / 2, model.layout), steps)


def _of_user(model: Model) -> np.ndarray:
    """What makes a user's score, and the steps in each need, of expected sums."""
    layout = model.layout
    steps = np.zeros((layout.shares, layout.size))
    steps[np.arange(layout.shares), layout.parts(np.arange(layout.size))["steps"]] = 1.0
    return np.concatenate([score_matrix(model), steps])


def outer_products(model: Model, rows: NeedRows) -> np.ndarray:
    """Sums over users of the products of their scores and steps in each need: additive, of a size that no user adds to."""
    turn = _of_user(model)
    found = np.zeros((len(turn), len(turn)))
    for first in range(0, rows.users, _USERS_AT_ONCE):
        some = rows.of_users(np.arange(first, min(first + _USERS_AT_ONCE, rows.users)))
        own = model.sums_by_user(some) @ turn.T
        found += own.T @ own
    return found


@dataclass(frozen=True, eq=False)
class Covariance:
    """Of a model's coordinates and of the shares of steps in each need.

    Parameters
    ----------
    vector : ndarray, p + K
    matrix : ndarray
    """

    vector: np.ndarray
    matrix: np.ndarray


def clustered(
    model: Model, sums: np.ndarray, products: np.ndarray, information: Information, prior: np.ndarray
) -> Covariance:  # fmt: skip
    """The sandwich of the score, with the shares of steps as further equations, and the square of what the prior moves.

    Parameters
    ----------
    model : Model
    sums : ndarray
        Of all users.
    products : ndarray
        As :func:`outer_products` gives them, of all users.
    information : Information
    prior : ndarray
        How far it draws the model from where the data alone would have it is a part of the errors: by one Newton step.
    """
    needs, part = model.layout.shares, model.layout.parts(sums)
    users, steps = part["told"][1], part["steps"]
    share = steps / steps.sum()
    size = len(information.matrix)
    # A user's equations: the score, and steps in each need less the share of all of the user's steps.
    equations = np.eye(size + needs)
    equations[size:, size:] -= share[:, None]
    of_user = _of_user(model)
    # At the maximum scores add up to those of the prior; they are centred.
    middle = equations @ of_user @ sums / users
    meat = equations @ products @ equations.T - users * np.outer(middle, middle)
    bread = np.zeros((size + needs, size + needs))
    bread[:size, :size] = information.matrix
    bread[size:, :size] = -(information.steps - np.outer(share, information.steps.sum(axis=0)))
    bread[size:, size:] = np.eye(needs) * steps.sum()
    half = np.linalg.solve(bread, meat)
    small = users / max(users - 1, 1)
    moved = np.linalg.solve(bread, equations @ of_user @ prior)
    matrix = small * np.linalg.solve(bread, half.T) + np.outer(moved, moved)
    return Covariance(np.concatenate([vector_of(model), share]), (matrix + matrix.T) / 2)


def models_near(model: Model, known: Covariance, draws: int, seed: int) -> list[Model]:
    """Models as likely as the errors say, around a model, for intervals of posteriors."""
    rng = np.random.default_rng([seed, 1])
    size = len(known.vector) - model.layout.shares
    values, vectors = np.linalg.eigh(known.matrix[:size, :size])
    # Coordinates of chances of almost zero have errors without bound, and change nothing.
    half = vectors * np.sqrt(np.clip(values, 0.0, 25.0))
    moved = rng.normal(size=(draws, size)) @ half.T
    return [model_of(known.vector[:size] + np.clip(m, -5, 5), model) for m in moved]
