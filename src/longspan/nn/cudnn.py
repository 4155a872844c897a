"""The memory layout that cuDNN wants of the weights: all of a stack in one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from longspan.nn.stack import Recurrent

__all__ = ["flatten"]

_MODES = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN_TANH", "rnn(nonlinearity=relu)": "RNN_RELU"}


def flatten(layer: Recurrent, weights: list[Tensor]) -> None:
    """Move the weights into one piece of memory, in place, where cuDNN will run this layer; else do nothing.

    cuDNN takes scattered weights too, but copies them at every call, with a warning.
    """
    mode = _MODES.get(layer.cell.label)
    first = weights[0]
    usable = all(
        weight.is_cuda and weight.dtype == first.dtype and torch.backends.cudnn.is_acceptable(weight)  # type: ignore[no-untyped-call]
        for weight in weights
    )
    if mode is None or not usable or len({weight.data_ptr() for weight in weights}) != len(weights):
        return
    from torch.backends.cudnn import rnn

    with torch.cuda.device(first.device), torch.no_grad():
        if torch._use_cudnn_rnn_flatten_weight():
            torch._cudnn_rnn_flatten_weight(
                weights,
                len(layer.cell.weights),
                layer.input_size,
                rnn.get_cudnn_mode(mode),  # type: ignore[no-untyped-call]
                layer.hidden_size,
                layer.proj_size,
                layer.num_layers,
                layer.batch_first,
                layer.bidirectional,
            )
