from __future__ import annotations

import re

import pytest

from longspan.report.palette import COLOURS, LINES, colour


def _luminance(hexed: str) -> float:
    """Relative luminance of sRGB, WCAG 2."""
    channels = [int(hexed[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_each_light_colour_stands_for_one_role() -> None:
    assert len({entry.light for entry in COLOURS}) == len(COLOURS)
    assert len({entry.name for entry in COLOURS}) == len(COLOURS)
    assert all(re.fullmatch("#[0-9a-f]{6}", c) for entry in COLOURS for c in (entry.light, entry.dark))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "least"),
    [("ink", 7.0), ("muted", 4.5), ("model", 4.5), ("alarm", 4.5), *((name, 3.0) for name in LINES)],
)
def test_contrast_against_the_ground(theme: str, name: str, least: float) -> None:
    shades = {entry.name: getattr(entry, theme) for entry in COLOURS}
    assert _contrast(shades[name], shades["ground"]) >= least
    if name in ("ink", "muted", "alarm"):
        assert _contrast(shades[name], shades["panel"]) >= 4.5


def test_colour_is_the_light_hex() -> None:
    assert colour("ground") == "#ffffff"
    with pytest.raises(KeyError, match="red"):
        colour("red")
