"""torch modules over (B, T, ·): recurrent layers, and the table of encoders."""

from __future__ import annotations

from longspan.kernels.dispatch import explain, using
from longspan.nn.encoders import Encoder, build_encoder, encoder_names
from longspan.nn.recurrent import GRU, LSTM, RNN
from longspan.nn.stack import Recurrent

__all__ = ["GRU", "LSTM", "RNN", "Encoder", "Recurrent", "build_encoder", "encoder_names", "explain", "using"]
