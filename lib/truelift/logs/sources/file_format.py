"""What a format of files is: a row of the registry of formats (:mod:`~.registry`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from truelift.files.raw import RawFile, fingerprint
from truelift.logs.sources.unit import Unit


@dataclass(frozen=True)
class FileFormat:
    """A format of files: how its columns are found, cut into units and read.

    Parameters
    ----------
    name : str
        As ``source.format`` says it.
    header : callable
        ``header(file, options)``: the column names of a file.
    units : callable
        ``units(file, source_file, batch_id, options)``: how it is cut into units that tasks read
        alone.
    read : callable
        ``read(unit)``: record batches of text columns; a row that cannot be read goes into
        ``_corrupt``, it is not skipped.
    suffixes : tuple of str
        By which a file of a reference stream is known to be of this format.
    identify : callable
        ``identify(file)`` names its content.
    is_text : bool
        Whether it is lines of text, which are looked at before they are cut (another kind of file,
        an archive, an idle hour's empty log).
    """

    name: str
    header: Callable[[RawFile, dict[str, str]], list[str]]
    units: Callable[[RawFile, str, str, dict[str, str]], list[Unit]]
    read: Callable[[Unit], Iterator[pa.RecordBatch]]
    suffixes: tuple[str, ...] = ()
    identify: Callable[[RawFile], str] = fingerprint
    is_text: bool = False
