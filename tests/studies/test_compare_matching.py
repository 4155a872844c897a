"""Sizes matched by width."""

from __future__ import annotations

import pytest
from compare_contest import DrawnContest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.models.contest import Contestant
from longspan.studies.compare_course import chosen_encoders, matched
from longspan.studies.matching import match, off_by


def square(width: int) -> Contestant:
    return Contestant("square", width, width * width, width)


@given(st.integers(1, 10_000))
def test_no_width_is_nearer(wanted: int) -> None:
    found = match(square, wanted)
    assert all(
        abs(off_by(found, wanted)) <= abs(off_by(square(width), wanted))
        for width in (found.width - 1, found.width + 1)
        if width > 0
    )


def test_steps_in_the_count_are_no_trouble() -> None:
    found = match(lambda width: Contestant("stairs", width, 100 * (width // 8 + 1), 0), 730)
    assert found.parameters == 700


def test_a_size_that_no_width_has_is_refused() -> None:
    with pytest.raises(
        InputError, match="expected at most the 65,536 parameters of width 65,536, got 70,000"
    ):
        match(lambda width: Contestant("thin", width, width, 0), 70_000)


def test_every_encoder_of_the_table_is_matched_and_the_reference_comes_first() -> None:
    contest = DrawnContest({})
    field = matched(contest, chosen_encoders((), "lstm"))
    assert field.reference.encoder == "lstm"
    assert {"rnn", "gru", "feedforward", "cnn", "transformer"} <= {each.encoder for each in field.others}
    assert all(abs(off_by(each, field.reference.parameters)) <= 0.05 for each in field.others)
    assert field.notes == ()


def test_a_size_far_off_is_noted() -> None:
    class Coarse(DrawnContest):
        def contestant(self, encoder: str, width: int) -> Contestant:
            count = 1000 if encoder == "lstm" else 700 * width
            return Contestant(encoder, width, count, count)

    (note,) = matched(Coarse({}), ("lstm", "gru")).notes
    assert note == "GRU: 700 parameters, -30.0 % of the 1,000 of the LSTM; no width brings it within 5 %"


def test_encoders_are_chosen_by_name_in_the_order_of_the_table() -> None:
    assert chosen_encoders(("gru", "rnn"), "lstm") == ("rnn", "gru", "lstm")
    with pytest.raises(InputError, match=r"encoders: expected names among rnn, gru, lstm.* got 'ltsm'"):
        chosen_encoders(("ltsm",), "lstm")
    with pytest.raises(InputError, match="expected each name once, got 'gru' twice"):
        chosen_encoders(("gru", "gru"), "lstm")
