"""The rows behind the answer: where they went, their quality, and the sessions in them."""

from __future__ import annotations

from truelift.effects.telling.names import plural_of
from truelift.logs.results import CleanResult, IngestResult, SessionAgreement, SessionsResult
from truelift.report.content import ReportContent
from truelift.report.markup import (
    Html,
    bullets,
    definitions,
    element,
    fragment,
    missing,
    section,
    table,
)
from truelift.report.numbers import count, day, joined, plural, share
from truelift.report.plots import rows_funnel, sessions_over_time
from truelift.report.plots.rows import set_aside, stages
from truelift.report.section import Figures, Section
from truelift.report.svg import figure_block


def rows(content: ReportContent) -> Html:
    """The funnel of rows and the contract on silver."""
    heading = "Where did the rows go?"
    ingest, clean = content.ingest, content.clean
    if ingest is None and clean is None:
        why = "The steps ingest and clean have not run on this lake."
        return section("rows", heading, missing("The funnel of rows", why))
    described = "; ".join(f"{name}: {count(n)}" for name, n in stages(ingest, clean))
    aside = "; ".join(f"{name}: {count(n)}" for name, n in set_aside(clean)) or "none"
    return section(
        "rows",
        heading,
        element("p", _read(content)),
        None if clean is None else element("p", _balance(clean)),
        figure_block(
            lambda width: rows_funnel(ingest, clean, width),
            "rows-funnel",
            "Rows at each stage and, on a scale of their own, rows set aside. Nothing is dropped: "
            "rejected rows are kept in silver.quarantine with their reasons, and a row with two "
            "reasons counts under both."
            if set_aside(clean)
            else "Rows at each stage. No row was rejected or removed.",
            f"Rows: {described}. Set aside: {aside}.",
        ),
        missing("Cleaning", "The step clean has not run on this lake.")
        if clean is None
        else _contract(clean, content.data_docs),
        None if clean is None else _warnings(clean),
        None if clean is None else _labels(clean),
        _left_out(content),
    )


def _read(content: ReportContent) -> str:
    ingest = content.ingest
    if ingest is None:
        return "How many rows the raw files hold is not known: the step ingest did not run here."
    text = f"{plural(ingest.rows_read, 'row')} read from {plural(ingest.files, 'file')}"
    if ingest.rows_sampled_out:
        text += (
            f"; this run keeps a sample of {share(content.sample)} of the users, which leaves "
            f"{count(ingest.rows_read - ingest.rows_sampled_out)}"
        )
    if ingest.rows_already_known:
        text += f"; {count(ingest.rows_already_known)} were in bronze already from an earlier run"
    return text + "."


def _balance(clean: CleanResult) -> Html:
    difference = clean.bronze - clean.silver - clean.quarantine - clean.duplicates
    state = "The account balances" if difference == 0 else f"Unaccounted: {count(difference)} rows"
    return fragment(
        element("strong", f"{state}: "),
        f"bronze {count(clean.bronze)} = silver {count(clean.silver)} + quarantine "
        f"{count(clean.quarantine)} + duplicates {count(clean.duplicates)}. "
        f"{share(clean.silver / clean.bronze if clean.bronze else 0.0)} of the rows are clean.",
    )


def _contract(clean: CleanResult, data_docs: str | None) -> Html:
    state = "holds" if clean.contract_passed else "is broken"
    link = (
        element("a", "Read the Data Docs", href=data_docs)
        if data_docs
        else "Data Docs were not written."
    )
    return element(
        "p",
        element("strong", f"The data contract on silver {state}"),
        f" ({plural(clean.expectations, 'expectation')} checked by Great Expectations). ",
        link,
    )


def _warnings(clean: CleanResult) -> Html | None:
    """Expectations that do not hold and did not stop the job: drift, and those of clean.warn."""
    if not clean.warnings:
        return None
    return fragment(
        element("p", "Expectations that do not hold and do not stop the job:"),
        bullets(clean.warnings),
    )


def _labels(clean: CleanResult) -> Html | None:
    if not clean.labels:
        return None
    ranked = sorted(clean.labels.items(), key=lambda item: (-item[1], item[0]))
    marked = [f"{name.replace('_', ' ')} ({count(rows)})" for name, rows in ranked]
    return element("p", f"Unusual rows that were kept and labelled: {joined(marked)}.")


def _left_out(content: ReportContent) -> Html | None:
    panel = content.panel
    if panel is None or not panel.excluded:
        return None
    items = [f"{name}: {why}" for name, why in panel.excluded.items()]
    what = panel.labels.get("treatment", "occasion")
    return element(
        "details",
        element("summary", f"{plural(len(items), what, plural_of(what))} left out of the panel"),
        bullets(items),
    )


def sessions(content: ReportContent) -> Html:
    """Sessions over time, and agreement with those that the source names."""
    heading = "When do people come?"
    result = content.sessions
    if result is None:
        why = "The step sessionize has not run on this lake."
        return section("sessions", heading, missing("Sessions", why))
    mean = result.events / result.sessions if result.sessions else 0.0
    text = (
        f"{plural(result.sessions, 'session')} of {plural(result.users, 'user')}, with "
        f"{mean:.1f} events each on average. {plural(result.open_sessions, 'session')} may go on "
        "after the end of the data."
    )
    if not result.per_day:
        return section("sessions", heading, element("p", text), missing("Curve", "No session."))
    first, last = result.per_day[0], result.per_day[-1]
    peak = max(result.per_day, key=lambda d: d[1])
    return section(
        "sessions",
        heading,
        element("p", text),
        figure_block(
            lambda width: sessions_over_time(result, width),
            "sessions-over-time",
            f"From {day(first[0])} to {day(last[0])} (UTC).",
            f"Sessions a day from {day(first[0])} to {day(last[0])}; most, {count(peak[1])}, "
            f"on {day(peak[0])}.",
        ),
        element("h3", "Agreement with the visits that the source itself names"),
        *_agreement(result.agreement),
    )


def _agreement(agreement: SessionAgreement | None) -> list[Html]:
    if agreement is None:
        return [missing("Agreement", "The source names no sessions to compare with.")]
    figures = definitions(
        (
            ("Precision", share(agreement.precision)),
            ("Recall", share(agreement.recall)),
            ("F1", share(agreement.f1)),
        ),
        class_="figures",
    )
    counts = table(
        "Sessions beside given visits; a match has exactly the same events",
        ("What", "Count"),
        (
            ("Given visits", count(agreement.true_sessions)),
            ("Matched exactly", count(agreement.exact_matches)),
            ("Our sessions that join several visits", count(agreement.merged)),
            ("Visits that we cut", count(agreement.split)),
        ),
        numeric=frozenset({1}),
    )
    return [figures, counts]


def figures_of_rows(content: ReportContent) -> Figures:
    """The way of the rows."""
    if not (content.ingest or content.clean):
        return {}
    return {"rows_funnel": lambda: rows_funnel(content.ingest, content.clean)}


def figures_of_sessions(content: ReportContent) -> Figures:
    """Sessions by day."""
    found = content.sessions
    return (
        {"sessions_over_time": lambda: sessions_over_time(found)} if found and found.per_day else {}
    )


ROWS = Section("rows", "Rows", 70, rows, figures_of_rows, (IngestResult, CleanResult))
SESSIONS = Section("sessions", "Sessions", 80, sessions, figures_of_sessions, (SessionsResult,))
