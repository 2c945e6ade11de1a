"""The one hash that decides where a user's rows lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column


def bucket_column(user_key: Column | str, buckets: int) -> Column:
    """``pmod(xxhash64(user_key), buckets)`` as an integer column.

    Parameters
    ----------
    user_key : Column or str
        The pseudonymous user key; a null key hashes like any other value.
    buckets : int
        Number of buckets of the lake (``settings.buckets``).

    Returns
    -------
    Column
        Integers in ``[0, buckets)``. Cross-fitting folds are ``bucket % folds``.
    """
    from pyspark.sql import functions as F

    return F.pmod(F.xxhash64(user_key), F.lit(buckets)).cast("int")
