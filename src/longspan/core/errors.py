"""The errors that longspan raises on purpose.

Every message says what was expected, what was got, where, and what to do now. Each class also derives from
the built-in that callers already catch (``ValueError``, ``OSError`` …), so no caller needs to import this
module.
"""

from __future__ import annotations

import signal
from pathlib import Path

__all__ = ["DataError", "InputError", "Interrupted", "LongspanError", "ModelError", "TrainingError"]


class LongspanError(Exception):
    """Base class of every error that longspan raises on purpose."""


class InputError(LongspanError, ValueError):
    """An argument or option is wrong: its name, what was expected, what was got."""


class DataError(LongspanError, ValueError):
    """The user's data cannot be used as it stands.

    Args:
        message: expected, got and what to do now.
        source: file name or kind of frame, as the user knows it.
        row: row number as the user counts them (in a file with a header the first data row is 2), if one row
            is at fault.
        column: column name, if one column is at fault.
    """

    def __init__(
        self, message: str, *, source: str | None = None, row: int | None = None, column: str | None = None
    ) -> None:
        self.source, self.row, self.column = source, row, column
        place = source or ""
        if row is not None:
            place = f"{place} row {row:,}".strip()
        if column is not None:
            place = f"{place}, column {column!r}" if place else f"column {column!r}"
        super().__init__(f"{place}: {message}" if place else message)


class ModelError(LongspanError, OSError):
    """A model folder or checkpoint is missing, incomplete, altered, or newer than this version."""


class TrainingError(LongspanError, RuntimeError):
    """Training cannot go on: for instance a loss that is not finite, with its cause."""


class Interrupted(LongspanError):  # noqa: N818 - it is no error: the user asked for it
    """Work was stopped from outside; the message says what is kept and how to go on.

    Args:
        message: what was reached and how to go on.
        step: optimiser steps taken, where it was training.
        workspace: folder from which the run can be resumed, or None where there is none.
        number: the signal's number.
    """

    def __init__(
        self,
        message: str,
        *,
        step: int | None = None,
        workspace: Path | None = None,
        number: int = signal.SIGINT,
    ) -> None:
        super().__init__(message)
        self.step, self.workspace, self.signal = step, workspace, int(number)
