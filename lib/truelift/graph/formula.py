"""Formulas of what was measured: products, quotients and sums of P(a | b), read, shown and evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from truelift.errors import NotSupportedError


@dataclass(frozen=True)
class P:
    """The distribution of some nodes given others."""

    of: tuple[str, ...]
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Product:
    """One formula times another."""

    left: Formula
    right: Formula


@dataclass(frozen=True)
class Quotient:
    """One formula over another."""

    above: Formula
    below: Formula


@dataclass(frozen=True)
class Sum:
    """A formula summed over the values of a node."""

    over: str
    inside: Formula


Formula: TypeAlias = P | Product | Quotient | Sum


def free_names(formula: Formula) -> frozenset[str]:
    """Nodes that a formula depends on, those summed over left out."""
    if isinstance(formula, P):
        return frozenset((*formula.of, *formula.given))
    if isinstance(formula, Sum):
        return free_names(formula.inside) - {formula.over}
    if isinstance(formula, Product):
        return free_names(formula.left) | free_names(formula.right)
    return free_names(formula.above) | free_names(formula.below)


def all_names(formula: Formula) -> frozenset[str]:
    """Nodes that have to be measured for it."""
    if isinstance(formula, P):
        return free_names(formula)
    if isinstance(formula, Sum):
        return all_names(formula.inside) | {formula.over}
    if isinstance(formula, Product):
        return all_names(formula.left) | all_names(formula.right)
    return all_names(formula.above) | all_names(formula.below)


def shown(formula: Formula, outside: Iterable[str] = ()) -> str:
    """The formula as text; a sum's name that stands for something else outside has a prime.

    Parameters
    ----------
    formula : Formula
    outside : iterable of str
        Names that mean values outside: the treatment's and the outcome's.
    """
    return _shown(formula, {name: name for name in outside})


def _shown(formula: Formula, names: Mapping[str, str], inner: bool = False) -> str:
    if isinstance(formula, P):
        of = ", ".join(names.get(n, n) for n in formula.of)
        given = ", ".join(names.get(n, n) for n in formula.given)
        return f"P({of} | {given})" if given else f"P({of})"
    if isinstance(formula, Product):
        return f"{_shown(formula.left, names, True)} {_shown(formula.right, names, True)}"
    if isinstance(formula, Quotient):
        return f"[{_shown(formula.above, names)}] / [{_shown(formula.below, names)}]"
    over: list[str] = []
    inside: Formula = formula
    while isinstance(inside, Sum):
        name = f"{names[inside.over]}'" if inside.over in names else inside.over
        names = {**names, inside.over: name}
        over.append(name)
        inside = inside.inside
    text = f"sum over {', '.join(over)} of {_shown(inside, names)}"
    return f"({text})" if inner else text


@dataclass(frozen=True, eq=False)
class Factor:
    """Numbers by the values of some nodes.

    Parameters
    ----------
    names : tuple of str
        One an axis.
    values : ndarray
    """

    names: tuple[str, ...]
    values: np.ndarray

    def along(self, names: tuple[str, ...]) -> np.ndarray:
        """The values with axes in another order, of size 1 where it has none."""
        kept = [name for name in names if name in self.names]
        turned = np.transpose(self.values, [self.names.index(name) for name in kept])
        sizes = iter(turned.shape)
        return turned.reshape([next(sizes) if name in self.names else 1 for name in names])

    def summed(self, over: Iterable[str]) -> Factor:
        """The sum over the values of some nodes."""
        gone = set(over)
        axes = tuple(i for i, name in enumerate(self.names) if name in gone)
        left = tuple(name for name in self.names if name not in gone)
        return Factor(left, self.values.sum(axis=axes))


class Counts:
    """Where chances come from: weights of rows by their codes.

    Parameters
    ----------
    codes : mapping of str to ndarray of int
        By node, the code of each row.
    sizes : mapping of str to int
        By node, how many values it takes.
    weights : ndarray, optional
        Of the rows; 1 by default. A joint distribution has a row for each of its cells.
    """

    #: Cells of a table that a formula may ask for.
    MOST_CELLS = 50_000_000

    def __init__(
        self, codes: Mapping[str, np.ndarray], sizes: Mapping[str, int], weights: np.ndarray | None = None,
    ):  # fmt: skip
        self.codes, self.sizes, self.weights = codes, sizes, weights
        self._known: dict[frozenset[str], Factor] = {}

    def joint(self, names: Iterable[str]) -> Factor:
        """Weights by the values of some nodes."""
        key = frozenset(names)
        if key not in self._known:
            order = tuple(sorted(key))
            shape = tuple(self.sizes[name] for name in order)
            cells = int(np.prod(shape, dtype=float))
            if cells > self.MOST_CELLS:
                raise NotSupportedError(
                    f"The formula asks for the table of {', '.join(order)}: {cells:,} cells, expected at "
                    f"most {self.MOST_CELLS:,}. Take coarser levels (cuts)."
                )
            columns = [np.asarray(self.codes[name], np.int64) for name in order]
            rows = len(next(iter(self.codes.values())))
            place = np.ravel_multi_index(columns, shape) if order else np.zeros(rows, np.int64)
            found = np.bincount(place, self.weights, cells).astype(float)
            self._known[key] = Factor(order, found.reshape(shape))
        return self._known[key]


def evaluated(formula: Formula, counts: Counts) -> Factor:
    """The numbers of a formula, by the values of its free nodes.

    Cells whose condition no row has are NaN, unless the weight that they are summed with is zero.
    """
    if isinstance(formula, P):
        of, given = set(formula.of), set(formula.given)
        joint = counts.joint(of | given)
        below = counts.joint(given)
        with np.errstate(invalid="ignore", divide="ignore"):
            return Factor(joint.names, joint.values / below.along(joint.names))
    if isinstance(formula, Sum):
        return evaluated(formula.inside, counts).summed([formula.over])
    if isinstance(formula, Product):
        left, right = evaluated(formula.left, counts), evaluated(formula.right, counts)
        names = tuple(sorted({*left.names, *right.names}))
        a, b = np.broadcast_arrays(left.along(names), right.along(names))
        # Nothing times what is not known is nothing: that cell never happens.
        return Factor(names, np.where((a == 0) | (b == 0), 0.0, a * b))
    above, below = evaluated(formula.above, counts), evaluated(formula.below, counts)
    names = tuple(sorted({*above.names, *below.names}))
    with np.errstate(invalid="ignore", divide="ignore"):
        return Factor(names, above.along(names) / below.along(names))
