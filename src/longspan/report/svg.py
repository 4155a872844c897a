"""Figures as files: SVG text that lives inside a page and follows its theme, and PNG."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from markupsafe import Markup, escape
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text

from longspan.report.palette import COLOURS, colour
from longspan.report.style import house_style, is_wide
from longspan.store.atomic import write_file

__all__ = ["save_png", "svg_text"]

_PNG_DOTS = 200  # per inch
_EAST_ASIAN = (
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Arial Unicode MS",
)
# Versions of matplotlib differ in writing ``font: bold 9px 'A', 'B'`` or ``font-family: 'A', 'B'``.
_FONT = re.compile(r"(font: (?:[\w-]+ )*[\d.]+px|font-family:) [^;\"]*")
_REFERENCE = re.compile(r'(?:url\(#|href="#)([^)"]+)')


def svg_text(figure: Figure, description: str) -> Markup:
    """The figure as one ``<svg>`` element: no date, text as text, ids of its own, colours by theme.

    Colours of the palette become ``var(--ls-<name>, <light>)``, fonts are those of the page. Figures drawn
    alike give equal bytes. It is `Markup` because it is made here: the page escapes every other string.

    Args:
        figure: one of `longspan.report.figures`.
        description: what the figure shows, for people who do not see it.
    """
    buffer = io.StringIO()
    with house_style(), warnings.catch_warnings():
        # The page is drawn by a browser, with fonts for every script; what matplotlib lacks says nothing.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return Markup(_described(_own_ids(_themed(_element(buffer.getvalue())), description), description))


def save_png(figure: Figure, path: str | Path) -> None:
    """The figure as a PNG file on the light ground, without a date, written whole or not at all.

    Chinese, Japanese and Korean names take the first known font for them that is installed; where no font
    has a character, matplotlib warns and draws a box.
    """
    buffer = io.BytesIO()
    with house_style(), _east_asian_fonts(figure):
        figure.savefig(
            buffer, format="png", dpi=_PNG_DOTS, facecolor=colour("ground"), metadata={"Software": None}
        )
    write_file(Path(path), buffer.getvalue())


@contextmanager
def _east_asian_fonts(figure: Figure) -> Iterator[None]:
    """Fonts for the texts that need them, and only while a picture of letters is made."""
    installed = set(fontManager.get_font_names())
    fonts = ["DejaVu Sans", *(name for name in _EAST_ASIAN if name in installed)]
    before = {text: text.get_fontfamily() for text in _texts(figure) if any(map(is_wide, text.get_text()))}
    try:
        for text in before:
            text.set_fontfamily(fonts)
        yield
    finally:
        for text, family in before.items():
            text.set_fontfamily(family)


def _texts(figure: Figure) -> list[Text]:
    return [artist for artist in figure.findobj(Text) if isinstance(artist, Text)]


def _element(text: str) -> str:
    """The ``<svg>`` element without prologue, metadata and style sheet, which would reach the whole page."""
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*<!--.*?-->", "", text, flags=re.DOTALL)
    return text.strip()


def _themed(text: str) -> str:
    """Palette colours and fonts of every style attribute handed over to the page."""
    names = {entry.light: f"var(--ls-{entry.name}, {entry.light})" for entry in COLOURS}

    def styled(match: re.Match[str]) -> str:
        style = re.sub(r"#[0-9a-f]{6}\b", lambda hexed: names.get(hexed[0], hexed[0]), match[0])
        return _FONT.sub(r"\1 var(--ls-font, sans-serif)", style)

    return _in_tags(text, lambda tag: re.sub(r' style="[^"]*"', styled, tag))


def _own_ids(text: str, description: str) -> str:
    """Ids that are used get a prefix from content and description, since many figures share a page."""
    used = set(_REFERENCE.findall(text))
    prefix = "f" + hashlib.sha256(f"{description}\n{text}".encode()).hexdigest()[:10]

    def owned(tag: str) -> str:
        tag = re.sub(r' id="([^"]*)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", tag)
        return _REFERENCE.sub(lambda m: m[0].replace("#", f"#{prefix}-", 1), tag)

    return _in_tags(text, owned)


def _in_tags(text: str, change: Callable[[str], str]) -> str:
    """Tags changed, words between them not: a series may be called ``url(#x)``."""
    return re.sub(r"<[^>]*>", lambda match: change(match[0]), text)


def _described(text: str, description: str) -> str:
    opening, rest = text.split(">", 1)
    opening = re.sub(r' (?:width|height|version)="[^"]*"', "", opening)
    label = f' role="img" aria-label="{escape(description)}" style="stroke-linejoin: round"'
    return f"{opening}{label}>{rest}"
