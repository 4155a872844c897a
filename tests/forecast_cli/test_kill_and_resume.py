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
    *("fit", "forecast", "d.csv", "--target", "value", "--series", "id", "--horizon", "5", "--hidden", "16"),
    *("--layers", "2", "--dropout", "0.2", "--steps", "48", "--validate-every", "4", "--patience", "1000"),
    *("--learning-rate", "0.002", "--seeds", "2", "--baselines", "seasonal_naive", "--baselines", "ridge"),
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


def kept_files(partial: Path) -> dict[str, int]:
    """Checkpoints and finished stages, with the time when each was written."""
    try:
        return {each.name: each.stat().st_mtime_ns for each in partial.glob("*.safetensors")}
    except FileNotFoundError:  # one was removed while we looked
        return kept_files(partial)


def finished(files: dict[str, int]) -> dict[str, int]:
    return {name: each for name, each in files.items() if ".checkpoint-" not in name}


def disturb(
    command: Command, place: Path, words: tuple[str, ...], number: int, stage: str, wait: float
) -> tuple[int, str]:
    """Start, send the signal ``wait`` seconds after the first checkpoint of a stage; the exit code."""
    process = subprocess.Popen(
        [*command[0], *words],
        cwd=place,
        env=command[1],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    end = time.monotonic() + 90
    begun = f"stage.{stage}.checkpoint-"
    while process.poll() is None and time.monotonic() < end:
        if any(name.startswith(begun) for name in kept_files(place / "cut.partial")):
            break
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
    ends: list[int] = []
    stages: dict[str, int] = {}
    for number, stage in (
        (signal.SIGKILL, "seed-1"),
        (signal.SIGINT, "seed-2"),
        (signal.SIGKILL, "final-1"),
    ):
        more = ("--resume",) if ends else ()
        code, said = disturb(command, place, (*words, *more), number, stage, choose.uniform(0, 0.1))
        ends.append(code)
        assert code in (-signal.SIGKILL, 130), said
        assert not (place / "cut").exists()
        if code == 130:
            assert "--resume" in said
            assert "Traceback" not in said
        now = finished(kept_files(place / "cut.partial"))
        assert {name: now.get(name) for name in stages} == stages, "a finished stage was written again"
        stages = now
    assert ends.count(-signal.SIGKILL) == 2
    assert "stage.seed-1.safetensors" in stages
    assert "stage.final-1.safetensors" not in stages
    left = kept_files(place / "cut.partial")

    # Other options or other data are another run; so is one that does not say --resume.
    for changed, text in (
        (("--resume", "--learning-rate", "0.01"), "option 'learning_rate' was 0.002, now 0.01"),
        (("--resume", "--seed", "5"), "the seed was 0, now 5"),
        ((), "an interrupted run is kept at"),
    ):
        refused = inside(*words, *changed, cwd=place)
        assert refused.returncode == 2, changed
        assert text in refused.stderr
    assert kept_files(place / "cut.partial") == left

    done = shell(*words, "--resume", cwd=place)
    assert done.returncode == 0, done.stderr
    weights = [
        hashlib.sha256((each / "weights.safetensors").read_bytes()).hexdigest()
        for each in (whole, place / "cut")
    ]
    assert weights[0] == weights[1]
    assert manifest(place / "cut") == manifest(whole)
    assert json.loads((place / "cut" / "model.json").read_text())["config"]["history"]["steps"] == 48
    assert sorted(each.name for each in place.iterdir()) == ["cut", "d.csv", "whole"]
