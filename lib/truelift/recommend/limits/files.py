"""Files of limits: lines with a header that names the columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from truelift.errors import DataError


@dataclass(frozen=True)
class Line:
    """A line of a file of limits.

    Parameters
    ----------
    values : tuple of str
        By the columns that were asked for, without blanks around them.
    where : str
        For messages.
    """

    values: tuple[str, ...]
    where: str

    def number(self, place: int, whole: bool = False) -> float:
        """A value as a number that is not below 0.

        Raises
        ------
        DataError
            For anything else.
        """
        text, kind = self.values[place], "a whole number" if whole else "a number"
        try:
            found = float(text)
        except ValueError:
            found = -1.0
        if not 0 <= found < float("inf") or (whole and found != int(found)):
            raise DataError(f"{self.where}: found {text!r}, expected {kind} of at least 0.")
        return found


def lines_of(address: str, key: str, columns: Sequence[str]) -> Iterator[Line]:
    """The lines of a file below its header, whose columns may come in any order.

    Parameters
    ----------
    address : str
        Path or URI of comma separated text, packed or not.
    key : str
        The setting that it comes from, for messages.
    columns : sequence of str

    Raises
    ------
    SourceError, DataError
        If there is no such file, a column is missing, or a line has another number of values.
    """
    from truelift.files.damage import readable, refuse_other_kinds
    from truelift.files.raw import find_files, open_raw
    from truelift.logs.sources.lines import full_lines

    for file in find_files(address, key):
        refuse_other_kinds(file.uri, "utf-8")
        header: list[str] | None = None
        with readable(file.uri), open_raw(file.uri) as stream:
            for number, text, fault in full_lines(stream, "utf-8"):
                where = f"{key}, line {number + 1} of {file.uri}"
                if fault is not None:
                    raise DataError(f"{where}: found bytes that are not UTF-8 text.")
                try:
                    values = [value.strip() for value in next(csv.reader([text]))]
                except csv.Error as error:
                    raise DataError(
                        f"{where}: found what is no comma separated text ({error})."
                    ) from None
                if header is None:
                    header = values
                    if missing := [name for name in columns if name not in header]:
                        raise DataError(
                            f"{where}: found the columns {', '.join(header)}, expected a first line with "
                            f"{', '.join(columns)} (no {missing[0]!r})."
                        )
                    continue
                if len(values) != len(header):
                    raise DataError(
                        f"{where}: found {len(values)} values, expected {len(header)}: {', '.join(header)}."
                    )
                yield Line(tuple(values[header.index(name)] for name in columns), where)
