from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection, LineCollection

from longspan.core.errors import InputError
from longspan.report.rolling import Origin, Rolling, StepError, coverage_chart, errors_by_step, rolling_chart
from longspan.report.svg import svg_text

NAN = float("nan")
SHAPES = ("wide", "narrow")


def _axes(figure):
    (axes,) = figure.axes
    return axes


def _legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def rolling(**changed) -> Rolling:
    times = np.datetime64("2024-03-01T00") + np.arange(12).astype("timedelta64[h]")
    line = np.arange(4.0)
    given = {
        "target": "用电量",
        "times": times,
        "actual": np.arange(12.0),
        "origins": [Origin(first, line, line - 1, line + 1, line + 2) for first in (4, 8)],
        "interval": "80 %",
        "baseline": "seasonal naive",
    }
    return Rolling(**{**given, **changed})


@pytest.mark.parametrize("shape", SHAPES)
def test_every_origin_is_drawn_at_its_own_times(shape) -> None:
    example = rolling()
    figure = rolling_chart(example, shape)
    lines = [line for line in _axes(figure).lines if len(line.get_xdata()) == 4]
    assert [line.get_xdata()[0] for line in lines] == [example.times[n] for n in (4, 4, 8, 8)]
    np.testing.assert_array_equal(lines[1].get_ydata(), example.origins[0].median)
    np.testing.assert_array_equal(lines[0].get_ydata(), example.origins[0].baseline)
    bands = [c for c in _axes(figure).collections if isinstance(c, FillBetweenPolyCollection)]
    assert len(bands) == 2
    assert sorted(_legend(figure)) == sorted(["actual", "forecast", "80 %", "seasonal naive"])
    assert "用电量" in svg_text(figure, "rolling")


def test_one_step_ahead_is_a_dot_with_an_interval_that_can_be_seen() -> None:
    one = np.ones(1)
    figure = rolling_chart(rolling(origins=[Origin(n, one, one - 1, one + 1, one * 2) for n in (3, 4)]))
    bars = [c for c in _axes(figure).collections if isinstance(c, LineCollection)]
    assert [bar.get_segments()[0][:, 1].tolist() for bar in bars] == [[0.0, 2.0], [0.0, 2.0]]
    assert sum(line.get_marker() == "o" for line in _axes(figure).lines) == 4


def test_a_point_forecast_without_a_baseline_has_neither_in_the_legend() -> None:
    figure = rolling_chart(rolling(origins=[Origin(0, np.zeros(12))], interval="", baseline=""))
    assert sorted(_legend(figure)) == ["actual", "forecast"]
    assert _legend(rolling_chart(rolling(origins=[]))) == ["actual"]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"actual": np.zeros(3)}, "figure: expected actual of shape (12,), got (3,)"),
        (
            {"origins": [Origin(9, np.zeros(4))]},
            "rolling_chart: expected origins inside the 12 times, got steps 9 to 12",
        ),
        ({"origins": [Origin(0, np.zeros(4), np.zeros(3))]}, "figure: expected low of shape (4,), got (3,)"),
    ],
)
def test_what_does_not_meet_is_refused(changed, text: str) -> None:
    with pytest.raises(InputError) as caught:
        rolling(**changed)
    assert str(caught.value) == text


@pytest.mark.parametrize("shape", SHAPES)
def test_errors_by_step_have_one_line_a_method_and_a_band_for_the_seeds(shape) -> None:
    names = [f"{n}–{n + 2}" for n in range(1, 22, 3)]
    errors = [
        StepError("LSTM", np.arange(7.0), np.ones(7), ours=True),
        StepError("季节均值", np.array([NAN, *range(6)])),
    ]
    figure = errors_by_step(names, errors, "MASE", shape)
    axes = _axes(figure)
    np.testing.assert_array_equal([line.get_ydata() for line in axes.lines], [each.values for each in errors])
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (-1.0, 7.0)
    assert axes.get_ylim()[0] == 0
    shown = [text.get_text() for text in axes.get_xticklabels()]
    assert shown == (names if shape == "wide" else names[::2])
    assert sorted(_legend(figure)) == sorted(["LSTM", "季节均值"])


def test_errors_by_step_refuse_what_does_not_meet() -> None:
    with pytest.raises(InputError, match=r"errors of 'LSTM' of shape \(2,\), got \(1,\)"):
        errors_by_step(["1", "2"], [StepError("LSTM", np.ones(1))], "MASE")
    with pytest.raises(InputError, match=r"spread of 'LSTM' of shape \(2,\), got \(1,\)"):
        errors_by_step(["1", "2"], [StepError("LSTM", np.ones(2), np.ones(1))], "MASE")
    with pytest.raises(InputError, match="at least one method and one group of steps, got 0 and 1"):
        errors_by_step(["1"], [], "MASE")


@pytest.mark.parametrize("shape", SHAPES)
def test_coverage_is_drawn_in_percent_beside_what_it_should_be(shape) -> None:
    figure = coverage_chart([0.5, 0.8, 0.95], [0.4, 0.6, 0.7], [0.5, NAN, 0.94], shape)
    nominal, own, mended = _axes(figure).lines
    np.testing.assert_array_equal(nominal.get_xdata(), nominal.get_ydata())
    np.testing.assert_allclose(own.get_xydata(), [(50, 40), (80, 60), (95, 70)])
    np.testing.assert_allclose(mended.get_ydata(), [50, NAN, 94])
    assert _legend(coverage_chart([0.5], [0.4])) == ["as it is called", "of the network"]
    with pytest.raises(InputError, match=r"expected after of shape \(1,\), got \(2,\)"):
        coverage_chart([0.5], [0.4], [0.5, 0.6])
