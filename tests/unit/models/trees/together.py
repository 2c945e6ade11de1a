"""Workers that share a fit, in one process."""

from __future__ import annotations

import threading

import numpy as np


class Together:
    """Workers that are threads: a sum waits until all have brought their values."""

    def __init__(self, size: int):
        self.size = size
        self._barrier, self._values = threading.Barrier(size), [np.zeros(0)] * size

    def member(self, rank: int):
        shared = self

        class Member:
            size = shared.size

            def __init__(self) -> None:
                self.rank = rank

            def sum(self, values):
                return self._of_all(values, np.sum)

            def max(self, values):
                return self._of_all(values, np.max)

            def _of_all(self, values, reduced):
                shared._values[rank] = values
                shared._barrier.wait(30)
                total = reduced(np.array(shared._values), axis=0)
                shared._barrier.wait(30)
                return total

        return Member()

    def run(self, work):
        """``work(worker)`` on each; the results by rank."""
        found = [None] * self.size

        def one(rank: int) -> None:
            found[rank] = work(self.member(rank))

        threads = [threading.Thread(target=one, args=(r,)) for r in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert all(f is not None for f in found)
        return found
