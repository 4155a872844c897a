"""Pages and figures that the tests of this folder share."""

from __future__ import annotations

from typing import Any

import numpy as np

from longspan.report.figures import Fan, Score, forecast_fan, learning_curve, scores_chart
from longspan.report.page import Callout, Figure, KeyValues, Notes, Page, Paragraph, Row, Section, Table
from longspan.report.residuals import residual_histogram
from longspan.report.svg import svg_text

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
TARGET = "用电量 (kWh)"


def example_fan(**changed: Any) -> Fan:
    steps = np.arange(96)
    series = 100 + 30 * np.sin(steps * np.pi / 12)
    median, width = series[72:], 1 + np.arange(24.0)
    quantiles = median[:, None] + width[:, None] * np.linspace(-2, 2, len(LEVELS))
    given: dict[str, Any] = {
        "target": TARGET,
        "times": np.datetime64("2024-03-01T00") + steps.astype("timedelta64[h]"),
        "history": series[:72],
        "median": median,
        "quantiles": quantiles,
        "levels": LEVELS,
        "actual": median + 1,
        "baselines": {"seasonal naive": median - 5, "drift": np.linspace(90.0, 120.0, 24)},
    }
    return Fan(**{**given, **changed})


def example_page() -> Page:
    fan = example_fan()
    steps = np.arange(100, 1100, 100)
    bars = residual_histogram(np.sin(steps), "actual less forecast")
    scores = [Score("LSTM", 0.84, 0.01, ours=True), Score("季节均值", 1.2)]
    return Page(
        title="用电量 & <b>friends</b>",
        lead=f"The forecast of {'a_name_without_a_blank_' * 5} beats the strongest baseline.",
        sections=[
            Section(
                "Forecast",
                [
                    Paragraph("A paragraph."),
                    Figure(
                        svg_text(forecast_fan(fan), "Forecast fan of 用电量"),
                        "History and forecast.",
                        svg_text(forecast_fan(fan, "narrow"), "Forecast fan of 用电量"),
                    ),
                ],
            ),
            Section(
                "Scores",
                [
                    Figure(svg_text(scores_chart(scores, "MASE"), "Two bars"), "MASE of each method."),
                    Row([Figure(svg_text(bars, f"Histogram {place}"), "Residuals.") for place in range(2)]),
                    Table(
                        "Scores of each method",
                        ["method", "MASE", "用电量 mean error", "80 % coverage"],
                        [["LSTM", 0.84123, 12345.6, "78 %"], ["季节均值", 1.2, None, "–"]],
                        strong=[0],
                    ),
                ],
            ),
            Section(
                "Training",
                [
                    Figure(
                        svg_text(learning_curve(steps, 1 / steps, best_step=1000), "Learning curve"), "Loss."
                    ),
                    KeyValues([("parameters", 123456), ("命令", "longspan fit forecast --target 用电量")]),
                    Notes(["12 values were missing.", "<script>alert('note')</script>"]),
                ],
            ),
        ],
        footer="longspan, seed 0",
        top=[
            Callout("bad", "季节均值 is better", "Use it instead: MASE 0.84 against 1.2."),
            Callout("alarm", "1 leak found", items=["the target shifted, column 用电量: by 3 steps"]),
        ],
    )
