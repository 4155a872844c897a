"""How training goes, on the standard error stream: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from longspan.training.history import Record
from longspan.training.settings import Settings

__all__ = ["BarProgress", "LineProgress", "choose_progress"]

_LINE_EVERY = 10.0  # seconds


def choose_progress(
    *, quiet: bool = False, stream: TextIO | None = None
) -> BarProgress | LineProgress | None:
    """A bar where the stream (by default standard error) is a terminal, else lines; None where `quiet`."""
    if quiet:
        return None
    stream = sys.stderr if stream is None else stream
    return BarProgress(stream) if stream.isatty() else LineProgress(stream)


class _Pace:
    """Steps a second of this session, and the seconds that are left by it or by the time budget."""

    def __init__(self, step: int, settings: Settings, clock: Callable[[], float]) -> None:
        self.total = settings.max_steps
        self.budget = settings.time_budget
        self._clock = clock
        self._first, self._began = step, clock()

    def rate(self, step: int) -> float | None:
        """Steps a second, or None where too little was done to tell."""
        passed = self._clock() - self._began
        return (step - self._first) / passed if passed > 0 and step > self._first else None

    def left(self, step: int, seconds: float) -> float | None:
        """Seconds to the last step or to the end of the time budget, whichever comes first."""
        rate = self.rate(step)
        ends = [] if rate is None else [(self.total - step) / rate]
        if self.budget is not None:
            ends.append(max(0.0, self.budget - seconds))
        return min(ends) if ends else None


class _Reporter:
    """What both kinds share: the last known numbers, and one line of text about them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pace: _Pace | None = None
        self._best: float | None = None

    def _describe(self, step: int, loss: float | None, seconds: float) -> str:
        if self._pace is None:
            return ""
        rate, left = self._pace.rate(step), self._pace.left(step, seconds)
        parts = [
            None if loss is None else f"loss {loss:.4g}",
            None if self._best is None else f"best validation {self._best:.4g}",
            None if rate is None else f"{rate:,.0f} steps/s" if rate >= 10 else f"{rate:.2g} steps/s",
            None if left is None else f"at most {_duration(left)} left",
        ]
        return "  ".join(part for part in parts if part is not None)


class BarProgress(_Reporter):
    """A bar with loss, best validation, steps a second and the time left (early stopping may end it sooner).

    Args:
        stream: where to draw; a terminal.
        clock: seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        # The loop calls often enough; a refreshing thread would take its share of a small step.
        self._bar = Progress(
            TextColumn("step {task.completed:,.0f}/{task.total:,.0f}"),
            BarColumn(),
            TextColumn("{task.description}"),
            console=Console(file=stream),
            auto_refresh=False,
            transient=True,
        )
        self._task: TaskID | None = None

    def start(self, step: int, settings: Settings) -> None:
        """Draw the empty bar."""
        self._pace = _Pace(step, settings, self._clock)
        self._bar.start()
        self._task = self._bar.add_task("", total=settings.max_steps, completed=step)
        self._bar.refresh()

    def advance(self, step: int, loss: float | None, seconds: float) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bar.update(self._task, completed=step, description=self._describe(step, loss, seconds))
            self._bar.refresh()

    def validated(self, record: Record, best: float) -> None:
        """Show the new best, and the step."""
        self._best = best
        self.advance(record.step, record.train_loss, record.seconds)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


class LineProgress(_Reporter):
    """A plain line at most every ten seconds, for logs and pipes.

    Args:
        stream: where to write.
        clock: seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._stream = stream
        self._written = clock()

    def start(self, step: int, settings: Settings) -> None:
        """Say where training begins."""
        self._pace = _Pace(step, settings, self._clock)
        self._write(f"training from step {step:,} to at most {settings.max_steps:,}")

    def advance(self, step: int, loss: float | None, seconds: float) -> None:
        """Write a line if the last is ten seconds old."""
        if self._clock() - self._written >= _LINE_EVERY and self._pace is not None:
            self._write(f"step {step:,}/{self._pace.total:,}  {self._describe(step, loss, seconds)}")

    def validated(self, record: Record, best: float) -> None:
        """Note the best for the next line."""
        self._best = best
        self.advance(record.step, record.train_loss, record.seconds)

    def close(self) -> None:
        """Nothing is left to do: every line was written out."""

    def _write(self, text: str) -> None:
        self._written = self._clock()
        self._stream.write(text + "\n")
        self._stream.flush()


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
