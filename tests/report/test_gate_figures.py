from __future__ import annotations

import numpy as np
import pytest

from longspan.core.errors import InputError
from longspan.report.gate_figures import Fading, GateRow, fading_chart, gate_rows, squashing_chart
from longspan.report.heatmap import Strip
from longspan.report.palette import colour

STEPS = 30
STRIP = Strip(np.arange(1, STEPS + 1), "load, MW", np.sin(np.arange(STEPS) / 3.0))
FORGET = GateRow("forget gate", np.linspace(0.1, 0.9, STEPS), "orange")
CELL = GateRow("cell state", np.linspace(-3, 2, STEPS), "model", gate=False)


def test_gates_stand_below_the_values_on_one_time_axis() -> None:
    figure = gate_rows(STRIP, [FORGET, CELL])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["load, MW", "forget gate", "cell state"]
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    for axes, row in zip(figure.axes[1:], (FORGET, CELL), strict=True):
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), row.values)
        assert axes.lines[0].get_color() == colour(row.shade)
    assert figure.axes[1].get_ylim() == (0, 1)
    low, high = figure.axes[2].get_ylim()
    assert low < -3 < 2 < high


def test_a_narrow_figure_has_narrow_paper() -> None:
    assert gate_rows(STRIP, [FORGET], "narrow").get_figwidth() < gate_rows(STRIP, [FORGET]).get_figwidth()


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected row 'short' of shape \(30,\), got \(3,\)"):
        gate_rows(STRIP, [GateRow("short", np.zeros(3), "green")])
    with pytest.raises(InputError, match="expected values and at least one row below them, got none"):
        gate_rows(STRIP, [])
    with pytest.raises(InputError, match="expected values and at least one row"):
        gate_rows(Strip(STRIP.places, "words", tokens=("a",) * STEPS), [FORGET])


def test_below_the_threshold_a_value_is_pale() -> None:
    held = 0.5 ** np.arange(8.0)
    figure = fading_chart([Fading("unit 1", held, "model")], 0.05, "share", "years", "forgotten")
    pale, strong = figure.axes[0].lines[:2]
    assert pale.get_alpha() < 1
    np.testing.assert_array_equal(pale.get_ydata(), held)
    np.testing.assert_array_equal(np.isnan(np.asarray(strong.get_ydata(), float)), held < 0.05)
    assert [text.get_text() for text in figure.axes[0].texts] == ["forgotten"]


def test_the_legend_names_those_that_have_a_title_in_their_order() -> None:
    held = np.ones(4)
    fadings = [Fading("long", held, "model"), Fading("others", held), Fading("", held)]
    figure = fading_chart(fadings, 0.05, "share", "years", "forgotten")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["long", "others"]
    on_top = figure.axes[0].lines[5].get_color()
    assert on_top == colour("model"), "the first is drawn last"


@pytest.mark.parametrize("threshold", [0.0, 1.0, float("nan")])
def test_a_threshold_outside_of_its_range_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match=r"expected a line or more and a threshold in \(0, 1\), got 1 and"):
        fading_chart([Fading("", np.ones(3))], threshold, "share", "years", "")


def test_the_squashing_functions_are_drawn_with_their_slopes() -> None:
    figure = squashing_chart(("logistic", "tanh"), "slope")
    for axes, most, low in zip(figure.axes, (0.25, 1.0), (0.0, -1.0), strict=True):
        x, values = (np.asarray(each, float) for each in axes.lines[0].get_data())
        slope = np.asarray(axes.lines[1].get_ydata(), float)
        assert values[0] == pytest.approx(low, abs=0.01)
        np.testing.assert_allclose(np.gradient(values, x)[1:-1], slope[1:-1], atol=2e-3)
        assert slope.max() == pytest.approx(most)
        assert [text.get_text() for text in axes.texts] == [f"slope ≤ {most:g}"]
