"""Requests of many threads, scored together.

A server answers each request in a thread of its own. Scoring is a chain of small tensor
operations whose cost hardly depends on the number of histories, so while one call runs the
requests that arrive wait, and the next call takes them all. Nobody waits for a timer: a lone
request is scored at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass
class _Ticket(Generic[Given, Made]):
    given: Given
    made: Made | None = None
    error: BaseException | None = None
    done: bool = False


@dataclass
class Together(Generic[Given, Made]):
    """Calls ``work`` on lists of what threads gave, one call at a time.

    Parameters
    ----------
    work : callable
        Gives as many results as it gets requests, in their order.
    size : callable
        What a request counts.
    most : int
        What the requests of one call count at most; a larger one is alone in its call.
    """

    work: Callable[[Sequence[Given]], Sequence[Made]]
    size: Callable[[Given], int]
    most: int
    _waiting: list[_Ticket[Given, Made]] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _busy: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, given: Given) -> Made:
        """The result for one request; raises what the work raised for it."""
        ticket: _Ticket[Given, Made] = _Ticket(given)
        with self._guard:
            self._waiting.append(ticket)
        # Whoever gets the lock works for all who wait; those find their result there.
        while not ticket.done:
            with self._busy:
                if not ticket.done:
                    self._serve(self._take())
        if ticket.error is not None:
            raise ticket.error
        return ticket.made  # type: ignore[return-value]

    def _take(self) -> list[_Ticket[Given, Made]]:
        with self._guard:
            taken, total = 0, 0
            for ticket in self._waiting:
                total += self.size(ticket.given)
                if taken and total > self.most:
                    break
                taken += 1
            some, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return some

    def _serve(self, tickets: list[_Ticket[Given, Made]]) -> None:
        try:
            results = self.work([t.given for t in tickets])
            for ticket, made in zip(tickets, results, strict=True):
                ticket.made = made
        except BaseException as error:
            if len(tickets) > 1:  # one may be at fault: each gets its own answer
                for ticket in tickets:
                    self._serve([ticket])
                return
            tickets[0].error = error
        for ticket in tickets:
            ticket.done = True
