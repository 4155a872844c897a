"""Sentences: the deciding word stands where it is said, and the fillers of the test are new."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.data.problems.sentences import (
    LANGUAGES,
    LITERAL,
    PLACES,
    VOCABULARY,
    Sentence,
    Sentences,
    encode,
    is_held_out,
    sentence,
)

DECIDING = PLACES | LANGUAGES


@given(st.integers(2, 200), st.booleans(), st.integers(0, 2**32))
def test_the_deciding_word_stands_where_it_is_said(distance: int, held_out: bool, seed: int) -> None:
    drawn = sentence(distance, held_out, np.random.default_rng(seed))
    assert DECIDING[drawn.words[-1 - distance]] == drawn.answer
    assert set(drawn.words) <= set(VOCABULARY)


@given(st.integers(0, 2**32))
def test_fillers_of_the_test_share_no_pair_with_those_of_training(seed: int) -> None:
    drawn = [sentence(60, held_out, np.random.default_rng(seed)) for held_out in (False, True)]
    seen = [places_of_pairs(each.words) for each in drawn]
    assert seen[0] and seen[1] and all(not is_held_out(*pair) for pair in seen[0])
    assert all(is_held_out(*pair) for pair in seen[1])


def places_of_pairs(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """(verb, noun or country at the end of its clause) of the clauses that have one, the last left out."""
    verbs = {
        "drift",
        "rest",
        "wait",
        "gather",
        "flow",
        "hang",
        "shine",
        "sleep",
        "stay",
        "turn",
        "stand",
        "move",
    }
    past = {"sang", "worked", "danced", "travelled", "lived", "wrote", "waited", "cooked", "swam", "walked"}
    starts = [place for place, word in enumerate(words) if word in ("and", "which", "where")]
    clauses = [words[one + 1 : other] for one, other in pairwise(starts)]
    found = []
    for clause in clauses:
        verb = next(word for word in clause if word in verbs | past)
        if "the" in clause or "in" in clause:
            found.append((verb, clause[-1]))
    return found


def test_other_places_and_countries_stand_in_the_filler() -> None:
    words = [sentence(200, False, np.random.default_rng(seed)).words for seed in range(20)]
    assert sum(any(word in PLACES.values() for word in each[5:]) for each in words) > 5
    assert sum(any(word in LANGUAGES for word in each[7:]) for each in words) > 5


def test_all_answers_are_about_equally_likely() -> None:
    drawn = Sentences(2, 50).draw(3_200, np.random.default_rng(0))
    counts = np.bincount(drawn.target, minlength=len(VOCABULARY))
    answers = [VOCABULARY.index(word) for word in DECIDING.values()]
    assert counts.sum() == counts[answers].sum() and np.abs(counts[answers] - 100).max() < 50
    assert len(answers) == len(set(answers)) == 32


def test_the_quoted_sentences_can_be_read_and_their_clauses_are_not_trained_on() -> None:
    found = encode([Sentence(tuple(text.split()), word, 0) for text, word in LITERAL])
    assert [VOCABULARY[place] for place in found.target] == [word for _, word in LITERAL]
    assert is_held_out("flow", "another") and is_held_out("hang", "low")
    with pytest.raises(InputError, match=r"'the whale is in the': expected words .* got 'whale'"):
        encode([Sentence(("the", "whale", "is", "in", "the"), "sea", 3)])


def test_a_sequence_is_its_words_one_hot() -> None:
    drawn = Sentences(2, 40).draw(20, np.random.default_rng(2))
    assert drawn.lengths is not None
    past = np.arange(drawn.x.shape[1]) >= drawn.lengths[:, None]
    assert not drawn.x[past].any() and (drawn.x[~past].sum(axis=-1) == 1).all()
    with pytest.raises(InputError, match="expected shortest of at least 2, got 1"):
        Sentences(1, 40)
