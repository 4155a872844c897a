"""The well-known case study on a sine wave and the S&P 500: three ways to predict, of which one misleads."""

from __future__ import annotations

from dataclasses import dataclass

from longspan.studies.plan import Network, Training, settings_of
from longspan.studies.study import Setting, Study

__all__ = ["CASES", "NETWORKS", "RATES", "STRIDE", "STUDIES", "WINDOW", "Case", "training"]

WINDOW = 50
"""Values of a window: all but the last are read, the last is to be predicted."""

STRIDE = 50
"""Steps that are predicted before the network is shown true values again, for multiple sequences."""


@dataclass(frozen=True)
class Case:
    """One of the two series.

    Attributes:
        key: in the names of parts. title: as people read it.
        data: its name in the registry of data sets. column: of the values. unit: of the values.
        train_share: of the series that is trained on; the rest is the test.
        relative: windows are divided by their first value, less one.
        season: steps of the seasonal naive forecast. season_name: what it is.
    """

    key: str
    title: str
    data: str
    column: str
    unit: str
    train_share: float
    relative: bool
    season: int
    season_name: str


CASES = (
    Case("sine", "sine wave", "sine", "sinewave", "", 0.8, False, 100, "one period, 100 steps, ago"),
    Case("sp500", "S&P 500", "sp500", "Close", "points", 0.85, True, 5, "five trading days ago"),
)
NETWORKS = {"lstm": Network("lstm", 64, {"forget_bias": 1.0}), "rnn": Network("rnn", 128)}
RATES = {"lstm": 3e-3, "rnn": 1e-3}
"""Common ones; they were not searched for."""


def training(network: str) -> Training:
    """How a network is trained; the published way has no validation part, so it runs to its end."""
    most = 38_400
    return Training(64, RATES[network], most, check_every=most, checked=512, schedule="cosine")


STUDIES: tuple[Study, ...] = (
    Study(
        name="timeseries-case",
        title="Time series: point by point, whole sequence, multiple sequences",
        source="Aungiers 2016 and 2018, Time series prediction using LSTM deep neural networks, with "
        "code and data (jaungiers/LSTM-Neural-Network-for-Time-Series-Prediction); the results are "
        "pictures, no errors are published",
        about="A network reads 49 values of a window and predicts the next. It is shown in three ways. "
        "Point by point: each prediction is of one step, from true values. Whole sequence: the first "
        "window of the test part is true, from then on the network reads what it predicted itself. "
        "Multiple sequences: the same, but set back to true values every 50 steps. The published picture "
        "of the first way looks like a good forecast of a share index. Here each way stands beside what "
        "takes no learning: the last value that was known, and the value one season ago.",
        settings=(
            *(
                Setting(label, str(network), published)
                for (label, network), published in zip(
                    NETWORKS.items(), ("3 layers × 100 units, dropout 0.2", None), strict=True
                )
            ),
            Setting("learning rate", ", ".join(f"{name} {rate:g}" for name, rate in RATES.items()), 0.001),
            Setting("window", WINDOW, 50),
            Setting("sine wave", "as it is; first 80 % for training", "as it is; first 80 %"),
            Setting(
                "S&P 500, closing prices of 2000 to 2018",
                "each window divided by its first value, less one; first 85 % for training",
                "each window divided by its first value, less one; first 85 %",
            ),
            *(
                each
                for each in settings_of(training("lstm"), {"sequences a step": 32})
                if not each.name.startswith("optimiser")
            ),
        ),
        seeds=3,
        budget=300,
        tolerance="The LSTM that reads its own predictions follows the sine wave through the test part "
        "(an error below half of the wave's own spread), with every seed; on the S&P 500 its predictions "
        "point by point are no better than the last value (not 1 % better), with every seed.",
        run="longspan.studies.timeseries_case_work:timeseries_case",
    ),
)
