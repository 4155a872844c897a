"""What a cell is: one file a cell, each entering its factory in the register of ``base``."""

from __future__ import annotations

from longspan.cells.base import Cell, StepNoise, Weight, build, names, option_names, register
from longspan.cells.gru import gru
from longspan.cells.lstm import lstm
from longspan.cells.rnn import rnn

__all__ = ["Cell", "StepNoise", "Weight", "build", "gru", "lstm", "names", "option_names", "register", "rnn"]
