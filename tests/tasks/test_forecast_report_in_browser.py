"""The report in a real browser; LONGSPAN_SCREENSHOTS names a folder where its pictures are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from forecast_pages import LEAKS, backtest_of, panel_of, report_of
from headless import NAMES, OVERLAPS, STICKS_OUT, Browser, find_browser

PHONE, DESK = 360, 1100
VIEWS = {"light": (DESK, False), "dark": (DESK, True), "phone": (PHONE, False)}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        pytest.skip(f"no headless browser: install one of {', '.join(NAMES)}")
    started = Browser(path, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


def one_series() -> str:
    panel = panel_of(1)
    return report_of(panel, backtest_of(panel))


def many_series_in_chinese() -> str:
    panel = panel_of(40, 200, "用电量 (kWh)")
    return report_of(panel, backtest_of(panel, slow=30, error=8))


def losing_with_leaks() -> str:
    panel = panel_of(1, dated=False)
    return report_of(panel, backtest_of(panel, 1, stride=1, error=30), 1, audit=LEAKS)


def not_tested() -> str:
    return report_of(panel_of(3, 200, "load_of_a_column_whose_name_has_no_blank_and_does_not_end_soon"))


@pytest.mark.parametrize("make", [one_series, many_series_in_chinese, losing_with_leaks, not_tested])
def test_the_report_reads_on_every_screen(make, browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(make(), "utf-8")
    pictures = Path(os.environ.get("LONGSPAN_SCREENSHOTS") or tmp_path)
    for view, (width, dark) in VIEWS.items():
        browser.show(page, width, dark=dark)
        browser.screenshot(pictures / f"{make.__name__}-{view}.png")
        assert browser.complaints() == [], view
        assert [url for url in browser.requests() if not url.startswith("data:")] == [page.as_uri()], view
        assert browser.value("document.documentElement.scrollWidth") == width, view
        assert browser.value(STICKS_OUT) == [], view
        assert browser.value(OVERLAPS) == [], view
