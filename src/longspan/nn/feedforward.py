"""A feed-forward network on the last steps: what can be had of a sequence without recurrence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from longspan.core.checks import probability, whole
from longspan.nn.encoder import REACH, Encoder, as_reading, newest, state_part

__all__ = ["FeedForward"]


class FeedForward(Encoder):
    """The same multilayer perceptron at every step, on the ``window`` steps that end there.

    ``y_t = relu(… relu(W · [x_{t-window+1}, …, x_t] + b) …)``; steps before the first are zeros. It has
    ``window · I · H + H + (num_layers - 1) · (H² + H)`` parameters.

    Args:
        input_size: I.
        hidden_size: H, units of each layer.
        num_layers: hidden layers.
        dropout: of what goes from one layer to the next, in training.
        reach: how long the sequences are that it will read.
        window: steps that it reads; ``reach``, or 64 where that is not known.

    Raises:
        InputError: a size out of range.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        dropout: float = 0.0,
        reach: int | None = None,
        window: int | None = None,
    ) -> None:
        super().__init__()
        where = "FeedForward"
        self.input_size = whole(input_size, "input_size", where, minimum=1)
        self.output_size = whole(hidden_size, "hidden_size", where, minimum=1)
        layers = whole(num_layers, "num_layers", where, minimum=1)
        wanted = next((each for each in (window, reach) if each is not None), REACH)
        self.window = self.span = whole(wanted, "window", where, minimum=1)
        self.dropout = probability(dropout, "dropout", where)
        # The layer on the window is a convolution over time: (H, I, window).
        self.first = nn.Conv1d(input_size, hidden_size, self.window)
        self.hidden = nn.ModuleList(nn.Linear(hidden_size, hidden_size) for _ in range(layers - 1))

    def forward(
        self, x: Tensor, lengths: Tensor | Sequence[int] | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Read sequences; the state is the last window - 1 inputs (B, window - 1, I)."""
        reading = as_reading(x, lengths, self.input_size, self.first.weight, "feedforward")
        kept = (len(x), self.window - 1, self.input_size)
        before = x.new_zeros(kept) if state is None else state_part(state, kept, "feedforward")
        steps = torch.cat((before, reading.x), 1)
        y = functional.relu(self._windowed(steps, x.shape[1]))
        return reading.masked(self._deeper(y)), newest(steps, self.window - 1, reading.lengths)

    def summary(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """What stands at the end of each sequence; only the windows that end there are read."""
        reading = as_reading(x, lengths, self.input_size, self.first.weight, "feedforward")
        short = functional.pad(reading.x, (0, 0, self.window, 0))
        ends = newest(short, self.window, reading.lengths)  # (B, window, I)
        weight = self.first.weight.transpose(1, 2).flatten(1)  # (H, window·I)
        y = functional.relu(functional.linear(ends.flatten(1), weight, self.first.bias))
        return reading.ends(self._deeper(y))

    def _windowed(self, steps: Tensor, count: int) -> Tensor:
        if count == 0:  # a convolution refuses inputs that are shorter than its kernel
            return steps.new_zeros(len(steps), 0, self.output_size)
        return cast(Tensor, self.first(steps.transpose(1, 2))).transpose(1, 2)

    def _deeper(self, y: Tensor) -> Tensor:
        for layer in self.hidden:
            y = functional.relu(layer(functional.dropout(y, self.dropout, self.training)))
        return y

    def extra_repr(self) -> str:
        """The window."""
        return f"window={self.window}"
