"""neuralforecast: its ``LSTM`` through ``NeuralForecast.fit``; run in the environment of the peers."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import pandas as pd
from lightning_clock import Watch, quiet, trainer_options
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MQLoss
from neuralforecast.models import LSTM
from numpy.typing import NDArray
from worker import LEVELS, Block, Clock, Trained, serve

_DECODER_LAYERS = 3  # two hidden layers of H units and the output layer, as ours


def train(values: NDArray[np.float32], block: Block) -> Trained:
    """One fit; series a step and data loader as they are by default."""
    count, length = values.shape
    table = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(count), length),
            "ds": np.tile(np.arange(length), count),
            "y": values.ravel(),
        }
    )
    watch = Watch(Clock(block))
    model = LSTM(
        h=block.horizon,
        input_size=block.context,
        encoder_n_layers=1,
        encoder_hidden_size=block.hidden,
        decoder_hidden_size=block.hidden,
        decoder_layers=_DECODER_LAYERS,
        loss=MQLoss(quantiles=list(LEVELS)),
        learning_rate=1e-3,
        windows_batch_size=block.batch,
        scaler_type="standard",
        **trainer_options(block, watch),
    )
    whole = NeuralForecast(models=[model], freq=1)
    whole.fit(df=table)
    return watch.result(whole.models[0])


if __name__ == "__main__":
    quiet()
    versions = {name: version(name) for name in ("neuralforecast", "pytorch-lightning", "numpy", "pandas")}
    serve(train, {"side": "neuralforecast LSTM", "versions": versions})
