"""Figures as SVG files that stand alone, such as the pictures of a document."""

from __future__ import annotations

import re
from pathlib import Path

from markupsafe import escape
from matplotlib.figure import Figure

from longspan.core.errors import InputError
from longspan.report.palette import colour
from longspan.report.svg import svg_text
from longspan.store.atomic import write_file

__all__ = ["save_svg", "standalone"]

_FONTS = "'DejaVu Sans', Verdana, sans-serif"  # letters of one width; other scripts as the reader has them
_MARGIN = 8  # points: a ground that ends where the letters do looks cut
_SIZE = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_STYLED = re.compile(r'<[^>]* style="[^"]*"[^>]*>')  # tags alone: a series may be called "var(--ls-x, y)"
_VARIABLE = re.compile(r"var\(--ls-([\w-]+), ([^()]+)\)")


def save_svg(figure: Figure, path: str | Path, description: str, language: str = "en") -> None:
    """Write `standalone` whole or not at all."""
    write_file(Path(path), standalone(figure, description, language).encode())


def standalone(figure: Figure, description: str, language: str = "en") -> str:
    """The figure as an SVG document on the light ground, which reads in a light and in a dark surrounding.

    Text stays text, in the reader's fonts, so it may be in any script. Figures drawn alike give equal bytes.

    Args:
        figure: one of this package. description: what it shows, for people who do not see it.
        language: of its text, such as ``zh-CN``; fonts of Chinese and Japanese differ in the same letters.

    Raises:
        InputError: the description is empty.
    """
    if not description.strip():
        raise InputError("picture: expected a description of what is shown, got an empty one")
    text = _STYLED.sub(lambda tag: _VARIABLE.sub(_plain, tag[0]), svg_text(figure, description))
    opening, rest = text.split(">", 1)
    size = _SIZE.search(opening)
    if size is None:
        raise InputError("picture: expected a viewBox from 0 0 in what matplotlib wrote, got none")
    width, height = (f"{float(each) + 2 * _MARGIN:g}" for each in size.groups())
    box = f'viewBox="{-_MARGIN} {-_MARGIN} {width} {height}" width="{width}pt" height="{height}pt"'
    opening = f'{opening.replace(size[0], box)} xml:lang="{escape(language)}">'
    place = f'x="{-_MARGIN}" y="{-_MARGIN}" width="{width}" height="{height}"'
    ground = f'<rect {place} fill="{colour("ground")}"/>'
    return f"{opening}\n <title>{escape(description)}</title>\n {ground}{rest}\n"


def _plain(variable: re.Match[str]) -> str:
    """What a page would set: our fonts, or the colour of the light theme."""
    return _FONTS if variable[1] == "font" else variable[2]
