"""A reader of sequences: an encoder and one linear map, with an answer at the end or at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from longspan.core.errors import InputError
from longspan.data.problems.base import Answer, Examples
from longspan.nn.encoders import Encoder

__all__ = ["Reader", "Sequences", "answer_losses", "reader_loss", "sequences"]


@dataclass(frozen=True, eq=False)
class Sequences:
    """`Examples` as tensors on a device: ``x`` (B, T, I), ``target``, ``lengths`` (B,), ``scored`` (B, T)."""

    x: Tensor
    target: Tensor
    lengths: Tensor | None = None
    scored: Tensor | None = None


class Reader(nn.Module):
    """An encoder and a linear map of what it has read.

    Args:
        encoder: reads (B, T, I).
        output_size: K.
        answer: class, number or set; see `longspan.data.problems.base`.
        every_step: answer at every step; otherwise at the end of each sequence.
    """

    def __init__(self, encoder: Encoder, output_size: int, answer: Answer, every_step: bool = False) -> None:
        super().__init__()
        self.encoder, self.answer, self.every_step = encoder, answer, every_step
        self.output = nn.Linear(encoder.output_size, output_size)

    def forward(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """What is read of sequences.

        Args:
            x: (B, T, I).
            lengths: int (B,), the real steps of each; None means all T.

        Returns:
            (B, T, K) where there is an answer at every step, else (B, K): logits of classes and sets, or
            numbers.
        """
        y, state = self.encoder(x, lengths)
        if self.every_step:
            return cast(Tensor, self.output(y))
        if lengths is None:
            return cast(Tensor, self.output(self.encoder.last(y, state)))
        end = torch.as_tensor(lengths, device=y.device) - 1
        return cast(Tensor, self.output(y[torch.arange(len(y), device=y.device), end]))


def sequences(examples: Examples, device: torch.device | None = None) -> Sequences:
    """The tensors of examples; the steps past the end of a sequence do not count."""
    x, target = (torch.from_numpy(part).to(device) for part in (examples.x, examples.target))
    lengths = None if examples.lengths is None else torch.from_numpy(examples.lengths).to(device)
    scored = None if examples.scored is None else torch.from_numpy(examples.scored).to(device)
    if lengths is not None:
        real = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        scored = real if scored is None else scored & real
    return Sequences(x, target, lengths, scored)


def answer_losses(given: Tensor, target: Tensor, answer: Answer) -> Tensor:
    """Cross entropy of a class, squared error of numbers, binary cross entropy of sets; one number an answer.

    Args:
        given: (…, K). target: (…) of classes, (…, K) otherwise.

    Raises:
        InputError: an unknown kind of answer.
    """
    if answer == "class":
        flat = functional.cross_entropy(given.flatten(0, -2), target.flatten(), reduction="none")
        return flat.view(target.shape)
    if answer == "number":
        return (given - target).square().mean(dim=-1)
    if answer == "set":
        return functional.binary_cross_entropy_with_logits(given, target, reduction="none").mean(dim=-1)
    raise InputError(f"answer: expected 'class', 'number' or 'set', got {answer!r}")


def reader_loss(reader: nn.Module, batch: Sequences) -> Tensor:
    """Mean loss of a `Reader` over the answers of a batch that count."""
    own = cast(Reader, reader)
    losses = answer_losses(own(batch.x, batch.lengths), batch.target, own.answer)
    if batch.scored is None or not own.every_step:
        return losses.mean()
    return (losses * batch.scored).sum() / batch.scored.sum().clamp(min=1)
