"""Two processes that fit into one folder: one does its work, and the other leaves it alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from longspan.store.folder import read_folder

HERE = Path(__file__).resolve().parent
GATES = ("read", "begun", "saving")


class Fit:
    """A fit in a process of its own, stopped at the gates of gated_fit.py."""

    def __init__(self, place: Path, name: str, *more: str) -> None:
        self.gates = place / name
        self.gates.mkdir()
        words = ("fit", "level", "d.csv", "--target", "y", "--out", "m", *more)
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(HERE / "gated_fit.py"), str(self.gates), *words],
            cwd=place,
            env=os.environ | {"PYTHONPATH": str(HERE.parent / "support"), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def reaches(self, name: str) -> None:
        end = time.monotonic() + 60
        while not (self.gates / f"{name}.reached").exists():
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < end, f"{name} was not reached"
            time.sleep(0.01)

    def goes_on_to(self, name: str) -> None:
        """Stop at this gate and at none before it."""
        for each in GATES[: GATES.index(name)]:
            (self.gates / f"{each}.open").touch()
        self.reaches(name)

    def ends(self) -> tuple[int, str]:
        """Exit code and what it said, all gates open."""
        for each in GATES:
            (self.gates / f"{each}.open").touch()
        said = self.process.communicate(timeout=60)[1]
        return self.process.returncode, said


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Fit]]:
    (tmp_path / "d.csv").write_text("y\n2.0\n4.0\n9.0\n")
    begun: list[Fit] = []

    def fit(name: str, *more: str) -> Fit:
        begun.append(Fit(tmp_path, name, *more))
        return begun[-1]

    yield fit
    for each in begun:
        each.process.kill()
        each.process.communicate()


def test_who_comes_second_leaves_the_run_of_the_first_alone(
    tmp_path: Path, begin: Callable[..., Fit]
) -> None:
    first, second = begin("first"), begin("second")
    for each in (first, second):
        each.reaches("read")  # neither has found a work folder
    first.goes_on_to("begun")
    code, said = second.ends()
    assert code == 1
    assert f"process {first.process.pid} is working there. Wait for it" in said
    assert (tmp_path / "m.partial" / "run.json").is_file()
    assert first.ends()[0] == 0
    assert holds_the_level(tmp_path / "m")
    assert not (tmp_path / "m.partial").exists()


def test_a_run_that_is_being_saved_cannot_be_resumed(tmp_path: Path, begin: Callable[..., Fit]) -> None:
    first = begin("first")
    first.goes_on_to("saving")
    code, said = begin("second", "--resume").ends()
    assert code == 1
    assert f"process {first.process.pid} is working there. Wait for it" in said
    assert not (tmp_path / "m").exists()
    assert first.ends()[0] == 0
    assert holds_the_level(tmp_path / "m")
    assert not (tmp_path / "m.partial").exists()


def holds_the_level(model: Path) -> bool:
    return read_folder(model).tensors["level"].item() == 5.0
