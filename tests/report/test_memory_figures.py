from __future__ import annotations

import numpy as np
import pytest

from longspan.core.errors import InputError
from longspan.report.memory_figures import LagLine, Mark, half_lives, lag_chart, removal_chart
from longspan.report.svg import svg_text

SHAPES = ("wide", "narrow")
LAGS = np.arange(30)


def _legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def decay(rate: float, **options) -> LagLine:
    values = rate ** LAGS.astype(float)
    return LagLine(f"rate {rate}", LAGS, values, values / 2, values * 2, **options)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_constant_rate_is_a_straight_line(shape) -> None:
    figure = lag_chart([decay(0.5), decay(0.9, ours=True)], "size", "lag", shape)
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")
    for line in axes.lines:
        assert np.ptp(np.diff(np.log(line.get_ydata()))) < 1e-9
    assert _legend(figure) == ["rate 0.9", "rate 0.5"], "ours comes first"
    svg_text(figure, "decay")


def test_lines_beside_ours_differ() -> None:
    figure = lag_chart([decay(0.5), decay(0.6)], "size", "lag")
    assert len({(line.get_color(), str(line.get_linestyle())) for line in figure.axes[0].lines}) == 2


def test_what_has_vanished_is_left_out() -> None:
    values = np.where(LAGS < 10, 0.1 ** LAGS.astype(float), 0.0)
    figure = lag_chart([LagLine("a", LAGS, values)], "size", "lag")
    assert np.isnan(figure.axes[0].lines[0].get_ydata()[10:]).all()
    svg_text(figure, "vanished")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("longest", [1, 7, 300, 10_000])
def test_removals_and_marks_of_any_length(longest: int, shape) -> None:
    lags = np.unique(np.geomspace(1, longest, 12).astype(np.int64))
    lines = [LagLine("cut off", lags, 1.0 / lags), LagLine("scrambled", lags, 0.8 / lags, ours=True)]
    figure = removal_chart(lines, [Mark("used", int(lags[-1])), Mark("gates", 1)], "rise", 0.02, shape)
    assert sorted(_legend(figure)) == sorted(["scrambled", "cut off", f"used: {lags[-1]:,}", "gates: 1"])
    low, high = figure.axes[0].get_xlim()
    assert low < 0
    assert high > longest
    svg_text(figure, "removals")


def test_half_lives_beyond_what_was_seen_are_open() -> None:
    figure = half_lives(np.array([3.0, np.inf, 1.0, 500.0]), 100)
    closed, beyond = figure.axes[0].lines
    assert closed.get_ydata().tolist() == [3.0, 1.0]
    assert beyond.get_ydata().tolist() == [100.0, 100.0]
    assert beyond.get_fillstyle() == "none"
    assert _legend(figure) == ["half-life", "longer than was seen"]
    svg_text(half_lives(np.full(4, np.inf), 100), "none is forgotten")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"lag_chart: expected at least one line, got none"):
        lag_chart([], "size", "lag")
    with pytest.raises(InputError, match=r"removal_chart: expected at least one line, got none"):
        removal_chart([], [], "rise", 0.02)
    with pytest.raises(InputError, match=r"expected low of 'a' of shape \(30,\), got \(29,\)"):
        LagLine("a", LAGS, np.ones(30), np.ones(29), np.ones(30))
