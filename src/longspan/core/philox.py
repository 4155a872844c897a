"""Random masks as functions of (seed, purpose, layer, direction, sample id, step, unit): Philox4x32-10.

No generator state exists: whoever knows the seven numbers draws the same bit, in any order, on any device, in
any kernel, forward or backward. Source of the generator: Salmon, Moraes, Dror, Shaw, "Parallel random
numbers: as easy as 1, 2, 3", SC 2011 (Random123).

The layout is a format: changing it changes every mask, so a kernel in any language must follow it to the bit.
The seed and the sample id are 64-bit two's complement integers.

Key (2 x 32 bits)::

    key[0] = seed bits 0..31
    key[1] = seed bits 32..63

Counter (4 x 32 bits)::

    counter[0] = block | layer << 20 | direction << 28 | purpose << 29
                 block = unit // 4 (20 bits), layer (8 bits), direction (1 bit: 1 backward), purpose (3 bits)
    counter[1] = step bits 0..31
    counter[2] = sample id bits 0..31
    counter[3] = sample id bits 32..63

Word ``unit % 4`` of the four that come out belongs to ``unit``. An event of probability ``p`` (an element is
dropped, a state is held) happens if and only if ``word < floor(p * 2**32 + 0.5)``, the word taken as an
unsigned number; the comparison is between integers, so it is the same for every floating type.

Purposes: 0 dropout between layers (unit of the output of that layer and direction), 1 recurrent dropout (the
step is always 0: one mask for a whole sequence), 2 + k zoneout of state number k (0 is h, 1 is c).
The step is the position in the sequence counted from its first element, in both directions, plus the number
of steps that came before this call (``first_step``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from longspan.core.errors import InputError

__all__ = ["DROPOUT", "RECURRENT", "ZONEOUT", "event", "philox4x32", "words"]

DROPOUT = 0
RECURRENT = 1
ZONEOUT = 2

Words = tuple[Tensor, Tensor, Tensor, Tensor]

_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = 0xFFFFFFFF


def philox4x32(counter: Words, key: tuple[Tensor, Tensor], rounds: int = 10) -> Words:
    """The Philox4x32 bijection on int64 tensors that hold unsigned 32-bit numbers; shapes broadcast.

    Products of two 32-bit numbers wrap in int64, which leaves both of their 32-bit halves right.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(rounds):
        first, second = c0 * _M0, c2 * _M1
        c0, c1 = ((second >> 32) & _LOW) ^ c1 ^ k0, second & _LOW
        c2, c3 = ((first >> 32) & _LOW) ^ c3 ^ k1, first & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


def words(
    seed: Tensor, purpose: int, layer: int, direction: int, sample_ids: Tensor, steps: Tensor, units: int
) -> Tensor:
    """One unsigned 32-bit word for each step, sample and unit.

    Args:
        seed: int64, no dimensions.
        purpose: ``DROPOUT``, ``RECURRENT`` or ``ZONEOUT`` + number of the state.
        layer: number of the layer, from 0.
        direction: 0 forward, 1 backward.
        sample_ids: int64 (B,).
        steps: int64 (T,).
        units: how many units, counted from 0.

    Returns:
        int64 (T, B, units), each in [0, 2**32).

    Raises:
        InputError: a number does not fit its place in the counter.
    """
    for value, bits, name in ((purpose, 3, "purpose"), (layer, 8, "layer"), (direction, 1, "direction")):
        if not 0 <= value < 1 << bits:
            raise InputError(f"random masks: expected {name} in [0, {1 << bits}), got {value}")
    if not 0 <= units <= 1 << 22:
        raise InputError(f"random masks: expected at most {1 << 22} units in a layer, got {units}")
    block = torch.arange((units + 3) // 4, dtype=torch.int64, device=sample_ids.device)
    tag = layer << 20 | direction << 28 | purpose << 29
    samples = sample_ids.reshape(-1, 1)
    counter = (
        block + tag,
        steps.reshape(-1, 1, 1) & _LOW,
        samples & _LOW,
        (samples >> 32) & _LOW,
    )
    key = seed.to(sample_ids.device)
    drawn = philox4x32(counter, (key & _LOW, (key >> 32) & _LOW))
    shape = (steps.shape[0], samples.shape[0], 4 * block.shape[0])
    return torch.stack(drawn, dim=-1).reshape(shape)[..., :units]


def event(drawn: Tensor, probability: float) -> Tensor:
    """True where the event of this probability happens, for words from ``words``: never at 0, always at 1."""
    return drawn < int(probability * 2.0**32 + 0.5)
