"""Buffers that are used again: work spaces, some with the weights that were packed in them, and the memory of
a tape once its backward pass is over.

A fresh buffer of many megabytes comes from the system page by page, which took a fifth of a training step at
64 sequences of 100 steps and 256 units; small ones cost a small layer a microsecond each, and their place in
the cache. What is kept is bounded, and only what nobody can read any more.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Hashable
from threading import Lock, local

import torch
from torch import Tensor

__all__ = ["give", "keep", "kept", "may_keep", "take"]

_LARGE = 1 << 20  # bytes: from here on all threads share what is kept
_MOST_SMALL = 1 << 22  # bytes of smaller ones that a thread keeps


def _bytes(buffer: Tensor) -> int:
    return buffer.numel() * buffer.dtype.itemsize


class _Bounded:
    """Buffers by name, of at most so many bytes; the longest unused goes first. Called with the lock held."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.by_name: OrderedDict[Hashable, Tensor] = OrderedDict()
        self.bytes = 0

    def pop(self, name: Hashable) -> Tensor | None:
        """Take one out, if it is there."""
        found = self.by_name.pop(name, None)
        self.bytes -= 0 if found is None else _bytes(found)
        return found

    def put(self, name: Hashable, buffer: Tensor) -> None:
        """Put one in, in the place of one of the same name; not one that is too large by itself."""
        self.pop(name)
        if _bytes(buffer) > self.most:
            return
        self.by_name[name] = buffer
        self.bytes += _bytes(buffer)
        while self.bytes > self.most:
            self.pop(next(iter(self.by_name)))


class _Small(local):
    """Small buffers of one thread, by size, type, and whether they were made in inference mode."""

    def __init__(self) -> None:
        self.kept: defaultdict[tuple[int, torch.dtype, bool], list[Tensor]] = defaultdict(list)
        self.bytes = 0


_lock = Lock()
_large = _Bounded(1 << 28)  # by address
_packed = _Bounded(1 << 27)  # work spaces with weights, by the addresses of these, size and type
_small = _Small()


def take(elements: int, dtype: torch.dtype) -> Tensor:
    """An empty buffer of so many elements."""
    if not may_keep():
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
        for address, kept in _large.by_name.items():
            if kept.numel() == elements and kept.dtype is dtype and kept.is_inference() == inference:
                _large.pop(address)
                return kept
    return torch.empty(elements, dtype=dtype)


def give(buffer: Tensor) -> None:
    """Keep a buffer for the next that wants its size; the caller reads it no more."""
    elements, dtype = buffer.numel(), buffer.dtype
    size = elements * dtype.itemsize
    if size >= _LARGE:
        with _lock:
            _large.put(buffer.data_ptr(), buffer)
        return
    _small.bytes += size
    if _small.bytes > _MOST_SMALL:
        _small.kept.clear()
        _small.bytes = size
    _small.kept[elements, dtype, buffer.is_inference()].append(buffer)


def may_keep() -> bool:
    """Whether a buffer may come from an earlier call, with what it holds."""
    # Whoever asks torch for deterministic memory wants to see what is read before it is written.
    return not torch.are_deterministic_algorithms_enabled()


def kept(weights: tuple[int, ...], elements: int, dtype: torch.dtype) -> Tensor:
    """The work space that the last call with weights at these addresses left, or one of zeros.

    The engine compares the weights that it finds there with those of the call, so that an address which has
    come to mean others does no harm. Who has it has it alone: a call of another thread meanwhile gets zeros.
    """
    with _lock:
        found = _packed.pop((weights, elements, dtype))
    return torch.zeros(elements, dtype=dtype) if found is None else found


def keep(weights: tuple[int, ...], space: Tensor) -> None:
    """Keep a work space with its weights for the next call."""
    with _lock:
        _packed.put((weights, space.numel(), space.dtype), space)
