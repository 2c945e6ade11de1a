"""What steps left behind about a person: their records in the lake, and the report's page.

A record keeps a step's result, and the result of ``recommend`` shows a few users by their key.
Such a record is removed; the next ``run_pipeline`` runs the step again and writes another. The
page is drawn from the records, so it goes with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truelift.steps import StepStore

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.logs.person import Person


def forget_records(job: Job, person: Person) -> tuple[str, ...]:
    """Remove the records whose result names a person, and the pages made from them.

    Returns
    -------
    tuple of str
        Steps that have to run again.
    """
    store = StepStore(job.lake.root)
    records = store.records()
    gone = [r for r in records if person.keys.intersection(_users_of(r.results))]
    if gone:
        gone += [r for r in records if r.step == "report"]
    for record in gone:
        for file in record.files:
            Path(file).unlink(missing_ok=True)
        store.remove(record)
    return tuple(record.step for record in gone)


def _users_of(value: Any) -> Iterator[str]:
    """Every ``user_key`` in plain values, however deep."""
    if isinstance(value, dict):
        if isinstance(value.get("user_key"), str):
            yield value["user_key"]
        for inner in value.values():
            yield from _users_of(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _users_of(inner)
