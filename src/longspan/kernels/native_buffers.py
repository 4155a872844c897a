"""Buffers that are used again: work spaces, and the memory of a tape once its backward pass is over.

A fresh buffer of many megabytes comes from the system page by page, which took a fifth of a training step at
64 sequences of 100 steps and 256 units; small ones cost a small layer a microsecond each, and their place in
the cache. What is kept is bounded, and only what nobody can read any more.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from threading import Lock, local

import torch
from torch import Tensor

__all__ = ["give", "take"]

_LARGE = 1 << 20  # bytes: from here on all threads share what is kept
_MOST = 1 << 28  # bytes kept of large ones,
_MOST_SMALL = 1 << 22  # and of small ones by each thread

_lock = Lock()
_kept: OrderedDict[int, Tensor] = OrderedDict()  # large ones by address, the longest unused first


class _Small(local):
    """Small buffers of one thread, by size, type, and whether they were made in inference mode."""

    def __init__(self) -> None:
        self.kept: defaultdict[tuple[int, torch.dtype, bool], list[Tensor]] = defaultdict(list)
        self.bytes = 0


_small = _Small()


def take(elements: int, dtype: torch.dtype) -> Tensor:
    """An empty buffer of so many elements."""
    # Whoever asks torch for deterministic memory wants to see what is read before it is written.
    if torch.are_deterministic_algorithms_enabled():
        return torch.empty(elements, dtype=dtype)
    # What is made in inference mode cannot be saved for a backward pass.
    size, inference = elements * dtype.itemsize, torch.is_inference_mode_enabled()
    if size < _LARGE:
        own = _small.kept[elements, dtype, inference]
        if own:
            _small.bytes -= size
            return own.pop()
        return torch.empty(elements, dtype=dtype)
    with _lock:
        for address, kept in _kept.items():
            if kept.numel() == elements and kept.dtype is dtype and kept.is_inference() == inference:
                return _kept.pop(address)
    return torch.empty(elements, dtype=dtype)


def give(buffer: Tensor) -> None:
    """Keep a buffer for the next that wants its size; the caller reads it no more."""
    elements, dtype = buffer.numel(), buffer.dtype
    size = elements * dtype.itemsize
    if size < _LARGE:
        _small.bytes += size
        if _small.bytes > _MOST_SMALL:
            _small.kept.clear()
            _small.bytes = size
        _small.kept[elements, dtype, buffer.is_inference()].append(buffer)
        return
    if size > _MOST:
        return
    with _lock:
        _kept[buffer.data_ptr()] = buffer
        total = sum(kept.numel() * kept.element_size() for kept in _kept.values())
        while total > _MOST:
            _, oldest = _kept.popitem(last=False)
            total -= oldest.numel() * oldest.element_size()
