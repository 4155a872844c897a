"""What this machine can do: the speed of a 1024 × 1024 × 1024 float32 product, and its name."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from longspan import __version__
from longspan.core.processor import processor
from longspan.kernels.native_library import NativeError, library

__all__ = ["Peak", "machine", "measure"]

_SIZE = 1024
_LEAST = 9
_ISA = {3: "x86-64-v3", 4: "x86-64-v4", 8: "aarch64"}


class Peak(NamedTuple):
    """GFLOP/s of the product.

    Attributes:
        best: the fastest single product by whichever of torch's libraries is faster: the machine's peak as
            far as a product reaches it.
        product: the median of ``torch.mm``, by which wall-time caps are scaled.
    """

    best: float
    product: float


def measure(seconds: float = 1.0, *, size: int = _SIZE) -> Peak:
    """Time the product on torch's present number of threads, each way for half of ``seconds``."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        left, right, out = (torch.rand(size, size) for _ in range(3))
        ways: list[Callable[[], Tensor]] = [lambda: torch.mm(left, right, out=out)]
        if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            dense = left.to_mkldnn()
            ways.append(lambda: torch.nn.functional.linear(dense, right))
        times = [_times(way, seconds / 2) for way in ways]
    work = 2 * size**3 / 1e9
    return Peak(work / min(map(min, times)), work / statistics.median(times[0]))


def _times(way: Callable[[], Tensor], seconds: float) -> list[float]:
    for _ in range(3):
        way()
    found: list[float] = []
    end = time.perf_counter() + seconds
    while len(found) < _LEAST or time.perf_counter() < end:
        start = time.perf_counter()
        way()
        found.append(time.perf_counter() - start)
    return found


def machine(threads: int) -> dict[str, Any]:
    """Processor, cores, system, versions, and the engine's instruction set or why there is none."""
    try:
        code = int(library().longspan_isa())
        engine = _ISA.get(code, f"instruction set {code}")
    except NativeError as error:
        engine = f"none: {error}"
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "engine": engine,
        "versions": {
            "longspan": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }
