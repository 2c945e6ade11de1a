"""The source's user to the ``user_key``: stitched to one person, then made pseudonymous.

The key is HMAC-SHA256 (RFC 2104) of the user under a secret, computed by Spark's own hash
functions. The secret never stands in a plan: its two padded halves come from a one-row table.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.errors import ConfigError
from truelift.logs.parsing import normal_form, trimmed_text
from truelift.logs.records import known_text

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from truelift.job import Job
    from truelift.settings import PrivacyOptions, Settings

_BLOCK = 64
_INNER, _OUTER = "truelift_inner", "truelift_outer"


def load_secret(options: PrivacyOptions, env: str) -> bytes | None:
    """The secret that the settings name, or None where there is none and none is needed.

    Raises
    ------
    ConfigError
        Outside the environment ``local``, if there is no secret.
    """
    text = _from_scope(options.secret_scope, options.secret_name) if options.secret_scope else None
    text = text or os.environ.get(options.key_variable)
    if text:
        return text.encode()
    if env == "local" and not options.required:
        return None
    where = f"the variable {options.key_variable} is not set"
    if options.secret_scope:
        where += f" and the scope {options.secret_scope!r} has no {options.secret_name!r}"
    raise ConfigError(
        f"privacy: users are made pseudonymous outside --env local, and {where}. Set it to a long "
        f"random text, for example export {options.key_variable}=$(openssl rand -hex 32), and keep it."
    )


def _from_scope(scope: str, name: str) -> str | None:
    """A secret of the platform (Databricks); None where there is no such platform."""
    try:
        from databricks.sdk.runtime import dbutils

        return str(dbutils.secrets.get(scope=scope, key=name))
    except Exception:
        return None


def secret_name(secret: bytes | None) -> str:
    """A short name of the secret that tells two apart and gives neither away."""
    if secret is None:
        return "none"
    return hashlib.sha256(b"truelift secret name" + secret).hexdigest()[:12]


def secret_in_use(settings: Settings) -> dict[str, str]:
    """The secret's short name: another secret gives every user another key."""
    return {"the secret of the user keys": secret_name(load_secret(settings.privacy, settings.env))}


def padded(secret: bytes) -> tuple[bytes, bytes]:
    """The inner and outer padded keys of RFC 2104."""
    key = hashlib.sha256(secret).digest() if len(secret) > _BLOCK else secret
    key = key.ljust(_BLOCK, b"\0")
    return bytes(b ^ 0x36 for b in key), bytes(b ^ 0x5C for b in key)


@dataclass(frozen=True)
class UserKeys:
    """How users become keys: the secret, and which users are one person.

    Attributes
    ----------
    secret : bytes, optional
        None keeps the source's own text as the key.
    identities : DataFrame, optional
        ``alias string, person string``; see :func:`truelift.logs.identities.persons`.
    identities_version : int, optional
        Version of ``bronze.identities`` that they are from.
    unicode : str, optional
        Normal form of the source's text.
    lower : bool
        Whether upper and lower case are one.
    missing : tuple of str
        Texts of the source that stand for no user.
    is_integer : bool
        Whether ``123.0`` is ``123``.
    """

    secret: bytes | None = None
    identities: DataFrame | None = None
    identities_version: int | None = None
    unicode: str | None = None
    lower: bool = False
    missing: tuple[str, ...] = ()
    is_integer: bool = False

    @staticmethod
    def of_job(job: Job) -> UserKeys:
        """What the settings and the tables of a job say.

        Raises
        ------
        ConfigError
            Where a secret is needed and there is none.
        """
        from truelift.logs.identities import persons

        clean = job.settings.clean
        identities, version = persons(job)
        secret = load_secret(job.settings.privacy, job.settings.env)
        return UserKeys(
            secret,
            identities,
            version,
            clean.keys.unicode,
            "user" in clean.keys.lower,
            job.settings.source.words_for_missing,
            "user" in clean.keys.integer_ids,
        )

    def replaced(self, frame: DataFrame, column: str) -> DataFrame:
        """The frame with the keys in place of the users in a column (text without blanks)."""
        from pyspark.sql import functions as F

        if self == UserKeys():
            return frame
        trimmed = trimmed_text(F.col(f"`{column}`"))
        text = frame.withColumn("truelift_user", F.when(trimmed != "", trimmed))
        keyed = self.joined(text, "truelift_user").withColumn(column, F.col("user_key"))
        return keyed.select(*(F.col(f"`{name}`") for name in frame.columns))

    def joined(self, frame: DataFrame, column: str) -> DataFrame:
        """The frame with ``user_key``; null where the column is null."""
        from pyspark.sql import functions as F

        if self.missing or self.is_integer:
            known = known_text(F.col(column), self.missing, self.is_integer)
            frame = frame.withColumn(column, known)
        if self.unicode is not None:
            frame = frame.withColumn(column, normal_form(self.unicode)(F.col(column)))
        if self.lower:
            frame = frame.withColumn(column, F.lower(column))
        user = F.col(column)
        if self.identities is not None:
            named = self.identities.select(F.col("alias").alias(column), "person")
            frame = frame.join(named, column, "left")
            user = F.coalesce(F.col("person"), F.col(column))
        if self.secret is None:
            return frame.withColumn("user_key", user).drop("person")
        frame = frame.crossJoin(F.broadcast(self._pads(frame.sparkSession)))
        inner = F.unhex(F.sha2(F.concat(F.col(_INNER), user.cast("binary")), 256))
        keyed = frame.withColumn("user_key", F.sha2(F.concat(F.col(_OUTER), inner), 256))
        return keyed.drop(_INNER, _OUTER, "person")

    def _pads(self, spark: SparkSession) -> DataFrame:
        assert self.secret is not None
        row = tuple(bytearray(pad) for pad in padded(self.secret))
        return spark.createDataFrame([row], f"{_INNER} binary, {_OUTER} binary")
