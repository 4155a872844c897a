"""Forecasts of the encoders without recurrence, from a table to a saved model and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import longspan
from longspan.api import Model
from longspan.core.errors import InputError
from longspan.data.synthetic import seasonal_panel
from longspan.models.design import Design, build_forecaster
from longspan.nn.attention import Transformer
from longspan.nn.convolution import TemporalConvolution
from longspan.nn.feedforward import FeedForward

DAILY = seasonal_panel(3, 90, 7, frequency="D")
FIT: dict[str, Any] = {
    "target": "value",
    "series": "id",
    "horizon": 7,
    "context": 21,
    "hidden": 8,
    "steps": 20,
    "batch": 32,
    "validate_every": 10,
    "backtest": 0,
    "dropout": 0.1,
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def fit(encoder: str, **options: Any) -> Model:
    return longspan.fit("forecast", DAILY, encoder=encoder, **(FIT | options))


@pytest.mark.parametrize("encoder", ["feedforward", "cnn", "transformer"])
@pytest.mark.parametrize("decoding", ["direct", "step"])
def test_fit_save_load_predict(encoder: str, decoding: str, tmp_path: Path) -> None:
    model = fit(encoder, decoding=decoding)
    forecast = model.predict(DAILY)
    numbers = forecast.select(pl.selectors.float()).to_numpy()
    assert len(forecast) == 3 * 7
    assert np.isfinite(numbers).all()
    again = longspan.load(model.save(tmp_path / "m"))
    assert again.predict(DAILY).equals(forecast)
    assert again.info()["design"]["encoder"] == encoder


def sized(encoder: str, decoding: str = "step", **options: Any) -> Any:
    sizes = {"context": 21, "horizon": 5, "step_size": 3, "future_size": 2, "hidden_size": 8}
    design = Design.model_validate(
        {**sizes, "encoder": encoder, "decoding": decoding, "encoder_options": options}
    )
    return build_forecaster(design)


def test_encoders_look_back_over_what_the_forecaster_reads() -> None:
    """The context for the encoder, the horizon for the decoder of a step forecast; options say otherwise."""
    dense, convolution, attention = (sized(name) for name in ("feedforward", "cnn", "transformer"))
    assert isinstance(dense.encoder, FeedForward)
    assert (dense.encoder.window, dense.decoder.window) == (21, 5)
    assert isinstance(convolution.encoder, TemporalConvolution)
    assert (convolution.encoder.span, convolution.decoder.span) == (29, 5)
    assert isinstance(attention.encoder, Transformer)
    assert (attention.encoder.context, attention.decoder.context) == (21, 5)
    assert sized("feedforward", window=4).encoder.window == 4
    assert sized("cnn", kernel_size=2, levels=2).encoder.span == 7


def test_options_are_kept_with_their_type() -> None:
    options = {"peephole": True, "zoneout": 0.1, "window": 1}
    sizes = {"context": 4, "horizon": 2, "step_size": 3, "future_size": 2, "encoder_options": options}
    again = Design.model_validate_json(Design.model_validate(sizes).model_dump_json())
    assert again.encoder_options == options
    assert [type(value) for value in again.encoder_options.values()] == [bool, float, int]


def test_an_option_of_another_encoder_is_refused() -> None:
    with pytest.raises(InputError, match=r"encoder 'cnn' has no option 'peephole': its options are kernel"):
        fit("cnn", variant=("peephole",))
