"""Fixtures of the evaluation's tests."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = str(Path(__file__).resolve().parent)

if FOLDER not in sys.path:
    sys.path.append(FOLDER)  # backtest_examples
