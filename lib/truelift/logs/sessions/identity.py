"""Session ids: a 128-bit mix of the user and the microsecond the session starts.

An id depends on nothing else: not on the bucket, the order of the input or the events after
the first, so that a session keeps its id when later events join it.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import mix


def _hexadecimal_pairs() -> np.ndarray:
    """For each two bytes, as they lie in memory, their four digits as they lie in memory."""
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    pairs = np.arange(65_536, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    text = np.stack([digits[pairs >> 4], digits[pairs & 15]], axis=2)
    return np.ascontiguousarray(text).reshape(-1, 4).view(np.uint32).reshape(-1)


_HEX = _hexadecimal_pairs()


def text_hashes(values: pa.Array) -> np.ndarray:
    """BLAKE2b of each text as two 64-bit words.

    Parameters
    ----------
    values : pyarrow.Array of string, length n
        Distinct texts (hashing is done one by one).

    Returns
    -------
    ndarray of uint64, shape (n, 2)
    """
    digests = b"".join(
        hashlib.blake2b(text.encode(), digest_size=16).digest() for text in values.to_pylist()
    )
    return np.frombuffer(digests, dtype=">u8").reshape(-1, 2).astype(np.uint64)


def session_ids(
    user_hashes: np.ndarray, starts: np.ndarray, source_hashes: np.ndarray | None = None
) -> pa.Array:
    """Ids of sessions as 32 hexadecimal digits.

    Parameters
    ----------
    user_hashes : ndarray of uint64, shape (sessions, 2)
    starts : ndarray of int64, shape (sessions,)
        Microseconds since the epoch.
    source_hashes : ndarray of uint64, shape (sessions, 2), optional
        Hashes of given session ids, where two sessions of a user may start together.

    Returns
    -------
    pyarrow.Array of string, length sessions
    """
    moment = mix(np.ascontiguousarray(starts, dtype=np.int64).view(np.uint64))
    high = mix(user_hashes[:, 0] ^ moment)
    low = mix(user_hashes[:, 1] + mix(moment))
    if source_hashes is not None:
        high = mix(high ^ source_hashes[:, 0])
        low = mix(low + source_hashes[:, 1])
    return hexadecimal(np.stack([high, low], axis=1))


def hexadecimal(words: np.ndarray) -> pa.Array:
    """Rows of uint64 words as lower-case hexadecimal text, 16 digits a word."""
    rows, width = words.shape
    digits = _HEX[words.astype(">u8").reshape(-1).view(np.uint16)]
    offsets = np.arange(rows + 1, dtype=np.int64) * (16 * width)
    text = pa.Array.from_buffers(
        pa.large_string(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(digits)]
    )
    return text.cast(pa.string())
