"""Lists in a bandit log, a row a slot: the value of policies that fill them, under several assumptions.

Rows that share a list and a user are its slots, in the order of their places. Cascade-DR predicts what
a slot and all later ones earn from the context, the place and the slot's action, with the same ridge
model as rows have, fitted without the user's fold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_keys, hash_repeated, mix
from truelift.errors import DataError
from truelift.policy.off_policy.intervals import score_interval, student_interval
from truelift.policy.off_policy.log import BanditLog, column_of, first_few, texts
from truelift.policy.off_policy.reading import Reader, Rows
from truelift.policy.off_policy.results import ListEstimate
from truelift.policy.off_policy.reward_model import (
    MOST_NUMBERS,
    RewardModel,
    fit,
    in_fold,
    model_state,
    of_reward,
)
from truelift.policy.off_policy.slates import slate_state, slate_values

State = dict[str, np.ndarray]
_MOST_SLOTS = 50


@dataclass(frozen=True, eq=False)
class Places:
    """The places of a list, in their order.

    Parameters
    ----------
    hashes : ndarray of uint64, L
        Of the places' texts, ascending.
    slots : ndarray of int, L
        Which slot each is.
    """

    hashes: np.ndarray
    slots: np.ndarray

    @classmethod
    def read(cls, log: BanditLog, column: str) -> Places:
        """Those that the log has.

        Raises
        ------
        DataError
            For places that are no whole numbers, and for too many.
        """
        found = log.panel.distinct([column])[column]
        try:
            numbers = [int(float(value)) for value in found]
            if any(float(value) != number for value, number in zip(found, numbers, strict=True)):
                raise ValueError
        except (TypeError, ValueError):
            raise DataError(
                f"{log.name}, column {column!r}: found {first_few([str(v) for v in found])}, expected the "
                "slots of a list, such as 1, 2, 3."
            ) from None
        if not 0 < len(found) <= _MOST_SLOTS:
            raise DataError(
                f"{log.name}, column {column!r}: found {len(found)} places, expected 1 to {_MOST_SLOTS}."
            )
        hashes = hash_repeated(texts(pa.array(found)))
        order = np.argsort(hashes)
        return cls(hashes[order], np.argsort(np.argsort(numbers))[order])

    def __len__(self) -> int:
        return len(self.slots)

    def of(self, batch: pa.RecordBatch, column: str) -> np.ndarray:
        """Each row's slot; -1 where the place is missing."""
        hashes = hash_repeated(texts(column_of(batch, column)))
        place = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.where(self.hashes[place] == hashes, self.slots[place], -1)


@dataclass(frozen=True, eq=False)
class _Slots:
    """A bucket's rows in lists.

    Parameters
    ----------
    of_list : ndarray of int, n
    slot : ndarray of int, n
    users : ndarray of uint64, lists
    bad : int
        Rows without a place or a list, and those whose place is taken.
    """

    of_list: np.ndarray
    slot: np.ndarray
    users: np.ndarray
    bad: int

    def filled(self, values: np.ndarray, empty: float, slots: int) -> np.ndarray:
        """A value a row as a table of lists and slots."""
        found = np.full((len(self.users), slots), empty)
        known = self.slot >= 0
        found[self.of_list[known], self.slot[known]] = values[known]
        return found


def _slots(users: np.ndarray, lists: np.ndarray, slot: np.ndarray, slots: int) -> _Slots:
    keys = mix(users ^ mix(lists))
    _, first, of_list = np.unique(keys, return_index=True, return_inverse=True)
    place = of_list * slots + np.maximum(slot, 0)
    bad = np.count_nonzero(slot < 0) + len(place) - len(np.unique(place))
    return _Slots(of_list, slot, users[first], int(bad))


def _gathered(
    reader: Reader, places: Places, bucket: int, batches: Iterator[pa.RecordBatch]
) -> tuple[list[Rows], _Slots | None]:
    """All rows of a bucket, and the lists that they make."""
    spec, found, slot, lists = reader.spec, [], [], []
    assert spec.slate is not None and spec.position is not None
    for batch in batches:
        if batch.num_rows:
            found.append(reader.rows(batch, 0, bucket))
            slot.append(places.of(batch, spec.position))
            lists.append(hash_keys(column_of(batch, spec.slate)))
    if not found:
        return found, None
    users = np.concatenate([rows.users for rows in found])
    return found, _slots(users, np.concatenate(lists), np.concatenate(slot), len(places))


def _remaining(rewards: np.ndarray) -> np.ndarray:
    """What a slot and all later ones earned."""
    return np.cumsum(rewards[:, ::-1], axis=1)[:, ::-1]


@dataclass(frozen=True, eq=False)
class RemainingKernel:
    """Sums for the models of what a slot and those after it earn, by reward and fold."""

    reader: Reader
    places: Places

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        parts, slots = _gathered(self.reader, self.places, bucket, batches)
        if slots is None:
            return None
        spec, count = self.reader.spec, len(self.reader.actions)
        features = np.concatenate([rows.features for rows in parts])
        action = np.concatenate([rows.action for rows in parts])
        rewards = np.concatenate([rows.rewards for rows in parts])
        total: State = {}
        for j in range(len(spec.rewards)):
            left = _remaining(slots.filled(rewards[:, j], 0.0, len(self.places)))
            own = left[slots.of_list, np.maximum(slots.slot, 0)]
            ones = np.ones((len(own), 1))
            for key, value in model_state(features, action, own, ones, count, False).items():
                total[f"{key}.{j}"] = value
        return in_fold(total, bucket % spec.folds, spec.folds)


