"""The tutorial in its two languages: the same code and figures, and pictures of what the code computes."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from document_blocks import blocks, same_words
from headless import NAMES, OVERLAPS, Browser, find_browser

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "tutorial"
PICTURES = ROOT / "docs" / "pictures" / "tutorial"
TRANSLATED = [(ROOT / "README.md", ROOT / "README.zh.md"), (FOLDER / "lstm.md", FOLDER / "lstm.zh.md")]
_IMAGE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")
_TITLE = "{http://www.w3.org/2000/svg}title"
_TEXT = "{http://www.w3.org/2000/svg}text"


def named(pair: tuple[Path, Path]) -> str:
    return pair[0].name


@pytest.fixture(scope="module")
def drawing() -> Iterator[ModuleType]:
    """``docs/tutorial/draw.py``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        import draw

        yield draw
        for name in ("draw", "lessons", "words"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def lessons(drawing: ModuleType) -> Any:
    return drawing.Lessons()


@pytest.fixture(scope="module")
def drawn(drawing: ModuleType, lessons: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    drawing.draw(folder, lessons)
    return folder


def same_code(original: str, translation: str) -> bool:
    found, other = (
        [(each.kind, each.code, each.reason, each.shows, each.trained) for each in blocks(text)]
        for text in (original, translation)
    )
    return found == other


@pytest.mark.parametrize("pair", TRANSLATED, ids=named)
def test_a_translation_has_the_code_of_its_original(pair: tuple[Path, Path]) -> None:
    original, translation = (path.read_text() for path in pair)
    assert blocks(original)
    assert same_code(original, translation)
    for broken in ("```python\n", "```console\n"):
        assert not same_code(original, translation.replace(broken, broken + "#", 1))


@pytest.mark.parametrize("pair", TRANSLATED, ids=named)
def test_the_languages_link_to_each_other(pair: tuple[Path, Path]) -> None:
    original, translation = pair
    assert f"[中文]({translation.name})" in original.read_text()
    assert f"[English]({original.name})" in translation.read_text()


@pytest.mark.parametrize("pair", TRANSLATED, ids=named)
def test_a_translation_has_the_sections_and_figures_of_its_original(pair: tuple[Path, Path]) -> None:
    original, translation = (path.read_text() for path in pair)
    for pattern in (r"(?m)^(#+) ", r"(?m)^(\|---.*)$", r"\((?:\.\./)*((?:docs/)?(?:howto|notation)[^)]*)\)"):
        assert re.findall(pattern, original) == re.findall(pattern, translation)
    figures = [
        re.findall(r"\d+\.\d+", "".join(re.findall(r"(?m)^\|.*$", each))) for each in (original, translation)
    ]
    assert figures[0] == figures[1]
    images = [
        [link.replace(".zh.svg", ".svg") for link in _IMAGE.findall(each)] for each in (original, translation)
    ]
    assert images[0] == images[1]


def test_every_translation_is_tested() -> None:
    there = {*ROOT.glob("*.zh.md"), *(ROOT / "docs").rglob("*.zh.md")}
    assert there == {translation for _, translation in TRANSLATED}


def test_the_committed_pictures_are_those_that_are_drawn(drawn: Path) -> None:
    names = {path.name for path in drawn.iterdir()}
    assert {path.name for path in PICTURES.iterdir()} == names
    for name in names:
        now, kept = (ET.parse(folder / name).getroot() for folder in (drawn, PICTURES))
        assert now.findtext(_TITLE) == kept.findtext(_TITLE)
        assert words_of(now) == words_of(kept), f"{name} is old: python docs/tutorial/draw.py"


def words_of(picture: ET.Element) -> set[str]:
    """What is written in a picture, without its numbers."""
    texts = ["".join(each.itertext()) for each in picture.iter(_TEXT)]
    return {re.sub(r"[-−]?[\d.,]+(?:e[-−]?\d+)?", "#", text).strip() for text in texts}


def test_a_page_shows_every_picture_in_its_own_language(drawing: ModuleType) -> None:
    for page, suffix in (("lstm.md", ""), ("lstm.zh.md", ".zh")):
        shown = [Path(link).name for link in _IMAGE.findall((FOLDER / page).read_text())]
        expected = {f"{name}{'' if name in drawing.SHARED else suffix}.svg" for name in drawing.PICTURES}
        assert len(shown) == len(set(shown))
        assert set(shown) == expected


def test_a_picture_is_the_same_bytes_every_time(
    drawing: ModuleType, lessons: Any, drawn: Path, tmp_path: Path
) -> None:
    for name in drawing.draw(tmp_path, lessons):
        assert (tmp_path / name).read_bytes() == (drawn / name).read_bytes(), name


def test_the_pictures_show_what_the_page_prints(lessons: Any) -> None:
    shown = "".join(block.shows or "" for block in blocks((FOLDER / "lstm.md").read_text()))
    lines = set(shown.splitlines())
    for line in measured(lessons):
        assert any(same_words(line, each, near=0.25) for each in lines), f"{line!r} is not in the page"


def measured(lessons: Any) -> Iterator[str]:
    """Lines as the page prints them, of what the pictures are drawn from."""
    for name, taught in (("LSTM", lessons.lstm), ("RNN", lessons.rnn)):
        count, size = sum(each.numel() for each in taught.reader.parameters()), taught.by_lag.mean
        yield f"{name}: {count} weights, {100 * taught.right:.0f} % right"
        yield f"{name}: {np.log10(size[20] / size[1]):.1f}"
    yield lessons.inspection.sentence
    spots = 100 * lessons.values[:-1].numpy()
    for name in "figo":
        gate = lessons.trace.values[name][:, lessons.unit]
        quiet, active = gate[spots < 20].mean(), gate[spots > 100].mean()
        yield f"{name}: {quiet:.2f} in quiet years, {active:.2f} in active ones"
    errors = " ".join(f"{each.error:.1f}" for each in lessons.sunspots)
    yield f"last value 25.5, linear regression 14.4, LSTM {errors}"
    for unit in (int(lessons.half_lives.argmax()), int(lessons.half_lives.argmin())):
        held = np.cumprod(lessons.trace.values["f"][151:, unit].astype(np.float64))
        life, gone = lessons.half_lives[unit], int((held < 0.05).argmax()) + 1
        yield f"unit {unit + 1}: half-life {life:.1f} years, below 5 % after {gone}"


def test_the_lessons_hold(lessons: Any) -> None:
    """What the prose says, which no block prints."""
    lstm, rnn = lessons.lstm, lessons.rnn
    assert lstm.right > 0.99
    assert rnn.right < 0.35
    assert rnn.by_lag.mean[20] < 1e-4 * rnn.by_lag.mean[1]
    near = lstm.by_lag.mean[15:26]
    assert near.argmax() == 5, "the LSTM's gradient has a peak where the mark stood"
    assert lessons.inspection.horizon.lag("cut") == 20
    factor = float(rnn.by_lag.mean[20] / rnn.by_lag.mean[1]) ** (1 / 19)
    for page, pattern in (("lstm.md", r"RNN's (0\.\d+) a step"), ("lstm.zh.md", r"因子 (0\.\d+)")):
        (told,) = re.findall(pattern, (FOLDER / page).read_text())
        assert float(told) == pytest.approx(factor, rel=0.1)


def test_no_word_lies_on_another(drawn: Path, tmp_path: Path) -> None:
    path = find_browser()
    if path is None:
        pytest.skip(f"no headless browser: install one of {', '.join(NAMES)}")
    page = tmp_path / "pictures.html"
    pictures = sorted(drawn.glob("*.svg"))
    page.write_text("<meta charset='utf-8'>" + "".join(each.read_text() for each in pictures))
    browser = Browser(path, tmp_path / "profile")
    try:
        browser.show(page, 820)
        assert browser.complaints() == []
        assert browser.value("document.querySelectorAll('svg').length") == len(pictures)
        assert browser.value(OVERLAPS) == []
    finally:
        browser.close()
