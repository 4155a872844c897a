"""The page of an inspection in a real browser; LONGSPAN_SCREENSHOTS names a folder for its pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from headless import NAMES, OVERLAPS, STICKS_OUT, Browser, find_browser

import longspan
from longspan.data.synthetic import seasonal_panel, sine
from longspan.inspect.inspection import inspect_subject
from longspan.inspect.settings import InspectSettings

PHONE, DESK = 360, 1100
VIEWS = {"light": (DESK, False), "dark": (DESK, True), "phone": (PHONE, False)}
MOST_BYTES = 3_000_000


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        pytest.skip(f"no headless browser: install one of {', '.join(NAMES)}")
    started = Browser(path, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


def sine_wave(_solved, _subject_of) -> str:
    model = longspan.fit(
        "forecast", sine(600, 30.0, 0.05), target="value", horizon=12, steps=40, validate_every=20, backtest=0
    )
    return model.inspect(sine(600, 30.0, 0.05), untrained=True, against=("rnn",)).page()


def dated_series_with_a_long_name(_solved, _subject_of) -> str:
    data = seasonal_panel(2, 400, 24).rename(
        {"value": "用电量 <kWh> of_a_column_whose_name_does_not_end_soon"}
    )
    model = longspan.fit(
        "forecast", data, target=data.columns[-1], series="id", horizon=24, hidden=40, layers=2, steps=10,
        validate_every=10, backtest=0, encoder="gru",
    )  # fmt: skip
    return model.inspect(data, layers=(1, 2), window=100).page()


def tokens_of_a_solved_problem(solved, _subject_of) -> str:
    return inspect_subject(solved(10), InspectSettings()).page()


def attention(_solved, subject_of) -> str:
    return inspect_subject(subject_of("transformer", num_layers=2, lag=30)).page()


def few_units_of_both_directions(_solved, subject_of) -> str:
    return inspect_subject(subject_of("lstm", bidirectional=True, lag=60), InspectSettings(units=(2,))).page()


PAGES = [
    sine_wave,
    dated_series_with_a_long_name,
    tokens_of_a_solved_problem,
    attention,
    few_units_of_both_directions,
]


@pytest.mark.parametrize("make", PAGES)
def test_the_page_reads_on_every_screen(make, solved, subject_of, browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "inspect.html"
    page.write_text(make(solved, subject_of), "utf-8")
    assert page.stat().st_size < MOST_BYTES
    pictures = Path(os.environ.get("LONGSPAN_SCREENSHOTS") or tmp_path)
    for view, (width, dark) in VIEWS.items():
        browser.show(page, width, dark=dark)
        browser.screenshot(pictures / f"inspect-{make.__name__}-{view}.png")
        assert browser.complaints() == [], view
        assert [url for url in browser.requests() if not url.startswith("data:")] == [page.as_uri()], view
        assert browser.value("document.documentElement.scrollWidth") == width, view
        assert browser.value(STICKS_OUT) == [], view
        assert browser.value(OVERLAPS) == [], view
        pending = (
            "[...document.querySelectorAll('svg image')].filter(e => e.getBoundingClientRect().width == 0)"
        )
        assert browser.value(f"{pending}.filter(e => e.closest('.{_hidden(width)}') === null).length") == 0, (
            view
        )


def _hidden(width: int) -> str:
    """The class of the figures that this width does not show."""
    return "wide" if width == PHONE else "narrow"
