"""A contest without any training: every encoder's losses are drawn, so a comparison takes no time.

What a network loses is its own level, plus what its seed adds, plus what all methods share at a unit, plus
noise; so the truth about who is better is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from longspan.core.errors import TrainingError
from longspan.core.seeds import derive
from longspan.models.contest import Contestant, Entrant, Facts, Job, Pace, Simple, Units
from longspan.models.session import Session
from longspan.training.history import History, Record


@dataclass(frozen=True, eq=False)
class DrawnContest:
    """Losses by name of encoder, and of the simple methods.

    ``of_seeds`` is the standard deviation that a seed adds, ``noise`` that of a unit; a share of the training
    data multiplies a network's level by ``1 + hunger * (1 - share)``. Encoders in ``failing`` cannot be
    trained. ``log`` notes the jobs that were done.
    """

    levels: Mapping[str, float]
    simple: Mapping[str, float] = field(default_factory=dict)
    units: Units = field(default_factory=lambda: Units.independent(200))
    of_seeds: float = 0.005
    noise: float = 0.1
    hunger: float = 0.5
    failing: tuple[str, ...] = ()
    encoder: str = "lstm"
    width: int = 20
    length: int = 50
    log: list[Job] = field(default_factory=list)

    title = "what is drawn"
    measure = "loss"
    data_sha256 = "0" * 64
    device = "cpu"

    def contestant(self, encoder: str, width: int) -> Contestant:
        gates = {"lstm": 4, "gru": 3}.get(encoder, 1)
        own = gates * width * (width + 8)
        return Contestant(encoder, width, own + 10 * width + 7, own)

    def train(self, job: Job, keeper: Any, progress: Any) -> Entrant:  # noqa: ARG002
        name = job.contestant.encoder
        self.log.append(job)
        if name in self.failing:
            raise TrainingError("the loss is not finite")
        draws = np.random.default_rng(derive(job.seed, "drawn", name))
        level = self.levels[name] * (1 + self.hunger * (1 - job.share)) + self.of_seeds * draws.normal()
        losses = level + self._shared() + self.noise * draws.normal(size=len(self.units)) / 4
        records = [Record(step, 1.0, level + 1 / step, 1e-3, 0.01 * step) for step in (10, 20, 30)]
        history = History(records, 30, level, 30, 2.0, "patience")
        return Entrant(losses, {"RMSE": level}, history, 9 if name == "cnn" else None, Pace(3e-5, 4e-6), 2.5)

    def baselines(self, share: float, session: Session) -> tuple[tuple[Simple, ...], tuple[str, ...]]:
        session.stage("drawn-baselines", lambda _: ({"seconds": 0.5}, {}))
        early = np.arange(10) / 10
        found = [
            Simple(name, name.replace("_", " "), level + self._shared(), level + early, {"RMSE": level}, 0.1)
            for name, level in self.simple.items()
        ]
        return (tuple(found) if share == 1 else ()), ("one was left out",)

    def facts(self) -> Facts:
        return Facts((("values", "none: they are drawn"),), ("a note",), ("what was cut",))

    def _shared(self) -> Any:
        return self.noise * np.random.default_rng(7).normal(size=len(self.units))
