"""What the steps of the logs room leave behind: counts that add up, and agreement."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class IngestResult:
    """Rows of the raw files and where they went.

    Parameters
    ----------
    files : int
        Files read in this run.
    rows_read : int
        Event rows found in those files.
    rows_written : int
        Event rows appended to ``bronze.events``.
    rows_sampled_out : int
        Event rows of users outside the sample (``settings.sample`` below 1).
    rows_already_known : int
        Event rows of files that an earlier run had already appended.
    streams : dict of str to int
        Rows in each bronze table, the events and the reference streams beside them.
    new_columns : tuple of str
        ``stream.column`` that earlier files lacked; it is null in their rows.
    missing_columns : tuple of str
        ``stream.column`` that bronze or another file has and a file of this run lacks; it is
        null in that file's rows.
    redelivered : tuple of str
        Files that came again under their path with other content.
    rows_replaced : int
        Rows of earlier contents that have left bronze (``source.redelivered: replace``).
    waiting : tuple of str
        Files whose last line has no line end yet, and is not in bronze.
    """

    files: int
    rows_read: int
    rows_written: int
    rows_sampled_out: int
    rows_already_known: int
    streams: dict[str, int]
    new_columns: tuple[str, ...] = ()
    missing_columns: tuple[str, ...] = ()
    redelivered: tuple[str, ...] = ()
    rows_replaced: int = 0
    waiting: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"IngestResult({self.rows_read:,} rows read in {self.files:,} files: "
            f"{self.rows_written:,} written, {self.rows_sampled_out:,} sampled out, "
            f"{self.rows_already_known:,} already known)"
        )


@dataclass(frozen=True)
class CleanResult:
    """The balance of the cleaning step: bronze = silver + quarantine + duplicates.

    Parameters
    ----------
    bronze, silver : int
        Rows in ``bronze.events`` and ``silver.events``.
    quarantine : int
        Rows rejected, duplicates not counted.
    duplicates : int
        Rows removed because an earlier row carries the same event.
    reasons : dict of str to int
        Rows per reason; a row with two reasons counts under both.
    contract_passed : bool
        Whether every expectation of the Great Expectations suite on silver held.
    expectations : int
        Number of expectations checked.
    data_docs : str or None
        Path or URI of the Data Docs page, None where it was not written.
    labels : dict of str to int
        Rows of silver per label: unusual rows that were kept and marked.
    new_rows : int
        Rows of bronze that this run has taken in.
    warnings : tuple of str
        Expectations that do not hold and do not stop the job.
    hints : tuple of str
        What looks like a slip of the source, and the setting that mends it.
    """

    bronze: int
    silver: int
    quarantine: int
    duplicates: int
    reasons: dict[str, int]
    contract_passed: bool
    expectations: int
    data_docs: str | None
    labels: dict[str, int] = field(default_factory=dict)
    new_rows: int = 0
    warnings: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    def __repr__(self) -> str:
        contract = "passed" if self.contract_passed else "failed"
        return (
            f"CleanResult(bronze {self.bronze:,} = silver {self.silver:,} + quarantine "
            f"{self.quarantine:,} + duplicates {self.duplicates:,}; contract of "
            f"{self.expectations} expectations {contract})"
        )


@dataclass(frozen=True)
class SessionAgreement:
    """How well the sessions match the sessions that the source itself names.

    Parameters
    ----------
    true_sessions : int
        Sessions (baskets) given by the source.
    exact_matches : int
        Sessions whose set of events equals that of a given session.
    merged : int
        Our sessions that hold events of more than one given session.
    split : int
        Given sessions whose events lie in more than one of ours.
    precision, recall, f1 : float
        Exact matches over our sessions, over given sessions, and their harmonic mean.
    """

    true_sessions: int
    exact_matches: int
    merged: int
    split: int
    precision: float
    recall: float
    f1: float

    def __repr__(self) -> str:
        return (
            f"SessionAgreement({self.exact_matches:,} of {self.true_sessions:,} given sessions "
            f"matched exactly; precision {self.precision:.4f}, recall {self.recall:.4f}, "
            f"F1 {self.f1:.4f}; {self.merged:,} merged, {self.split:,} split)"
        )


@dataclass(frozen=True)
class SessionsResult:
    """Sessions found, over time, and their agreement with given sessions.

    Parameters
    ----------
    sessions, events, users : int
        Sessions, the events in them, and the users they belong to; after an increment the users
        are an estimate, within 2%.
    open_sessions : int
        Sessions that the end of the data may have cut (end of data - end <= timeout).
    per_day : tuple of (str, int)
        ISO date (UTC) and the number of sessions that started on it, in date order.
    agreement : SessionAgreement or None
        None where the source names no sessions. After an increment, of the slices made anew.
    given : dict of str to int
        With ``sessions.given: respect``: given sessions, those with a gap over the timeout,
        and ids shared by several users.
    user_sketch : str
        Apache DataSketches' HLL sketch of the users, in base64, for the next increment.
    """

    sessions: int
    events: int
    users: int
    open_sessions: int
    per_day: tuple[tuple[str, int], ...]
    agreement: SessionAgreement | None
    given: dict[str, int] = field(default_factory=dict)
    user_sketch: str = field(default="", repr=False)

    def __repr__(self) -> str:
        return (
            f"SessionsResult({self.sessions:,} sessions of {self.users:,} users from "
            f"{self.events:,} events; {self.open_sessions:,} open; {self.agreement!r})"
        )

    def to_pandas(self) -> pd.DataFrame:
        """Sessions per day, columns ``date`` (datetime64) and ``sessions``."""
        import pandas as pd

        frame = pd.DataFrame(self.per_day, columns=["date", "sessions"])
        frame["date"] = pd.to_datetime(frame["date"])
        return frame
