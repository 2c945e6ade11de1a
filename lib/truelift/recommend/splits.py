"""The global temporal split: one pair of dates for all users.

Everything before ``validation_start`` is for training; ``[validation_start, test_start)``
chooses the epoch and the baselines' windows; ``[test_start, end)`` is looked at once. With one
date for all, no model can learn from what happened to other users after it.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from truelift.errors import DataError
from truelift.models.histories import Histories, ItemSets

DAY = 86_400_000_000


@dataclass(frozen=True)
class TemporalSplit:
    """Three instants, in microseconds since the epoch; windows are half open.

    Parameters
    ----------
    validation_start, test_start, end : int
        Training is before the first; validation and test are the windows between them.
    """

    validation_start: int
    test_start: int
    end: int

    @classmethod
    def at_end(
        cls, first_time: int, last_time: int, validation_days: int, test_days: int
    ) -> TemporalSplit:
        """The last ``test_days`` calendar days (UTC) for test, those before for validation.

        Raises
        ------
        DataError
            If nothing would be left to train on.
        """
        end = (last_time // DAY + 1) * DAY
        test_start = end - test_days * DAY
        validation_start = test_start - validation_days * DAY
        if first_time >= validation_start:
            days = (end - first_time) / DAY
            raise DataError(
                f"gold.sequences: found {days:.0f} days of events, expected more than "
                f"sequence.validation_days + sequence.test_days = {validation_days} + {test_days}; "
                "give more data or shorten the windows."
            )
        return cls(validation_start, test_start, end)

    def training(self, histories: Histories) -> Histories:
        """What a model may learn from: events before the validation window."""
        return histories.before(self.validation_start)

    def validation(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Histories before the validation window, and each user's first session in it."""
        return _window(histories, self.validation_start, self.test_start)

    def test(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Histories before the test window, and each user's first session in it."""
        return _window(histories, self.test_start, self.end)

    def describe(self) -> dict[str, str]:
        """The instants as ISO text."""
        return {
            "validation_start": iso(self.validation_start),
            "test_start": iso(self.test_start),
            "end": iso(self.end),
        }


def iso(time: int) -> str:
    """Microseconds since the epoch as an ISO time in UTC."""
    moment = datetime.datetime.fromtimestamp(time / 1e6, tz=datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _window(histories: Histories, start: int, end: int) -> tuple[Histories, ItemSets]:
    """Users with a past and a session in the window; a cold user cannot be ranked for."""
    relevant = histories.first_session(start, end)
    past = histories.before(start)
    keep = (relevant.sizes > 0) & (past.offsets[1:] > past.offsets[:-1])
    return past.take(keep), relevant.take(keep)
