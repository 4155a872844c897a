"""Batches of training: the same windows whether they are prepared one by one or together."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from longspan.data.inference import Roles, read_panel
from longspan.data.synthetic import seasonal_panel
from longspan.data.windows import Windows, training_windows
from longspan.models.batches import TrainingBatches, gather_inputs
from longspan.models.features import WindowFeatures

FEATURES = WindowFeatures(context=12, horizon=4, seasons=(6,), anchor=6)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def windows() -> Windows:
    panel = read_panel(seasonal_panel(series=3, length=80, season=6), Roles(target="value", series=("id",)))
    return training_windows(panel, FEATURES.reach, FEATURES.horizon, holdout=8)


@pytest.mark.parametrize("batch_size", [1, 7, 500, 3000])
def test_a_step_is_a_function_of_seed_and_step(windows: Windows, batch_size: int) -> None:
    batches = TrainingBatches(windows, FEATURES, 5, batch_size, CPU)
    for step in (0, 1, 200, 3, 1):
        alone = gather_inputs(windows, windows.sample(5, step, batch_size), FEATURES, CPU)
        found = batches(step)
        for field in fields(alone):
            np.testing.assert_array_equal(getattr(found, field.name), getattr(alone, field.name))


def test_another_seed_draws_other_windows(windows: Windows) -> None:
    one, other = (TrainingBatches(windows, FEATURES, seed, 16, CPU)(0) for seed in (1, 2))
    assert not torch.equal(one.steps, other.steps)
