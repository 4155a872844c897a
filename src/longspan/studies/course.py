"""Running a study part by part: each is kept as it ends, so an interrupted study goes on where it stopped."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import torch

from longspan.core.processor import processor
from longspan.store.manifest import current_versions
from longspan.store.stage import Keeper, Stage, do_stage
from longspan.store.workspace import Workspace
from longspan.studies.study import Outcome, OutOfTime, Scale, Study

__all__ = ["Course", "machine", "run_study"]

Record = dict[str, Any]


def _silent(_line: str) -> None:
    """For a study that nobody watches."""


class Course:
    """One run of a study, given to its work.

    Args:
        scale: how much of it is run.
        workspace: where finished parts are kept; None keeps nothing.
        say: shows the user one line.
        clock: seconds.

    Attributes:
        left_out: names of the parts that the time did not allow, in order.
        seconds: that the finished parts took, those of earlier sessions too.
    """

    def __init__(
        self,
        scale: Scale,
        workspace: Workspace | None = None,
        say: Callable[[str], None] = _silent,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scale, self.say = scale, say
        self.left_out: list[str] = []
        self.seconds = 0.0
        self._workspace, self._clock, self._began = workspace, clock, clock()

    def left(self) -> float:
        """Seconds that are left; infinite where there is no limit."""
        limit = math.inf if self.scale.seconds is None else self.scale.seconds
        return limit - (self._clock() - self._began)

    def hurry(self) -> None:
        """To be called now and then in long work.

        Raises:
            OutOfTime: the time is spent.
        """
        if self.left() <= 0:
            raise OutOfTime(f"the {self.scale.seconds:g} seconds given to the study are spent")

    def part(self, name: str, work: Callable[[Keeper | None], Record]) -> Record | None:
        """One part: read back where it was finished before, else done and kept.

        Args:
            name: small letters and digits, with single ``-`` between.
            work: gives a record of plain values; training in it may keep its checkpoints with the keeper. It
                may raise `OutOfTime`.

        Returns:
            The record, or None where the time did not allow it: the part is noted in `left_out`.
        """

        def timed(stage: Stage | None) -> tuple[Record, dict[str, Any]]:
            self.hurry()
            began = self._clock()
            found = work(stage)
            return {"found": found, "seconds": self._clock() - began}, {}

        stage = None if self._workspace is None else self._workspace.stage(name)
        try:
            kept, _ = do_stage(stage, timed)
        except OutOfTime:
            self.left_out.append(name)
            self.say(f"{name}: left out, the time given is spent")
            return None
        self.seconds += kept["seconds"]
        record: Record = kept["found"]
        return record

    def seeds(self, name: str, work: Callable[[int, Keeper | None], Record]) -> list[Record]:
        """The part ``NAME-seed-S`` for every seed; the records of those that the time allowed."""
        found = [
            self.part(f"{name}-seed-{seed}", lambda keeper, seed=seed: work(seed, keeper))  # type: ignore[misc]
            for seed in self.scale.seeds
        ]
        return [each for each in found if each is not None]


def run_study(
    study: Study,
    scale: Scale,
    workspace: Workspace | None = None,
    say: Callable[[str], None] = _silent,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Run a study.

    Args:
        study: its declaration.
        scale: how much of it.
        workspace: where its parts are kept; one that holds finished parts is gone on with.
        say: shows the user one line.
        clock: seconds.

    Raises:
        Interrupted: SIGINT or SIGTERM in training; what was finished is kept.
    """
    course = Course(scale, workspace, say, clock)
    findings = study.load()(course)
    return Outcome(study, scale, findings, tuple(course.left_out), course.seconds, machine())


def machine() -> dict[str, Any]:
    """On what a study was run: processor, cores, threads, system, versions, and the day."""
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "processor": processor(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        "versions": current_versions(),
        "date": datetime.now(UTC).date().isoformat(),
    }
