"""Who may write into a checkpoint folder: one training at a time, the one that came last.

A launcher *claims* the folder before its ranks start, by replacing ``owner.json`` in one move; each
start of ranks is an owner of its own. Before and after each publication the writer reads the file
again: where it names another, the writer was taken for dead, or started twice, and must not touch
what its successor builds on (a fencing token, Kleppmann 2017, *Designing Data-Intensive
Applications*, chapter 8). An object store has no compare and swap that all of them share, so a
checkpoint that was on its way in that instant may still arrive: it is whole and of the same
training, and nothing of the successor's is deleted for it.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from truelift.errors import ConfigError
from truelift.typed import from_plain

FILE = "owner.json"


def new_token() -> str:
    """A name that nobody else has."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Owner:
    """What ``owner.json`` says.

    Parameters
    ----------
    token : str
        ``JOB.START``: the training, and which start of its ranks.
    host, process, since
        Of the launcher, for whoever reads a message about it.
    """

    token: str
    host: str = field(default_factory=socket.gethostname)
    process: int = field(default_factory=os.getpid)
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def job(self) -> str:
        """The training, whichever its start."""
        return self.token.partition(".")[0]

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"

    def to_bytes(self) -> bytes:
        """As the file holds it."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Owner:
        """The inverse of :meth:`to_bytes`; what cannot be read belongs to somebody unknown."""
        try:
            return from_plain(cls, json.loads(data))
        except (ValueError, ConfigError):
            return cls("", "an unknown machine", 0, "an unknown time")
