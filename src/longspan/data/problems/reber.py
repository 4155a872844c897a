"""Strings of the embedded Reber grammar: which symbols may come next?

Reber 1967; embedded by Smith & Zipser 1989 and Fahlman 1991; Hochreiter & Schmidhuber 1997, Long short-term
memory, Neural Computation 9(8), section 5.1. The last symbol but one is the second one: it must be kept
through the whole inner string.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from longspan.core.errors import InputError
from longspan.data.problems.base import Answer, Examples

__all__ = ["SYMBOLS", "EmbeddedReber", "Strings", "embedded", "encode", "following", "possible", "separate"]

SYMBOLS = "BTPSXVE"
_INDEX = {symbol: place for place, symbol in enumerate(SYMBOLS)}
_START = "start"

# The Reber grammar itself: state → symbol → next state.
_INNER: dict[str, dict[str, str]] = {
    "0": {"T": "1", "P": "2"},
    "1": {"S": "1", "X": "3"},
    "2": {"T": "2", "V": "4"},
    "3": {"X": "2", "S": "5"},
    "4": {"P": "3", "V": "5"},
}


def _embedding() -> dict[str, dict[str, str]]:
    """The embedded grammar, whose last symbol leads back to the start: B (T … T | P … P) E."""
    table = {_START: {"B": "way"}, "way": {"T": "T begins", "P": "P begins"}, "end": {"E": _START}}
    for way in "TP":
        table[f"{way} begins"] = {"B": f"{way}0"}
        for state, after in _INNER.items():
            table[f"{way}{state}"] = {symbol: f"{way}{to}" for symbol, to in after.items()}
        table[f"{way}5"] = {"E": f"{way} ends"}
        table[f"{way} ends"] = {way: "end"}
    return table


_GRAMMAR = _embedding()


def embedded(draws: np.random.Generator) -> str:
    """One string; at each fork both ways are equally likely."""
    state, found = _START, ""
    while not found or state != _START:
        ways = list(_GRAMMAR[state].items())
        symbol, state = ways[draws.integers(0, len(ways)) if len(ways) > 1 else 0]
        found += symbol
    return found


def following(text: str) -> tuple[str, ...]:
    """After each symbol of a text, the symbols that may come next; strings may stand end to end.

    Raises:
        InputError: the text leaves the grammar, and where.
    """
    state, found = _START, []
    for place, symbol in enumerate(text):
        if symbol not in _GRAMMAR[state]:
            allowed = " or ".join(_GRAMMAR[state])
            raise InputError(f"{text!r}: expected {allowed} at place {place}, got {symbol!r}")
        state = _GRAMMAR[state][symbol]
        found.append("".join(_GRAMMAR[state]))
    return tuple(found)


def encode(strings: Sequence[str]) -> Examples:
    """Strings as a prediction of the next symbol at every step.

    Returns:
        x (B, T, 7) one-hot, all symbols but the last; target (B, T), the symbol that did come next.
    """
    lengths = np.array([len(each) - 1 for each in strings], np.int64)
    tokens = np.zeros((len(strings), int(lengths.max()) + 1), np.int64)
    for row, text in enumerate(strings):
        tokens[row, : len(text)] = [_INDEX[symbol] for symbol in text]
    x = np.eye(len(SYMBOLS), dtype=np.float32)[tokens[:, :-1]]
    x[np.arange(x.shape[1]) >= lengths[:, None]] = 0.0
    return Examples(x, tokens[:, 1:], lengths)


def possible(strings: Sequence[str]) -> NDArray[np.bool_]:
    """(B, T, 7): which symbols may come next at the steps of `encode`; none past the end."""
    found = np.zeros((len(strings), max(map(len, strings)) - 1, len(SYMBOLS)), np.bool_)
    for row, text in enumerate(strings):
        for step, allowed in enumerate(following(text)[:-1]):
            found[row, step, [_INDEX[symbol] for symbol in allowed]] = True
    return found


def separate(count: int, draws: np.random.Generator, but: Iterable[str] = ()) -> tuple[str, ...]:
    """``count`` different strings in the order in which they were drawn, none of them among ``but``."""
    seen, found = set(but), list[str]()
    while len(found) < count:
        text = embedded(draws)
        if text not in seen:
            seen.add(text)
            found.append(text)
    return tuple(found)


class EmbeddedReber:
    """The next symbol of embedded Reber strings at every step; each draw is a fresh one of the grammar."""

    input_size = output_size = len(SYMBOLS)
    answer: Answer = "class"
    every_step = True

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` strings; see `encode`."""
        return encode([embedded(draws) for _ in range(count)])


class Strings(EmbeddedReber):
    """The same with a fixed set of strings, each equally likely: what was trained on in 1997.

    Args:
        strings: the set.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        self.strings = tuple(strings)

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` of the strings; see `encode`."""
        return encode([self.strings[place] for place in draws.integers(0, len(self.strings), count)])
