"""Requests of many threads in few calls, each with its own answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from truelift.serving.batching import Together


def test_requests_that_arrive_during_a_call_share_the_next_one():
    calls: list[list[int]] = []
    first_runs, go_on = threading.Event(), threading.Event()

    def work(given):
        calls.append(list(given))
        if given == [0]:
            first_runs.set()
            go_on.wait(5)
        return [g * 10 for g in given]

    together = Together(work, lambda given: 1, most=3)
    with ThreadPoolExecutor(6) as threads:
        first = threads.submit(together, 0)
        first_runs.wait(5)
        others = [threads.submit(together, n) for n in range(1, 6)]
        while len(together._waiting) < 5:
            pass
        go_on.set()
        assert [f.result(5) for f in (first, *others)] == [0, 10, 20, 30, 40, 50]
    assert calls[0] == [0]
    assert sorted(len(c) for c in calls[1:]) == [2, 3]
    assert sorted(n for c in calls for n in c) == list(range(6))


def test_a_request_that_fails_does_not_fail_its_neighbours():
    first_runs, go_on = threading.Event(), threading.Event()

    def work(given):
        if given == [1]:
            first_runs.set()
            go_on.wait(5)
        return [1 / g for g in given]

    together = Together(work, lambda given: 1, most=10)
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(together, 1)
        first_runs.wait(5)
        bad, good = threads.submit(together, 0), threads.submit(together, 2)
        while len(together._waiting) < 2:
            pass
        go_on.set()
        assert (first.result(5), good.result(5)) == (1.0, 0.5)
        with pytest.raises(ZeroDivisionError):
            bad.result(5)
