"""Temporal order: which symbols, in which order, at which places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.data.problems.order import SYMBOLS, TemporalOrder

PLACES = {2: [(10, 20), (50, 60)], 3: [(10, 20), (33, 43), (66, 76)]}


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3]))
def test_the_class_is_the_order_of_the_marks(seed: int, marks: int) -> None:
    problem = TemporalOrder(marks)
    found = problem.draw(8, np.random.default_rng(seed))
    assert found.lengths is not None
    assert problem.output_size == 2**marks
    for x, target, steps in zip(found.x, found.target, found.lengths, strict=True):
        assert 100 <= steps <= 110
        text = [SYMBOLS[each] for each in x[:steps].argmax(-1)]
        assert (x[:steps].sum(-1) == 1).all()
        assert not x[steps:].any()
        assert (text[0], text[-1]) == ("E", "B")
        told = [place for place, symbol in enumerate(text) if symbol in "XY"]
        assert all(low <= each <= high for each, (low, high) in zip(told, PLACES[marks], strict=True))
        assert target == int("".join(str("XY".index(text[each])) for each in told), 2)
        others = [symbol for place, symbol in enumerate(text[1:-1], start=1) if place not in told]
        assert set(others) <= set("abcd")


def test_all_classes_and_places_come_up_alike() -> None:
    found = TemporalOrder(3).draw(8_000, np.random.default_rng(0))
    shares = np.bincount(found.target.astype(np.int64), minlength=8) / 8_000
    assert shares == pytest.approx(np.full(8, 1 / 8), abs=4 * np.sqrt(1 / 8 * 7 / 8 / 8_000))
    marked = (found.x[..., 4:6].sum(-1) == 1).mean(axis=0)
    assert marked[10:21] == pytest.approx(np.full(11, 1 / 11), abs=0.015)


def test_another_number_of_marks_is_refused() -> None:
    with pytest.raises(InputError, match="expected 2 or 3 marks, got 4"):
        TemporalOrder(4)
