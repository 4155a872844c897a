"""Ctrl-C and SIGTERM: finish the step, keep a checkpoint, say how to go on. A second Ctrl-C stops at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

__all__ = ["Signals"]


class Signals:
    """Notes the first SIGINT or SIGTERM in `caught`; a second SIGINT is a KeyboardInterrupt.

    As a context manager. Only the main thread may handle signals: elsewhere it does nothing. The handlers
    that were there before are put back at the end.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            if handler is not None:  # None: one that was not set from Python, and cannot be from there
                signal.signal(number, handler)
        self._before.clear()

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.caught is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.caught = number
