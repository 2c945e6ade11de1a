"""A policy as plain values: what MLflow keeps, and what is applied to units that it has not seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_keys, mix
from truelift.policy.rules import Columns, LinearRule, Rule, TreeRule
from truelift.typed import from_plain, to_plain

_KINDS: dict[str, type] = {"tree": TreeRule, "linear": LinearRule}


@dataclass(frozen=True)
class Decisions:
    """What a policy does with units.

    Parameters
    ----------
    best : ndarray of int, n
        The rule's arm.
    taken : ndarray of int, n
        The arm that the unit gets.
    propensity : ndarray, n
        The chance with which it got it.
    """

    best: np.ndarray
    taken: np.ndarray
    propensity: np.ndarray


@dataclass(frozen=True)
class PolicyPackage:
    """A rule with its arms and the share of units that are treated by lot.

    Parameters
    ----------
    rule : Rule
    arms : tuple of str
    exploration : float
    salt : str
        Of the lots: another one draws other units.
    """

    rule: Rule
    arms: tuple[str, ...]
    exploration: float = 0.0
    salt: str = "policy"

    def to_text(self) -> str:
        """JSON."""
        kind = next(name for name, cls in _KINDS.items() if isinstance(self.rule, cls))
        held = {
            "kind": kind, "rule": to_plain(self.rule), "arms": list(self.arms),
            "exploration": self.exploration, "salt": self.salt,
        }  # fmt: skip
        return json.dumps(held, sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> PolicyPackage:
        """The inverse of :meth:`to_text`."""
        held = json.loads(text)
        rule: Rule = from_plain(_KINDS[held["kind"]], held["rule"])
        return cls(rule, tuple(held["arms"]), held["exploration"], held["salt"])

    def decide(self, columns: Columns, keys: pa.Array) -> Decisions:
        """The arms of units.

        Parameters
        ----------
        columns : mapping
            Numbers (NaN where missing) and texts (Arrow) that the rule looks at.
        keys : pyarrow.Array
            Names of the units: lots go by them, so the same unit always draws the same.
        """
        return explored(
            self.rule.choose(columns), np.ones((len(keys), len(self.arms)), bool), keys,
            self.exploration, self.salt,
        )  # fmt: skip

    def propensities(self, best: np.ndarray) -> Mapping[str, np.ndarray]:
        """The chance of every arm."""
        each = self.exploration / len(self.arms)
        return {arm: each + (1 - self.exploration) * (best == a) for a, arm in enumerate(self.arms)}


def explored(
    best: np.ndarray, allowed: np.ndarray, keys: pa.Array, exploration: float, salt: str
) -> Decisions:
    """A share of units gets one of its allowed arms by lot, each with the same chance.

    Parameters
    ----------
    best : ndarray of int, n
        The arm of the others.
    allowed : ndarray of bool, n x A
    keys : pyarrow.Array
    exploration : float
    salt : str
    """
    rows = np.arange(len(best))
    count = allowed.sum(axis=1)
    base = hash_keys(keys)
    seed = hash_keys(pa.array([salt]))[0]
    lots = [_uniform(mix(base ^ seed ^ np.uint64(part))) for part in (1, 2)]
    place = np.minimum((lots[1] * count).astype(np.int64), np.maximum(count - 1, 0))
    ordered = np.argsort(~allowed, axis=1, kind="stable")
    drawn = ordered[rows, place]
    taken = np.where(lots[0] < exploration, drawn, best)
    share = np.where(allowed[rows, taken], exploration / np.maximum(count, 1), 0.0)
    return Decisions(best, taken, share + (1 - exploration) * (taken == best))


def _uniform(hashes: np.ndarray) -> np.ndarray:
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
