"""A causal convolutional network: dilated residual blocks (Bai, Kolter & Koltun 2018, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from longspan.core.checks import probability, whole
from longspan.core.errors import InputError
from longspan.nn.encoder import REACH, Encoder, Reading, as_reading, newest, state_part

__all__ = ["CausalConvolution", "TemporalConvolution"]

_IN_BLOCK = 2  # convolutions of a residual block


class CausalConvolution(nn.Module):
    """A dilated convolution with weight norm (Salimans & Kingma 2016) that sees the past only.

    Args:
        input_size, output_size: features.
        kernel_size: taps.
        dilation: steps from one tap to the next.
    """

    def __init__(self, input_size: int, output_size: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.kept = (kernel_size - 1) * dilation  # steps of the past that it needs
        self.input_size, self.output_size = input_size, output_size
        self.convolution = weight_norm(nn.Conv1d(input_size, output_size, kernel_size, dilation=dilation))

    def forward(self, x: Tensor, before: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, O) of ``x`` (B, T, C) after ``before`` (B, kept, C), and what to keep of both."""
        steps = torch.cat((before, x), 1)
        if x.shape[1] == 0:
            return x.new_zeros(len(x), 0, self.output_size), before
        y = cast(Tensor, self.convolution(steps.transpose(1, 2))).transpose(1, 2)
        return y, newest(steps, self.kept, lengths)

    def thinned(self, x: Tensor) -> Tensor:
        """Outputs for ``x`` (B, n, C) of which only every step that a tap falls on is there."""
        weight, bias = self.convolution.weight, self.convolution.bias
        steps = functional.pad(x.transpose(1, 2), (weight.shape[2] - 1, 0))
        return functional.conv1d(steps, weight, bias).transpose(1, 2)


