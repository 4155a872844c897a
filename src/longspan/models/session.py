"""What all parts of one fit share: the seed, the time budget, the stages that are kept, and who is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from longspan.store.stage import Result, Stage, do_stage
from longspan.store.workspace import Workspace
from longspan.training.loop import Progress

__all__ = ["TRIAL", "Budget", "Session"]

TRIAL = "trial-"  # how the stages of a search are named, before their number

_SLOW_SHARE = 0.2  # of the budget, for baselines that take long
_TUNING_SHARE = 0.5  # of what the baselines leave, for the trials
_RESERVE = 0.05  # of the budget, for forecasts and the report, which take a few seconds
_REPORT, _MOST_RESERVED = 3.0, 0.2  # seconds, and what share of a small budget these may be


class Budget:
    """The seconds of a whole fit, and what its stages have taken of them.

    What a training may take depends on the recorded seconds of the stages before it alone, so a resumed run
    allots what the interrupted one did.

    Args:
        total: seconds, or None for no limit.
    """

    def __init__(self, total: float | None = None) -> None:
        self.total = total
        self.stages: list[dict[str, Any]] = []

    @property
    def spent(self) -> float:
        """Seconds of all stages so far."""
        return float(sum(each["seconds"] for each in self.stages))

    def charge(self, stage: str, seconds: float, allotted: float | None = None) -> None:
        """Note a finished stage: what it took, and what its training was allotted."""
        self.stages.append({"stage": stage, "seconds": seconds, "allotted": allotted})

    def to_json(self) -> dict[str, Any]:
        """For the record."""
        return {"budget": self.total, "seconds": self.spent, "stages": self.stages}

    def slow(self) -> float | None:
        """For all slow baselines together: 20 % of the budget."""
        return None if self.total is None else _SLOW_SHARE * self.total

    def trial(self, trials: int) -> float | None:
        """For one of so many trials to come: all together have half of what the slow baselines leave."""
        if self.total is None:
            return None
        done = float(sum(each["seconds"] for each in self.stages if each["stage"].startswith(TRIAL)))
        every = _TUNING_SHARE * (self._left() + done - _SLOW_SHARE * self.total)
        return max((every - done) / trials, 1e-3)

    def training(self, trainings: int) -> float | None:
        """For one of so many trainings to come: an equal part of what is left."""
        return None if self.total is None else self._left() / trainings

    def _left(self) -> float:
        total = self.total or 0.0
        reserve = max(_RESERVE * total, min(_REPORT, _MOST_RESERVED * total))
        return max(total - reserve - self.spent, 1e-3)  # at least one step is always made


def _say_nothing(_line: str) -> None:
    """For a fit that nobody watches."""


def _no_progress() -> Progress | None:
    """For a fit that nobody watches."""
    return None


@dataclass(frozen=True, eq=False)
class Session:
    """What all parts of one fit share.

    Args:
        seed: the one seed of the fit.
        budget: its time.
        workspace: where stages are kept; None keeps nothing on disk.
        say: shows the user one line.
        progress: makes who is told of one training.
    """

    seed: int = 0
    budget: Budget = field(default_factory=Budget)
    workspace: Workspace | None = None
    say: Callable[[str], None] = _say_nothing
    progress: Callable[[], Progress | None] = _no_progress

    def stage(self, name: str, work: Callable[[Stage | None], Result]) -> Result:
        """Do a stage, or read it back where the run that is resumed had finished it.

        Args:
            name: of the stage.
            work: gives its record, with ``"seconds"`` and where there is one its ``"budget"``, and arrays.
        """
        found = do_stage(None if self.workspace is None else self.workspace.stage(name), work)
        self.budget.charge(name, found[0]["seconds"], found[0].get("budget"))
        return found

    def begin(self, since: float) -> None:
        """Charge the budget with what passed since then (`time.monotonic`): reading and planning.

        Only where there is a budget, so that a fit without one leaves nothing before its first real stage.
        """
        if self.budget.total is not None:
            self.stage("reading", lambda _: ({"seconds": time.monotonic() - since}, {}))
