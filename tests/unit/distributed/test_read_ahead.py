"""Entries of a thread that reads ahead: the same, in order, with its errors, and never too many."""

from __future__ import annotations

import threading

import pytest

from truelift.distributed.read_ahead import read_ahead


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_entries_come_in_their_order():
    assert list(read_ahead(iter(range(100)), 3, "numbers")) == list(range(100))


def test_none_is_an_entry_like_any_other():
    assert list(read_ahead(iter([None, 1, None]), 2, "numbers")) == [None, 1, None]


def test_an_error_is_raised_where_the_entries_are_read_after_those_before_it():
    def entries():
        yield 1
        raise OSError("gone")

    found = read_ahead(entries(), 3, "numbers")
    assert next(found) == 1
    with pytest.raises(OSError, match="gone"):
        next(found)


def test_no_more_are_made_than_may_wait_and_the_thread_ends_with_its_reader():
    made = []

    def entries():
        for number in range(1000):
            made.append(number)
            yield number

    found = read_ahead(entries(), 3, "numbers of a test")
    assert next(found) == 0
    assert "numbers of a test" in names()
    found.close()
    assert "numbers of a test" not in names()
    # One that was read, three that wait, and one that waits for room.
    assert len(made) <= 5
