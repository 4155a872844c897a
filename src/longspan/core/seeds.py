"""Seeds for every random choice, derived from the one seed that the user gives.

A choice is a function of (seed, what it is for, counters), never of how many draws came before it, so a run
that was interrupted draws the same numbers after it resumes.
"""

from __future__ import annotations

import hashlib

__all__ = ["derive"]


def derive(seed: int, *path: str | int) -> int:
    """A 63-bit seed for one purpose: ``derive(7, "batch", epoch, step)``.

    The same arguments give the same number on every machine (SHA-256); different ones give unrelated numbers.
    """
    text = "/".join(f"{type(part).__name__}:{part}" for part in (seed, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
