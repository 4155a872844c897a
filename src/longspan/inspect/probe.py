"""An encoder that stands in for another one and shows what that one reads and which states it passes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longspan.nn.encoders import Encoder, RecurrentEncoder
from longspan.nn.stack import Recurrent

__all__ = ["Probe", "Visit", "lag_grid", "recurrent_layer"]


class Visit(NamedTuple):
    """One call of an encoder.

    Attributes:
        x: (B, T, I) what it read. lengths: (B,) or None.
        y: (B, T, W) what it gave.
        states: (lag, state) after the step of each lag that was asked for, the oldest first.
    """

    x: Tensor
    lengths: Tensor | Sequence[int] | None
    y: Tensor
    states: list[tuple[int, Any]]

    def one(self, row: int) -> Tensor:
        """(1, T, I): one of the sequences, without its padding."""
        x = self.x[row : row + 1]
        return x if self.lengths is None else x[:, : int(self.lengths[row])]


class Probe(Encoder):
    """Runs another encoder, in pieces where its states are wanted, and hands over what happened.

    Running in pieces with the state passed on gives what one call gives.

    Args:
        encoder: the one that does the work.
        keep: is given the `Visit` of every call.
        lags: after the steps of which lags the state is wanted; none where the call has lengths.
    """

    def __init__(self, encoder: Encoder, keep: Callable[[Visit], None], lags: Sequence[int] = ()) -> None:
        super().__init__()
        self.encoder, self.keep, self.lags = encoder, keep, tuple(lags)
        self.input_size, self.output_size = encoder.input_size, encoder.output_size

    def forward(
        self, x: Tensor, lengths: Tensor | Sequence[int] | None = None, state: Any = None
    ) -> tuple[Tensor, Any]:
        """Read sequences with the other encoder."""
        if lengths is not None or not self.lags:
            y, state = self.encoder(x, lengths, state)
            self.keep(Visit(x, lengths, y, []))
            return y, state
        steps = x.shape[1]
        ends = sorted({steps - lag for lag in self.lags if 0 < lag < steps} | {steps})
        parts, states, first = [], [], 0
        for end in ends:
            y, state = self.encoder(x[:, first:end], None, state)
            parts.append(y)
            states.append((steps - end, state))
            first = end
        whole = torch.cat(parts, dim=1)
        self.keep(Visit(x, None, whole, states))
        return whole, state

    def last(self, y: Tensor, state: Any) -> Tensor:
        """As the other encoder has it."""
        return self.encoder.last(y, state)


def recurrent_layer(encoder: Encoder) -> Recurrent | None:
    """The recurrent layer of an encoder that is one; None for other networks."""
    return encoder.layer if isinstance(encoder, RecurrentEncoder) else None


def lag_grid(most: int, points: int = 48) -> NDArray[np.int64]:
    """Lags 0 … ``most``, all where they are few, else every one at first and then ever wider apart."""
    if most + 1 <= points:
        return np.arange(most + 1)
    near = np.arange(points // 3)
    far = np.geomspace(points // 3, most, points - points // 3)
    return np.unique(np.concatenate([near, far.round().astype(np.int64)]))
