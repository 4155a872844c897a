"""Training a forecaster on the windows of a panel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from longspan.baselines.linear import ridge_map
from longspan.core.errors import DataError
from longspan.core.seeds import derive
from longspan.core.wording import spell
from longspan.data.panel import Panel
from longspan.data.windows import Windows, validation_windows
from longspan.models.batches import TrainingBatches, gather_inputs
from longspan.models.design import Design, build_forecaster
from longspan.models.features import WindowFeatures
from longspan.models.forecaster import DirectForecaster, Forecaster, mean_loss
from longspan.models.planning import Wishes, plan_forecaster, training_part
from longspan.store.stage import Keeper
from longspan.training.history import History
from longspan.training.loop import Progress, train
from longspan.training.settings import Settings

__all__ = ["Preparation", "Recipe", "fit_forecaster", "held_out", "prepare", "train_forecaster"]

_MOST_WINDOWS = 2048
_BATCH = 256
_MOST_WINDOWS_OF_RIDGE = 1 << 14


@dataclass(frozen=True)
class Recipe:
    """How a forecaster is made of a panel, whichever part of the data that is.

    Args:
        horizon: H.
        validation: last values that validate, None to decide. wishes: what the user said of the design.
        settings: how to train; seed and time budget are those of each training.
        batch_size: windows a step. device: where to train.
    """

    horizon: int
    validation: int | None
    wishes: Wishes
    settings: Settings
    batch_size: int
    device: torch.device


@dataclass(frozen=True, eq=False)
class Preparation:
    """A panel that is ready to be learned from.

    Attributes:
        panel: with scaled covariates. design: of the forecaster. validation: last values that validate.
        training: windows to learn from. held, numbers: windows to validate on, from `held_out`.
    """

    panel: Panel
    design: Design
    validation: int
    training: Windows
    held: Windows
    numbers: NDArray[np.int64]


def prepare(panel: Panel, recipe: Recipe) -> Preparation:
    """Decide the design, scale the covariates, and split: all from the values of `panel` alone.

    Raises:
        DataError, InputError: as `plan_forecaster`, `training_part` and `held_out`.
    """
    panel, design, validation = plan_forecaster(panel, recipe.horizon, recipe.validation, recipe.wishes)
    training = training_part(panel, design.features, validation)
    held, numbers = held_out(panel, design.features, validation)
    return Preparation(panel, design, validation, training, held, numbers)


def fit_forecaster(
    ready: Preparation,
    recipe: Recipe,
    seed: int,
    budget: float | None = None,
    keeper: Keeper | None = None,
    progress: Progress | None = None,
) -> tuple[Forecaster, History]:
    """Train the forecaster of a prepared panel with one seed, for at most ``budget`` seconds."""
    return train_forecaster(
        ready.design,
        ready.training,
        ready.held,
        ready.numbers,
        replace(recipe.settings, seed=seed, time_budget=budget),
        batch_size=recipe.batch_size,
        device=recipe.device,
        workspace=keeper,
        progress=progress,
    )


def held_out(panel: Panel, features: WindowFeatures, validation: int) -> tuple[Windows, NDArray[np.int64]]:
    """Windows whose future lies in the last ``validation`` values, and at most 2,048 of their numbers, spread
    evenly.

    Raises:
        DataError: there is none, since nothing is known before the validation part.
    """
    windows = validation_windows(panel, features.reach, features.horizon, holdout=validation)
    if len(windows) == 0:
        raise DataError(
            f"expected known values in the {features.reach:,} steps before a forecast of the validation part "
            f"(the last {validation:,} steps), got none. Cut off what follows the gap, or give a longer "
            f"{spell('context')} or another {spell('validation')}",
            column=panel.schema.target,
        )
    return windows, np.unique(np.linspace(0, len(windows) - 1, _MOST_WINDOWS).astype(np.int64))


def train_forecaster(
    design: Design,
    training: Windows,
    held: Windows,
    numbers: NDArray[np.int64],
    settings: Settings,
    *,
    batch_size: int,
    device: torch.device,
    workspace: Keeper | None = None,
    progress: Progress | None = None,
) -> tuple[Forecaster, History]:
    """A forecaster with the weights of its best validation.

    Args:
        design: what to build.
        training: windows to learn from. held, numbers: windows to validate on, from `held_out`.
        settings: how to train; its seed also draws the initial weights and the batches.
        batch_size: windows a step.
        device: where to train.
        workspace, progress: see `train`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(settings.seed, "weights"))
        forecaster = build_forecaster(design).to(device)
    features = design.features

    batches = TrainingBatches(training, features, settings.seed, batch_size, device)
    if isinstance(forecaster, DirectForecaster) and forecaster.shortcut is not None:
        _begin_with_ridge(forecaster.shortcut, training, features)
    fixed = [
        gather_inputs(held, numbers[first : first + _BATCH], features, device)
        for first in range(0, len(numbers), _BATCH)
    ]

    def validate(module: nn.Module) -> float:
        sizes = [int((~torch.isnan(batch.target)).sum()) for batch in fixed]
        losses = [float(mean_loss(module, batch)) for batch in fixed]
        return float(np.average(losses, weights=sizes))

    history = train(forecaster, mean_loss, batches, validate, settings, workspace, progress)
    return forecaster.eval(), history


def _begin_with_ridge(shortcut: nn.Linear, training: Windows, features: WindowFeatures) -> None:
    """The linear map starts as ridge regression on the training part; the network learns the rest."""
    numbers = np.unique(np.linspace(0, len(training) - 1, _MOST_WINDOWS_OF_RIDGE).astype(np.int64))
    past, rest = [], []
    for first in range(0, len(numbers), _BATCH):
        batch = gather_inputs(training, numbers[first : first + _BATCH], features, torch.device("cpu"))
        past.append(batch.window[:, -shortcut.in_features :].double().numpy())
        rest.append((batch.target - batch.anchor).double().numpy())
    weights, offsets = ridge_map(np.concatenate(past), np.concatenate(rest))
    with torch.no_grad():
        shortcut.weight.copy_(torch.from_numpy(weights))
        shortcut.bias.copy_(torch.from_numpy(offsets))
