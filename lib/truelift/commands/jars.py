"""The jars that a session of one's own needs."""

from __future__ import annotations

from truelift.command_line import command


@command("spark-submit --jars $(truelift jars) jobs/ingest.py", with_settings=False)
def jars() -> str:
    """The Delta jars, for spark-submit --jars."""
    from truelift.lake.session import delta_jars

    return ",".join(delta_jars())
