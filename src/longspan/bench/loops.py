"""The LSTM with every variant as one would write it by hand in torch: the loop that the engine replaces."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longspan.cells.lstm import EPSILON
from longspan.nn import LSTM

__all__ = ["HandWritten"]

_Hold = Tensor | float


class HandWritten(nn.Module):
    """Peepholes, layer normalisation, cell clip, zoneout, recurrent dropout, and the gates coupled or not.

    The input's product is taken out of the loop and the gates share one product a step, as anybody who cares
    for speed does. Masks come from torch's generator, those of all steps in one draw.

    Args:
        layer: ours with these options, whose weights are copied.
        coupled: whether f = 1 - i.
        clip: bound on the size of c.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    weight_ch_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor
    gain_ih_l0: Tensor
    gain_hh_l0: Tensor
    gain_c_l0: Tensor
    shift_c_l0: Tensor

    def __init__(self, layer: LSTM, *, coupled: bool, clip: float) -> None:
        super().__init__()
        self.coupled, self.clip = coupled, clip
        self.recurrent_dropout, self.zoneout = layer.recurrent_dropout, layer.zoneout
        for name, value in layer.named_parameters():
            self.register_parameter(name, nn.Parameter(value.detach().clone()))

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(T, B, I) to (T, B, H) and the last state, (1, B, H) each."""
        width = [self.weight_hh_l0.shape[0]]  # G·H
        projected = F.linear(x, self.weight_ih_l0)
        projected = F.layer_norm(projected, width, self.gain_ih_l0, self.bias_ih_l0, EPSILON)
        h = c = x.new_zeros(x.shape[1], self.weight_hh_l0.shape[1])
        drop, hold_h, hold_c = self._masks(x, h)
        ys = []
        for t, now in enumerate(projected.unbind()):
            sums = F.linear(h if drop is None else h * drop, self.weight_hh_l0)
            sums = now + F.layer_norm(sums, width, self.gain_hh_l0, self.bias_hh_l0, EPSILON)
            new_h, new_c = self._step(sums, c)
            h, c = _held(hold_h, t, h, new_h), _held(hold_c, t, c, new_c)
            ys.append(h)
        return torch.stack(ys), (h.unsqueeze(0), c.unsqueeze(0))

    def _step(self, sums: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        gates = 3 if self.coupled else 4  # i g o, or i f g o
        parts, peep = sums.chunk(gates, -1), self.weight_ch_l0.chunk(gates - 1)
        i = torch.sigmoid(parts[0] + peep[0] * c)
        f = 1.0 - i if self.coupled else torch.sigmoid(parts[1] + peep[1] * c)
        c = (f * c + i * torch.tanh(parts[-2])).clamp(-self.clip, self.clip)
        o = torch.sigmoid(parts[-1] + peep[-1] * c)
        shown = F.layer_norm(c, c.shape[-1:], self.gain_c_l0, self.shift_c_l0, EPSILON)
        return o * torch.tanh(shown), c

    def _masks(self, x: Tensor, h: Tensor) -> tuple[Tensor | None, _Hold, _Hold]:
        """The factor of h, and which part of both old states stays: masks, or rates in evaluation."""
        if not self.training:
            return None, self.zoneout[0], self.zoneout[1]
        keep = 1.0 - self.recurrent_dropout
        drop = (torch.rand_like(h) < keep).to(x.dtype) / keep
        hold_h, hold_c = (torch.rand(x.shape[0], *h.shape) < rate for rate in self.zoneout)
        return drop, hold_h, hold_c


def _held(hold: _Hold, t: int, old: Tensor, new: Tensor) -> Tensor:
    """Zoneout: the old state where the mask says so, or the expectation of it."""
    return torch.where(hold[t], old, new) if isinstance(hold, Tensor) else hold * old + (1.0 - hold) * new
