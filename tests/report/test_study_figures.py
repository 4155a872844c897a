"""The chart of a study: what is drawn, in which colour, over which axes."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from longspan.core.errors import InputError
from longspan.report.palette import LINES, colour
from longspan.report.study_figures import Curve, curves_chart


def curve(name: str, *, ours: bool = False, x: tuple[float, ...] = (1, 2, 4)) -> Curve:
    values = np.array(x, np.float64)
    return Curve(name, values, values[::-1] / 4, ours)


def test_ours_is_drawn_last_in_the_colour_of_the_model_and_named_first() -> None:
    figure = curves_chart([curve("RNN"), curve("LSTM", ours=True), curve("RNN")], "sequences", "share")
    lines = figure.axes[0].get_lines()
    assert [to_hex(str(line.get_color())) for line in lines] == [
        colour(LINES[0]), colour(LINES[0]), colour("model")
    ]  # fmt: skip
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["LSTM", "RNN"]


def test_what_is_not_positive_is_left_out_of_a_logarithmic_axis() -> None:
    figure = curves_chart([curve("LSTM", x=(0, 10, 100))], "sequences", "share", log_x=True, log_y=True)
    drawn = {tuple(np.asarray(line.get_xdata()).tolist()) for line in figure.axes[0].get_lines()}
    assert drawn == {(10.0,)}, "100 has a y of 0"
    assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"


def test_a_gap_is_a_gap() -> None:
    figure = curves_chart([Curve("a", np.arange(3.0), np.array([1.0, np.nan, 2.0]))], "x", "y")
    drawn = np.asarray(figure.axes[0].get_lines()[0].get_ydata())
    assert np.isnan(drawn).tolist() == [False, True, False]


def test_the_mark_and_the_range() -> None:
    figure = curves_chart([curve("a")], "x", "y", mark=(3.0, "published"), range_y=(0, 1))
    axes = figure.axes[0]
    assert axes.get_ylim() == (0, 1)
    assert np.asarray(axes.get_lines()[-1].get_xdata()).tolist() == [3.0, 3.0]
    assert figure.legends[0].get_texts()[-1].get_text() == "published"


def test_nothing_to_draw_and_points_that_do_not_pair_are_refused() -> None:
    with pytest.raises(InputError, match="expected at least one curve, got none"):
        curves_chart([], "x", "y")
    with pytest.raises(InputError, match=r"curve 'a' of shape \(2,\), got \(3,\)"):
        Curve("a", np.zeros(2), np.zeros(3))
