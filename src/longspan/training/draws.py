"""Random draws as functions of (seed, step): generators are set for each step, and put back at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch

from longspan.core.seeds import derive

__all__ = ["draws"]


@contextlib.contextmanager
def draws(seed: int, device: torch.device) -> Iterator[Callable[[str, int], None]]:
    """Gives ``set(purpose, step)``; after the block torch's global generators are as they were before.

    ``torch.manual_seed`` seeds every kind of device, at 50 µs a call; this seeds the two that a step can
    draw from, the processor's and the module's device's, at about 3 µs.
    """
    generators = [torch.default_generator, *_generators(device)]
    before = [generator.get_state() for generator in generators]

    def set_generators(purpose: str, step: int) -> None:
        number = derive(seed, purpose, step)
        for generator in generators:
            generator.manual_seed(number)

    try:
        yield set_generators
    finally:
        for generator, state in zip(generators, before, strict=True):
            generator.set_state(state)


def _generators(device: torch.device) -> list[torch.Generator]:
    if device.type == "cuda":
        index = device.index if device.index is not None else torch.cuda.current_device()
        return [torch.cuda.default_generators[index]]
    if device.type == "mps":
        return [torch.mps._get_default_mps_generator()]
    return []
