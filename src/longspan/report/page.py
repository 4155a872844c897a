"""The report page: one HTML file that needs nothing else, neither network nor script.

A page is sections, a section is a list of blocks, and a block is a small record. Every string is escaped but
the SVG that `longspan.report.svg` makes, so a series named ``<script>`` is words like any other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from longspan.core.errors import InputError
from longspan.report.palette import COLOURS

__all__ = [
    "Block",
    "Callout",
    "Cell",
    "Figure",
    "KeyValues",
    "Notes",
    "Page",
    "Paragraph",
    "Row",
    "Section",
    "Table",
    "Tone",
    "number",
    "render",
]

_NUMERIC = re.compile(r"(< )?[-+−]?\d[\d.,]*(e[-+−]\d+)?( ?%)?( (±|to) [-+−]?\d[\d.,]*(e[-+−]\d+)?( ?%)?)?")

Cell = str | int | float | None
"""What a table shows: numbers are written by `number` and stand right; None and NaN are a dash."""

Tone = Literal["good", "bad", "same", "unknown", "alarm"]
"""What a callout says before it is read: won, lost, neither, not known, or a fault that voids the rest."""


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows under column heads; the first column names the row.

    Args:
        caption: what it shows, with the unit.
        columns: heads, at least one.
        rows: as many cells each as there are columns.
        strong: indices of the rows that the page is about.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    strong: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not self.columns:
            raise InputError(f"Table {self.caption!r}: expected at least one column, got none")
        for index, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise InputError(
                    f"Table {self.caption!r}, row {index}: expected {len(self.columns)} cells, "
                    f"one for each column, got {len(row)}"
                )


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption.

    Args:
        svg: from `longspan.report.svg.svg_text`.
        caption: what it shows and how to read it.
        narrow: the same in the narrow shape, shown on a phone; without it the wide one scrolls there.
    """

    svg: Markup
    caption: str
    narrow: Markup | None = None

    def __post_init__(self) -> None:
        for svg in (self.svg, self.narrow):
            if svg is not None and not isinstance(svg, Markup):
                raise InputError(
                    f"Figure {self.caption!r}: expected SVG from svg_text, got {type(svg).__name__}. "
                    "Plain strings are not trusted"
                )


@dataclass(frozen=True)
class Notes:
    """Remarks, one item each: what was found in the data, what the reader should know."""

    items: Sequence[str]


@dataclass(frozen=True)
class KeyValues:
    """Facts: (name, value) pairs."""

    pairs: Sequence[tuple[str, Cell]]


@dataclass(frozen=True)
class Row:
    """Narrow figures side by side, one below the other on a phone; their narrow shape is not used."""

    figures: Sequence[Figure]


@dataclass(frozen=True)
class Callout:
    """An answer, or a warning, that nobody should miss.

    Args:
        tone: gives it its colour and its sign; the title says the same in words.
        title: the answer in a few words.
        text: the answer in full.
        items: findings, one each.
    """

    tone: Tone
    title: str
    text: str = ""
    items: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.tone not in get_args(Tone):
            tones = ", ".join(map(repr, get_args(Tone)))
            raise InputError(f"Callout {self.title!r}: expected a tone of {tones}, got {self.tone!r}")


Block = Paragraph | Table | Figure | Row | Notes | KeyValues | Callout


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    body: Sequence[Block]

    def __post_init__(self) -> None:
        _check_blocks(f"Section {self.title!r}", self.body)


@dataclass(frozen=True)
class Page:
    """The whole page.

    Args:
        title: heading and name of the browser's tab.
        lead: the answer in a sentence or two.
        sections: in reading order.
        footer: the last line, for instance version and command.
        language: of the text, as in ``<html lang>``.
        top: what stands below the lead, before the first heading: the verdict.
    """

    title: str
    lead: str
    sections: Sequence[Section]
    footer: str = ""
    language: str = "en"
    top: Sequence[Block] = ()

    def __post_init__(self) -> None:
        _check_blocks(f"Page {self.title!r}", self.top)


def render(page: Page) -> str:
    """The page as HTML text, to be written as UTF-8; equal pages give equal text."""
    return _environment().get_template("report.html.j2").render(page=page, colours=COLOURS)


def number(value: Cell, digits: int = 4) -> str:
    """A cell as people read it: four significant digits or all before the point, thousands parted.

    Integers and strings are shown whole; an exponent stands only below 0.0001 and from a million million on.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, str | bool):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}".replace("-", "\N{MINUS SIGN}")
    size = abs(float(f"{value:.{digits}g}"))  # 999.96 is written as 1,000
    if math.isinf(size):
        text = "∞" if value > 0 else "-∞"
    elif size == 0:
        text = "0"
    elif not 1e-4 <= size < 1e12:
        text = f"{value:.{digits - 1}e}"
    else:
        text = f"{value:,.{max(0, digits - 1 - math.floor(math.log10(size)))}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _check_blocks(where: str, blocks: Sequence[Block]) -> None:
    for block in blocks:
        if type(block) not in get_args(Block):
            kinds = ", ".join(kind.__name__ for kind in get_args(Block))
            raise InputError(f"{where}: expected blocks of {kinds}, got {type(block).__name__}")


def _kind(block: Block) -> str:
    return type(block).__name__


def _is_number(value: Cell) -> bool:
    """Whether a cell stands right: a number, an unknown one, or text such as ``78 %`` and ``0.84 ± 0.01``."""
    if isinstance(value, str):
        return _NUMERIC.fullmatch(value) is not None
    return not isinstance(value, bool)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("longspan.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, kind=_kind)
    environment.tests["numeric"] = _is_number
    return environment
