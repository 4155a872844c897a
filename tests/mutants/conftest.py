"""Fills every uninitialised tensor with NaN."""

from __future__ import annotations

from poisoned import poisoned_memory

__all__ = ["poisoned_memory"]
