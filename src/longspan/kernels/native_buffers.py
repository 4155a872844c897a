"""Buffers that are used again: work spaces, and the memory of a tape once its backward pass is over.

A fresh buffer of many megabytes comes from the system page by page, which took a fifth of a training step at
64 sequences of 100 steps and 256 units; small ones cost a small layer a microsecond each, and their place in
the cache. What is kept is bounded, and only what nobody can read any more.
"""

from __future__ import annotations

import os
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable
from threading import Lock, local
from typing import Generic, TypeVar

import torch
from torch import Tensor

__all__ = ["Bounded", "bytes_of", "give", "may_keep", "take"]

Kept = TypeVar("Kept")

_LARGE = 1 << 20  # bytes: from here on all threads share what is kept
_MOST_SMALL = 1 << 22  # bytes of smaller ones that a thread keeps


def bytes_of(buffer: Tensor) -> int:
    """Its size."""
    return buffer.numel() * buffer.dtype.itemsize


class Bounded(Generic[Kept]):
    """Things by name, of at most so many bytes; the longest unused goes first.

    Nobody waits: where another thread is at it, or the call that a signal handler interrupted, nothing is
    found and nothing is kept. A child of fork begins with nothing.
    """

    def __init__(self, most: int, bytes_of: Callable[[Kept], int]) -> None:
        self.most, self.bytes_of = most, bytes_of
        self._clear()
        os.register_at_fork(after_in_child=self._clear)

    def _clear(self) -> None:
        self._lock = Lock()
        self.by_name: OrderedDict[Hashable, Kept] = OrderedDict()
        self.bytes = 0

    def pop(self, name: Hashable) -> Kept | None:
        """Take one out, if it is there."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return self._pop(name)
        finally:
            self._lock.release()

    def pop_like(self, fits: Callable[[Kept], bool]) -> Kept | None:
        """Take out the first that fits, if there is one."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return next((self._pop(name) for name, kept in self.by_name.items() if fits(kept)), None)
        finally:
            self._lock.release()

    def put(self, name: Hashable, thing: Kept) -> None:
        """Put one in, in the place of one of the same name; not one that is too large by itself."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._pop(name)
            size = self.bytes_of(thing)
            if size > self.most:
                return
            self.by_name[name] = thing
            self.bytes += size
            while self.bytes > self.most:
                self._pop(next(iter(self.by_name)))
        finally:
            self._lock.release()

    def _pop(self, name: Hashable) -> Kept | None:
        found = self.by_name.pop(name, None)
        if found is not None:
            self.bytes -= self.bytes_of(found)
        return found


class _Small(local):
    """Small buffers of one thread, by size, type, and whether they were made in inference mode."""

    def __init__(self) -> None:
        self.kept: defaultdict[tuple[int, torch.dtype, bool], list[Tensor]] = defaultdict(list)
        self.bytes = 0


_large = Bounded(1 << 28, bytes_of)  # by address
_small = _Small()


def take(elements: int, dtype: torch.dtype) -> Tensor:
    """An empty buffer of so many elements."""
    if not may_keep():
        return torch.empty(elements, dtype=dtype)
    # What is made in inference mode cannot be saved for a backward pass.
    size, inference = elements * dtype.itemsize, torch.is_inference_mode_enabled()
    if size < _LARGE:
        try:
            found = _small.kept[elements, dtype, inference].pop()
        except IndexError:
            return torch.empty(elements, dtype=dtype)
        _small.bytes -= size
        return found
    kept = _large.pop_like(
        lambda each: each.numel() == elements and each.dtype is dtype and each.is_inference() == inference
    )
    return torch.empty(elements, dtype=dtype) if kept is None else kept


def give(buffer: Tensor) -> None:
    """Keep a buffer for the next that wants its size; the caller reads it no more."""
    elements, dtype = buffer.numel(), buffer.dtype
    size = elements * dtype.itemsize
    if size >= _LARGE:
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
