"""Streams of embedded Reber strings: grammatical, whole across stretches, and never set back."""

from __future__ import annotations

from itertools import islice

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from longspan.data.problems.continual import ContinualReber, possible_next, stretches
from longspan.data.problems.reber import SYMBOLS, following


def text_of(x: np.ndarray) -> str:
    return "".join(SYMBOLS[place] for place in x.argmax(axis=-1))


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 40))
def test_stretches_end_to_end_are_one_grammatical_stream(seed: int, count: int, length: int) -> None:
    parts = list(islice(stretches(count, length, np.random.default_rng(seed)), 4))
    for row in range(count):
        text = "".join(text_of(part.x[row]) for part in parts)
        allowed = following(text)  # raises where the text leaves the grammar
        target = np.concatenate([part.target[row] for part in parts])
        assert text[1:] == "".join(SYMBOLS[place] for place in target[:-1])
        for step, possible in enumerate(np.concatenate([part.possible[row] for part in parts])):
            assert {SYMBOLS[place] for place in np.flatnonzero(possible)} == set(allowed[step])
            assert possible[target[step]]


def test_a_draw_is_the_first_stretch() -> None:
    drawn = ContinualReber(300).draw(4, np.random.default_rng(1))
    first = next(stretches(4, 300, np.random.default_rng(1)))
    assert np.array_equal(drawn.x, first.x) and np.array_equal(drawn.target, first.target)
    assert all(text_of(row).startswith("B") and text_of(row).count("E") > 20 for row in drawn.x)


def test_what_may_come_next_is_read_off_a_stream() -> None:
    first = next(stretches(3, 50, np.random.default_rng(5)))
    assert np.array_equal(possible_next(first.x), first.possible)
