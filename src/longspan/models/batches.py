"""Batches of training windows, prepared for several steps at once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from longspan.data.windows import Windows
from longspan.models.features import Inputs, WindowFeatures

__all__ = ["TrainingBatches", "gather_inputs"]

_AT_ONCE = 1024  # windows: enough that small batches do not pay for every array operation anew


class TrainingBatches:
    """The inputs of a training step: a function of (seed, step) alone.

    Windows of consecutive steps are gathered and scaled together and handed out in slices, which saves most
    of the time that small batches would spend in array operations; the values are the same.

    Args:
        windows: where the training windows are cut.
        features: how they become inputs.
        seed: of the order of the windows.
        batch_size: windows a step.
        device: where the inputs are wanted.
    """

    def __init__(
        self, windows: Windows, features: WindowFeatures, seed: int, batch_size: int, device: torch.device
    ) -> None:
        self.windows, self.features, self.seed = windows, features, seed
        self.batch_size, self.device = batch_size, device
        self.steps = max(1, _AT_ONCE // batch_size)
        self._held: tuple[int, list[Inputs]] | None = None

    def __call__(self, step: int) -> Inputs:
        """The batch of a step."""
        block, place = divmod(step, self.steps)
        if self._held is None or self._held[0] != block:
            drawn = self.windows.sample(self.seed, block, self.batch_size * self.steps)
            inputs = gather_inputs(self.windows, drawn, self.features, self.device)
            self._held = (block, inputs.split(self.batch_size))
        return self._held[1][place]


def gather_inputs(
    windows: Windows, numbers: NDArray[np.int64], features: WindowFeatures, device: torch.device
) -> Inputs:
    """The inputs of the windows with these numbers, on a device."""
    return features.inputs(windows.gather(*windows.pairs(numbers)))[0].to(device)
