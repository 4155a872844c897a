"""The hash of a panel: the same data give the same hash, from a file or a frame, in any order of rows."""

from __future__ import annotations

import hashlib

import numpy as np

from longspan.data.panel import Panel

__all__ = ["panel_sha256"]


def panel_sha256(panel: Panel) -> str:
    """SHA-256 over names, starts, targets and covariates as they were read (before any scaling)."""
    found = hashlib.sha256()
    for name in panel.ids:
        found.update(name.encode() + b"\0")
    for array in (panel.offsets, panel.start, panel.target, panel.past, panel.known, panel.static):
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
