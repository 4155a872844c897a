"""Sentences whose last word is decided by one far back, as in the examples that explain why memory matters.

"The clouds are in the … sky" needs no memory to speak of; "I grew up in France … I speak fluent … French"
does (Olah 2015, Understanding LSTM networks). Between the deciding word and the end stands filler, other
places and other countries among it, which decides nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from longspan.core.checks import boolean, whole
from longspan.core.errors import InputError
from longspan.data.problems.base import Answer, Examples

__all__ = ["LANGUAGES", "LITERAL", "PLACES", "VOCABULARY", "Sentence", "Sentences", "encode", "sentence"]

PLACES: dict[str, str] = {
    "clouds": "sky", "fish": "sea", "trees": "forest", "books": "library", "trains": "station",
    "boats": "harbour", "patients": "hospital", "pupils": "school", "bees": "hive", "camels": "desert",
    "prisoners": "prison", "actors": "theatre", "cows": "meadow", "planes": "hangar", "monks": "monastery",
    "grapes": "vineyard",
}  # fmt: skip
LANGUAGES: dict[str, str] = {
    "france": "french", "italy": "italian", "spain": "spanish", "germany": "german", "japan": "japanese",
    "china": "chinese", "russia": "russian", "greece": "greek", "poland": "polish", "turkey": "turkish",
    "sweden": "swedish", "norway": "norwegian", "denmark": "danish", "finland": "finnish",
    "hungary": "hungarian", "iceland": "icelandic",
}  # fmt: skip

_SLOTS: dict[str, tuple[str, ...]] = {
    "VERB": (
        "drift", "rest", "wait", "gather", "flow", "hang", "shine", "sleep", "stay", "turn", "stand", "move",
    ),
    "PAST": (
        "sang", "worked", "danced", "travelled", "lived", "wrote", "waited", "cooked", "swam", "walked",
    ),
    "ADVERB": (
        "slowly", "partly", "often", "low", "quietly", "together", "again", "early", "alone", "gladly",
    ),
    "PREPOSITION": ("above", "near", "behind", "beyond", "below"),
    "ADJECTIVE": ("old", "green", "quiet", "wide", "small", "grey", "distant", "cold"),
    "NOUN": ("town", "river", "garden", "bridge", "tower", "mill", "road", "hill", *PLACES.values()),
    "COUNTRY": tuple(LANGUAGES),
    "PERSON": ("sister", "brother", "mother", "father", "uncle", "aunt", "friend", "teacher"),
}  # fmt: skip
_CLAUSES = {  # by their number of words, after "and" or "which"
    "place": (
        "VERB", "VERB ADVERB", "VERB into one another", "ADVERB VERB into one another",
        "VERB PREPOSITION the NOUN", "VERB PREPOSITION the ADJECTIVE NOUN",
        "VERB ADVERB PREPOSITION the ADJECTIVE NOUN",
    ),
    "language": (
        "PAST", "PAST ADVERB", "we PAST ADVERB", "we PAST in COUNTRY", "my PERSON PAST in COUNTRY",
        "we PAST PREPOSITION the NOUN", "my PERSON PAST ADVERB in COUNTRY",
        "my PERSON PAST PREPOSITION the ADJECTIVE NOUN",
    ),
}  # fmt: skip
_JOINERS = ("and", "which", "where")
_NEAR = {"place": "we see the KEY in the", "language": "in KEY we speak"}
_FAR = {"place": "the KEY FILLER are in the", "language": "i grew up in KEY FILLER i speak fluent"}
_CLOSING = {"place": 3, "language": 3}  # words after the filler
_HELD_OUT = 5  # one pair of words in so many is kept for the test

LITERAL: tuple[tuple[str, str], ...] = (
    ("the clouds are in the", "sky"),
    ("the clouds which partly flow into one another and hang low are in the", "sky"),
    ("i grew up in france i speak fluent", "french"),
)
"""The sentences that everybody quotes, and the word that they end with."""


def _vocabulary() -> tuple[str, ...]:
    texts = [*_NEAR.values(), *_FAR.values(), *_JOINERS, "often"]
    texts += [clause for clauses in _CLAUSES.values() for clause in clauses]
    fixed = [word for text in texts for word in text.split() if word == word.lower()]
    slots = [word for words in _SLOTS.values() for word in words]
    return tuple(dict.fromkeys([*fixed, *slots, *PLACES, *PLACES.values(), *LANGUAGES, *LANGUAGES.values()]))


VOCABULARY: tuple[str, ...] = _vocabulary()
_NUMBER = {word: number for number, word in enumerate(VOCABULARY)}


@dataclass(frozen=True)
class Sentence:
    """Words up to the one to be chosen, that one, and how many steps before the last word the deciding one
    stands.
    """

    words: tuple[str, ...]
    answer: str
    distance: int


def sentence(distance: int, held_out: bool, draws: np.random.Generator) -> Sentence:
    """A sentence whose deciding word stands ``distance`` steps before the last word that is read.

    Args:
        distance: at least 2.
        held_out: build the filler of pairs of words that are kept for the test; otherwise of all others.
        draws: the randomness.
    """
    kind = ("place", "language")[draws.integers(0, 2)]
    table = PLACES if kind == "place" else LANGUAGES
    key = tuple(table)[draws.integers(0, len(table))]
    frame = _NEAR[kind] if distance == 2 else _FAR[kind]
    filler = () if distance == 2 else _filler(kind, distance - _CLOSING[kind], held_out, draws)
    words: list[str] = []
    for word in frame.split():
        words += filler if word == "FILLER" else [key if word == "KEY" else word]
    return Sentence(tuple(words), table[key], distance)


def _filler(kind: str, length: int, held_out: bool, draws: np.random.Generator) -> tuple[str, ...]:
    """``length`` words of clauses, each with its joining word."""
    if length == 1:
        return ("often",)
    by_size: dict[int, list[str]] = {}
    for clause in _CLAUSES[kind]:
        by_size.setdefault(len(clause.split()) + 1, []).append(clause)
    found: list[str] = []
    while len(found) < length:
        left = length - len(found)
        sizes = [size for size in by_size if size == left or left - size >= 2]
        clauses = by_size[sizes[draws.integers(0, len(sizes))]]
        first = "which" if kind == "place" else "where"
        found.append("and" if found else first)
        found += _clause(clauses[draws.integers(0, len(clauses))], held_out, draws)
    return tuple(found)


def _clause(form: str, held_out: bool, draws: np.random.Generator) -> tuple[str, ...]:
    """A form with its slots filled; where it has a verb and another slot, the pair is of the right part."""
    while True:
        words = tuple(
            _SLOTS[word][draws.integers(0, len(_SLOTS[word]))] if word in _SLOTS else word
            for word in form.split()
        )
        pair = _pair(form, words)
        if pair is None or is_held_out(*pair) == held_out:
            return words


def _pair(form: str, words: tuple[str, ...]) -> tuple[str, str] | None:
    """The verb of a clause and the last word that was drawn beside it."""
    slots = [(slot, word) for slot, word in zip(form.split(), words, strict=True) if slot in _SLOTS]
    verb = next(word for slot, word in slots if slot in ("VERB", "PAST"))
    others = [word for slot, word in slots if slot not in ("VERB", "PAST")]
    if "another" in words:
        others = ["another"]
    return (verb, others[-1]) if others else None


def is_held_out(verb: str, other: str) -> bool:
    """Whether a verb stands with another word in the test only; those of the quoted sentences do."""
    return (verb, other) in (("flow", "another"), ("hang", "low")) or (
        (_NUMBER[verb] * 7 + _NUMBER[other] * 3) % _HELD_OUT == 0
    )


def encode(sentences: list[Sentence]) -> Examples:
    """Sentences as sequences: x (B, T, V) one-hot over the vocabulary, target (B,) the word to be chosen.

    Raises:
        InputError: a word that is not in the vocabulary.
    """
    lengths = np.array([len(each.words) for each in sentences], np.int64)
    x = np.zeros((len(sentences), int(lengths.max()), len(VOCABULARY)), np.float32)
    for row, each in enumerate(sentences):
        unknown = [word for word in (*each.words, each.answer) if word not in _NUMBER]
        if unknown:
            raise InputError(
                f"{' '.join(each.words)!r}: expected words of the vocabulary, got {unknown[0]!r}"
            )
        x[row, np.arange(len(each.words)), [_NUMBER[word] for word in each.words]] = 1.0
    target = np.array([_NUMBER[each.answer] for each in sentences], np.int64)
    return Examples(x, target, lengths)


@dataclass(frozen=True)
class Sentences:
    """Which word comes next? All words of the vocabulary are to choose from.

    Args:
        shortest, longest: distances of the deciding word, drawn so that their logarithm is uniform.
        held_out: fillers of the test; otherwise of training.

    Raises:
        InputError: distances that are none.
    """

    shortest: int
    longest: int
    held_out: bool = False

    input_size = output_size = len(VOCABULARY)
    every_step = False

    def __post_init__(self) -> None:
        whole(self.shortest, "shortest", "Sentences", minimum=2)
        whole(self.longest, "longest", "Sentences", minimum=self.shortest)
        boolean(self.held_out, "held_out", "Sentences")

    @property
    def answer(self) -> Answer:
        """One word."""
        return "class"

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` sentences; see `encode`."""
        logs = draws.uniform(math.log(self.shortest), math.log(self.longest + 1), count)
        distances = np.minimum(np.exp(logs).astype(np.int64), self.longest)
        return encode([sentence(int(each), self.held_out, draws) for each in distances])
