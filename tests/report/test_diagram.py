from __future__ import annotations

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from longspan.core.errors import InputError
from longspan.report.cell_diagram import CellWords, cell_diagram, line_diagram
from longspan.report.diagram import WIDTH, Recall, UnrolledWords, sentence_diagram, unrolled_diagram

SENTENCE = Recall(("the", "clouds", "are", "in", "the", "sky"), 1, "4 words")


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def boxes(figure: Figure) -> list[FancyBboxPatch]:
    return [each for each in figure.axes[0].patches if isinstance(each, FancyBboxPatch)]


def test_every_word_of_a_sentence_stands_in_its_order() -> None:
    figure = sentence_diagram([SENTENCE], 3, "the window")
    placed = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    assert [placed[word] for word in ("clouds", "are", "in", "sky")] == sorted(
        placed[word] for word in ("clouds", "are", "in", "sky")
    )
    assert {"4 words", "the window"} <= set(placed)


@pytest.mark.parametrize(("window", "covered"), [(1, {"the"}), (3, {"are", "in", "the"})])
def test_the_shade_covers_the_words_of_the_window(window: int, covered: set[str]) -> None:
    figure = sentence_diagram([SENTENCE], window, "")
    shade = next(each for each in figure.axes[0].patches if isinstance(each, Rectangle))
    low, high = shade.get_x(), shade.get_x() + shade.get_width()
    inside = [text for text in figure.axes[0].texts if low < text.get_position()[0] < high]
    assert len([each for each in inside if each.get_text() in SENTENCE.words]) == window
    assert {each.get_text() for each in inside} - {"4 words"} == covered


def test_a_sentence_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected at most 72 tenths of an inch, got 1\d\d: 'word word"):
        sentence_diagram([Recall(("word",) * 30, 0, "")], 5, "")
    with pytest.raises(InputError, match="expected a deciding word from 0 to 4, got 5"):
        Recall(SENTENCE.words, 5, "")
    with pytest.raises(InputError, match="expected at least one sentence, got none"):
        sentence_diagram([], 5, "")


@pytest.mark.parametrize("steps", [2, 4, 5])
def test_the_unrolled_net_has_a_copy_for_each_step_and_all_fit(steps: int) -> None:
    figure = unrolled_diagram(steps)
    assert len(boxes(figure)) == steps + 1, "the loop, and a copy a step"
    assert [text for text in texts(figure) if text.startswith("x")] == [
        "xₜ",
        *("x₁x₂x₃x₄x₅"[2 * k : 2 * k + 2] for k in range(steps)),
    ]
    assert max(box.get_x() + box.get_width() for box in boxes(figure)) < WIDTH - 4


def test_the_unrolled_net_speaks_the_language_that_is_given() -> None:
    said = UnrolledWords("环", "展开", "共用")
    assert {"环", "展开", "共用"} <= set(texts(unrolled_diagram(3, said)))
    with pytest.raises(InputError, match="expected 2 to 5 steps, got 6"):
        unrolled_diagram(6)


def test_the_cell_has_three_sigmoids_two_tanh_and_four_names() -> None:
    shown = texts(cell_diagram())
    assert (shown.count("σ"), shown.count("tanh"), shown.count("×"), shown.count("+")) == (3, 2, 3, 1)
    assert {"forget gate f", "input gate i", "candidate g", "output gate o", "cₜ", "hₜ"} <= set(shown)
    assert "遗忘门" in texts(cell_diagram(CellWords(f=("遗忘门", "保留"))))


def test_the_line_says_what_is_left_after_each_step() -> None:
    shown = texts(line_diagram((0.5, 1.0, 0.0), (0.9, 0.9, 0.9)))
    assert [each for each in shown if each in ("0.50", "0.00")] == ["0.50", "0.50", "0.00"]
    assert {"0.90", "0.81", "0.73", "f = 1.00", "f = 0.00"} <= set(shown)


def test_the_line_is_as_wide_as_what_is_left() -> None:
    figure = line_diagram((0.5, 0.5), (1.0, 0.25))
    widths = [line.get_linewidth() for line in figure.axes[0].lines]
    assert widths == sorted(widths[:2], reverse=True) + widths[2:]
    assert widths[0] == widths[1] == widths[2] > widths[3]


@pytest.mark.parametrize(
    ("keeps", "passes", "message"),
    [
        ((), (), "expected 1 to 6 factors, as many of both, got 0 and 0"),
        ((0.5,), (0.5, 0.5), "got 1 and 2"),
        ((1.5,), (0.5,), r"expected factors in \[0, 1\], got 1.5"),
        ((0.5,), (float("nan"),), r"expected factors in \[0, 1\], got nan"),
    ],
)
def test_factors_that_are_none_are_refused(
    keeps: tuple[float, ...], passes: tuple[float, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        line_diagram(keeps, passes)
