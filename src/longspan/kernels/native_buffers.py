"""Large buffers that are used again: the memory of a tape, once its backward pass is over.

A fresh buffer of many megabytes comes from the system page by page, which took a fifth of a training step at
64 sequences of 100 steps and 256 units. What is kept is bounded, and only what nobody can read any more.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import torch
from torch import Tensor

__all__ = ["give", "take"]

_LEAST = 1 << 20  # bytes: smaller ones are at hand in the allocator
_MOST = 1 << 28  # bytes kept in all

_lock = Lock()
_kept: OrderedDict[int, Tensor] = OrderedDict()  # by address, the longest unused first


def take(elements: int, dtype: torch.dtype) -> Tensor:
    """An empty buffer of so many elements."""
    # Whoever asks torch for deterministic memory wants to see what is read before it is written.
    if elements * dtype.itemsize >= _LEAST and not torch.are_deterministic_algorithms_enabled():
        with _lock:
            for address, kept in _kept.items():
                if kept.numel() == elements and kept.dtype is dtype:
                    return _kept.pop(address)
    return torch.empty(elements, dtype=dtype)


def give(buffer: Tensor) -> None:
    """Keep a buffer for the next that wants its size; the caller reads it no more."""
    size = buffer.numel() * buffer.element_size()
    if not _LEAST <= size <= _MOST:
        return
    with _lock:
        _kept[buffer.data_ptr()] = buffer
        total = sum(kept.numel() * kept.element_size() for kept in _kept.values())
        while total > _MOST:
            _, oldest = _kept.popitem(last=False)
            total -= oldest.numel() * oldest.element_size()
