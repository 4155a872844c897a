"""Where to compute: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""

from __future__ import annotations

import re

import torch

from longspan.core.errors import InputError

__all__ = ["resolve"]


def resolve(name: str = "auto") -> torch.device:
    """The device of that name, known to be there.

    Args:
        name: ``auto`` takes the first CUDA device, else MPS, else the CPU.

    Raises:
        InputError: no such name, or no such device on this machine.
    """
    if name == "auto":
        return torch.device(_automatic())
    match = re.fullmatch(r"(cpu|mps|cuda)(?::(\d+))?", name)
    if match is None or (match[2] is not None and match[1] != "cuda"):
        raise InputError(f"device: expected auto, cpu, cuda, cuda:N or mps, got {name!r}")
    if match[1] == "cuda":
        return _cuda(name, int(match[2] or 0))
    if match[1] == "mps" and not torch.backends.mps.is_available():
        raise InputError("device: got 'mps', but this machine or this torch has no MPS. Use auto or cpu")
    return torch.device(name)


def _automatic() -> str:
    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _cuda(name: str, index: int) -> torch.device:
    if not torch.cuda.is_available():
        reason = (
            "this torch is built without CUDA" if torch.version.cuda is None else "torch finds no CUDA device"
        )
        raise InputError(f"device: got {name!r}, but {reason}. Use auto or cpu, or install torch with CUDA")
    count = torch.cuda.device_count()
    if index >= count:
        there = "there is 1 CUDA device: cuda:0"
        if count > 1:
            there = f"there are {count} CUDA devices: cuda:0 to cuda:{count - 1}"
        raise InputError(f"device: got {name!r}, but {there}. Use one that is there, or auto")
    return torch.device("cuda", index)
