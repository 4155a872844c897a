"""Which steps a prediction comes from: integrated gradients, and attention maps where there are any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from torch import Tensor

from longspan.inspect.probe import Visit
from longspan.models.subject import Subject

__all__ = ["AttendingEncoder", "Attribution", "attention_maps", "integrated_gradients"]

Array = NDArray[np.float64]
_POINTS = (16, 64, 256)  # of the path; more where the sum does not come out
_GAP = 0.01  # of the change, that may be left over
_MOST_ATTENDED = 512
_AT_ONCE = 1 << 16  # steps of the sequence run together


@dataclass(frozen=True, eq=False)
class Attribution:
    """What each step and feature of one example adds to a prediction.

    Attributes:
        name: of the prediction. baseline_name: what the path starts from.
        shares: float64 (T, I), in the prediction's unit; their sum is prediction - baseline but for ``gap``.
        prediction, baseline: the model's answers.
        points: of the path.
    """

    name: str
    baseline_name: str
    shares: Array
    prediction: float
    baseline: float
    points: int

    @property
    def by_step(self) -> Array:
        """(T,) over the features."""
        return np.asarray(self.shares.sum(axis=1))

    @property
    def gap(self) -> float:
        """What the shares do not explain: completeness would have 0."""
        return float(self.prediction - self.baseline - self.shares.sum())


def integrated_gradients(subject: Subject, row: int) -> Attribution:
    """Integrated gradients of `Subject.prediction` for one example, from a sequence of zeros.

    Gauss–Legendre points on the straight path, 16, 64 or 256, until the sum comes out within 1 % of what it
    should be, or 0.1 % of the sum of the sizes, of which much may cancel.

    Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017.
    """
    rows = np.array([row])
    with torch.no_grad():
        batch = subject.batch(rows)
        sequence = subject.sequence(batch)
        ends = [
            float(subject.prediction(subject.with_sequence(batch, each)))
            for each in (torch.zeros_like(sequence), sequence)
        ]
    found = np.zeros(sequence.shape[1:])
    count = 0
    for count in _POINTS:
        found = _along_the_path(subject, row, sequence, count)
        if abs(ends[1] - ends[0] - found.sum()) <= _GAP * max(
            abs(ends[1] - ends[0]), 0.1 * np.abs(found).sum()
        ):
            break
    return Attribution(subject.prediction_name, subject.baseline_name, found, ends[1], ends[0], count)


def _along_the_path(subject: Subject, row: int, sequence: Tensor, count: int) -> Array:
    """(T, I): the sequence times the mean gradient on the path."""
    places, weights = leggauss(count)
    places, weights = (places + 1) / 2, weights / 2
    total = torch.zeros(sequence.shape[1:], dtype=torch.float64)  # not every device has float64
    size = max(1, _AT_ONCE // sequence.shape[1])
    for first in range(0, count, size):
        part = slice(first, first + size)
        batch = subject.batch(np.full(len(places[part]), row))
        share = torch.as_tensor(places[part], dtype=sequence.dtype, device=sequence.device)
        point = (share[:, None, None] * sequence).requires_grad_()
        given = subject.prediction(subject.with_sequence(batch, point))
        (gradient,) = torch.autograd.grad(given.sum(), point)
        weight = torch.from_numpy(weights[part])
        total += (weight[:, None, None] * gradient.cpu().double()).sum(dim=0)
    return np.asarray((total * sequence[0].cpu().double()).numpy())


@runtime_checkable
class AttendingEncoder(Protocol):
    """An encoder that can show where it attends; any encoder with this method has its maps drawn."""

    def attention_maps(self, x: Tensor) -> Tensor:
        """(L, B, heads, T, T): the weight of each step (last axis) for each step that reads."""


def attention_maps(encoder: object, visit: Visit, row: int) -> NDArray[np.float32] | None:
    """(L, heads, T, T) of one sequence, of its last 512 steps at most; None where there is no attention."""
    if not isinstance(encoder, AttendingEncoder):
        return None
    with torch.no_grad():
        maps = encoder.attention_maps(visit.one(row)[:, -_MOST_ATTENDED:])[:, 0]
    return np.asarray(maps.float().cpu().numpy())
