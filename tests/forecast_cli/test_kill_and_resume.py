"""Killed at any instant and resumed, ``fit forecast`` ends in the bits of a run that was left alone."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longspan.data.synthetic import seasonal_panel

Shell = Callable[..., subprocess.CompletedProcess[str]]
Command = tuple[tuple[str, ...], dict[str, str]]
WORDS = (
    *("fit", "forecast", "d.csv", "--target", "value", "--series", "id", "--horizon", "5", "--hidden", "32"),
    *("--layers", "2", "--dropout", "0.2", "--steps", "120", "--validate-every", "4", "--patience", "1000"),
    *("--learning-rate", "0.002"),
)
TIMES = ("created", "command", "seconds")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    seasonal_panel(3, 120, 7, frequency="D").write_csv(folder / "d.csv")
    return folder


@pytest.fixture(scope="module")
def whole(place: Path, shell: Shell) -> Path:
    """The model of a run that nobody disturbed."""
    done = shell(*WORDS, "--out", "whole", "--quiet", cwd=place)
    assert done.returncode == 0, done.stderr
    return place / "whole"


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if key not in TIMES}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def manifest(model: Path) -> Any:
    """``model.json`` without times; the report and the seal over all hold them too, so their hashes go."""
    found = without_times(json.loads((model / "model.json").read_text()))
    del found["files"]["report.html"], found["seal"]
    return found


def latest_step(partial: Path) -> int:
    return max((int(each.stem.split("-")[1]) for each in partial.glob("checkpoint-*.safetensors")), default=0)


def disturb(
    command: Command, place: Path, words: tuple[str, ...], number: int, wait: float
) -> tuple[int, str]:
    """Start, send the signal ``wait`` seconds after the first new checkpoint, and give the exit code."""
    partial = place / "cut.partial"
    before = latest_step(partial)
    process = subprocess.Popen(
        [*command[0], *words],
        cwd=place,
        env=command[1],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    end = time.monotonic() + 90
    while process.poll() is None and latest_step(partial) <= before and time.monotonic() < end:
        time.sleep(0.002)
    time.sleep(wait)
    if process.poll() is None:
        process.send_signal(number)
    _, said = process.communicate(timeout=90)
    return process.returncode, said


def test_killed_again_and_again_it_ends_in_the_same_bits(
    place: Path, whole: Path, command: Command, shell: Shell, inside: Shell
) -> None:
    choose, words = random.Random(11), (*WORDS, "--out", "cut", "--quiet")
    ends = []
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
        more = ("--resume",) if ends else ()
        code, said = disturb(command, place, (*words, *more), number, choose.uniform(0, 0.15))
        ends.append(code)
        assert code in (-signal.SIGKILL, 130), said
        assert not (place / "cut").exists()
        if code == 130:
            assert "--resume" in said
            assert "Traceback" not in said
    assert ends.count(-signal.SIGKILL) == 2
    stopped_at = latest_step(place / "cut.partial")
    assert 0 < stopped_at < 120

    # Other options or other data are another run; so is one that does not say --resume.
    for changed, text in (
        (("--resume", "--learning-rate", "0.01"), "option 'learning_rate' was 0.002, now 0.01"),
        (("--resume", "--seed", "5"), "the seed was 0, now 5"),
        ((), "an interrupted run is kept at"),
    ):
        refused = inside(*words, *changed, cwd=place)
        assert refused.returncode == 2, changed
        assert text in refused.stderr
    assert latest_step(place / "cut.partial") == stopped_at

    done = shell(*words, "--resume", cwd=place)
    assert done.returncode == 0, done.stderr
    weights = [
        hashlib.sha256((each / "weights.safetensors").read_bytes()).hexdigest()
        for each in (whole, place / "cut")
    ]
    assert weights[0] == weights[1]
    assert manifest(place / "cut") == manifest(whole)
    assert json.loads((place / "cut" / "model.json").read_text())["config"]["history"]["steps"] == 120
    assert sorted(each.name for each in place.iterdir()) == ["cut", "d.csv", "whole"]
