"""The table of encoders: networks that read a sequence and may be exchanged for one another by name.

Every encoder takes ``(x (B, T, I), lengths, state)`` and gives ``(y (B, T, output_size), state)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from torch import Tensor

from longspan import cells
from longspan.core.checks import choice, known_options
from longspan.nn.attention import Transformer
from longspan.nn.convolution import TemporalConvolution
from longspan.nn.encoder import Encoder
from longspan.nn.feedforward import FeedForward
from longspan.nn.recurrent import GRU, LSTM, RNN
from longspan.nn.stack import Recurrent

__all__ = ["ENCODERS", "Encoder", "RecurrentEncoder", "build_encoder", "encoder_names"]


class RecurrentEncoder(Encoder):
    """A recurrent layer as an encoder.

    Args:
        layer: a layer built with ``batch_first=True``; its state is the encoder's.
    """

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        self.layer = layer
        self.input_size = layer.input_size
        self.output_size = layer.output_size

    def forward(
        self, x: Tensor, lengths: Tensor | Sequence[int] | None = None, state: Any = None
    ) -> tuple[Tensor, Any]:
        """Read sequences with the layer."""
        y, state = self.layer(x, state, lengths=lengths)
        return y, state

    def last(self, y: Tensor, state: Any) -> Tensor:
        """The final h, whose gradient is a row and not a whole output of zeros."""
        if self.layer.bidirectional:
            return super().last(y, state)
        h: Tensor = state[0] if isinstance(state, tuple) else state
        return h[-1]


class Builder(Protocol):
    """Makes an encoder from sizes; further options are its own."""

    def __call__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        reach: int | None,
        **options: Any,
    ) -> Encoder:
        """Build the encoder."""
        ...


_SET_HERE = ("self", "input_size", "hidden_size", "num_layers", "dropout", "reach", "batch_first")


def _check_options(options: dict[str, Any], network: Callable[..., Any], name: str) -> None:
    known = [option for option in inspect.signature(network).parameters if option not in _SET_HERE]
    known_options(options, known, f"encoder {name!r}")


def _recurrent(
    layer: Callable[..., Recurrent],
    name: str,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    dropout: float,
    reach: int | None,  # noqa: ARG001 (its span has no limit)
    **options: Any,
) -> Encoder:
    _check_options(options, layer, name)
    between = dropout if num_layers != 1 else 0.0  # one layer has nothing in between
    return RecurrentEncoder(
        layer(input_size, hidden_size, num_layers, dropout=between, batch_first=True, **options)
    )


def _limited(
    network: Callable[..., Encoder],
    name: str,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    dropout: float,
    reach: int | None,
    **options: Any,
) -> Encoder:
    """An encoder of limited span, which wants to know how long sequences will be."""
    _check_options(options, network, name)
    return network(input_size, hidden_size, num_layers, dropout=dropout, reach=reach, **options)


def _cell_layer(name: str) -> Callable[..., Recurrent]:
    """A layer of a registered cell that has no class of its own; the options are the cell's and the
    layer's.
    """
    options = cells.option_names(name)
    layer_options = tuple(inspect.signature(Recurrent.__init__).parameters.values())[2:]

    def layer(input_size: int, hidden_size: int, num_layers: int, **given: Any) -> Recurrent:
        for_cell = {key: given.pop(key) for key in options if key in given}
        return Recurrent(cells.build(name, **for_cell), input_size, hidden_size, num_layers, **given)

    for_cell = [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY) for key in options]
    layer.__signature__ = inspect.Signature([*layer_options, *for_cell])  # type: ignore[attr-defined]
    return layer


_LAYERS: dict[str, Callable[..., Recurrent]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}

_LIMITED: dict[str, Callable[..., Encoder]] = {
    "feedforward": FeedForward,
    "cnn": TemporalConvolution,
    "transformer": Transformer,
}

# Every registered cell is an encoder; other networks join with one line.
ENCODERS: dict[str, Builder] = {
    **{
        name: partial(_recurrent, _LAYERS.get(name) or _cell_layer(name), name)
        for name in dict.fromkeys((*_LAYERS, *cells.names()))
    },
    **{name: partial(_limited, network, name) for name, network in _LIMITED.items()},
}


def encoder_names() -> tuple[str, ...]:
    """Names that ``build_encoder`` knows."""
    return tuple(ENCODERS)


def build_encoder(
    name: str,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    dropout: float = 0.0,
    *,
    reach: int | None = None,
    **options: Any,
) -> Encoder:
    """An encoder by name.

    Args:
        name: one of ``encoder_names()``.
        input_size: I.
        hidden_size: H, the width of each layer.
        num_layers: layers of the stack.
        dropout: within the encoder, in training; in a recurrent stack between layers, of which one has none.
        reach: how long the sequences are that it will read; from it ``feedforward``, ``cnn`` and
            ``transformer`` choose how far they look back, 64 steps where it is None. Others have no
            limit.
        options: further keyword arguments of the encoder: for ``lstm`` those of ``longspan.nn.LSTM``.

    Raises:
        InputError: an unknown name or option, listing those there are; or a size out of range.
    """
    choice(name, "encoder", "build_encoder", encoder_names())
    return ENCODERS[name](input_size, hidden_size, num_layers, dropout, reach, **options)
