"""The side of darts: its ``RNNModel`` with LSTM cells; run in the environment of the peers.

train_darts.py window     learns from windows of T + horizon values, as the others do
train_darts.py context    learns from windows of T + 1 values: as many LSTM steps as the others run
"""

from __future__ import annotations

import sys
from functools import partial
from importlib.metadata import version

import numpy as np
from darts import TimeSeries
from darts.models import RNNModel
from darts.utils.likelihood_models import QuantileRegression
from lightning_clock import Watch, quiet, trainer_options
from numpy.typing import NDArray
from worker import LEVELS, Block, Clock, Trained, serve


def train(values: NDArray[np.float32], block: Block, *, over_horizon: bool) -> Trained:
    """One fit; one linear layer decodes every state along the window into its next value."""
    # darts leaves scaling to the user, who does it once, before the training.
    scaled = (values - values.mean(axis=1, keepdims=True)) / values.std(axis=1, keepdims=True)
    series = [TimeSeries.from_values(each) for each in scaled]
    length = block.context + block.horizon - 1 if over_horizon else block.context
    watch = Watch(Clock(block))
    model = RNNModel(
        model="LSTM",
        hidden_dim=block.hidden,
        n_rnn_layers=1,
        input_chunk_length=block.context,
        training_length=length,
        batch_size=block.batch,
        n_epochs=1000,
        likelihood=QuantileRegression(quantiles=list(LEVELS)),
        optimizer_kwargs={"lr": 1e-3},
        random_state=0,
        pl_trainer_kwargs=trainer_options(block, watch),
    )
    model.fit(series, verbose=False)
    return watch.result(model.model)


if __name__ == "__main__":
    quiet()
    versions = {name: version(name) for name in ("darts", "pytorch-lightning", "numpy")}
    (kind,) = sys.argv[1:]
    serve(
        partial(train, over_horizon=kind == "window"),
        {"side": f"darts RNNModel, {kind}", "versions": versions},
    )
