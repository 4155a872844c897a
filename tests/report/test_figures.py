from __future__ import annotations

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import FillBetweenPolyCollection
from report_examples import TARGET, example_fan

from longspan.core.errors import InputError
from longspan.report.figures import Fan, Score, forecast_fan, learning_curve, scores_chart
from longspan.report.style import is_wide, label, wrapped
from longspan.report.svg import svg_text

NAN = float("nan")


def _axes(figure):
    (axes,) = figure.axes
    return axes


def _line(figure, name: str):
    (line,) = [line for line in _axes(figure).lines if line.get_label() == name]
    return line


def _legend(figure) -> list[str]:
    return sorted(text.get_text() for text in figure.legends[0].get_texts())


@pytest.mark.parametrize("shape", ["wide", "narrow"])
def test_a_fan_shows_every_part(shape) -> None:
    fan = example_fan()
    figure = forecast_fan(fan, shape)
    np.testing.assert_array_equal(_line(figure, "history").get_ydata(), fan.history)
    np.testing.assert_array_equal(_line(figure, "actual").get_ydata(), fan.actual)
    # Forecast lines begin at the last value that was seen.
    np.testing.assert_array_equal(_line(figure, "forecast").get_ydata(), [fan.history[-1], *fan.median])
    np.testing.assert_array_equal(_line(figure, "drift").get_ydata()[1:], fan.baselines["drift"])
    assert _axes(figure).get_title(loc="left") == TARGET
    assert _legend(figure) == sorted(
        ["history", "actual", "forecast", "50 %", "80 %", "95 %", "seasonal naive", "drift"]
    )


def test_bands_run_between_their_quantiles() -> None:
    fan = example_fan()
    bands = [c for c in _axes(forecast_fan(fan)).collections if isinstance(c, FillBetweenPolyCollection)]
    assert len(bands) == 3
    for band, (low, high) in zip(bands, ((0, 6), (1, 5), (2, 4)), strict=True):  # widest below
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.min() == pytest.approx(fan.quantiles[:, low].min())
        assert heights.max() == pytest.approx(max(fan.quantiles[:, high].max(), fan.history[-1]))


def test_levels_without_a_partner_make_no_band() -> None:
    fan = example_fan(levels=(0.1, 0.2, 0.5), quantiles=np.zeros((24, 3)))
    assert not _axes(forecast_fan(fan)).collections


def test_other_levels_make_their_own_bands() -> None:
    fan = example_fan(levels=(0.2, 0.5, 0.8), quantiles=np.zeros((24, 3)))
    assert "60 %" in _legend(forecast_fan(fan))
    many = (0.01, 0.05, 0.15, 0.2, 0.3, 0.7, 0.8, 0.85, 0.95, 0.99)
    fan = example_fan(levels=many, quantiles=np.zeros((24, 10)))
    assert [name for name in _legend(forecast_fan(fan)) if "%" in name] == ["70 %", "90 %", "98 %"]


def test_ticks_are_plain_numbers() -> None:
    fan = example_fan(target="load", history=np.linspace(-4e10, 4e10, 72))
    figure = forecast_fan(fan)
    figure.draw_without_rendering()
    ticks = {text.get_text() for text in _axes(figure).get_yticklabels()}
    assert {"0", "20,000,000,000", "−20,000,000,000"} <= ticks


def test_gaps_stay_open_and_a_lone_value_is_a_dot() -> None:
    history = example_fan().history.copy()
    history[10:20] = NAN
    history[15] = 100
    figure = forecast_fan(example_fan(history=history))
    np.testing.assert_array_equal(_line(figure, "history").get_ydata(), history)
    (dot,) = [line for line in _axes(figure).lines if line.get_marker() == "."]
    np.testing.assert_array_equal(dot.get_ydata(), [100])


def test_a_fan_after_a_missing_value_starts_on_its_own() -> None:
    history = np.append(example_fan().history[:-1], NAN)
    fan = example_fan(history=history)
    np.testing.assert_array_equal(_line(forecast_fan(fan), "forecast").get_ydata(), fan.median)


@pytest.mark.parametrize(
    "changed",
    [
        {"times": np.arange(96), "actual": None, "baselines": {}, "quantiles": None, "levels": ()},
        {"history": np.zeros(0), "times": np.arange(24)},
        {"history": np.full(72, NAN), "actual": np.full(24, NAN)},
        {"median": np.full(24, 7.0), "history": np.full(72, 7.0)},
        {
            "history": np.zeros(0),
            "times": np.array(["2024-03-01"], "datetime64[us]"),
            "median": np.ones(1),
            "actual": None,
            "baselines": {},
            "quantiles": None,
        },
    ],
    ids=["plain", "no history", "nothing known", "constant", "one step"],
)
def test_poor_fans_are_drawn_too(changed) -> None:
    assert svg_text(forecast_fan(example_fan(**changed)), "a fan").startswith("<svg")


