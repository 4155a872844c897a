"""Our side: what ``longspan.fit("forecast", …)`` runs, from the panel on, with everything in."""

from __future__ import annotations

from importlib.metadata import version
from unittest import mock

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from worker import LEVELS, Block, Clock, Trained, serve

from longspan.data.inference import Roles, read_panel
from longspan.data.windows import Windows
from longspan.models import fitting
from longspan.models.batches import TrainingBatches
from longspan.models.design import Design, build_forecaster
from longspan.models.features import Inputs
from longspan.models.fitting import held_out
from longspan.models.forecaster import mean_loss
from longspan.models.planning import Wishes, plan_forecaster, training_part
from longspan.tasks.base import Run
from longspan.tasks.forecast_options import ForecastFit


class _Watched(TrainingBatches):
    """Batches that tell a clock when a step asks for its own, the first thing that it does."""

    clock: Clock

    def __call__(self, step: int) -> Inputs:
        """As that of any batches."""
        type(self).clock.step_begins(step)
        return super().__call__(step)


def _untrained_loss(design: Design, held: Windows, numbers: NDArray[np.int64]) -> float:
    """The loss on the validation windows before any training."""
    torch.manual_seed(0)
    batch = held.gather(*held.pairs(numbers))
    with torch.no_grad():
        return float(mean_loss(build_forecaster(design), design.features.inputs(batch)[0]))


def train(values: NDArray[np.float32], block: Block) -> Trained:
    """One training as ``fit`` runs it: gathering, scaling, checks, clipping, averaging, events."""
    count, length = values.shape
    table = pl.DataFrame({"id": np.repeat(np.arange(count), length), "y": values.ravel()})
    panel = read_panel(table, Roles(target="y", series=("id",)), seasons=())
    wishes = Wishes(context=block.context, hidden_size=block.hidden, shortcut=False, anchor=0, levels=LEVELS)
    panel, design, validation = plan_forecaster(panel, block.horizon, block.horizon, wishes)
    training, clock = training_part(panel, design.features, validation), Clock(block)
    held, numbers = held_out(panel, design.features, validation)
    steps = block.warmup + block.steps + 1
    options = ForecastFit(
        target="y", horizon=block.horizon, steps=steps, validate_every=steps, learning_rate=1e-3
    )
    _Watched.clock = clock
    with mock.patch.object(fitting, "TrainingBatches", _Watched):
        forecaster, history = fitting.train_forecaster(
            design,
            training,
            held,
            numbers,
            options.settings(Run()),
            batch_size=block.batch,
            device=torch.device("cpu"),
        )
    lstm = sum(p.numel() for name, p in forecaster.named_parameters() if name.startswith("encoder."))
    every = sum(p.numel() for p in forecaster.parameters())
    started, ended = _untrained_loss(design, held, numbers), history.records[-1].validation_loss
    return Trained(clock.seconds, lstm, every, started, ended)


if __name__ == "__main__":
    versions = {name: version(name) for name in ("longspan", "numpy", "polars", "pytorch-ignite")}
    serve(train, {"side": "longspan", "versions": versions})
