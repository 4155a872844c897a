"""The figures of a comparison: what is drawn where, and what does not fit."""

from __future__ import annotations

import math
from typing import Literal

import pytest
from matplotlib.figure import Figure

from longspan.core.errors import InputError
from longspan.report.compare_figures import (
    Course,
    Effect,
    Mark,
    courses_chart,
    effects_chart,
    standings_chart,
)
from longspan.report.palette import colour
from longspan.report.svg import svg_text

MARKS = [
    Mark("LSTM", 0.8, (0.79, 0.8, 0.81), 0.01, ours=True, network=True),
    Mark("GRU", 0.82, (0.82, 0.82, 0.82), 0.0, network=True),
    Mark("seasonal naive", 0.9),
    Mark("last value", 40.0),
    Mark("RNN", math.nan, network=True),
]


def texts(figure: Figure) -> str:
    return str(svg_text(figure, "a figure"))


@pytest.mark.parametrize("shape", ["wide", "narrow"])
def test_standings_show_every_method_with_its_value(shape: Literal["wide", "narrow"]) -> None:
    figure = standings_chart(MARKS, "MASE", shape)
    text = texts(figure)
    for words in (
        "0.8 ± 0.01",
        "0.82 ± 0",
        "0.9",
        "40",
        "unknown",
        "LSTM",
        "seasonal naive",
        "MASE, less is better",
    ):
        assert words in text, words


def test_the_axis_holds_the_networks_and_not_what_is_far_off() -> None:
    low, high = standings_chart(MARKS, "MASE").axes[0].get_xlim()
    assert low < 0.79
    assert 0.9 < high < 1.2, "the last value, 40, is a triangle at the edge"
    far = [line for line in standings_chart(MARKS, "MASE").axes[0].lines if line.get_marker() == ">"]
    assert [list(line.get_ydata()) for line in far] == [[3]]
    only = standings_chart([Mark("a", 40.0), Mark("b", 41.0)], "MASE").axes[0].get_xlim()
    assert only[1] > 41


def test_standings_refuse_what_cannot_be_drawn() -> None:
    with pytest.raises(InputError, match="at least one mark"):
        standings_chart([], "MASE")
    with pytest.raises(InputError, match="a value of at least zero or NaN, finite, got Mark"):
        Mark("a", math.inf)


@pytest.mark.parametrize("shape", ["wide", "narrow"])
def test_effects_are_coloured_where_they_are_clear(shape: Literal["wide", "narrow"]) -> None:
    effects = [
        Effect("RNN", -12.0, -20.0, -4.0, clear=True),
        Effect("CNN", 8.0, 2.0, 14.0, clear=True),
        Effect("GRU", 1.0, -5.0, 7.0, clear=False),
        Effect("seasonal naive", 900.0, 500.0, 1300.0, clear=True),
        Effect("feedforward", 3.0, None, None, clear=False),
    ]
    figure = effects_chart(effects, "LSTM", "MASE", shape)
    axes = figure.axes[0]
    dots = {int(line.get_ydata()[0]): line for line in axes.lines if line.get_linestyle() == "None"}
    shades = [dots[place].get_color() for place in range(5)]
    assert shades == [colour(name) for name in ("model", "orange", "muted", "orange", "muted")]
    assert dots[3].get_marker() == ">"
    low, high = axes.get_xlim()
    assert -40 < low < -20, "no more room than there are effects"
    assert 100 < high < 120, "what is far off is cut"
    assert "left of zero the LSTM is better" in " ".join(
        texts(figure).split("\n")
    ) or "MASE of the LSTM" in texts(figure)
    with pytest.raises(InputError, match="at least one effect"):
        effects_chart([], "LSTM", "MASE")


@pytest.mark.parametrize("shape", ["wide", "narrow"])
def test_courses_differ_in_colour_or_dashes(shape: Literal["wide", "narrow"]) -> None:
    names = ("lstm", "rnn", "gru", "feedforward", "cnn", "transformer", "mlp")
    courses = [
        Course(name, (-1.0, -0.5, 0.0), (1.0, math.nan, 0.5), (0.1, None, 0.1), name == "lstm")
        for name in names
    ]
    courses.append(Course("naive", (-1.0, 0.0), (1.2, 1.2), simple=True))
    ticks = [(-1.0, "10 %"), (0.0, "100 %")]
    figure = courses_chart(courses, "MASE", "share", ticks=ticks, shape=shape)
    lines = [line for line in figure.axes[0].lines if line.get_label() in (*names, "naive")]
    assert len(lines) == 8
    looks = {(line.get_color(), str(line._dash_pattern)) for line in lines}  # type: ignore[attr-defined]
    assert len(looks) == 8
    assert "10 %" in texts(figure)


def test_courses_refuse_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="at least one course"):
        courses_chart([], "MASE", "step")
    with pytest.raises(InputError, match="Course 'a': expected x, y and spread of one length"):
        Course("a", (1.0,), (1.0, 2.0))
