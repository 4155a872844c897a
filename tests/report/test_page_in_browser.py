"""The page in a real browser: headless Chromium, where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_examples import example_page

from longspan.report.page import render

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--v=0",
    "--virtual-time-budget=2000",
    "--dump-dom",
)


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no headless browser: install one of {', '.join(NAMES)}")
    return found


def _open(browser: str, page: Path, *flags: str) -> tuple[str, list[str]]:
    """The DOM after loading, and the lines of the console."""
    profile = page.parent / "profile"
    command = [browser, *FLAGS, *flags, f"--user-data-dir={profile}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE:" in line]


def test_a_broken_page_shows_on_the_console(browser: str, tmp_path: Path) -> None:
    page = tmp_path / "broken.html"
    page.write_text(render(example_page()).replace("</main>", "<script>nothing()</script></main>"), "utf-8")
    _, console = _open(browser, page)
    assert any("Content Security Policy" in line for line in console)


def test_the_page_loads_without_a_word_on_the_console(browser: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(example_page()), "utf-8")
    dom, console = _open(browser, page)
    assert console == []
    assert dom.count("<svg") == 4
    assert dom.count("<section") == 3
    assert dom.count("<tbody>") == 1
    assert re.search(r"<text [^>]*>用电量 \(kWh\)</text>", dom)
    assert '<th scope="row">季节均值</th>' in dom
    assert "<title>用电量 &amp; &lt;b&gt;friends&lt;/b&gt;</title>" in dom
    assert "<script" not in dom


# Reports what the page measures about itself; only a copy without the policy may run it.
PROBE = """<script>
const seen = s => { const e = document.querySelector(s); return e ? e.getBoundingClientRect().width : -1; };
parent.postMessage(JSON.stringify({
  page: document.documentElement.scrollWidth, wide: seen(".two .wide svg"), narrow: seen(".two .narrow svg"),
  ground: getComputedStyle(document.body).backgroundColor,
  line: getComputedStyle(document.querySelector(".two .wide text")).fill,
}), "*");
</script>"""
FRAME = """<!doctype html><title>frame</title><body>
<iframe src="report.html" style="width: {width}px; height: 900px; border: 0"></iframe>
<script>onmessage = event => {{ document.body.dataset.seen = event.data; }};</script>"""


def _measure(browser: str, folder: Path, width: int, *flags: str) -> dict[str, str]:
    html = re.sub(r"<meta http-equiv=[^>]*>", "", render(example_page()))
    (folder / "report.html").write_text(html.replace("</body>", PROBE + "</body>"), "utf-8")
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(width=width), "utf-8")
    dom, _ = _open(browser, frame, *flags)
    seen = re.search(r'data-seen="([^"]*)"', dom)
    assert seen, dom
    return dict(re.findall(r"&quot;(\w+)&quot;:(?:&quot;)?([^&}]*?)(?:&quot;)?(?:,(?=&)|})", seen[1]))


def test_on_a_phone_nothing_sticks_out_and_the_narrow_figure_shows(browser: str, tmp_path: Path) -> None:
    phone = _measure(browser, tmp_path, 390)
    assert int(phone["page"]) == 390
    assert float(phone["wide"]) == 0
    assert 340 < float(phone["narrow"]) < 390
    desk = _measure(browser, tmp_path, 900)
    assert int(desk["page"]) == 900
    assert float(desk["narrow"]) == 0
    assert 700 < float(desk["wide"]) < 900


def test_figures_follow_the_theme_of_the_reader(browser: str, tmp_path: Path) -> None:
    light = _measure(browser, tmp_path, 800, "--blink-settings=preferredColorScheme=1")
    dark = _measure(browser, tmp_path, 800, "--blink-settings=preferredColorScheme=0")
    assert light["ground"] == "rgb(255, 255, 255)"
    assert dark["ground"] == "rgb(20, 24, 28)"
    assert light["line"] != dark["line"]
