from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup
from matplotlib.text import Text
from report_examples import TARGET, example_fan

from longspan.report.figures import Score, forecast_fan, scores_chart
from longspan.report.palette import COLOURS
from longspan.report.svg import _themed, save_png, svg_text

LATIN = {"target": "load"}


def _texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_names_stay_text_in_any_script() -> None:
    texts = _texts(svg_text(forecast_fan(example_fan()), "a fan"))
    assert TARGET in texts
    assert "seasonal naive" in texts


def test_a_hostile_name_is_text_and_nothing_else() -> None:
    name = '<script>x</script>" id="y" url(#z)'
    svg = svg_text(forecast_fan(example_fan(target=name)), 'says "hello" <here>')
    assert name in _texts(svg)
    assert "<script" not in svg
    assert ET.fromstring(svg).get("aria-label") == 'says "hello" <here>'


def test_equal_figures_give_equal_bytes_without_a_date() -> None:
    one, two = (svg_text(forecast_fan(example_fan()), "a fan") for _ in range(2))
    assert one == two
    assert isinstance(one, Markup)
    assert not re.search(r"metadata|<style|<\?xml|DOCTYPE|<!--|20\d\d-\d\d-\d\dT", one)


def test_every_colour_and_font_follows_the_page() -> None:
    svg = svg_text(forecast_fan(example_fan()), "a fan")
    light = {entry.light: entry.name for entry in COLOURS}
    styles = "".join(re.findall(r'style="([^"]*)"', svg))
    used = re.findall(r"var\(--ls-(\w+), (#[0-9a-f]{6})\)", styles)
    assert {"ink", "muted", "grid", "model", "orange", "green"} <= {name for name, _ in used}
    assert all(light[hexed] == name for name, hexed in used)
    assert "#" not in re.sub(r"var\([^)]*\)|url\([^)]*\)", "", styles)
    assert set(re.findall(r"font-family: ([^;]*)", styles)) == {"var(--ls-font, sans-serif)"}
    assert "font:" not in styles


@pytest.mark.parametrize(
    ("written", "themed"),
    [
        ("font: bold 9px 'A', 'B'; fill: #1b2227", "font: bold 9px {}; fill: var(--ls-ink, #1b2227)"),
        ("font: 9.5px 'A'", "font: 9.5px {}"),
        ("font-size: 9px; font-family: 'A', 'B'; x: y", "font-size: 9px; font-family: {}; x: y"),
    ],
)
def test_fonts_written_short_or_long(written: str, themed: str) -> None:
    inner = f'style="{written}"'
    expected = themed.format("var(--ls-font, sans-serif)")
    assert _themed(f"<text {inner}>{inner}</text>") == f'<text style="{expected}">{inner}</text>'


def test_ids_are_used_and_differ_between_figures() -> None:
    one = svg_text(forecast_fan(example_fan()), "a fan")
    two = svg_text(forecast_fan(example_fan(), "narrow"), "a fan")
    ids = [set(re.findall(r' id="([^"]*)"', svg)) for svg in (one, two)]
    for svg, own in zip((one, two), ids, strict=True):
        assert own == set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg)) != set()
    assert not ids[0] & ids[1]


def test_the_element_scales_with_the_page() -> None:
    root = ET.fromstring(svg_text(forecast_fan(example_fan()), "a fan"))
    assert (root.get("role"), root.get("width"), root.get("height")) == ("img", None, None)
    assert root.get("viewBox") == "0 0 547.2 252"


def test_png_is_written_whole_with_its_size(tmp_path: Path) -> None:
    path = tmp_path / "fan.png"
    save_png(forecast_fan(example_fan(**LATIN)), path)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", data[16:24]) == (1520, 700)
    assert b"tEXtSoftware" not in data
    save_png(forecast_fan(example_fan(**LATIN)), path)
    assert path.read_bytes() == data
    assert [entry.name for entry in tmp_path.iterdir()] == ["fan.png"]


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font:UserWarning")  # machines without such a font
def test_png_leaves_the_figure_as_it_was(tmp_path: Path) -> None:
    figure = scores_chart([Score("季节均值", 1.0)], "MASE")
    before = [text.get_fontfamily() for text in figure.findobj(Text)]
    save_png(figure, str(tmp_path / "bars.png"))
    assert [text.get_fontfamily() for text in figure.findobj(Text)] == before


def test_a_long_series_stays_small() -> None:
    steps = np.arange(20_000)
    fan = example_fan(times=steps, history=np.sin(steps[24:] / 500), **LATIN)
    assert len(svg_text(forecast_fan(fan), "long")) < 400_000
