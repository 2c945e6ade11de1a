"""Every number's pedigree: steps, table versions, runs, configuration."""

from __future__ import annotations

from truelift.progress import duration
from truelift.report.content import ReportContent
from truelift.report.markup import Html, bullets, element, missing, note, section, table
from truelift.report.numbers import count, short
from truelift.report.section import Section
from truelift.steps import StepRecord


def pedigree(content: ReportContent) -> Html:
    """What each step read and wrote, and with which settings."""
    heading = "Where does every number come from?"
    steps = (
        table(
            "Steps with the Delta versions they read and wrote",
            ("Step", "Read", "Wrote", "Rows in", "Rows out", "Time", "MLflow run", "Fingerprint"),
            (_row(record) for record in content.pedigree),
            numeric=frozenset({3, 4, 5}),
        )
        if content.pedigree
        else missing("Pedigree", "No finished step is on record for this lake.")
    )
    configuration = element(
        "details",
        element("summary", "The resolved configuration"),
        element("pre", element("code", content.configuration), tabindex="0"),
    )
    return section(
        "pedigree",
        heading,
        element(
            "p",
            "The same inputs and configuration give the same numbers. The fingerprint is a hash "
            "of a step's inputs and settings; the run opens in the MLflow UI.",
        ),
        _freshness(content.pedigree),
        _unread(content.unread),
        steps,
        configuration,
    )


def outdated(records: tuple[StepRecord, ...]) -> list[str]:
    """Steps that read a version of a table which another step has replaced since."""
    written = {name: (r.step, v) for r in records for name, v in r.outputs.items()}
    found = []
    for record in records:
        for name, version in sorted(record.inputs.items()):
            writer, newest = written.get(name, (record.step, version))
            if newest != version:
                found.append(
                    f"{record.step} read {name} version {version}; {writer} has written "
                    f"version {newest} since."
                )
    return found


def _freshness(records: tuple[StepRecord, ...]) -> Html | None:
    found = outdated(records)
    if not found:
        return None
    return note("warning", "Parts of this page belong to older tables", bullets(found))


def _unread(said: tuple[str, ...]) -> Html | None:
    return note("warning", "Some results are of another version", bullets(said)) if said else None


def _row(record: StepRecord) -> tuple[Html | str, ...]:
    return (
        record.step,
        _versions(record.inputs),
        _versions(record.outputs),
        count(record.rows_in),
        count(record.rows_out),
        duration(record.seconds),
        _code(record.run_id),
        _code(record.fingerprint),
    )


def _versions(tables: dict[str, int]) -> Html | str:
    if not tables:
        return "\N{EN DASH}"
    lines = [
        element("span", f"{name} v{version}", class_="version")
        for name, version in sorted(tables.items())
    ]
    return element("div", *lines, class_="versions")


def _code(identifier: str) -> Html | str:
    if not identifier:
        return "\N{EN DASH}"
    return element("code", short(identifier), title=identifier)


PEDIGREE = Section("pedigree", "Pedigree", 100, pedigree)
