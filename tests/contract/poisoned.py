"""Uninitialised memory that shows when it is read, for the tests of kernels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def poisoned_memory() -> Iterator[None]:
    """In deterministic mode torch writes NaN into ``torch.empty``, so what is read before it is written
    shows.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # these tensors are too small to share out
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
