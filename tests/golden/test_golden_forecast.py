"""Forecasting models of every released format forecast what they forecast then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import longspan
from longspan.data.synthetic import seasonal_panel

HERE = Path(__file__).resolve().parent


def test_a_model_of_before_the_backtest_forecasts_as_it_did() -> None:
    """It has neither a calibration nor members; made by ``longspan.fit`` on these data."""
    torch.set_num_threads(1)
    data = seasonal_panel(2, 60, 7, frequency="D")
    model = longspan.load(HERE / "forecast_v1")
    expected = [37.888781, 38.215425, 35.113839, 21.968125, 18.999989, 14.824603]
    np.testing.assert_allclose(model.predict(data)["forecast"].to_numpy(), expected, rtol=1e-5)
    assert model.info()["calibration"] == "none"
    assert set(model.info()["metrics"]) == {"validation"}
    assert model.evaluate(data)["verdict"]
