"""Trees as arrays: written as bytes, read once a process, added up for binned rows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree; N nodes, the root first.

    Parameters
    ----------
    words : ndarray of uint64, N
        See :mod:`~truelift.models.trees.kernels`.
    values : ndarray, N
        Of the leaves, times the learning rate; 0 elsewhere.
    set_of_node : ndarray of int32, N
        Row of ``sets`` that a split of categories goes by; 0 for others.
    sets : ndarray of bool, (S, 256)
        Codes that go left; S is at least 1.
    depth : int
        Splits between root and deepest leaf.
    """

    words: np.ndarray
    values: np.ndarray
    set_of_node: np.ndarray
    sets: np.ndarray
    depth: int


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees behind one another; tree t adds to class ``t % classes``."""

    words: np.ndarray
    values: np.ndarray
    set_of_node: np.ndarray
    sets: np.ndarray
    first: np.ndarray
    depth: np.ndarray

    @classmethod
    def of(cls, trees: Sequence[Tree]) -> Forest:
        """One forest of some trees."""
        shift = np.cumsum([0, *(len(t.sets) for t in trees)])
        return cls(
            words=np.concatenate([t.words for t in trees]),
            values=np.concatenate([t.values for t in trees]),
            set_of_node=np.concatenate(
                [t.set_of_node + s for t, s in zip(trees, shift[:-1], strict=True)]
            ).astype(np.int32),
            sets=np.concatenate([t.sets for t in trees]),
            first=np.cumsum([0, *(len(t.words) for t in trees)]),
            depth=np.array([t.depth for t in trees]),
        )

    def to_bytes(self) -> bytes:
        """What :meth:`from_bytes` reads."""
        stream = io.BytesIO()
        for array in (self.words, self.values, self.set_of_node):
            np.save(stream, array, allow_pickle=False)
        np.save(stream, np.packbits(self.sets, axis=1), allow_pickle=False)
        np.save(stream, self.first, allow_pickle=False)
        np.save(stream, self.depth, allow_pickle=False)
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Forest:
        """The forest that was written."""
        stream = io.BytesIO(data)
        words, values, set_of_node, packed, first, depth = (
            np.load(stream, allow_pickle=False) for _ in range(6)
        )
        sets = np.unpackbits(packed, axis=1).astype(bool)
        return cls(words, values, set_of_node, sets, first, depth)


def tree_margins(forest: bytes, codes: np.ndarray, classes: int = 0) -> np.ndarray:
    """Sum of the trees' leaves for binned rows: (n,), or (n, classes); zeros for no trees."""
    margins = np.zeros((max(classes, 1), len(codes)))
    if forest and len(codes):
        from truelift.models.trees.kernels import add_forest

        read = _loaded(forest)
        add_forest(
            np.ascontiguousarray(codes), read.words, read.first, read.depth, read.values,
            read.set_of_node, read.sets, margins,
        )  # fmt: skip
    return margins.T if classes else margins[0]


_LOADED: dict[bytes, Forest] = {}
_MOST_LOADED = 4096


def _loaded(forest: bytes) -> Forest:
    """The forest of these bytes, read once a process however often its owner is unpickled."""
    found = _LOADED.get(forest)
    if found is None:
        found = Forest.from_bytes(forest)
        if len(_LOADED) >= _MOST_LOADED:
            _LOADED.clear()
        _LOADED[forest] = found
    return found
