"""``LSTM``, ``GRU`` and ``RNN``: torch's layers with one import changed.

The positional arguments, the ``state_dict``, the starting values for a seed, and the results are torch's.
What the layers have beyond torch is keyword-only; with it left away, torch's own fused kernels may run them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from longspan.cells import build
from longspan.core.checks import boolean, finite, whole
from longspan.core.errors import InputError
from longspan.nn.stack import Recurrent

__all__ = ["GRU", "LSTM", "RNN"]


class LSTM(Recurrent):
    """A stack of LSTM layers; the equations are in ``longspan.cells.lstm``.

    Weights are stacked in torch's gate order i f g o (without f where ``coupled`` or ``forget_gate=False``),
    under torch's names. The options add ``weight_ch_l0`` (peepholes), ``gain_ih_l0 gain_hh_l0 gain_c_l0
    shift_c_l0`` (layer normalisation) and ``initial_h initial_c``.

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: L.
        bias: have the two biases.
        batch_first: (B, T, ·) instead of (T, B, ·).
        dropout: between layers, in training.
        bidirectional: both directions.
        proj_size: P; h is projected to P units. 0 is no projection.
        device: where to make the parameters.
        dtype: their floating type.
        peephole: the gates see the cell state.
        coupled: the forget gate is 1 - i.
        layer_norm: normalise the products and the cell state.
        forget_gate: False for the cell of 1997.
        cell_clip: bound on the size of the cell state.
        recurrent_dropout: on h inside the recurrent product, one mask a sequence.
        zoneout: rate, or (rate of h, rate of c).
        recompute: make the gates again in the backward pass instead of keeping them; see `Recurrent`.
        forget_bias: what the forget gate's two biases sum to at the start, in place of random ones. 1 lets a
            new network remember (Jozefowicz, Zaremba, Sutskever 2015). With ``coupled`` the input gate gets
            its negative.
        learn_initial_state: the state before the first step is learned.

    Raises:
        InputError: a value out of range, or options that contradict each other.
    """

    forget_bias: float | None = None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        peephole: bool = False,
        coupled: bool = False,
        layer_norm: bool = False,
        forget_gate: bool = True,
        cell_clip: float | None = None,
        recurrent_dropout: float = 0.0,
        zoneout: float | Sequence[float] = 0.0,
        recompute: bool = False,
        forget_bias: float | None = None,
        learn_initial_state: bool = False,
    ) -> None:
        cell = build(
            "lstm",
            peephole=peephole,
            coupled=coupled,
            layer_norm=layer_norm,
            forget_gate=forget_gate,
            cell_clip=cell_clip,
            projection=whole(proj_size, "proj_size", "LSTM") > 0,
            bias=bias,
        )
        super().__init__(
            cell,
            input_size,
            hidden_size,
            num_layers,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            proj_size=proj_size,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            recompute=recompute,
            learn_initial_state=learn_initial_state,
            device=device,
            dtype=dtype,
        )
        self.bias = bias
        if forget_bias is not None:
            self._check_forget_bias(forget_bias, bias=bias, forget_gate=forget_gate)
            self.forget_bias = float(forget_bias)
            self._start_forget_bias(self.forget_bias)

    def _check_forget_bias(self, value: float, *, bias: bool, forget_gate: bool) -> None:
        finite(value, "forget_bias", "LSTM")
        if not bias:
            raise InputError(f"LSTM: forget_bias={value} needs biases, got bias=False")
        if not forget_gate:
            raise InputError(f"LSTM: forget_bias={value} needs a forget gate, got forget_gate=False")

    def _start_forget_bias(self, value: float) -> None:
        gate, sign = ("f", 1.0) if "f" in self.cell.gates else ("i", -1.0)
        rows = slice(self.cell.gates.index(gate) * self.hidden_size, None)
        with torch.no_grad():
            for slot in self._slots():
                if slot.weight.name in ("bias_ih", "bias_hh"):
                    part = getattr(self, slot.name)[rows][: self.hidden_size]
                    part.fill_(sign * value if slot.weight.name == "bias_ih" else 0.0)

    def reset_parameters(self) -> None:
        """Draw all weights anew, from torch's generator."""
        super().reset_parameters()
        if self.forget_bias is not None:
            self._start_forget_bias(self.forget_bias)

    def extra_repr(self) -> str:
        """Sizes, and every argument that is not its default."""
        shown = super().extra_repr()
        return shown if self.forget_bias is None else f"{shown}, forget_bias={self.forget_bias}"


class GRU(Recurrent):
    """A stack of GRU layers; the equations are in ``longspan.cells.gru``.

    Weights are stacked in torch's gate order r z n, under torch's names. Arguments are those of ``LSTM`` as
    far as a GRU has them, and:

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: L.
        bias: have the two biases.
        batch_first: (B, T, ·) instead of (T, B, ·).
        dropout: between layers, in training.
        bidirectional: both directions.
        device: where to make the parameters.
        dtype: their floating type.
        reset_after: the reset gate acts on the recurrent product (torch, cuDNN) and not on h before it
            (2014).
        recurrent_dropout: on h inside the recurrent product, one mask a sequence.
        zoneout: rate for h.
        recompute: make the gates again in the backward pass instead of keeping them; see `Recurrent`.
        learn_initial_state: the state before the first step is learned.

    Raises:
        InputError: a value out of range.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        reset_after: bool = True,
        recurrent_dropout: float = 0.0,
        zoneout: float | Sequence[float] = 0.0,
        recompute: bool = False,
        learn_initial_state: bool = False,
    ) -> None:
        super().__init__(
            build("gru", reset_after=reset_after, bias=boolean(bias, "bias", "GRU")),
            input_size,
            hidden_size,
            num_layers,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            recompute=recompute,
            learn_initial_state=learn_initial_state,
            device=device,
            dtype=dtype,
        )
        self.bias = bias


class RNN(Recurrent):
    """A stack of plain recurrent layers; the equation is in ``longspan.cells.rnn``.

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: L.
        nonlinearity: ``tanh`` or ``relu``.
        bias: have the two biases.
        batch_first: (B, T, ·) instead of (T, B, ·).
        dropout: between layers, in training.
        bidirectional: both directions.
        device: where to make the parameters.
        dtype: their floating type.
        recurrent_dropout: on h inside the recurrent product, one mask a sequence.
        zoneout: rate for h.
        recompute: make the gates again in the backward pass instead of keeping them; see `Recurrent`.
        learn_initial_state: the state before the first step is learned.

    Raises:
        InputError: a value out of range.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        recurrent_dropout: float = 0.0,
        zoneout: float | Sequence[float] = 0.0,
        recompute: bool = False,
        learn_initial_state: bool = False,
    ) -> None:
        super().__init__(
            build("rnn", nonlinearity=nonlinearity, bias=boolean(bias, "bias", "RNN")),
            input_size,
            hidden_size,
            num_layers,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            recompute=recompute,
            learn_initial_state=learn_initial_state,
            device=device,
            dtype=dtype,
        )
        self.nonlinearity = nonlinearity
        self.bias = bias
