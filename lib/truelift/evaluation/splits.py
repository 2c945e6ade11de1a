"""What is learned from, what chooses, and what is looked at once.

- ``temporal``: one pair of dates for all users. Everything before ``validation_start`` is for
  training; ``[validation_start, test_start)`` chooses the epoch and the baselines' windows;
  ``[test_start, end)`` is looked at once. With one date for all, no model can learn from what
  happened to other users after it.
- ``leave_one_out``: of each user the last step is the test and the one before it the validation,
  as in the published comparisons (Kang & McAuley 2018). What other users did later is learned
  from, so its figures flatter a model that will be used on the future.
- ``by_user``: some users are held out wholly and their last step is predicted from the others
  before it: how well a model does for people whom it has never seen.
* ``given``: the test part is a file of one's own (:mod:`~truelift.evaluation.given_test`).
"""

from __future__ import annotations

import datetime
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from truelift.errors import ConfigError, DataError
from truelift.evaluation.given_test import GivenTest
from truelift.evaluation.positions import every_position
from truelift.models.sequence.histories import Histories, ItemSets
from truelift.models.sequence.windows import step_counts, step_index
from truelift.typed import from_plain, to_plain

if TYPE_CHECKING:
    from truelift.settings import SequenceOptions

DAY = 86_400_000_000