def test_one_step_ahead_can_be_seen() -> None:
    one = np.array([5.0])
    bare = {"quantiles": None, "levels": (), "actual": None, "baselines": {}}
    fan = example_fan(history=np.array([NAN]), times=np.arange(2), median=one, **bare)
    assert [line.get_marker() for line in _axes(forecast_fan(fan)).lines][2] == "."


def test_dates_are_written_as_the_data_has_them() -> None:
    def ticks(times) -> list[str]:
        figure = forecast_fan(example_fan(target="load", times=times))
        figure.draw_without_rendering()
        axis = _axes(figure).xaxis
        return [tick.get_text() for tick in axis.get_ticklabels()] + [axis.get_offset_text().get_text()]

    hours = ticks(example_fan().times)
    assert "03 Mar" in hours
    assert "2024" in hours[-1]
    months = ticks(np.arange("1990-01", "1998-01", dtype="datetime64[M]").astype("datetime64[us]"))
    assert {"1992", "1996"} <= set(months)
    assert _axes(forecast_fan(example_fan(times=np.arange(96)))).get_xlabel() == "step"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"times": np.arange(95)}, "figure: expected times of shape (96,), got (95,)"),
        ({"quantiles": np.zeros((24, 2))}, "figure: expected quantiles of shape (24, 7), got (24, 2)"),
        ({"actual": np.zeros(3)}, "figure: expected actual of shape (24,), got (3,)"),
        ({"baselines": {"drift": np.zeros(2)}}, "figure: expected baseline 'drift' of shape (24,), got (2,)"),
    ],
)
def test_a_fan_refuses_shapes_that_do_not_meet(changed, text: str) -> None:
    with pytest.raises(InputError) as caught:
        example_fan(**changed)
    assert str(caught.value) == text


def test_a_learning_curve_marks_the_kept_step() -> None:
    steps, validation = np.array([10, 20, 30]), np.array([3.0, 1.0, 2.0])
    figure = learning_curve(steps, validation, [NAN, 2.0, 1.0], best_step=20, loss="pinball loss")
    assert _legend(figure) == ["kept: step 20", "training", "validation"]
    (kept,) = _line(figure, "kept: step 20").get_xydata()
    np.testing.assert_array_equal(kept, [20, 1.0])
    assert _axes(figure).get_title(loc="left") == "pinball loss"
    assert _axes(figure).get_yscale() == "linear"


def test_other_seeds_are_thin_and_named_once() -> None:
    beside = [([10, 30], [2.0, 1.5]), ([10, 20], [2.5, NAN])]
    figure = learning_curve([10, 20], [3.0, 1.0], beside=beside, shape="narrow")
    assert _legend(figure) == ["networks of the backtest", "validation"]
    thin = [line for line in _axes(figure).lines if line.get_label() == "networks of the backtest"]
    assert [line.get_ydata()[0] for line in thin] == [2.0, 2.5]
    assert all(line.get_linewidth() < 1 for line in thin)


def test_a_loss_over_decades_is_drawn_on_a_log_scale() -> None:
    figure = learning_curve([1, 2], [100.0, 1.0])
    assert _axes(figure).get_yscale() == "log"
    figure.draw_without_rendering()
    assert {"1", "10", "100"} <= {text.get_text() for text in _axes(figure).get_yticklabels()}
    assert "$" not in svg_text(figure, "a learning curve")
    assert _axes(learning_curve([1, 2], [100.0, -1.0])).get_yscale() == "linear"
    assert svg_text(learning_curve([1], [NAN]), "nothing").startswith("<svg")


def test_a_learning_curve_refuses_what_does_not_meet() -> None:
    with pytest.raises(InputError, match="expected best_step to be one of the steps, got 15"):
        learning_curve([10, 20], [1.0, 2.0], best_step=15)
    with pytest.raises(InputError, match=r"expected train of shape \(2,\), got \(1,\)"):
        learning_curve([10, 20], [1.0, 2.0], [1.0])


def test_scores_are_bars_from_the_top_in_the_order_given() -> None:
    scores = [
        Score("ours", 0.8, 0.1, ours=True),
        Score("_other", 1.5),
        Score("$a_b$", NAN),
        Score("big", 12345.0),
    ]
    axes = _axes(scores_chart(scores, "MASE"))
    assert [text.get_text() for text in axes.get_yticklabels()] == ["ours", "_other", "$a_b$", "big"]
    assert [bar.get_width() for bar in axes.patches] == [0.8, 1.5, 12345.0]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert [text.get_text() for text in axes.texts] == ["0.8 ± 0.1", "1.5", "unknown", "12,345"]
    assert axes.get_title(loc="left") == "MASE, less is better"


