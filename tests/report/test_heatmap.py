from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from longspan.core.errors import InputError
from longspan.report.heatmap import Heat, Strip, attribution_chart, heatmaps, square_map
from longspan.report.svg import svg_text

SHAPES = ("wide", "narrow")
HOURS = np.datetime64("2024-03-01T00") + np.arange(48).astype("timedelta64[h]")


def pictures(svg: str) -> list[np.ndarray]:
    """The images of a drawing, as (rows, columns, 4)."""
    found = re.findall(r'href="data:image/png;base64,([^"]+)"', svg)
    assert found
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(each))).convert("RGBA")) for each in found]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_strength_of_the_colour_is_the_value(shape) -> None:
    values = np.array([[0.0, 0.25, 0.5, 1.0], [1.0, 0.5, 0.25, 0.0]])
    strip = Strip(np.arange(4), "input", np.arange(4.0))
    (picture,) = pictures(svg_text(heatmaps(strip, [Heat("gate", values)], shape), "gates"))
    rows, columns = (side // count for side, count in zip(picture.shape[:2], values.shape, strict=True))
    alpha = picture[rows // 2 :: rows, columns // 2 :: columns, 3]
    if alpha[0, 0] > alpha[0, -1]:
        alpha = alpha[::-1]  # a picture may be kept upside down, and turned when it is drawn
    np.testing.assert_allclose(alpha / 255, values, atol=0.01)


def test_signs_have_two_colours_as_strong_as_the_largest_size() -> None:
    strip = Strip(np.arange(3), "input", np.arange(3.0))
    figure = heatmaps(strip, [Heat("cell", np.array([[-2.0, 0.0, 1.0]]), "signed")])
    (picture,) = pictures(svg_text(figure, "cell"))
    row = picture[picture.shape[0] // 2]
    low, middle, high = (row[int(len(row) * share)] for share in (1 / 6, 1 / 2, 5 / 6))
    assert low[0] > low[2]  # orange
    assert high[2] > high[0]  # blue
    assert (low[3], middle[3]) == (255, 0)
    assert abs(int(high[3]) - 127) <= 1
    assert "full at ±2" in figure.axes[1].get_title(loc="left")


@pytest.mark.parametrize("places", [HOURS, np.arange(1, 49)], ids=["dates", "steps"])
def test_strip_and_maps_share_one_time_axis(places) -> None:
    strip = Strip(places, "load", np.sin(np.arange(48.0)))
    heats = [Heat("i", np.full((5, 48), 0.5), rows={1: "unit 2"}), Heat("c", -np.ones((20, 48)), "signed")]
    figure = heatmaps(strip, heats)
    limits = {axes.get_xlim() for axes in figure.axes}
    assert len(limits) == 1
    assert [text.get_text() for text in figure.axes[1].get_yticklabels()] == ["unit 2"]
    svg = svg_text(figure, "maps")
    assert svg.count("<image") == 2
    assert "unit 2" in svg


def test_long_series_are_averaged_and_stay_small() -> None:
    steps = 10_000
    values = np.zeros((3, steps))
    values[:, steps // 2 :] = 1.0
    strip = Strip(np.arange(steps), "x", np.zeros(steps))
    svg = svg_text(heatmaps(strip, [Heat("f", values)]), "long")
    (picture,) = pictures(svg)
    assert picture.shape[1] <= 1400
    assert abs(picture[..., 3].mean() - 127.5) < 2
    assert len(svg) < 500_000


def test_tokens_stand_above_the_maps_as_far_as_there_is_room() -> None:
    tokens = tuple("abcd" * 60)
    few = heatmaps(Strip(np.arange(8), "symbol", None, tokens[:8]), [Heat("i", np.zeros((2, 8)))])
    assert [each.get_text() for each in few.axes[0].texts] == list(tokens[:8])[::-1]
    many = heatmaps(Strip(np.arange(240), "symbol", None, tokens), [Heat("i", np.zeros((2, 240)))], "narrow")
    assert 10 < len(many.axes[0].texts) <= 30


def test_attribution_has_a_bar_for_every_step_that_adds() -> None:
    shares = np.array([0.0, 2.0, -1.0, 0.5])
    figure = attribution_chart(Strip(np.arange(4), "x", np.arange(4.0)), shares, "added to y")
    heights = sorted(patch.get_height() for patch in figure.axes[1].patches)
    assert heights == [-1.0, 0.5, 2.0]
    assert "added to y" in svg_text(figure, "attribution")


def test_a_square_map_says_how_strong_full_is() -> None:
    values = np.tril(np.full((6, 6), 0.2))
    figure = square_map(values, "layer 1, head 2")
    assert figure.axes[0].get_title(loc="left") == "layer 1, head 2, full from 0.2"
    square_map(np.zeros((2, 2)), "nothing")


def test_what_does_not_fit_is_refused() -> None:
    strip = Strip(np.arange(4), "x", np.arange(4.0))
    with pytest.raises(InputError, match=r"heatmaps: expected at least one map, got none"):
        heatmaps(strip, [])
    with pytest.raises(InputError, match=r"expected map 'i' of shape \(4,\), got \(5,\)"):
        heatmaps(strip, [Heat("i", np.zeros((2, 5)))])
    with pytest.raises(InputError, match=r"expected 4 tokens, one a step, got 2"):
        Strip(np.arange(4), "x", None, ("a", "b"))
