"""A study part by part: kept as it ends, gone on with, broken off by its time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longspan.core.errors import InputError
from longspan.store.workspace import Run, Workspace
from longspan.studies.course import Course, machine
from longspan.studies.study import OutOfTime, Scale

BEGUN = Run({"study": "toy"}, "", 0)


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def counting(calls: list[int]) -> Callable[[int, Any], dict[str, Any]]:
    def work(seed: int, _keeper: Any) -> dict[str, Any]:
        calls.append(seed)
        return {"seed": seed, "third": seed / 3}

    return work


def test_parts_that_are_finished_are_read_back(tmp_path: Path) -> None:
    calls: list[int] = []
    with Workspace.create(tmp_path / "x.partial", BEGUN) as space:
        first = Course(Scale((0, 1)), space).seeds("lstm", counting(calls))
    with Workspace.resume(tmp_path / "x.partial", BEGUN) as space:
        second = Course(Scale((0, 1, 2)), space).seeds("lstm", counting(calls))
    assert calls == [0, 1, 2]
    assert second[:2] == first, "to the last bit"


def test_what_the_time_does_not_allow_is_left_out_and_said() -> None:
    clock, calls, lines = Clock(), list[int](), list[str]()
    course = Course(Scale((0, 1, 2), seconds=10.0), say=lines.append, clock=clock)

    def work(seed: int, _keeper: Any) -> dict[str, Any]:
        clock.now += 6.0
        return counting(calls)(seed, None)

    assert [each["seed"] for each in course.seeds("lstm", work)] == [0, 1]
    assert course.left_out == ["lstm-seed-2"]
    assert course.seconds == 12.0
    assert lines == ["lstm-seed-2: left out, the time given is spent"]


def test_work_that_is_broken_off_is_not_kept(tmp_path: Path) -> None:
    clock, done = Clock(), list[str]()

    def work(_keeper: Any, course: Course) -> dict[str, Any]:
        clock.now += 6.0
        course.hurry()
        done.append("all")
        return {}

    with Workspace.create(tmp_path / "x.partial", BEGUN) as space:
        short = Course(Scale((0,), seconds=5.0), space, clock=clock)
        assert short.part("a", lambda keeper: work(keeper, short)) is None
        assert short.left_out == ["a"]
    with Workspace.resume(tmp_path / "x.partial", BEGUN) as space:
        whole = Course(Scale((0,)), space, clock=clock)
        assert whole.part("a", lambda keeper: work(keeper, whole)) == {}
    assert done == ["all"]


def test_without_a_limit_there_is_always_time() -> None:
    Course(Scale((0,))).hurry()
    clock = Clock()
    course = Course(Scale((0,), seconds=1.0), clock=clock)
    clock.now = 1.0
    with pytest.raises(OutOfTime, match="the 1 seconds given to the study are spent"):
        course.hurry()


def test_another_study_is_not_gone_on_with(tmp_path: Path) -> None:
    with Workspace.create(tmp_path / "x.partial", BEGUN):
        pass
    with pytest.raises(InputError, match='option \'study\' was "toy", now "other"'):
        Workspace.resume(tmp_path / "x.partial", Run({"study": "other"}, "", 0))


def test_the_machine_is_named() -> None:
    found = machine()
    assert found["processor"]
    assert found["cores"] >= 1
    assert found["versions"]["torch"]
