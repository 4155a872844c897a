"""What the worker processes of ``forecast_speed.py`` share: the data, and how they are told to train.

A worker reads one JSON line a block from its standard input and answers with one on what was its standard
output; whatever a library prints goes to standard error. It needs numpy and torch only, since it also runs in
the environment of the peers.
"""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

LEVELS = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)
SERIES, LENGTH = 400, 700  # as many and as long as those of M4 Hourly


@dataclass(frozen=True)
class Block:
    """What to train: the same words for every side.

    Attributes:
        hidden: H, units of the one LSTM layer. context: T. horizon: steps ahead.
        batch: windows a step.
        warmup: gradient steps before the clock starts. steps: gradient steps that are timed.
    """

    hidden: int
    context: int
    horizon: int
    batch: int
    warmup: int
    steps: int


class Clock:
    """Time from the beginning of step ``warmup`` to the beginning of step ``warmup + steps``.

    Between the two lie ``steps`` whole gradient steps, with everything that happens around them.
    """

    def __init__(self, block: Block) -> None:
        self.first, self.last = block.warmup, block.warmup + block.steps
        self.began: float | None = None
        self.ended: float | None = None

    def step_begins(self, step: int) -> None:
        """To be called at the beginning of every step, numbered from 0."""
        if step == self.first:
            self.began = time.perf_counter()
        elif step == self.last:
            self.ended = time.perf_counter()

    @property
    def seconds(self) -> float:
        """What was measured."""
        if self.began is None or self.ended is None:
            raise RuntimeError(
                f"expected steps {self.first} and {self.last} to be reached, and they were not"
            )
        return self.ended - self.began


@dataclass(frozen=True)
class Trained:
    """One block: seconds of the timed steps, and what the gate looks at.

    ``lstm`` is the number of the LSTM's weights and ``parameters`` that of all; ``first_loss`` and
    ``last_loss`` are this side's loss at the beginning and at the end, comparable with each other only.
    """

    seconds: float
    lstm: int
    parameters: int
    first_loss: float
    last_loss: float


def panel() -> NDArray[np.float32]:
    """(SERIES, LENGTH) daily and weekly waves with noise, seeded; the same bits in every environment."""
    draws = np.random.default_rng(20)
    hours = np.arange(LENGTH)
    level = draws.uniform(50, 500, (SERIES, 1))
    daily, weekly = draws.uniform(0.1, 0.4, (2, SERIES, 1))
    phase = draws.integers(0, 24, (SERIES, 1))
    shape = (
        1 + daily * np.sin((hours + phase) * (2 * np.pi / 24)) + weekly * np.sin(hours * (2 * np.pi / 168))
    )
    noise = 0.05 * draws.standard_normal((SERIES, LENGTH))
    return (level * (shape + noise)).astype(np.float32)


def tenths(losses: list[float]) -> tuple[float, float]:
    """Means over the first and the last tenth."""
    count = max(1, len(losses) // 10)
    return float(np.mean(losses[:count])), float(np.mean(losses[-count:]))


def lstm_weights(module: torch.nn.Module) -> int:
    """Weights of every ``torch.nn.LSTM`` in a module."""
    layers = [each for each in module.modules() if isinstance(each, torch.nn.LSTM)]
    return sum(p.numel() for layer in layers for p in layer.parameters())


def serve(train: Callable[[NDArray[np.float32], Block], Trained], about: dict[str, Any]) -> None:
    """Say what this side is, then train block after block until the input ends.

    Args:
        train: trains a fresh network on the panel.
        about: versions and whatever a reader of the result should know of this side.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    values = panel()
    hello = about | {"threads": torch.get_num_threads(), "torch": torch.__version__}
    hello["data"] = zlib.crc32(np.round(values).astype(np.int64).tobytes())
    print(json.dumps(hello), file=answers, flush=True)
    for line in sys.stdin:
        found = train(values, Block(**json.loads(line)))
        print(json.dumps(found.__dict__), file=answers, flush=True)
