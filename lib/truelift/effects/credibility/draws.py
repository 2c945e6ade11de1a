"""Random draws that belong to a key: the same wherever the row lies and however data is cut."""

from __future__ import annotations

import numpy as np

from truelift.arrays.keys import mix

#: Values that a 16-bit draw takes.
LEVELS = 1 << 16


def _words(keys: np.ndarray, seed: int, purpose: int, count: int) -> np.ndarray:
    """``count`` independent 64-bit hashes of every key, keys x count."""
    salts = mix(np.arange(count, dtype=np.uint64) + mix(np.array([purpose], np.uint64)))
    salts = mix(salts ^ mix(np.array([seed % 2**64], np.uint64)))
    return mix(keys[:, None] ^ salts[None, :])


def draws16(keys: np.ndarray, seed: int, purpose: int, count: int) -> np.ndarray:
    """Uniform draws on 0 .. 65,535.

    Parameters
    ----------
    keys : ndarray of uint64, n
    seed : int
    purpose : int
        Keeps the draws of different checks apart.
    count : int
        Draws a key.

    Returns
    -------
    ndarray of uint16, n x count
        Four draws are cut from one hash, for hashing is what costs.
    """
    words = _words(keys, seed, purpose, -(-count // 4)).astype("<u8", copy=False)
    return words.view("<u2")[:, :count]


def halves(keys: np.ndarray, seed: int, purpose: int, count: int) -> np.ndarray:
    """Fair coins, n x count, as 0.0 and 1.0; 64 coins are cut from one hash."""
    words = _words(keys, seed, purpose, -(-count // 64)).astype("<u8", copy=False)
    bits = np.unpackbits(words.view(np.uint8).reshape(len(keys), -1), axis=1)
    return bits[:, :count].astype(float)


def covariates(keys: np.ndarray, seed: int, purpose: int, count: int) -> np.ndarray:
    """Uniform covariates with mean 0 and variance 1, count x n."""
    uniform = (draws16(keys, seed, purpose, count).T + 0.5) / LEVELS
    return np.sqrt(12.0) * (uniform - 0.5)
