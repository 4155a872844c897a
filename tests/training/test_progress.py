"""What the user sees while it trains."""

from __future__ import annotations

import io
import re

import pytest
import torch
from torch import nn

from longspan.training.history import Record
from longspan.training.loop import train
from longspan.training.progress import BarProgress, LineProgress, choose_progress
from longspan.training.settings import Settings


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_bar_on_a_terminal_lines_elsewhere_nothing_when_quiet() -> None:
    assert isinstance(choose_progress(stream=_Terminal()), BarProgress)
    assert isinstance(choose_progress(stream=io.StringIO()), LineProgress)
    assert choose_progress(quiet=True, stream=_Terminal()) is None


def test_standard_error_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    progress = choose_progress()
    assert progress is not None
    progress.start(0, Settings(max_steps=5))
    progress.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "training from step 0 to at most 5\n"


def test_lines_come_every_ten_seconds_with_what_is_known() -> None:
    stream, clock = io.StringIO(), _Clock()
    progress = LineProgress(stream, clock)
    progress.start(100, Settings(max_steps=2100))
    for second in range(1, 26):
        clock.now = float(second)
        progress.advance(100 + 20 * second, 0.5, clock.now)
        if second == 15:
            progress.validated(Record(400, 0.5, 0.25, 1e-3, 15.0), 0.25)
    progress.close()
    assert stream.getvalue().splitlines() == [
        "training from step 100 to at most 2,100",
        "step 300/2,100  loss 0.5  20 steps/s  at most 1 min 30 s left",
        "step 500/2,100  loss 0.5  best validation 0.25  20 steps/s  at most 1 min 20 s left",
    ]


@pytest.mark.parametrize(("budget", "left"), [(30.0, "20 s"), (500.0, "1 min 30 s"), (5.0, "0 s")])
def test_time_left_is_bounded_by_the_budget(budget: float, left: str) -> None:
    stream, clock = io.StringIO(), _Clock()
    progress = LineProgress(stream, clock)
    progress.start(0, Settings(max_steps=2000, time_budget=budget))
    clock.now = 10.0
    progress.advance(200, None, 10.0)
    assert stream.getvalue().splitlines()[1] == f"step 200/2,000  20 steps/s  at most {left} left"


def test_slow_steps_and_long_runs() -> None:
    stream, clock = io.StringIO(), _Clock()
    progress = LineProgress(stream, clock)
    progress.start(0, Settings(max_steps=1000))
    clock.now = 20.0
    progress.advance(10, 1.0, 20.0)
    assert stream.getvalue().splitlines()[1] == "step 10/1,000  loss 1  0.5 steps/s  at most 33 min 00 s left"
    clock.now = 40.0
    progress.advance(1, 1.0, 40.0)
    assert "at most 11 h 06 min left" in stream.getvalue()


def test_bar_shows_loss_best_pace_and_time_left() -> None:
    stream, clock = _Terminal(), _Clock()
    progress = BarProgress(stream, clock)
    progress.start(0, Settings(max_steps=1000))
    clock.now = 5.0
    progress.advance(200, 0.125, 5.0)
    progress.validated(Record(200, 0.125, 0.25, 1e-3, 5.0), 0.25)
    progress.close()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "step 200/1,000" in text
    assert "loss 0.125" in text
    assert "best validation 0.25" in text
    assert "40 steps/s" in text
    assert "at most 20 s left" in text


def test_loop_reports_start_validations_and_the_end_even_on_failure() -> None:
    calls: list[tuple[str, int]] = []

    class Spy:
        def start(self, step: int, _: Settings) -> None:
            calls.append(("start", step))

        def advance(self, step: int, _loss: float | None, _seconds: float) -> None:
            calls.append(("advance", step))

        def validated(self, record: Record, _best: float) -> None:
            calls.append(("validated", record.step))

        def close(self) -> None:
            calls.append(("close", 0))

    module = nn.Linear(2, 1)

    def batches(step: int) -> torch.Tensor:
        if step == 5:
            raise LookupError
        return torch.ones(1, 2)

    settings = Settings(max_steps=10, validate_every=2)
    ticks = iter(range(10_000))
    with pytest.raises(LookupError):
        train(module, lambda m, x: m(x).sum(), batches, lambda _: 1.0, settings, None, Spy(),
              clock=lambda: float(next(ticks)))  # fmt: skip
    assert calls[0] == ("start", 0)
    assert calls[-1] == ("close", 0)
    assert [call for call in calls if call[0] == "validated"] == [("validated", 2), ("validated", 4)]
    assert [call for call in calls if call[0] == "advance"] == [("advance", step) for step in range(1, 6)]
