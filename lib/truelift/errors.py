"""Every error that truelift raises on purpose, and the exit code each one means.

A :class:`UserError` is something the caller can mend (a path, a column, a setting); the
command line prints its message without a stack trace and exits with 2. A
:class:`NotSupportedError` says that the data do not carry what was asked, and exits with 3. A
:class:`JobFailure` means that the work itself went wrong; it exits with 1.
"""

from __future__ import annotations


class TrueliftError(Exception):
    """Base of truelift's errors; ``exit_code`` is what the process ends with."""

    exit_code = 1


class UserError(TrueliftError):
    """A mistake in what the user gave: named, with what was expected."""

    exit_code = 2


class ConfigError(UserError):
    """An unknown key, a wrong type or an impossible value in the configuration."""


class SourceError(UserError):
    """A raw file that is missing, empty or lacks a mapped column."""


class TableError(UserError):
    """A lake table that is missing, or whose columns are not the ones expected."""


class DataError(UserError):
    """Rows that cannot support what was asked (one arm only, no rows, non-finite values)."""


class MachineError(UserError):
    """The machine lacks something: Java, a writable path, a jar."""


class NotSupportedError(TrueliftError):
    """What was asked is well put, and the data do not support it."""

    exit_code = 3


class JobFailure(TrueliftError):
    """A job that started well and went wrong; nothing was published."""


class StorageError(JobFailure):
    """A place to write to that is full, or does not answer."""


class InvariantError(JobFailure):
    """A count or a contract that must hold did not."""
