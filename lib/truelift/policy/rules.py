"""Rules that turn what is known of a unit into an arm: trees, linear forecasts, thresholds on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from truelift.policy.trees.bins import Bins
from truelift.policy.trees.tree import LEAF, PolicyTree

Columns = Mapping[str, np.ndarray | pa.Array]


@dataclass(frozen=True)
class TreeRule:
    """A tree on binned covariates."""

    bins: Bins
    tree: PolicyTree

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns that are read as numbers."""
        return tuple(dict.fromkeys(c.column for c in self.bins.covariates if c.level is None))

    @property
    def texts(self) -> tuple[str, ...]:
        """Columns that are read as texts."""
        return tuple(dict.fromkeys(c.column for c in self.bins.covariates if c.level is not None))

    def choose(self, columns: Columns) -> np.ndarray:
        """The arm of every unit, by its number."""
        return self.tree.choose(self.bins.codes(columns))

    def sentences(self, arms: Sequence[str]) -> tuple[str, ...]:
        """A sentence a leaf, from below to above."""
        found = []
        for leaf, way in self.tree.ways().items():
            arm = arms[self.tree.arm[leaf]]
            parts = [
                self.bins.covariates[self.tree.covariate[node]].said(self.tree.cut[node], above)
                for node, above in way
            ]
            found.append(f"Where {' and '.join(parts)}: {arm}." if parts else f"For all: {arm}.")
        return tuple(found)

    def drawing(self, arms: Sequence[str]) -> tuple[str, ...]:
        """The tree as lines of text, a node each."""
        lines: list[str] = []

        def draw(node: int, indent: str, label: str) -> None:
            tree = self.tree
            if tree.covariate[node] == LEAF:
                lines.append(f"{indent}{label}{arms[tree.arm[node]]}")
                return
            covariate, cut = self.bins.covariates[tree.covariate[node]], tree.cut[node]
            lines.append(f"{indent}{label}{covariate.said(cut, False)}?")
            draw(tree.below[node], indent + "    ", "yes: ")
            draw(tree.above[node], indent + "    ", "no: ")

        draw(0, "", "")
        return tuple(lines)


@dataclass(frozen=True)
class LinearRule:
    """The arm with the highest linear forecast of its reward over the control's.

    Parameters
    ----------
    names : tuple of str
        Columns of numbers; a missing value counts as the centre.
    centre, scale : tuple of float
    coefficients : tuple of tuple of float
        By arm after the control: intercept, then slopes.
    threshold : float
        What the best arm's forecast has to be above; else the control.
    """

    names: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...]
    threshold: float = 0.0

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns that are read as numbers."""
        return self.names

    @property
    def texts(self) -> tuple[str, ...]:
        """None."""
        return ()

    def features(self, columns: Columns) -> np.ndarray:
        """Intercept and standardised columns ((1 + p) x n)."""
        n = len(columns[self.names[0]])
        made = np.ones((1 + len(self.names), n))
        for i, name in enumerate(self.names):
            made[1 + i] = np.nan_to_num((columns[name] - self.centre[i]) / self.scale[i])
        return made

    def forecast(self, columns: Columns) -> np.ndarray:
        """Forecast gain of every arm after the control ((A - 1) x n)."""
        return np.array(self.coefficients) @ self.features(columns)

    def choose(self, columns: Columns) -> np.ndarray:
        """The arm of every unit, by its number."""
        gain = self.forecast(columns)
        return np.where(gain.max(axis=0) > self.threshold, gain.argmax(axis=0) + 1, 0)

    def sentences(self, arms: Sequence[str]) -> tuple[str, ...]:
        """The rule, then the largest slopes of every arm."""
        others = "the arm with the highest forecast" if len(arms) > 2 else arms[1]
        found = [
            f"Where the forecast gain is above {self.threshold:.6g}: {others}; else {arms[0]}."
        ]
        for arm, (_, *slopes) in zip(arms[1:], self.coefficients, strict=True):
            order = np.argsort(-np.abs(slopes))[:3]
            told = ", ".join(f"{self.names[i]} {slopes[i]:+.4g}" for i in order)
            found.append(f"Forecast gain of {arm}, for a standard deviation more of: {told}.")
        return tuple(found)

    def drawing(self, arms: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        """Nothing to draw."""
        return ()


Rule = TreeRule | LinearRule


def columns_of(rule: Rule, frame: pd.DataFrame) -> Columns:
    """What a rule looks at, from the columns of a frame; what is missing there is missing here."""
    found: dict[str, np.ndarray | pa.Array] = {
        name: frame[name].to_numpy(float, na_value=np.nan) for name in rule.numbers
    }
    for name in rule.texts:
        known = frame[name].notna()
        texts = [str(v) if k else None for v, k in zip(frame[name], known, strict=True)]
        found[name] = pa.array(texts, pa.string())
    return found