@dataclass(frozen=True, eq=False)
class ListKernel:
    """Sums over users for the values of whole lists, by policy and reward.

    Parameters
    ----------
    reader : Reader
    places : Places
    models : tuple of list of RewardModel
        By reward and fold, of what is left of a list; empty: no cascade-DR.
    """

    reader: Reader
    places: Places
    models: tuple[list[RewardModel], ...] = ()

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        parts, slots = _gathered(self.reader, self.places, bucket, batches)
        if slots is None:
            return None
        spec, count = self.reader.spec, len(self.places)
        fold = bucket % spec.folds
        weights = np.concatenate([rows.chances / rows.propensity[:, None] for rows in parts])
        rewards = np.concatenate([rows.rewards for rows in parts])
        state: State = {"bad": np.array([float(slots.bad)])}
        filled = [slots.filled(rewards[:, j], 0.0, count) for j in range(len(spec.rewards))]
        # What the logged actions are predicted to bring is the same under every policy.
        predicted = [
            [own[fold].of_actions(rows.features, rows.action) for rows in parts]
            for own in self.models
        ]
        for p, name in enumerate(spec.names):
            w = slots.filled(weights[:, p], 1.0, count)
            modelled = bool(self.models) and not spec.policies[name].logged_chance
            for j in range(len(spec.rewards)):
                q = v = None
                if modelled:
                    model, own = self.models[j][fold], predicted[j]
                    mean = [
                        self.reader.predictions(rows, name, model, one)
                        for rows, one in zip(parts, own, strict=True)
                    ]
                    q = slots.filled(np.concatenate(own), 0.0, count)
                    v = slots.filled(np.concatenate(mean), 0.0, count)
                for key, value in slate_state(slots.users, w, filled[j], q, v).items():
                    head = "max_" if key.startswith("max_") else ""
                    state[f"{head}{p}.{j}.{key.removeprefix('max_')}"] = value
            product = w.prod(axis=1)
            state[f"weights.{p}"] = np.array([product.sum(), (product**2).sum()])
        return state


def list_values(
    log: BanditLog, reader: Reader, least: np.ndarray
) -> tuple[tuple[ListEstimate, ...], tuple[float, ...]]:
    """Values of whole lists, and what the lists are worth under each policy's weights of lists.

    Parameters
    ----------
    log : BanditLog
    reader : Reader
    least : ndarray, R
        The least of each reward: where none is negative, intervals are those of rare rewards.

    Raises
    ------
    DataError
        For rows without a place or a list, and places that two rows of a list share.
    """
    spec = reader.spec
    assert spec.position is not None
    places = Places.read(log, spec.position)
    models: tuple[list[RewardModel], ...] = ()
    numbers = spec.folds * len(spec.rewards) * len(reader.actions) * (reader.width + 2)
    if numbers <= MOST_NUMBERS:
        sums = log.sum(RemainingKernel(reader, places))
        models = tuple(fit(of_reward(sums, j), 0) for j in range(len(spec.rewards)))
    state = log.sum(ListKernel(reader, places, models))
    if state["bad"][0]:
        raise DataError(
            f"{log.name}: {int(state['bad'][0]):,} rows have no place ({spec.position!r}) or share it with "
            f"another row of their list ({spec.slate!r}); expected one row a slot."
        )
    found = []
    for p, policy in enumerate(spec.names):
        for j, reward in enumerate(spec.rewards):
            found += _estimates(state, (p, j), policy, reward, spec.confidence, least[j] >= 0)
    worth = tuple(
        float(total**2 / max(squares, 1e-300))
        for total, squares in (state[f"weights.{p}"] for p in range(len(spec.policies)))
    )
    return tuple(found), worth


def _estimates(
    state: State,
    place: tuple[int, int],
    policy: str,
    reward: str,
    confidence: float,
    positive: bool,
) -> list[ListEstimate]:
    own = f"{place[0]}.{place[1]}."
    values = slate_values(
        {k.removeprefix(own): v for k, v in state.items() if k.startswith(own)}
        | {f"max_{k.removeprefix(f'max_{own}')}": v for k, v in state.items() if k.startswith(f"max_{own}")}
    )  # fmt: skip
    contrast = np.eye(len(values.names))
    contrast[:, -1] -= 1.0
    spread = np.einsum("ij,jk,ik->i", contrast, values.covariance, contrast)
    gaps = values.estimates - values.estimates[-1]
    degrees = np.full(len(gaps), max(values.users - 1.0, 1.0))
    errors = np.sqrt(np.maximum(spread, 0.0))
    lower, upper = student_interval(gaps, errors, degrees, confidence)
    alone = (values.estimates, values.standard_errors, degrees, confidence)
    bounds = score_interval(*alone, 0.0, np.inf) if positive else student_interval(*alone)
    return [
        ListEstimate(
            policy, reward, name, float(values.estimates[i]), float(values.standard_errors[i]),
            float(bounds[0][i]), float(bounds[1][i]), float(gaps[i]), float(lower[i]), float(upper[i]),
        )
        for i, name in enumerate(values.names[:-1])
        if np.isfinite(values.estimates[i])
    ]  # fmt: skip
