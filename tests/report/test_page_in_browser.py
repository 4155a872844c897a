"""The page in a real browser: headless Chromium, where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from headless import NAMES, OVERLAPS, STICKS_OUT, Browser, find_browser
from report_examples import example_page

from longspan.report.page import render

# The width of the first element that is drawn, -1 where there is none.
WIDTH = (
    "(() => {{ const e = document.querySelector('{}'); return e ? e.getBoundingClientRect().width : -1; }})()"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        pytest.skip(f"no headless browser: install one of {', '.join(NAMES)}")
    started = Browser(path, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(render(example_page()), "utf-8")
    return path


def test_a_broken_page_shows_on_the_console(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "broken.html"
    html = render(example_page()).replace("</main>", "<script>nothing()</script><img src='a.png'></main>")
    page.write_text(html, "utf-8")
    browser.show(page, 800)
    assert sum("Content Security Policy" in line for line in browser.complaints()) == 2


def test_what_sticks_out_and_what_overlaps_is_seen(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "poor.html"
    words = "<text x='0' y='20'>one word</text><text x='20' y='22'>another</text>"
    page.write_text(f"<body><svg>{words}</svg><p style='width: 900px'>wide</p>", "utf-8")
    browser.show(page, 600)
    assert browser.value(OVERLAPS) == ["drawing 0: one word | another"]
    assert browser.value(STICKS_OUT) == ["P : wide"]


def test_the_page_loads_without_a_word_on_the_console(browser: Browser, page: Path) -> None:
    browser.show(page, 900)
    assert browser.complaints() == []
    assert [url for url in browser.requests() if not url.startswith("data:")] == [page.as_uri()]
    for name, number in (("svg", 6), ("section", 3), ("tbody", 1), (".callout", 2), ("script", 0)):
        assert browser.value(f"document.querySelectorAll('{name}').length") == number, name
    texts = browser.value("[...document.querySelectorAll('svg text')].map(e => e.textContent)")
    assert "用电量 (kWh)" in texts
    assert "季节均值" in browser.value("[...document.querySelectorAll('th')].map(e => e.textContent)")
    assert browser.value("document.title") == "用电量 & <b>friends</b>"


@pytest.mark.parametrize("width", [320, 360, 390, 768, 1280])
def test_nothing_sticks_out_and_no_words_overlap(browser: Browser, page: Path, width: int) -> None:
    browser.show(page, width)
    assert browser.value("document.documentElement.scrollWidth") == width
    assert browser.value(STICKS_OUT) == []
    assert browser.value(OVERLAPS) == []


def test_on_a_phone_the_narrow_figure_shows(browser: Browser, page: Path) -> None:
    browser.show(page, 390)
    assert browser.value(WIDTH.format(".two .wide svg")) == 0
    assert 340 < browser.value(WIDTH.format(".two .narrow svg")) < 390
    browser.show(page, 900)
    assert browser.value(WIDTH.format(".two .narrow svg")) == 0
    assert 700 < browser.value(WIDTH.format(".two .wide svg")) < 900


def test_figures_follow_the_theme_of_the_reader(browser: Browser, page: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('.two .wide text')).fill"
    browser.show(page, 800)
    light = browser.value(ground), browser.value(ink)
    browser.show(page, 800, dark=True)
    dark = browser.value(ground), browser.value(ink)
    assert (light[0], dark[0]) == ("rgb(255, 255, 255)", "rgb(20, 24, 28)")
    assert light[1] != dark[1]
    browser.show(page, 800, dark=True, media="print")
    assert browser.value(ground) == light[0], "a dark page is no use on paper"
