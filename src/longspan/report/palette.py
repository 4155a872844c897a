"""The colours of figures and page, for a light and a dark screen.

Figures are drawn in the light colours; `longspan.report.svg` turns each into a CSS custom property that the
page sets per theme. The hues are those of Okabe and Ito, "Color Universal Design" (2008), which people with
any kind of colour vision tell apart, made darker or lighter until lines read well on the background (contrast
of 3:1 or more).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COLOURS", "LINES", "Colour", "colour"]


@dataclass(frozen=True)
class Colour:
    """One role: ``--ls-<name>`` in CSS, ``#rrggbb`` in lower case for each theme."""

    name: str
    light: str
    dark: str


COLOURS: tuple[Colour, ...] = (
    Colour("ground", "#ffffff", "#14181c"),
    Colour("panel", "#f5f7f8", "#1c2126"),
    Colour("ink", "#1b2227", "#e7ebee"),
    Colour("muted", "#59656e", "#9ba8b2"),
    Colour("grid", "#dde2e6", "#2d343b"),
    Colour("model", "#0a6cb0", "#5db7f2"),
    Colour("orange", "#c2540a", "#f09a4d"),
    Colour("green", "#0b8563", "#4cc7a2"),
    Colour("purple", "#a5468a", "#df90c6"),
    Colour("ochre", "#857000", "#d6c04f"),
    Colour("alarm", "#b3261e", "#ff9086"),
)

LINES: tuple[str, ...] = ("orange", "green", "purple", "ochre")
"""Roles for what the model is compared with, in this order; lines also differ in their dashes."""

_BY_NAME = {entry.name: entry for entry in COLOURS}


def colour(name: str) -> str:
    """The light hex of a role, which figures are drawn in."""
    return _BY_NAME[name].light
