"""A share of users, chosen by a hash of the user's text alone."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pyarrow as pa

from truelift.logs.parsing import BLANKS

_WHOLE = re.compile(r"^(-?[0-9]+)\.0+$")


def in_sample(users: pa.Array, share: float) -> np.ndarray:
    """Which rows belong to users of the sample.

    A user is in or out whatever file, stream or machine a row is on, and the sample of a
    smaller share lies inside that of a larger one. Rows without a user are a user of their own.

    Parameters
    ----------
    users : pyarrow.Array of string
    share : float
        In (0, 1].

    Returns
    -------
    ndarray of bool
    """
    if share >= 1:
        return np.ones(len(users), dtype=bool)
    coded = users.fill_null("").dictionary_encode()
    limit = int(share * 2**64)
    kept = [_position(text) < limit for text in coded.dictionary.to_pylist()]
    return np.array(kept, dtype=bool)[coded.indices.to_numpy(zero_copy_only=False)]


def _position(user: str) -> int:
    # In some files whole numbers came as floating point ones; whether that is one user is for
    # clean.keys.integer_ids to say, and both are in the sample or neither.
    text = _WHOLE.sub(r"\1", user.strip(BLANKS))
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=b"truelift")
    return int.from_bytes(digest.digest(), "big")
