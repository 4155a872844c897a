"""Makes the contract importable, and fills every uninitialised tensor with NaN."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "contract"))


@pytest.fixture(autouse=True)
def _poisoned_memory() -> Iterator[None]:
    """In deterministic mode torch writes NaN into ``torch.empty``, so what is read before it is written
    shows.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # these tensors are too small to share out
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