class _Block(nn.Module):
    """Two convolutions, each with relu and dropout, beside a connection that skips them."""

    def __init__(
        self, input_size: int, hidden_size: int, kernel_size: int, dilation: int, dropout: float
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            CausalConvolution(size, hidden_size, kernel_size, dilation) for size in (input_size, hidden_size)
        )
        self.skip = nn.Identity() if input_size == hidden_size else nn.Linear(input_size, hidden_size)
        self.dropout = dropout

    def forward(
        self, x: Tensor, before: Sequence[Tensor], lengths: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        y, kept = x, []
        for part, past in zip(self.parts, before, strict=True):
            y, keep = part(y, past, lengths)
            y = functional.dropout(functional.relu(y), self.dropout, self.training)
            kept.append(keep)
        return functional.relu(y + self.skip(x)), kept

    def thinned(self, x: Tensor, real: Tensor | None) -> Tensor:
        """``forward`` from zeros at every step of ``x`` that counts; zero where it is not ``real``."""
        y = x
        for part in self.parts:
            y = functional.relu(cast(CausalConvolution, part).thinned(y))
            y = _masked(functional.dropout(y, self.dropout, self.training), real)
        return _masked(functional.relu(y + self.skip(x)), real)


class TemporalConvolution(Encoder):
    """Residual blocks of two causal convolutions each, the dilation doubling from block to block: 1, 2, 4, ….

    It spans ``1 + 2 · num_layers · (kernel_size - 1) · (2^levels - 1)`` steps; before the first step every
    convolution reads zeros. Each of its ``2 · num_layers · levels`` convolutions has
    ``C · H · kernel_size + 2 · H`` parameters, where C is I in the first and H in the others; the skip of the
    first block has ``I · H + H`` where I is not H.

    Args:
        input_size: I.
        hidden_size: H, channels.
        num_layers: how often the row of dilations 1, 2, 4, … is gone through.
        dropout: after each convolution, in training.
        reach: how long the sequences are that it will read.
        kernel_size: taps of each convolution.
        levels: blocks of one row of dilations; as few as span ``reach``, or 64 steps where that is not known.

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
        kernel_size: int = 3,
        levels: int | None = None,
    ) -> None:
        super().__init__()
        where = "TemporalConvolution"
        self.input_size = whole(input_size, "input_size", where, minimum=1)
        self.output_size = whole(hidden_size, "hidden_size", where, minimum=1)
        rows = whole(num_layers, "num_layers", where, minimum=1)
        self.kernel_size = whole(kernel_size, "kernel_size", where, minimum=2)
        drop = probability(dropout, "dropout", where)
        covered = whole(REACH if reach is None else reach, "reach", where, minimum=1)
        step = _IN_BLOCK * rows * (self.kernel_size - 1)  # steps that a block of dilation 1 adds in all rows
        deep = _levels(covered, step) if levels is None else whole(levels, "levels", where, minimum=1)
        self.levels, self.span = deep, 1 + step * (2**deep - 1)
        self.blocks = nn.ModuleList(
            _Block(hidden_size if row or level else input_size, hidden_size, self.kernel_size, 2**level, drop)
            for row in range(rows)
            for level in range(deep)
        )

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | Sequence[int] | None = None,
        state: tuple[Tensor, ...] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Read sequences; the state is the last inputs of each convolution in order, (B, kept, C)."""
        reading = as_reading(x, lengths, self.input_size, self._any_weight(), "cnn")
        before = self._before(reading, state)
        y, kept = reading.x, []
        for number, block in enumerate(self.blocks):
            y, keep = block(y, before[_IN_BLOCK * number : _IN_BLOCK * (number + 1)], reading.lengths)
            kept += keep
        return reading.masked(y), tuple(kept)

    def summary(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """What stands at the end of each sequence.

        In the last row of dilations a block of dilation d matters at every d-th step before the end only, and
        there it is a convolution of dilation one.
        """
        reading = as_reading(x, lengths, self.input_size, self._any_weight(), "cnn")
        y, before = reading.x, self._before(reading, None)
        for number, block in enumerate(self.blocks[: -self.levels]):
            y, _ = block(y, before[_IN_BLOCK * number : _IN_BLOCK * (number + 1)], reading.lengths)
        size = x.shape[1]
        y, real = functional.pad(y, (0, 0, size, 0)), None
        if reading.lengths is not None:
            place = torch.arange(size, device=x.device)
            real = (place >= size - reading.lengths[:, None]).unsqueeze(-1)  # (B, T, 1), ends on the right
        y = _masked(newest(y, size, reading.lengths), real)
        for block in self.blocks[-self.levels :]:
            y = cast(_Block, block).thinned(y, real)
            y, real = _every_second(y), None if real is None else _every_second(real)
        return reading.ends(y[:, -1])

    def _any_weight(self) -> Tensor:
        return next(self.parameters())

    def _before(self, reading: Reading, state: tuple[Tensor, ...] | None) -> list[Tensor]:
        parts = [cast(CausalConvolution, part) for block in self.blocks for part in cast(_Block, block).parts]
        shapes = [(len(reading.x), part.kept, part.input_size) for part in parts]
        if state is None:
            return [reading.x.new_zeros(shape) for shape in shapes]
        if not isinstance(state, tuple) or len(state) != len(shapes):
            raise InputError(
                f"cnn: expected the state that an earlier call returned, a tuple of {len(shapes)} tensors, "
                f"got {type(state).__name__}"
            )
        return [state_part(part, shape, "cnn") for part, shape in zip(state, shapes, strict=True)]

    def extra_repr(self) -> str:
        """Kernel and span."""
        return f"kernel_size={self.kernel_size}, levels={self.levels}, span={self.span}"


def _masked(y: Tensor, real: Tensor | None) -> Tensor:
    return y if real is None else y.masked_fill(~real, 0.0)


def _every_second(steps: Tensor) -> Tensor:
    """Every second step of (B, n, ·), the last among them."""
    return steps[:, (steps.shape[1] - 1) % 2 :: 2]


def _levels(reach: int, step: int) -> int:
    """The fewest blocks of doubling dilation, ``step`` steps the first, that reach over so many steps."""
    levels = 1
    while 1 + step * (2**levels - 1) < reach:
        levels += 1
    return levels
