"""States of sum kernels: named arrays that add up, and how they travel as bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

import numpy as np

from truelift.errors import TableError

State = dict[str, np.ndarray]

# Arrays of at least this many numbers are looked at for zeros.
_LARGE = 2**14
_NONE = np.zeros(0, np.int64)


def add_states(states: Iterable[State]) -> State:
    """Sum states in the order given; ``max_*`` keys combine by maximum."""
    total: State = {}
    for state in states:
        if not total:
            total = {k: np.array(v) for k, v in state.items()}
            continue
        if total.keys() != state.keys():
            raise TableError(f"Kernel states differ in keys: {sorted(total)} and {sorted(state)}.")
        for key, value in state.items():
            if key.startswith("max_"):
                np.maximum(total[key], value, out=total[key])
            else:
                # What is infinite is refused by name, by its reader.
                with np.errstate(invalid="ignore"):
                    total[key] = total[key] + value
    return total


def pack_state(state: State) -> bytes:
    """A state as bytes, without pickle: names, types and shapes as a line of JSON, then the arrays.

    NumPy's own format is ten times slower on arrays of some hundred numbers: a zip archive, with a
    Python literal to parse for each of them. A large array that is mostly zeros, as a hashed table
    is of which a bucket fills a part, is written as places and numbers.
    """
    header, parts = [], []
    for name, given in state.items():
        array = np.ascontiguousarray(given)
        places = _places(array)
        header.append(
            [name, array.dtype.str, np.shape(given), -1 if places is None else len(places)]
        )
        if places is not None:
            parts.append(places.tobytes())
            array = array.ravel()[places]
        parts.append(array.tobytes() + b"\0" * (-array.nbytes % 8))
    line = json.dumps(header).encode()
    aligned = line + b" " * (-(len(line) + 1) % 8) + b"\n"
    return b"".join([aligned, *parts])


def _places(array: np.ndarray) -> np.ndarray | None:
    """Where a large array is not zero, if that takes less room than the array."""
    if array.size < _LARGE or 4 * np.count_nonzero(array) > array.size:
        return None
    return np.flatnonzero(array).astype(np.int64)


def unpack_state(data: bytes) -> State:
    """The state that :func:`pack_state` wrote; its arrays are read-only."""
    place = data.index(b"\n") + 1
    found: State = {}
    for name, kind, shape, filled in json.loads(data[:place]):
        places = None
        if filled >= 0:
            places = np.frombuffer(data, np.int64, filled, place) if filled else _NONE
            place += places.nbytes
        count = math.prod(shape) if places is None else filled
        flat = np.frombuffer(data, kind, count, place) if count else np.empty(0, kind)
        place += flat.nbytes + (-flat.nbytes % 8)
        if places is not None:
            whole = np.zeros(math.prod(shape), kind)
            whole[places] = flat
            flat = whole
        found[name] = flat.reshape(shape)
    return found
