"""Settings of object storage under which a lake loses commits: refused before anything is written.

With the performance flag ``create``, S3A writes a file without asking whether it is there. Delta
relies on that question, so even two writers one after the other would overwrite a commit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from truelift.errors import ConfigError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_S3 = ("s3", "s3a", "s3n")
#: ``fs.s3a.performance.flags`` and its older spelling; both also for one bucket.
_SETTING = re.compile(
    r"^(?:spark\.hadoop\.)?fs\.s3a\.(?:bucket\.(?P<bucket>.+)\.)?"
    r"(?P<key>performance\.flags|create\.performance)$"
)
_JAVA_SETTING = r"^fs\.s3a\.(bucket\..+\.)?(performance\.flags|create\.performance)$"


def check_settings(root: str, conf: Mapping[str, str]) -> None:
    """Refuse what makes S3A write commits without looking.

    Parameters
    ----------
    root : str
        The lake's address.
    conf : mapping
        Settings of Spark, or of Hadoop.

    Raises
    ------
    ConfigError
        Naming the setting.
    """
    address = urlsplit(root)
    if address.scheme not in _S3:
        return
    for name, value in conf.items():
        found = _SETTING.match(name)
        if found is None or found["bucket"] not in (None, address.netloc):
            continue
        if _skips_the_question(found["key"], str(value)):
            raise ConfigError(
                f"{name}: found {value!r}, expected no 'create' in it for the lake {root}: with it "
                "a commit of Delta overwrites another's without an error. Take 'create' (or '*', "
                "which holds it) out; the other flags may stay."
            )


def check_session(root: str, spark: SparkSession) -> None:
    """The same for what a session has, from a cluster's own files too.

    Raises
    ------
    ConfigError
        As :func:`check_settings`.
    """
    if urlsplit(root).scheme not in _S3:
        return
    check_settings(root, dict(spark.conf.getAll))
    if hasattr(spark, "sparkContext"):
        hadoop = spark.sparkContext._jsc.hadoopConfiguration()
        check_settings(root, dict(hadoop.getValByRegex(_JAVA_SETTING)))


def _skips_the_question(key: str, value: str) -> bool:
    if key == "create.performance":
        return value.strip().lower() == "true"
    flags = {flag.strip().lower() for flag in value.split(",")}
    return bool(flags & {"create", "*"})
