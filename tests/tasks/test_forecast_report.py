"""The report of a forecaster, from records made up from a seed."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from forecast_pages import CLEAN, LEAKS, TRIALS, backtest_of, history_of, panel_of, report_of

from longspan.evaluation.backtest import Backtest, score_table
from longspan.evaluation.conformal import calibrated, calibration_of
from longspan.evaluation.verdict import judge, untested
from longspan.metrics.quantiles import central_coverage
from longspan.tasks.forecast_report_figures import _apart

ONE = panel_of(1)
MANY = panel_of(40, 200, "用电量 (kWh)")


def words(html: str) -> str:
    """What a reader sees, without drawings and style."""
    html = re.sub(r"<style>.*?</style>|<svg.*?</svg>", " ", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def heads(html: str) -> list[str]:
    return [unescape(each) for each in re.findall(r"<h2[^>]*>(.*?)</h2>", html)]


def tables(html: str) -> list[list[list[str]]]:
    """Cells of every table, its heads first."""
    found = []
    for table in re.findall(r"<table>.*?</table>", html, flags=re.DOTALL):
        rows = re.findall(r"<tr.*?</tr>", table, flags=re.DOTALL)
        found.append([[words(cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows])
    return found


def table(html: str, head: str) -> list[list[str]]:
    (found,) = [each for each in tables(html) if each[0][0] == head]
    return found


@pytest.fixture(scope="module")
def backtest() -> Backtest:
    return backtest_of(ONE)


@pytest.fixture(scope="module")
def page(backtest: Backtest) -> str:
    return report_of(ONE, backtest)


@pytest.fixture(scope="module")
def many() -> str:
    return report_of(MANY, backtest_of(MANY, slow=30))


@pytest.fixture(scope="module")
def one_step() -> str:
    return report_of(ONE, backtest_of(ONE, 1, stride=1), 1)


def test_every_part_is_there_once_and_in_order(page: str) -> None:
    parts = ["Forecast", "Backtest", "Calibration", "Residuals", "Training", "The data", "Leakage audit"]
    assert heads(page) == [*parts, "How it was made"]
    assert len(page) < 500_000


def test_the_verdict_comes_first_in_words(page: str, backtest: Backtest) -> None:
    verdict = judge(backtest)
    assert verdict.outcome == "better"
    text = words(page)
    assert text.index(f"✓ Better than {verdict.title} {verdict.words}") < text.index(
        "Audit: 2 checks, nothing"
    )
    assert text.index("nothing leaks.") < text.index("What is forecast after the last known value.")


@pytest.mark.parametrize(
    ("error", "outcome", "title"),
    [(30.0, "worse", "✗ Worse than"), (10.3, "no difference", "= No better than")],
)
def test_a_verdict_that_is_no_victory_says_so(error: float, outcome: str, title: str) -> None:
    test = backtest_of(ONE, error=error)
    verdict = judge(test)
    assert verdict.outcome == outcome
    assert f"{title} {verdict.title} {verdict.words}" in words(report_of(ONE, verdict=verdict))


def test_too_few_origins_cannot_tell() -> None:
    html = report_of(ONE, backtest_of(ONE, origins=4))
    assert "? Cannot tell" in words(html)
    assert table(html, "steps")[1][5:] == ["–", "–"]


def test_a_leak_stands_before_the_verdict_and_clean_data_has_a_line(page: str) -> None:
    text = words(report_of(ONE, audit=LEAKS))
    assert text.index("! 2 leaks found: do not trust the scores") < text.index("Not tested")
    assert "The target shifted. Column 'load_next' is the target 3 steps later, times 2.1." in text
    assert "leaks found" not in words(page)
    one = replace(LEAKS, findings=LEAKS.findings[:1])
    assert "! 1 leak found" in words(report_of(ONE, audit=one))


def test_scores_are_those_of_the_backtest_with_calibrated_intervals(page: str, backtest: Backtest) -> None:
    mended = calibrated(backtest, calibration_of(backtest, every=False, together=False))
    rows = score_table(mended)
    shown = table(page, "method")
    assert shown[0] == ["method", "MASE", "sMAPE", "RMSE", "WQL", "in 80 %", "in 95 %"]
    assert [row[0] for row in shown[1:]] == [row.title for row in rows]
    for cells, row in zip(shown[1:], rows, strict=True):
        assert float(cells[1].split(" ")[0]) == pytest.approx(row.scores["mase"], rel=0.01)
        assert float(cells[3].split(" ")[0]) == pytest.approx(row.scores["rmse"], rel=0.01)
        coverage = row.scores.get("coverage_80")
        assert cells[5] == ("–" if coverage is None else f"{100 * coverage:.1f} %".replace(".0 ", " "))
    assert " ± " in shown[1][1]
    assert re.search(r'<tr class="strong"><th scope="row">LSTM</th>', page)


def test_an_ensemble_is_the_row_that_counts(page: str) -> None:
    assert "Pictures and residuals are of the first network." in words(page)
    html = report_of(ONE, backtest_of(ONE), ensemble=True)
    assert re.search(r'<tr class="strong"><th scope="row" class="long">LSTM, mean of 3 seeds</th>', html)
    assert not re.search(r'<tr class="strong"><th scope="row">LSTM</th>', html)
    assert "Pictures and residuals are of the first network." not in words(html)


def test_slow_methods_stand_beside_the_model_on_their_own_sample(many: str) -> None:
    whole, sample = [each for each in tables(many) if each[0][0] == "method"]
    assert [row[0] for row in sample[1:]] == [
        "LSTM",
        "LSTM, mean of 3 seeds",
        "ETS",
        "ARIMA on the STL-adjusted series",
    ]
    assert "ETS" not in [row[0] for row in whole]
    assert "Scores on 30 of 40 series, where the slow methods ran" in words(many)


def test_the_tests_behind_the_verdict_are_shown(page: str, backtest: Backtest) -> None:
    verdict = judge(backtest)
    head, *rows = table(page, "steps")
    assert head == ["steps", "network", verdict.title, "change", "95 % interval", "p", "p, Holm"]
    assert [row[0] for row in rows] == ["all, 1–24", *(f"{n}–{n + 2}" for n in range(1, 24, 3))]
    for row, each in zip(rows, verdict.comparisons, strict=True):
        assert float(row[1]) == pytest.approx(each.error, rel=0.01)
        assert row[3] == f"{each.effect:+.1f} %".replace("-", "−")
        assert each.adjusted is not None
        assert row[6] == ("< 0.001" if each.adjusted < 0.001 else f"{each.adjusted:.3f}")
    assert "Diebold–Mariano over origins, n = 8" in words(page)


def test_coverage_is_of_test_origins_before_and_after(page: str, backtest: Backtest) -> None:
    own, mended = backtest, calibrated(backtest, calibration_of(backtest, every=False, together=False))
    rows = {row[0]: row[1:] for row in table(page, "interval")[1:]}
    late = backtest.tests
    for place, test in enumerate((own, mended)):
        found = [
            central_coverage(test.actual[late], each.quantiles[late], test.levels) for each in test.model
        ]
        for share in (0.5, 0.8, 0.95):
            mean = 100 * np.mean([each[share] for each in found])
            assert float(rows[f"{100 * share:g} %"][place].split(" ")[0]) == pytest.approx(mean, abs=0.06)
    assert rows["80 %"][0] != rows["80 %"][1]
    assert "For this table, from the earlier origins: calibrated, n = " in words(page)


def test_too_few_scores_are_said_not_calibrated(one_step: str) -> None:
    text = words(one_step)
    assert re.search(
        r"from the earlier origins: calibrated, n = 8: 50 % .*; not calibrated: 80 % needs 9, 95", text
    )
    assert "not calibrated: 95 % needs 39" in text
    rows = {row[0]: row[2] for row in table(one_step, "interval")[1:]}
    assert (rows["80 %"], rows["95 %"]) == ("–", "–")


def test_one_step_ahead_has_no_errors_by_step(one_step: str, page: str) -> None:
    assert "Error by step ahead" in page
    assert "Error by step ahead" not in one_step
    assert "every method forecast the next step, knowing" in words(one_step)


def test_point_forecasts_have_no_calibration(backtest: Backtest) -> None:
    points = tuple(replace(each, quantiles=None) for each in backtest.model)
    html = report_of(ONE, replace(backtest, model=points), calibration=None) if False else ""
    bare = replace(backtest, model=points)
    html = report_of(ONE, bare, calibration=None)
    assert "Calibration" not in heads(html)
    assert table(html, "method")[0] == ["method", "MASE", "sMAPE", "RMSE", "WQL"]


def test_no_value_known_after_the_origins_is_a_page_too(backtest: Backtest) -> None:
    blank = replace(backtest, actual=np.full_like(backtest.actual, np.nan))
    html = report_of(ONE, blank)
    assert "? Cannot tell" in words(html)
    assert "Residuals" not in heads(html)


def test_no_scale_is_told_in_the_unit_of_the_data(backtest: Backtest) -> None:
    html = report_of(ONE, replace(backtest, scale=np.full_like(backtest.scale, np.nan)))
    assert table(html, "method")[0][1] == "MAE"
    assert "mean absolute error by steps ahead" in words(html).lower()


def test_trials_are_shown_with_the_best_marked(page: str) -> None:
    head, *rows = table(page, "trial")
    assert head[:3] == ["trial", "loss", "hidden size"]
    assert [row[1] for row in rows] == ["0.327", "0.262", "–", "0.21", "0.223", "0.262"]
    assert re.findall(r'<tr class="strong"><th scope="row">4</th>', page)
    failed = [{**trial, "loss": None} for trial in TRIALS]
    html = report_of(ONE, tuning=failed)
    assert not re.search(r'<tr class="strong"><th scope="row">\d</th>', html)


def test_how_it_was_made_can_be_made_again(page: str) -> None:
    text = words(page)
    for part in ("seed 0", "command longspan fit forecast load.csv --target load", "0123456789abcdef" * 4):
        assert part in text
    assert re.search(r"longspan \d.* python 3\..* torch \d.*, numpy \d", text)


def test_without_a_backtest_it_says_not_tested_and_shows_the_validation_part() -> None:
    html = report_of(panel_of(3, 200))
    assert words(html).startswith("Forecast of load Forecast of load ? Not tested There is no backtest")
    assert heads(html)[:3] == ["Forecast", "On the validation part", "Training"]
    html = report_of(ONE, verdict=untested("the series is too short"), notes=["71 values are too few"])
    assert "? Not tested Not tested: the series is too short." in words(html)
    assert "Backtest 71 values are too few" in words(html)


def test_the_verdict_reads_a_lead_where_there_is_one() -> None:
    assert "On the validation part it wins." in words(report_of(ONE, lead="on the validation part it wins"))


def test_only_a_few_of_many_series_are_drawn(many: str) -> None:
    assert many.count('<div class="row">') == 2
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", many)
    assert sum("after the last known value" in each for each in captions) == 4
    assert sum(each.startswith(("A typical series", "The series with the largest")) for each in captions) == 2
    assert "用电量 (kWh) of 区域 1" in many
    assert len(many) < 700_000


def test_the_series_with_the_largest_error_is_the_one_shown() -> None:
    test = backtest_of(MANY, slow=30)
    spoiled = []
    for each in test.model:
        median = each.median.copy()
        median[test.series == 16] += 500
        spoiled.append(replace(each, median=median))
    html = report_of(MANY, replace(test, model=tuple(spoiled)))
    (drawn,) = re.findall(r'aria-label="The series with the largest error.*?</svg>', html, flags=re.DOTALL)[
        :1
    ]
    assert f"用电量 (kWh) of {MANY.ids[16]}<" in drawn


@pytest.mark.parametrize("stride", [1, 5, 24, 30])
def test_forecasts_that_are_drawn_do_not_overlap_and_the_latest_is_one(stride: int) -> None:
    test = backtest_of(ONE, stride=stride)
    places = _apart(test, 0)
    assert places[-1] == 15
    assert test.tests[places].all()
    assert (np.diff(test.origin[places]) >= test.horizon).all()
    skipped = set(np.flatnonzero(test.tests)) - set(places)
    for place in skipped:
        assert min(abs(test.origin[place] - test.origin[kept]) for kept in places) < test.horizon


def test_equal_records_give_equal_pages(page: str, backtest: Backtest) -> None:
    assert report_of(ONE, backtest) == page


def test_every_drawing_has_words_for_those_who_do_not_see_it(page: str) -> None:
    labels = re.findall(r'<svg[^>]*aria-label="([^"]*)"', page)
    assert len(labels) == page.count("<svg")
    assert all(len(label) > 15 for label in labels)


def test_a_hostile_name_is_words_on_the_whole_page() -> None:
    panel = panel_of(1, 500, "<script>alert(1)</script>")
    html = report_of(panel, backtest_of(panel))
    assert "<script" not in html
    assert "Forecast of <script>alert(1)</script>" in words(html).replace("Forecast of  ", "")


def test_a_history_without_a_best_step_is_drawn() -> None:
    history = replace(history_of(), best_step=None, best_loss=None)
    assert "Training" in heads(report_of(ONE, histories={"seed 0": history}))


def test_what_the_audit_looked_at_is_told_where_there_was_one(page: str) -> None:
    assert CLEAN.checks[0] in words(page)
    assert "Leakage audit" not in heads(report_of(ONE, audit=None))
