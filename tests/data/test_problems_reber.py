"""The embedded Reber grammar: strings, what may follow, and the examples made of them."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.data.problems.reber import (
    SYMBOLS,
    EmbeddedReber,
    Strings,
    embedded,
    encode,
    following,
    possible,
    separate,
)

SEEDS = st.integers(0, 2**32 - 1)
# Written down from the drawing of the grammar, apart from the table in the code: the lower half from the T
# loop on, with its way back by X, and the whole.
BELOW = "T*V(?:PXT*V)*(?:V|PS)"
INNER = f"B(?:TS*X(?:S|X{BELOW})|P{BELOW})E"


def draws(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(SEEDS)
def test_the_last_symbol_but_one_is_the_second(seed: int) -> None:
    text = embedded(draws(seed))
    assert text[0] == "B"
    assert text[-1] == "E"
    assert text[1] == text[-2]
    assert text[1] in "TP"
    assert text[2] == "B"
    assert text[-3] == "E"


@given(SEEDS)
def test_the_inner_string_is_one_of_rebers(seed: int) -> None:
    """The grammar as a regular expression: the two loops, and the way from X to the lower half and back."""
    assert re.fullmatch(INNER, embedded(draws(seed))[2:-2])


@given(SEEDS)
def test_every_symbol_is_among_those_that_may_follow(seed: int) -> None:
    text = embedded(draws(seed))
    allowed = following(text)
    assert all(symbol in before for symbol, before in zip(text[1:], allowed[:-1], strict=True))
    assert allowed[-1] == "B", "strings may stand end to end"
    assert following(text + text) == allowed * 2


def test_what_follows_in_a_string_known_by_heart() -> None:
    assert following("BTBPVVETE") == ("TP", "B", "TP", "TV", "PV", "E", "T", "E", "B")
    assert following("BPBTSSXSEPE")[:8] == ("TP", "B", "TP", "SX", "SX", "SX", "XS", "E")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("BTBTPE", r"'BTBTPE': expected S or X at place 4, got 'P'"),
        ("X", "expected B at place 0, got 'X'"),
        ("BTBPVVEPE", "expected T at place 7, got 'P'"),
    ],
)
def test_a_text_that_leaves_the_grammar_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        following(text)


def test_short_strings_are_as_likely_as_the_forks_say() -> None:
    """BTBTXSETE is one of 2 · 2 · 2 · 2 ways of four forks; its share of many draws is near 1/16."""
    generator = draws(1)
    count = 4_000
    share = sum(embedded(generator) == "BTBTXSETE" for _ in range(count)) / count
    assert abs(share - 1 / 16) < 4 * np.sqrt(1 / 16 * 15 / 16 / count)


@given(SEEDS)
def test_examples_show_all_but_the_last_and_ask_for_the_next(seed: int) -> None:
    strings = [embedded(draws(seed + place)) for place in range(3)]
    found = encode(strings)
    assert found.lengths is not None
    for row, text in enumerate(strings):
        length = found.lengths[row]
        assert length == len(text) - 1
        assert "".join(SYMBOLS[each] for each in found.x[row, :length].argmax(-1)) == text[:-1]
        assert "".join(SYMBOLS[each] for each in found.target[row, :length]) == text[1:]
        assert not found.x[row, length:].any()
    assert (found.x.sum(-1) <= 1).all()


@given(SEEDS)
def test_the_target_is_possible_and_nothing_is_past_the_end(seed: int) -> None:
    strings = [embedded(draws(seed + place)) for place in range(3)]
    found, allowed = encode(strings), possible(strings)
    assert found.lengths is not None
    real = np.arange(allowed.shape[1]) < found.lengths[:, None]
    assert np.take_along_axis(allowed, found.target[..., None].astype(np.int64), -1)[..., 0][real].all()
    assert (allowed.any(-1) == real).all()
    assert set(allowed.sum(-1)[real]) <= {1, 2}


def test_separate_strings_are_all_different() -> None:
    one = separate(200, draws(0))
    other = separate(100, draws(1), but=one)
    assert len({*one, *other}) == 300
    assert all(following(text) for text in itertools.chain(one, other))


def test_draws_are_those_of_the_generator() -> None:
    one, same, other = (EmbeddedReber().draw(5, draws(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one.x, same.x)
    assert np.array_equal(one.target, same.target)
    assert one.x.shape != other.x.shape or not np.array_equal(one.x, other.x)


def test_a_set_of_strings_is_drawn_from_alone() -> None:
    strings = separate(4, draws(0))
    found = Strings(strings).draw(64, draws(1))
    assert found.lengths is not None
    shown = {
        "".join(SYMBOLS[each] for each in row[:length].argmax(-1))
        for row, length in zip(found.x, found.lengths, strict=True)
    }
    assert shown == {text[:-1] for text in strings}
