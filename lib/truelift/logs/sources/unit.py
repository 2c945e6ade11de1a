"""A unit of raw rows: what one Spark task reads on its own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

STREAMS = ("events", "items", "users", "exposures", "responses", "identities")
# Streams that a sample of users keeps whole.
WHOLE_STREAMS = ("items", "identities")


@dataclass(frozen=True)
class Unit:
    """A file, or a range of a file's rows.

    Attributes
    ----------
    source : str
        Key of the source that reads it.
    uri : str
        Where the file lies.
    source_file : str
        What bronze calls it.
    batch_id : str
        Fingerprint of the file's content.
    names : tuple of str
        The file's columns in its own order, by their names in bronze.
    row_group : int, optional
        Parquet row group; None for the whole file.
    first_row, rows : int
        Range of rows inside the row group (``rows`` 0 = all).
    row_offset : int
        Number of the row group's first row in the file.
    modified : int
        When the raw file was last changed, in microseconds since 1970 (UTC).
    limit : int
        Bytes of the file to read; 0 is all of it.
    options : dict of str to str
        What the reader of this source needs besides (delimiter, encoding).
    """

    source: str
    uri: str
    source_file: str
    batch_id: str
    names: tuple[str, ...]
    row_group: int | None = None
    first_row: int = 0
    rows: int = 0
    row_offset: int = 0
    modified: int = 0
    limit: int = 0
    options: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """The unit as text that travels to a task."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Unit:
        """The unit that :meth:`to_json` wrote."""
        data = json.loads(text)
        return Unit(**{**data, "names": tuple(data["names"])})
