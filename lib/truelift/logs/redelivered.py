"""Files that come again under their path with other content, and what becomes of their old rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from truelift.errors import SourceError
from truelift.logs.live import has_grown
from truelift.logs.manifest import BronzeTable, IngestedFile, held_rows, with_share
from truelift.logs.sources.planning import SourceFile


@dataclass(frozen=True)
class KnownContent:
    """A raw file with the fingerprint of its content; ``waits`` where a last line is left out."""

    file: SourceFile
    checksum: str
    waits: bool = False


@dataclass(frozen=True)
class Redelivered:
    """What came again.

    Attributes
    ----------
    corrected : tuple of str
        Files whose content is another than before.
    grown : tuple of str
        Files that begin with all that they were.
    old : tuple of IngestedFile
        What bronze holds of the earlier contents of all these files, and of no file that is
        found now; one for each content.
    """

    corrected: tuple[str, ...] = ()
    grown: tuple[str, ...] = ()
    old: tuple[IngestedFile, ...] = ()


def find_redelivered(
    contents: Sequence[KnownContent], held: Iterable[IngestedFile], share: float
) -> Redelivered:
    """Compare what files are with what they were when bronze took them in.

    It is about what bronze holds, not about what is new in this run: so a run that was killed
    between the new rows and the old ones is made up for by the next.
    """
    files = list(held)
    rows = held_rows(files)
    now = {with_share(c.checksum, share) for c in contents}
    before: dict[str, dict[str, IngestedFile]] = {}
    for file in files:
        if rows.get(file.batch_id, 0) and file.batch_id not in now:
            before.setdefault(file.path, {})[file.batch_id] = file
    corrected: list[str] = []
    grown: list[str] = []
    old: dict[str, IngestedFile] = {}
    for content in contents:
        earlier = before.get(content.file.label, {})
        is_known = with_share(content.checksum, share) in rows
        if not earlier:
            continue
        old |= earlier
        if is_known:  # it was said when it came
            continue
        kept = [has_grown(content.file, f.size, f.checksum) for f in earlier.values()]
        (grown if any(kept) else corrected).append(content.file.label)
    return Redelivered(tuple(corrected), tuple(grown), tuple(old.values()))


def refuse_redelivered(found: Redelivered, stream: str) -> None:
    """Refuse corrected files, where the settings ask for that.

    Raises
    ------
    SourceError
    """
    if found.corrected:
        raise SourceError(
            f"{found.corrected[0]} came again with other content than bronze.{stream} holds of it"
            f"{_others(found.corrected)}, and source.redelivered is 'refuse'. Give 'replace' to have "
            "the old rows leave, 'keep' to have both, or another name to the new file."
        )


def taken_out(
    old: Iterable[IngestedFile], held: Iterable[IngestedFile], bronze: BronzeTable
) -> tuple[IngestedFile, ...]:
    """The manifest's rows that say that contents have left bronze: their rows, below zero."""
    rows = held_rows(held)
    return tuple(
        replace(file, rows=-rows[file.batch_id], table_version=bronze.version) for file in old
    )


def sentences(found: Redelivered, way: str, replaced: int) -> tuple[str, ...]:
    """What the user is told of it."""
    notes = []
    if found.corrected and way == "keep":
        notes.append(
            f"{found.corrected[0]} came again with other content{_others(found.corrected)}: its old "
            "rows stay beside the new ones (source.redelivered: keep). Where it is a correction, "
            "source.redelivered=replace takes them out."
        )
    if replaced:
        notes.append(
            f"{replaced:,} rows of earlier contents of files that came again have left bronze "
            "(source.redelivered: replace); 'clean' makes its tables anew."
        )
    return tuple(notes)


def _others(names: Sequence[str]) -> str:
    return f" (and {len(names) - 1} more files)" if len(names) > 1 else ""
