"""What an encoder is: the call that all networks which read a sequence have in common, and parts of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from longspan.core.errors import InputError
from longspan.nn.inputs import as_lengths, lay_out

__all__ = ["REACH", "Encoder", "Reading", "as_reading", "at_end", "newest", "state_part"]

REACH = 64  # steps that an encoder of limited span covers where nobody says how long sequences are


class Encoder(nn.Module):
    """What every encoder is: a causal or two-sided reader of sequences with explicit state.

    Attributes:
        input_size: I, features of the input.
        output_size: features of the output.
        span: how many steps, its own among them, an output can depend on: lags 0 … span - 1. None: no limit.
    """

    input_size: int
    output_size: int
    span: int | None = None

    def forward(
        self, x: Tensor, lengths: Tensor | Sequence[int] | None = None, state: Any = None
    ) -> tuple[Tensor, Any]:
        """Read sequences.

        Args:
            x: (B, T, I).
            lengths: int (B,), the real steps of each sequence; None means all T. Past the end ``y`` is zero.
            state: what an earlier call returned, to read on from there; None starts anew.

        Returns:
            ``(y, state)``: y (B, T, output_size), and the state at the end of each sequence, of a form that
            only this encoder needs to know.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, lengths, state)")

    def last(self, y: Tensor, state: Any) -> Tensor:  # noqa: ARG002 (for encoders whose state says it)
        """What a call without ``lengths`` gave for the last step: (B, output_size)."""
        return y[:, -1]

    def summary(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """What stands at the end of each sequence, read from its start: (B, output_size).

        The same numbers as ``forward`` gives there; an encoder that can do without the other steps does.
        """
        y, state = self(x, lengths)
        if lengths is None:
            return self.last(y, state)
        return at_end(y, torch.as_tensor(lengths, device=y.device))


class Reading(NamedTuple):
    """A checked call: ``x`` (B, T, I), zero past the ends; ``lengths`` (B,), ``real`` (B, T, 1), or None."""

    x: Tensor
    lengths: Tensor | None
    real: Tensor | None

    def masked(self, y: Tensor) -> Tensor:
        """``y`` (B, T, ·), zero past the ends."""
        return y if self.real is None else y.masked_fill(~self.real, 0.0)

    def ends(self, y: Tensor) -> Tensor:
        """``y`` (B, ·), what stands at the ends, zero for a sequence without steps."""
        return y if self.lengths is None else y.masked_fill((self.lengths == 0)[:, None], 0.0)


def as_reading(
    x: Tensor, lengths: Tensor | Sequence[int] | None, input_size: int, weight: Tensor, where: str
) -> Reading:
    """Check what an encoder is called with; what the padding holds, NaN too, is gone afterwards.

    Raises:
        InputError: another shape or floating type than the encoder reads, or lengths outside of [0, T].
    """
    if isinstance(x, Tensor) and x.dim() != 3:
        raise InputError(f"{where}: expected an input of shape (B, T, I), got {tuple(x.shape)}")
    call = lay_out(x, input_size, weight, where, batch_first=True)
    if lengths is None:
        return Reading(call.x, None, None)
    known = as_lengths(lengths, call, where).to(x.device)
    real = (torch.arange(call.steps, device=x.device) < known[:, None]).unsqueeze(-1)
    return Reading(x.masked_fill(~real, 0.0), known, real)


def newest(steps: Tensor, size: int, lengths: Tensor | None) -> Tensor:
    """The last ``size`` steps that are real: (B, size, ·).

    Args:
        steps: (B, size + T, ·): what was kept of earlier calls, then T new steps.
        lengths: (B,), how many of the T are real; None means all.
    """
    if lengths is None:
        return steps[:, steps.shape[1] - size :]
    places = lengths[:, None] + torch.arange(size, device=steps.device)  # (B, size)
    return steps.gather(1, places.unsqueeze(-1).expand(-1, -1, steps.shape[2]))


def at_end(y: Tensor, lengths: Tensor) -> Tensor:
    """The last real step of each sequence of ``y`` (B, T, W): (B, W); zero where there is none."""
    ends = y[torch.arange(len(y), device=y.device), (lengths - 1).clamp(min=0)]
    return ends.masked_fill((lengths == 0)[:, None], 0.0)


def state_part(part: object, shape: tuple[int, ...], where: str) -> Tensor:
    """A tensor of a given state, of exactly this shape."""
    if not isinstance(part, Tensor) or part.shape != shape:
        got = tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__
        raise InputError(
            f"{where}: expected a state of shape {shape}, as an earlier call returned, got {got}"
        )
    return part
