"""What looks like a slip of the source, and the setting that mends it: a look at raw columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from truelift.lake.arrow_table import added_rows
from truelift.logs.sources.columns import OTHER, held_name
from truelift.logs.sources.mapping import mapped_columns

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.settings import Settings

# Words that systems write where they have nothing, in lower case.
WORDS = frozenset(
    ("null", "(null)", "<null>", "nan", "<na>", "n/a", "na", "nil", "none", "(none)", "undefined",
     "\\n", "-", "--", "?", "(not set)", "not set", "(not provided)", "unknown", "anonymous",
     "00000000-0000-0000-0000-000000000000")
)  # fmt: skip
# Numbers that some shops write for guests.
_GUESTS = WORDS | {"0", "-1", "0.0", "-1.0"}
_IDS = ("user", "item", "session", "event_id")
_MOST_ROWS = 2_000_000
_MUCH, _FEW = 0.01, 3
_WHOLE = re.compile(r"(-?[0-9]+)\.0+")
# Long numbers as spreadsheets write them: 4.01235E+15.
_CUT = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{1,3}")


def hints(job: Job, since: int | None) -> tuple[str, ...]:
    """What a look at the newest raw rows (two million at most) suggests.

    Parameters
    ----------
    job : Job
    since : int, optional
        Version of bronze before them; None for all rows.
    """
    uri, until = job.lake.uri("bronze.events"), job.inputs["bronze.events"]
    wanted = _columns(job.settings, job.plan("bronze.events").columns)
    names = sorted(set(wanted.values()))
    batches = added_rows(uri, names, until, -1 if since is None else since)
    return suggested(counted(batches, names), wanted, job.settings)


def absent(columns: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """What to say of mapped columns that bronze does not have."""
    there = {name.lower() for name in columns}
    if OTHER in there:  # keys of JSON that came late may be among them
        return ()
    wanted = mapped_columns(settings.source.mapping)
    return tuple(
        f"{key} names the column {name!r}, which no file had: the field is empty in all rows."
        for key, name in wanted.items()
        if held_name(name, columns).lower() not in there
    )


def counted(batches: Iterator[pa.RecordBatch], names: list[str]) -> dict[str, Counter[str]]:
    """How often each text stands in a column, in the first two million rows."""
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    rows = 0
    for batch in batches:
        for name in batch.schema.names:
            texts = pc.utf8_trim_whitespace(pc.cast(batch.column(name), pa.string()))
            for pair in pc.value_counts(texts.drop_null()).to_pylist():
                found[name][pair["values"]] += pair["counts"]
        rows += batch.num_rows
        if rows >= _MOST_ROWS:
            break
    return found


def suggested(
    texts: Mapping[str, Counter[str]], fields: Mapping[str, str], settings: Settings
) -> tuple[str, ...]:
    """Sentences for the user.

    Parameters
    ----------
    texts : mapping of str to Counter
        Rows by text, by column of bronze.
    fields : mapping of str to str
        The column of each mapped field.
    settings : Settings
    """
    found = []
    said = {word.lower() for word in settings.source.words_for_missing}
    for field, column in fields.items():
        counts = texts[column]
        total = sum(counts.values())
        listed = _GUESTS if field == "user" else WORDS
        words = {t: n for t, n in counts.items() if t.lower() in listed and t.lower() not in said}
        much = sum(words.values())
        if words and (field not in ("user", "item") or much >= max(_MUCH * total, _FEW)):
            spelt = ", ".join(repr(word) for word in sorted(words, key=lambda w: -words[w])[:3])
            found.append(
                f"{much:,} of {total:,} rows looked at hold {spelt} as their {field} ({column!r}). "
                f"{_SO[field]} If it stands for nothing, say so: source.missing: [{spelt}]."
            )
        cut = {t: n for t, n in counts.items() if field in _IDS and _CUT.fullmatch(t)}
        if sum(cut.values()) >= max(_MUCH * total, _FEW):
            found.append(
                f"{sum(cut.values()):,} of {total:,} rows looked at hold a {field} ({column!r}) such as "
                f"{max(cut, key=lambda text: cut[text])!r}: a spreadsheet wrote a long number so and "
                f"cut its digits, and several {field}s may have become one. Export the column as text."
            )
        if field in ("user", "item") and field not in settings.clean.keys.integer_ids:
            pairs = [t for t in counts if (m := _WHOLE.fullmatch(t)) and m[1] in counts]
            if pairs:
                found.append(
                    f"{len(pairs):,} {field}s of {column!r} stand there as whole and as floating "
                    f"point numbers, such as {pairs[0]!r} beside {_WHOLE.fullmatch(pairs[0])[1]!r}, "  # type: ignore[index]
                    f"and are two each. If they are one: clean.keys.integer_ids: [{field}]."
                )
    return tuple(found)


_SO = {
    "user": "They are one user, with sessions.",
    "item": "They are one item.",
    "event_id": "They are repetitions of one event, and are rejected.",
    "session": "They are one session of the source.",
    "quantity": "It is no number, and the rows are rejected.",
    "value": "It is no number, and the rows are rejected.",
}


def _columns(settings: Settings, available: Sequence[str]) -> dict[str, str]:
    """The columns to look at, by field."""
    mapping = settings.source.mapping
    named = {field: getattr(mapping, field) for field in _SO}
    return {field: held_name(column, available) for field, column in named.items() if column}