class Split(Protocol):
    """Parts of histories; none of them holds what it is asked to predict."""

    def training(self, histories: Histories) -> Histories:
        """What a model may learn from; users left without anything stay, empty."""

    def validation(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Users to choose with: their past, and the items of the step to predict."""

    def test(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Users to test with, likewise."""

    def newcomers(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Users of the test part without any past, which :meth:`test` leaves out."""

    def describe(self) -> dict[str, str]:
        """The split in words and numbers."""


@dataclass(frozen=True)
class TemporalSplit:
    """Three instants, in microseconds since the epoch; windows are half open.

    Parameters
    ----------
    validation_start, test_start, end : int
        Training is before the first; validation and test are the windows between them.
    positions : str
        ``'next'``: the first session in a window is foretold; ``'every'``: each step in it, from
        all before it (:mod:`~truelift.evaluation.positions`). Anonymous sessions, which lie in one
        window whole, have a past only so.
    step : str
        What a step is, for ``'every'``.
    """

    validation_start: int
    test_start: int
    end: int
    positions: str = "next"
    step: str = "session"

    @classmethod
    def at_end(
        cls,
        first_time: int,
        last_time: int,
        validation_days: int,
        test_days: int,
        positions: str = "next",
        step: str = "session",
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
                "sequence.evaluation.validation_days + sequence.evaluation.test_days = "
                f"{validation_days} + {test_days}; give more data or shorten the windows."
            )
        return cls(validation_start, test_start, end, positions, step)

    def training(self, histories: Histories) -> Histories:
        """What a model may learn from: events before the validation window."""
        return histories.before(self.validation_start)

    def validation(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Histories before the validation window, and each user's first session in it."""
        return self._held_out(histories, self.validation_start, self.test_start)

    def test(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Histories before the test window, and each user's first session in it."""
        return self._held_out(histories, self.test_start, self.end)

    def newcomers(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Users whose first event of all lies in the test window, with their first session."""
        return self._held_out(histories, self.test_start, self.end, with_past=False)

    def describe(self) -> dict[str, str]:
        """The instants as ISO text."""
        return {
            "kind": "temporal",
            "validation_start": iso(self.validation_start),
            "test_start": iso(self.test_start),
            "end": iso(self.end),
            **_every(self.positions),
        }

    def _held_out(
        self, histories: Histories, start: int, end: int, with_past: bool = True
    ) -> tuple[Histories, ItemSets]:
        if self.positions == "every":
            inside = (histories.times >= start) & (histories.times < end)
            return every_position(histories, inside, self.step, with_past)
        return _window(histories, start, end, with_past)


def _every(positions: str) -> dict[str, str]:
    return {"positions": positions} if positions == "every" else {}


def iso(time: int) -> str:
    """Microseconds since the epoch as an ISO time in UTC."""
    moment = datetime.datetime.fromtimestamp(time / 1e6, tz=datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _window(
    histories: Histories, start: int, end: int, with_past: bool = True
) -> tuple[Histories, ItemSets]:
    """Users with a session in the window, and with a past or without."""
    relevant = histories.first_session(start, end)
    past = histories.before(start)
    keep = (relevant.sizes > 0) & ((np.diff(past.offsets) > 0) == with_past)
    return past.take(keep), relevant.take(keep)


@dataclass(frozen=True)
class LeaveOneOut:
    """The last step of each user is the test, the one before it the validation.

    Users of fewer than three steps only train.

    Parameters
    ----------
    step : str
        ``'event'``: a step is an interaction; ``'session'``: a session's set of items.
    """

    step: str = "event"

    def training(self, histories: Histories) -> Histories:
        """All steps but the last two."""
        left, enough = self._steps_left(histories)
        return histories.keep(~enough[histories.owner] | (left >= 2))

    def validation(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """All steps but the last two, and the last but one."""
        return self._predicting(histories, 1)

    def test(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """All steps but the last, and the last."""
        return self._predicting(histories, 0)

    def newcomers(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Nobody: whoever is tested has a past."""
        left, enough = self._steps_left(histories)
        return _last_step(histories, left, 0, np.zeros_like(enough))

    def describe(self) -> dict[str, str]:
        """Its kind and step."""
        return {"kind": "leave_one_out", "step": self.step}

    def _steps_left(self, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
        """Steps after each interaction's own, and which users have enough."""
        counts = step_counts(histories, self.step)
        left = counts[histories.owner] - 1 - step_index(histories, self.step)
        return left, counts >= 3

    def _predicting(self, histories: Histories, place: int) -> tuple[Histories, ItemSets]:
        left, enough = self._steps_left(histories)
        return _last_step(histories, left, place, enough)


@dataclass(frozen=True)
class ByUser:
    """Some users are held out wholly; half of them choose, half are the test.

    Parameters
    ----------
    share : float
        Of the users, in expectation; a fixed hash of the user key decides.
    step : str
        What a step is; the last one of a held-out user is predicted.
    positions : str
        ``'every'``: all steps of a held-out user but the first are foretold, each from those
        before it.
    """

    share: float
    step: str = "event"
    positions: str = "next"

    def training(self, histories: Histories) -> Histories:
        """Everything of the users who are not held out."""
        kept = self._draw(histories) >= self.share
        return histories.keep(kept[histories.owner])

    def validation(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Held-out users of the first half: all steps but the last, and the last."""
        return self._predicting(histories, self._draw(histories) < self.share / 2)

    def test(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Held-out users of the second half, likewise."""
        draw = self._draw(histories)
        return self._predicting(histories, (draw >= self.share / 2) & (draw < self.share))

    def newcomers(self, histories: Histories) -> tuple[Histories, ItemSets]:
        """Held-out users of the second half who took one step only."""
        draw = self._draw(histories)
        half = (draw >= self.share / 2) & (draw < self.share)
        return self._predicting(histories, half, newcomers=True)

    def describe(self) -> dict[str, str]:
        """Its kind, share and step."""
        return {
            "kind": "by_user",
            "held_out_users": f"{self.share:g}",
            "step": self.step,
            **_every(self.positions),
        }

    def _draw(self, histories: Histories) -> np.ndarray:
        """A number in [0, 1) for each user: CRC-32 with its low bits mixed by a multiplication."""
        codes = np.array([zlib.crc32(str(u).encode()) for u in histories.users], dtype=np.uint64)
        mixed = (codes * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(11)
        return mixed.astype(np.float64) * 2.0**-53

    def _predicting(
        self, histories: Histories, chosen: np.ndarray, newcomers: bool = False
    ) -> tuple[Histories, ItemSets]:
        if self.positions == "every":
            held_out = chosen[histories.owner]
            return every_position(histories, held_out, self.step, not newcomers)
        counts = step_counts(histories, self.step)
        left = counts[histories.owner] - 1 - step_index(histories, self.step)
        enough = counts == 1 if newcomers else counts >= 2
        return _last_step(histories, left, 0, chosen & enough)


def _last_step(
    histories: Histories, left: np.ndarray, place: int, users: np.ndarray
) -> tuple[Histories, ItemSets]:
    """Pasts of some users, and their items in the step that has ``place`` steps after it."""
    wanted = histories.keep(left == place).distinct_items()
    return histories.keep(left > place).take(users), wanted.take(users)


_KINDS: dict[str, type[Any]] = {
    "temporal": TemporalSplit,
    "leave_one_out": LeaveOneOut,
    "by_user": ByUser,
    "given": GivenTest,
}


def split_from(options: SequenceOptions, first_time: int, last_time: int) -> Split:
    """The split that the options ask for.

    Parameters
    ----------
    options : SequenceOptions
    first_time, last_time : int
        Of all events, microseconds since the epoch.

    Raises
    ------
    DataError
        If a temporal split would leave nothing to train on.
    """
    held_out, step = options.evaluation, options.histories.step
    if held_out.split == "leave_one_out":
        return LeaveOneOut(step)
    if held_out.split == "by_user":
        return ByUser(held_out.held_out_users, step, held_out.positions)
    return TemporalSplit.at_end(
        first_time,
        last_time,
        held_out.validation_days,
        held_out.test_days,
        held_out.positions,
        step,
    )


def split_to_plain(split: Split) -> dict[str, Any]:
    """A split as values that JSON can hold."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(split, cls))
    return {"kind": kind, **to_plain(split)}


def split_from_plain(plain: dict[str, Any]) -> Split:
    """The inverse of :func:`split_to_plain`.

    Raises
    ------
    ConfigError
        For a kind that there is not.
    """
    parts = dict(plain)
    kind = parts.pop("kind", None)
    if kind not in _KINDS:
        raise ConfigError(f"Split: found kind {kind!r}, expected one of {', '.join(_KINDS)}.")
    made: Split = from_plain(_KINDS[kind], parts)
    return made
