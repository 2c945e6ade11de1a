"""Given session ids that break the rules."""

from __future__ import annotations

from tests.unit.logs.session_rows import events, options
from truelift.logs.sessions.given import (
    GIVEN_DDL,
    GIVEN_SCHEMA,
    GivenSessionsKernel,
    summarise_given,
)


def figures(*buckets, timeout=1800):
    kernel = GivenSessionsKernel(options(timeout_seconds=timeout))
    return summarise_given(
        kernel(number, {"events": table}) for number, table in enumerate(buckets)
    )


def given(*rows):
    return events(*((u, t) for u, t, _ in rows), source_session=[s for _, _, s in rows])


def test_a_given_id_with_a_gap_over_the_timeout_is_counted():
    table = given(("u", 0, "s"), ("u", 1800, "s"), ("u", 9000, "t"), ("u", 10_801, "t"))
    assert figures(table) == {"given_sessions": 2, "given_over_timeout": 1, "given_shared": 0}


def test_events_in_between_of_another_id_do_not_close_the_gap():
    table = given(("u", 0, "s"), ("u", 1000, "t"), ("u", 2000, "s"), ("u", 1500, None))
    assert figures(table)["given_over_timeout"] == 1


def test_an_id_of_two_users_is_shared_in_a_bucket_and_across_buckets():
    one = given(("a", 0, "s"), ("b", 0, "s"), ("a", 0, "t"))
    other = given(("c", 0, "t"), ("c", 5, "r"))
    assert figures(one) == {"given_sessions": 3, "given_over_timeout": 0, "given_shared": 1}
    assert figures(one, other) == {"given_sessions": 5, "given_over_timeout": 0, "given_shared": 2}


def test_buckets_without_given_ids_count_nothing():
    assert figures(given(("u", 0, None)), events()) == {
        "given_sessions": 0, "given_over_timeout": 0, "given_shared": 0,
    }  # fmt: skip


def test_the_columns_are_those_that_spark_is_told():
    assert [part.split()[0] for part in GIVEN_DDL.split(", ")] == GIVEN_SCHEMA.names
