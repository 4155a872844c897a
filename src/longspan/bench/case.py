"""A row made ready: the sides that are timed, and the gate that each has to pass first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from longspan.core.errors import LongspanError

__all__ = [
    "OURS",
    "THEIRS",
    "Case",
    "Judged",
    "Side",
    "Tensors",
    "UnavailableError",
    "check",
    "relative_error",
]

OURS = 2e-6  # RMS error over RMS of the float64 result: what every float32 kernel of ours is held to
THEIRS = 1e-5  # the same for a peer: enough to see that it computes the same thing

Tensors = Mapping[str, Tensor]


class UnavailableError(LongspanError):
    """A row cannot be run here: there is no engine, or it lacks what the row needs."""


@dataclass(frozen=True)
class Side:
    """One way of doing the work of a row.

    Attributes:
        name: for people.
        run: one call, as it is timed.
        found: what that call computes, by name: outputs, states, gradients.
        truth: the same in float64 by another road.
        tolerance: how far ``found`` may be from ``truth``, as :func:`relative_error` counts.
        backend: the kernel that runs it, for sides of ours.
        meaning: ``speed``, how many times faster than this side we are; ``cost``, how many times its time we
            take. For the sides beside ours.
    """

    name: str
    run: Callable[[], object]
    found: Callable[[], Tensors]
    truth: Callable[[], Tensors]
    tolerance: float = THEIRS
    backend: str | None = None
    meaning: Literal["speed", "cost"] = "speed"


@dataclass(frozen=True)
class Case:
    """A row made ready.

    Attributes:
        ours: what is measured.
        peers: what stands beside it.
        flops: operations of the products in one call of ours.
        grad: whether the calls are made with gradients on.
        facts: further numbers that belong to the row, such as the share of real steps.
    """

    ours: Side
    peers: tuple[Side, ...]
    flops: float
    grad: bool = False
    facts: Mapping[str, float] = field(default_factory=dict)


class Judged(NamedTuple):
    """The answer of the gate for one side: its worst tensor."""

    side: str
    tensor: str
    error: float
    tolerance: float

    @property
    def green(self) -> bool:
        """Whether the figure may be shown; an error that is not a number is too large."""
        return self.error <= self.tolerance

    def __str__(self) -> str:
        return (
            f"{self.side}: {self.tensor} is off by {self.error:.2g} of its size, at most {self.tolerance:.2g}"
        )


def check(case: Case) -> tuple[Judged, ...]:
    """The gate: every side's results against the truth."""
    return tuple(_judge(side) for side in (case.ours, *case.peers))


def _judge(side: Side) -> Judged:
    found, truth = side.found(), side.truth()
    missing = [name for name in truth if name not in found or found[name].shape != truth[name].shape]
    if missing:
        return Judged(side.name, missing[0], float("nan"), side.tolerance)
    errors = {name: relative_error(found[name], truth[name]) for name in truth}
    worst = max(errors, key=lambda name: float("inf") if errors[name] != errors[name] else errors[name])
    return Judged(side.name, worst, errors[worst], side.tolerance)


def relative_error(found: Tensor, truth: Tensor) -> float:
    """RMS of the difference over RMS of the truth; over 1 where the truth is zero."""
    wide = truth.detach().to(torch.float64)
    size = float(wide.square().mean().sqrt())
    off = float((found.detach().to(torch.float64) - wide).square().mean().sqrt())
    return off / size if size != 0.0 else off
