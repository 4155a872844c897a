from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from report_examples import TARGET, example_fan

from longspan.core.errors import InputError
from longspan.report.figures import forecast_fan
from longspan.report.palette import COLOURS
from longspan.report.svg import svg_text
from longspan.report.svg_file import save_svg, standalone

SVG = "{http://www.w3.org/2000/svg}"


def test_a_picture_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "fan.svg"
    save_svg(forecast_fan(example_fan()), path, "a fan", "zh-CN")
    root = ET.parse(path).getroot()
    assert root.findtext(f"{SVG}title") == "a fan"
    assert root.get("{http://www.w3.org/XML/1998/namespace}lang") == "zh-CN"
    assert TARGET in [each.text for each in root.iter(f"{SVG}text")]
    text = path.read_text()
    assert "var(" not in text
    assert not re.search(r"<script|<style|(?:href|src)=\"(?!#|data:)", text)


def test_the_ground_covers_the_whole_picture_and_a_margin() -> None:
    figure = forecast_fan(example_fan())
    root = ET.fromstring(standalone(figure, "a fan"))
    left, top, width, height = map(float, str(root.get("viewBox")).split())
    inner = list(map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg_text(figure, "a fan"))[0]))
    assert (left, top) == (-8, -8)
    assert [width - 16, height - 16] == pytest.approx(inner)
    assert (root.get("width"), root.get("height")) == (f"{width:g}pt", f"{height:g}pt")
    ground = root.find(f"{SVG}rect")
    assert ground is not None
    shown = [float(str(ground.get(name))) for name in ("x", "y", "width", "height")]
    assert shown == [left, top, width, height]
    assert ground.get("fill") == next(each.light for each in COLOURS if each.name == "ground")


def test_colours_are_those_of_the_light_theme() -> None:
    used = set(re.findall(r"#[0-9a-f]{6}(?=[;\"])", standalone(forecast_fan(example_fan()), "a fan")))
    assert used <= {each.light for each in COLOURS}
    assert len(used) > 4


def test_equal_figures_give_equal_bytes() -> None:
    one, two = (standalone(forecast_fan(example_fan()), "a fan") for _ in range(2))
    assert one == two


def test_a_description_is_text_and_must_be_there() -> None:
    figure = forecast_fan(example_fan())
    assert ET.fromstring(standalone(figure, '<b> & "c"')).findtext(f"{SVG}title") == '<b> & "c"'
    with pytest.raises(InputError, match="expected a description of what is shown, got an empty one"):
        standalone(figure, " ")


def test_a_name_that_looks_like_a_variable_stays() -> None:
    name = "var(--ls-x, load)"
    root = ET.fromstring(standalone(forecast_fan(example_fan(target=name)), "a fan"))
    assert name in [each.text for each in root.iter(f"{SVG}text")]
