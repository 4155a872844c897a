from __future__ import annotations

import math

import pytest

from longspan.core import checks
from longspan.core.errors import InputError


def test_good_values_come_back() -> None:
    assert checks.whole(3, "n", "f", minimum=1) == 3
    assert checks.boolean(False, "b", "f") is False
    assert checks.finite(2, "x", "f") == 2.0
    assert checks.probability(1, "p", "f") == 1.0
    assert checks.choice("a", "c", "f", ("a", "b")) == "a"
    checks.known_options(["a"], ("a", "b"), "f")


@pytest.mark.parametrize("value", [True, 2.0, "2", None])
def test_whole_refuses_other_types(value: object) -> None:
    with pytest.raises(InputError, match=r"LSTM: expected input_size to be a whole number, got"):
        checks.whole(value, "input_size", "LSTM")


def test_whole_refuses_what_is_too_small() -> None:
    with pytest.raises(InputError, match=r"LSTM: expected input_size of at least 1, got 0"):
        checks.whole(0, "input_size", "LSTM", minimum=1)


@pytest.mark.parametrize("value", [0, 1, "yes", None])
def test_boolean_refuses_lookalikes(value: object) -> None:
    with pytest.raises(InputError, match=r"expected bias to be True or False, got"):
        checks.boolean(value, "bias", "LSTM")


@pytest.mark.parametrize("value", [math.nan, math.inf, "1", True])
def test_finite_refuses(value: object) -> None:
    with pytest.raises(InputError, match=r"expected x to be a finite number, got"):
        checks.finite(value, "x", "f")


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, "0.5", True])
def test_probability_refuses(value: object) -> None:
    with pytest.raises(InputError, match=r"expected dropout to be a probability in \[0, 1\], got"):
        checks.probability(value, "dropout", "LSTM")


def test_choice_lists_the_choices() -> None:
    with pytest.raises(InputError, match=r"expected encoder to be one of rnn, gru, got 'lstn'"):
        checks.choice("lstn", "encoder", "build_encoder", ("rnn", "gru"))


def test_unknown_options_are_named_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"cell 'gru' has no option 'peephole': its options are bias"):
        checks.known_options(["peephole"], ("bias",), "cell 'gru'")
    with pytest.raises(InputError, match=r"f has no option 'x': it has no options"):
        checks.known_options(["x"], (), "f")
