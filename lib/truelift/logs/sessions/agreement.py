"""How well sessions by time match the sessions that the source knows, as sums over buckets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import encode
from truelift.arrays.times import microseconds
from truelift.logs.results import SessionAgreement
from truelift.logs.sessions.boundaries import SortedEvents
from truelift.logs.sessions.splits import sessions_of
from truelift.logs.sessions.totals import distinct_pairs
from truelift.settings import SessionOptions

AGREEMENT_COLUMNS = ("user_key", "event_time", "source_session")


def agreement_columns(options: SessionOptions) -> tuple[str, ...]:
    """Columns of ``silver.events`` that :class:`AgreementKernel` reads."""
    return (*AGREEMENT_COLUMNS, "context") if "campaign" in options.split_on else AGREEMENT_COLUMNS


@dataclass(frozen=True)
class ProfileKernel:
    """Sum kernel for what has to be known before sessions are cut.

    Its state: ``events``, ``users`` and ``given`` (events with a source session id) add up;
    ``max_time`` (microseconds) combines by maximum.
    """

    def __call__(
        self, bucket: int, batches: Iterator[pa.RecordBatch]
    ) -> dict[str, np.ndarray] | None:
        users: set[str] = set()
        events = given = 0
        last = np.iinfo(np.int64).min
        for batch in batches:
            if not batch.num_rows:
                continue
            events += batch.num_rows
            given += batch.num_rows - batch.column("source_session").null_count
            users.update(pc.unique(batch.column("user_key")).to_pylist())
            last = max(last, int(microseconds(batch.column("event_time")).max()))
        if not events:
            return None
        return {
            "events": np.array(events),
            "users": np.array(len(users)),
            "given": np.array(given),
            "max_time": np.array(last),
        }


@dataclass(frozen=True)
class AgreementKernel:
    """Sum kernel that compares sessions with the source's, bucket by bucket."""

    options: SessionOptions

    def __call__(
        self, bucket: int, batches: Iterator[pa.RecordBatch]
    ) -> dict[str, np.ndarray] | None:
        held = list(batches)
        if not held:
            return None
        events = pa.Table.from_batches(held)
        users, given = encode(events["user_key"]), encode(events["source_session"])
        time = microseconds(events["event_time"])
        context = events["context"] if "campaign" in self.options.split_on else None
        cuts = sessions_of(users, time, given, self.options, context)
        pair = np.where(
            given.codes >= 0, users.codes * np.int64(max(given.size, 1)) + given.codes, -1
        )
        return {key: np.array(n) for key, n in compare(cuts, pair).items()}


def compare(cuts: SortedEvents, source: np.ndarray) -> dict[str, int]:
    """Count exact matches, merged and split sessions.

    Parameters
    ----------
    cuts : SortedEvents
        Sessions by time.
    source : ndarray of int64, shape (events,)
        Code of each event's source session, in input order; -1 where it has none. An event
        without one makes its session no exact match.
    """
    _, codes = np.unique(source, return_inverse=True)
    has_null = bool((source < 0).any())
    codes = codes.astype(np.int64) - has_null
    size = int(codes.max(initial=-1)) + 1
    ordered = codes[cuts.order]
    sessions, sources, events = distinct_pairs(cuts.session, ordered, size)
    sources_of_session = np.bincount(sessions, minlength=len(cuts.starts))
    sessions_of_source = np.bincount(sources, minlength=size)
    alone = (sources_of_session[sessions] == 1) & (sessions_of_source[sources] == 1)
    exact = alone & (events == cuts.lengths[sessions])
    return {
        "sessions": len(cuts.starts),
        "true_sessions": size,
        "exact_matches": int(exact.sum()),
        "merged": int((sources_of_session > 1).sum()),
        "split": int((sessions_of_source > 1).sum()),
    }


def summarise(state: dict[str, np.ndarray]) -> SessionAgreement:
    """Precision, recall and F1 of exact matches from the summed counts."""
    count = {key: int(number) for key, number in state.items()}
    precision = count["exact_matches"] / count["sessions"] if count["sessions"] else 0.0
    recall = count["exact_matches"] / count["true_sessions"] if count["true_sessions"] else 0.0
    total = precision + recall
    return SessionAgreement(
        true_sessions=count["true_sessions"],
        exact_matches=count["exact_matches"],
        merged=count["merged"],
        split=count["split"],
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / total if total else 0.0,
    )
