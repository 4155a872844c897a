"""A checkpoint: everything that a training run needs to go on to the same bits, in one file.

The file is safetensors; its metadata text is JSON with the counters and the optimiser's structure, and a
SHA-256 over all of it, so that a file that was altered or cut off is told from a whole one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from longspan.core.errors import ModelError
from longspan.store.flatten import flatten, unflatten
from longspan.store.sealed import decode_sealed, encode_sealed

__all__ = ["CHECKPOINT_VERSION", "Checkpoint", "decode_checkpoint", "encode_checkpoint"]

CHECKPOINT_VERSION = 1
_PARTS = ("weights", "optimizer", "best", "average", "generators", "progress")
_NOW = "Remove it; the run then goes on from the checkpoint before it."


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run between two steps.

    Args:
        step: optimiser steps taken.
        weights: the module's ``state_dict()``.
        optimizer: the optimiser's ``state_dict()``.
        best: weights of the best validation so far, or None before the first.
        average: running average of the weights, or None where it is off.
        generators: states of random generators by name, where a run has any that are not functions of
            (seed, step).
        progress: counters, history, early stopping: plain values that belong to the training loop.
    """

    step: int
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    best: Mapping[str, Tensor] | None = None
    average: Mapping[str, Tensor] | None = None
    generators: Mapping[str, Tensor] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The bytes of a checkpoint file. Tensors, numbers and structure come back exactly.

    Raises:
        InputError: a value that is neither plain nor a tensor, with its path.
    """
    named: dict[str, Tensor] = {}
    parts = {name: getattr(checkpoint, name) for name in _PARTS}
    state = {name: flatten(_plain(part), named, name) for name, part in parts.items()}
    record = {"version": CHECKPOINT_VERSION, "step": checkpoint.step, "state": state}
    return encode_sealed(record, named)


def decode_checkpoint(data: bytes, source: str) -> Checkpoint:
    """The checkpoint in the bytes of a file; `source` is named in the errors.

    Raises:
        ModelError: cut off, altered, or written by a newer longspan.
    """
    record, named = decode_sealed(data, source, kind="checkpoint", now=_NOW)
    version = record["version"]
    if version != CHECKPOINT_VERSION:
        raise ModelError(
            f"{source}: checkpoint version {version}, this longspan reads {CHECKPOINT_VERSION}. "
            "Resume with the longspan that began the run"
        )
    parts = {name: unflatten(record["state"][name], named, source) for name in _PARTS}
    return Checkpoint(step=record["step"], **parts)


def _plain(part: Any) -> Any:
    """Mappings of other kinds (``OrderedDict``) as plain ones; only the outermost level can be one."""
    return dict(part) if isinstance(part, Mapping) else part
