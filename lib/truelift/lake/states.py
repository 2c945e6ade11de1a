"""States of sum kernels: named arrays that add up, and how they travel as bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

import numpy as np

from truelift.errors import TableError

State = dict[str, np.ndarray]


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
                total[key] = total[key] + value
    return total


def pack_state(state: State) -> bytes:
    """A state as bytes, without pickle: names, types and shapes as a line of JSON, then the arrays.

    NumPy's own format is ten times slower on arrays of some hundred numbers: a zip archive, with a
    Python literal to parse for each of them.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in state.items()}
    header = [[name, array.dtype.str, np.shape(state[name])] for name, array in arrays.items()]
    line = json.dumps(header).encode()
    aligned = line + b" " * (-(len(line) + 1) % 8) + b"\n"
    return b"".join([aligned, *(array.tobytes() for array in arrays.values())])


def unpack_state(data: bytes) -> State:
    """The state that :func:`pack_state` wrote; its arrays are read-only."""
    place = data.index(b"\n") + 1
    found: State = {}
    for name, kind, shape in json.loads(data[:place]):
        count = math.prod(shape)
        flat = np.frombuffer(data, kind, count, place) if count else np.empty(0, kind)
        found[name] = flat.reshape(shape)
        place += found[name].nbytes
    return found