@pytest.mark.parametrize(
    "score", [Score("a", -1.0), Score("a", float("inf")), Score("a", 1.0, -0.1), Score("a", 1.0, NAN)]
)
def test_scores_that_make_no_bar_are_refused(score) -> None:
    with pytest.raises(InputError, match=r"expected a score of at least zero or NaN.*got Score\(name='a'"):
        scores_chart([Score("b", 1.0), score], "MASE")


def test_no_scores_are_refused() -> None:
    with pytest.raises(InputError, match="expected at least one score, got none"):
        scores_chart([], "MASE")


def test_all_scores_zero_or_unknown() -> None:
    assert "unknown" in svg_text(scores_chart([Score("a", 0.0), Score("b", NAN)], "MASE"), "bars")


def test_labels_are_one_printable_line() -> None:
    assert label("units\n sold\x00") == "units sold\ufffd"
    assert label("x" * 100) == "x" * 59 + "…"


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    before = dict(matplotlib.rcParams)
    svg_text(forecast_fan(example_fan()), "a fan")
    assert dict(matplotlib.rcParams) == before


def test_pyplot_is_never_imported() -> None:
    code = (
        "import sys, longspan.report.page\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from longspan.report.figures import Score, scores_chart\n"
        "from longspan.report.svg import svg_text\n"
        "svg_text(scores_chart([Score('a', 1.0)], 'MASE'), 'one bar')\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def _drawn_ticks(times: np.ndarray, history: int, shape) -> np.ndarray:
    values = np.zeros(len(times))
    fan = Fan(TARGET, times, values[:history], values[history:])
    axis = _axes(forecast_fan(fan, shape)).xaxis
    ticks, (low, high) = axis.get_ticklocs(), axis.get_view_interval()
    axis.get_major_formatter().format_ticks(ticks)
    return ticks[(low <= ticks) & (ticks <= high)]


@pytest.mark.parametrize("shape", ["wide", "narrow"])
@pytest.mark.parametrize("step", ["ms", "s", "m", "15m", "30m", "h", "6h", "D", "W", "M", "3M", "Y"])
def test_dates_find_ticks_without_a_warning_for_every_frequency_and_horizon(step: str, shape) -> None:
    unit = step[-2:] if step == "ms" else step[-1]
    by = np.timedelta64(int(step.removesuffix(unit) or 1), unit)
    for horizon in (1, 4, 20, 48, 500):
        for history in (0, 1, 3, 2 * horizon):
            start = np.datetime64("2024-02-27", unit)
            times = (start + np.arange(history + horizon) * by).astype("datetime64[us]")
            ticks = _drawn_ticks(times, history, shape)
            assert len(ticks) <= (8 if shape == "wide" else 5), (horizon, history, ticks)
            # A third of a long narrow axis is still a place to read a date from.
            assert len(ticks) >= (1 if len(times) < 5 or step == "ms" else 2), (horizon, history, ticks)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**10), st.floats(-3, 10), st.sampled_from(["wide", "narrow"]))
def test_dates_of_any_span_find_ticks_without_a_warning(start: int, digits: float, shape) -> None:
    span = int(10 ** (6 + digits))
    times = (start * 10**6 + np.array([0, span])).astype("datetime64[us]")
    assert len(_drawn_ticks(times, 1, shape)) <= 9


@pytest.mark.parametrize(
    ("line", "letters", "lines", "rows"),
    [
        ("load", 10, 2, ["load"]),
        ("seasonal naive", 10, 2, ["seasonal", "naive"]),
        ("ridge on the window", 12, 2, ["ridge on the", "window"]),
        ("a_name_without_a_blank", 10, 3, ["a_name_wit", "hout_a_bla", "nk"]),
        ("a_name_without_a_blank", 10, 2, ["a_name_wit", "hout_a_bl…"]),
        ("用电量的季节均值", 8, 2, ["用电量的", "季节均值"]),
        ("用电量", 1, 2, ["用", "电…"]),
        ("", 5, 2, [""]),
    ],
)
def test_long_names_are_broken(line: str, letters: int, lines: int, rows: list[str]) -> None:
    assert wrapped(line, letters, lines).split("\n") == rows


@given(st.text(max_size=200), st.integers(2, 60), st.integers(1, 4))
def test_a_broken_name_fits_and_begins_as_it_should(text: str, letters: int, lines: int) -> None:
    line = label(text, 120)
    rows = wrapped(line, letters, lines).split("\n")
    assert len(rows) <= lines
    assert all(sum(1 + is_wide(letter) for letter in row) <= letters + 1 for row in rows)
    whole = "".join("".join(rows).split())
    assert whole == "".join(line.split()) or (
        whole.endswith("…") and "".join(line.split()).startswith(whole[:-1])
    )
