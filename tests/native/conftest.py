"""Makes the contract importable, skips where there is no engine, and fills uninitialised tensors with NaN."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from longspan.kernels.native_library import NativeError, borrow_threads, library

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "contract")]


@pytest.fixture(autouse=True)
def _engine() -> Iterator[None]:
    """The engine, and memory that shows when it is read before it is written."""
    try:
        loaded = library()
    except NativeError as error:
        pytest.skip(str(error))
    # Those of torch spin for seconds where a processor is taken away; one test borrows them.
    borrow_threads(loaded, borrow=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
    borrow_threads(loaded)
