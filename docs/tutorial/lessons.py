"""What the tutorial measures: the code of its pages as functions, for pictures and tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import longspan
from longspan import nn
from longspan.data.problems.marked import MarkedSymbol
from longspan.inspect.gates import GateTrace, trace_gates
from longspan.inspect.gradients import LagCurve, lag_gradients
from longspan.inspect.inspection import Inspection, inspect_subject
from longspan.inspect.probe import Visit
from longspan.models.reader import Reader, reader_loss, sequences
from longspan.models.subject import ReaderSubject

__all__ = ["KNOWN", "LAG", "Lessons"]

LAG = 20
KNOWN = 249
"""Years whose successors are learned from; the successors of the others test."""
_SEEDS = 3
_STEPS = 300


def _descend(weights: list[Tensor], rate: float, loss_of: Any) -> None:
    optimiser = torch.optim.Adam(weights, lr=rate)
    for _ in range(_STEPS):
        loss = loss_of()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()


@dataclass(frozen=True, eq=False)
class Marked:
    """A reader that was taught the marked symbol, and 256 examples that it has not seen."""

    reader: Reader
    subject: ReaderSubject

    @cached_property
    def right(self) -> float:
        """The share of right answers."""
        with torch.no_grad():
            seen = sequences(self.subject.examples)
            found = self.reader(seen.x, seen.lengths).argmax(dim=1) == seen.target
        return float(found.float().mean())

    @cached_property
    def by_lag(self) -> LagCurve:
        """The size of the gradient of the answers by the input, by lag."""
        return lag_gradients(self.subject, np.arange(32), "").input


def learn_marked(name: str, width: int, rate: float, **options: Any) -> Marked:
    """One net, taught which symbol stood under the mark."""
    problem = MarkedSymbol(LAG)
    torch.manual_seed(0)
    encoder = nn.build_encoder(name, problem.input_size, width, **options)
    reader = Reader(encoder, problem.output_size, problem.answer)
    draws = np.random.default_rng(0)
    _descend(
        list(reader.parameters()),
        rate,
        lambda: reader_loss(reader, sequences(problem.draw(32, draws))),
    )
    return Marked(reader, ReaderSubject(reader, problem.draw(256, np.random.default_rng(2))))


@dataclass(frozen=True, eq=False)
class Sunspots:
    """A small LSTM that was taught the next year's sunspots from those of all years before."""

    layer: nn.LSTM
    head: torch.nn.Linear
    x: Tensor
    y: Tensor

    @cached_property
    def error(self) -> float:
        """Mean absolute error on the years that it was not taught, in sunspots."""
        with torch.no_grad():
            found = self.head(self.layer(self.x)[0])
        return float(100 * (found - self.y)[:, KNOWN:].abs().mean())


def learn_sunspots(values: Tensor, seed: int) -> Sunspots:
    """The LSTM of one seed, taught on the first `KNOWN` years."""
    x, y = values[:-1].reshape(1, -1, 1), values[1:].reshape(1, -1, 1)
    torch.manual_seed(seed)
    layer, head = nn.LSTM(1, 8, batch_first=True, forget_bias=1.0), torch.nn.Linear(8, 1)
    _descend(
        [*layer.parameters(), *head.parameters()],
        1e-2,
        lambda: (head(layer(x[:, :KNOWN])[0]) - y[:, :KNOWN]).square().mean(),
    )
    return Sunspots(layer, head, x, y)


class Lessons:
    """Everything that is measured, each part when it is asked for."""

    @cached_property
    def lstm(self) -> Marked:
        """Its forget gates begin open."""
        return learn_marked("lstm", 16, 1e-2, forget_bias=3.0)

    @cached_property
    def rnn(self) -> Marked:
        """With about as many weights."""
        return learn_marked("rnn", 34, 1e-3)

    @cached_property
    def inspection(self) -> Inspection:
        """Of the LSTM that was taught the marked symbol."""
        return inspect_subject(self.lstm.subject)

    @cached_property
    def values(self) -> Tensor:
        """Sunspots of the years from 1700 on, in hundreds."""
        frame = longspan.datasets.load("sunspots")
        return torch.tensor(frame["sunspots"].to_numpy(), dtype=torch.float32) / 100

    @cached_property
    def sunspots(self) -> list[Sunspots]:
        """One LSTM for each seed."""
        return [learn_sunspots(self.values, seed) for seed in range(_SEEDS)]

    @cached_property
    def trace(self) -> GateTrace:
        """Gates of the first of them over all years."""
        taught = self.sunspots[0]
        visit = Visit(taught.x, None, taught.x, [])
        return trace_gates(taught.layer, visit, 0, [0])[0]

    @property
    def unit(self) -> int:
        """The unit whose forget gate moves most."""
        return int(self.trace.values["f"].std(axis=0).argmax())

    @property
    def half_lives(self) -> NDArray[np.float64]:
        """(H,) years in which a value halves."""
        return np.asarray(np.log(2) / -np.log(self.trace.values["f"].astype(np.float64)).mean(axis=0))
