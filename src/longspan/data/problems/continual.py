"""Strings of the embedded Reber grammar end to end, with nothing to say where one ends and the next begins.

Gers, Schmidhuber & Cummins 2000, Learning to forget: continual prediction with LSTM, Neural Computation
12(10). A network that cannot forget fills up, since its state is never set back.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from longspan.core.checks import whole
from longspan.data.problems.base import Answer, Examples
from longspan.data.problems.reber import SYMBOLS, embedded, following

__all__ = ["ContinualReber", "Stretch", "possible_next", "stretches"]

_PLACE = {symbol: place for place, symbol in enumerate(SYMBOLS)}


class Stretch(NamedTuple):
    """The next part of B streams.

    Attributes:
        x: float32 (B, T, 7) one-hot symbols.
        target: int64 (B, T) the symbol that comes next.
        possible: bool (B, T, 7) the symbols that may come next.
    """

    x: NDArray[np.float32]
    target: NDArray[np.int64]
    possible: NDArray[np.bool_]


class ContinualReber:
    """The next symbol at every step of a stream of embedded Reber strings that begins with a string.

    Args:
        length: T, steps of a stream.
    """

    input_size = output_size = len(SYMBOLS)
    answer: Answer = "class"
    every_step = True

    def __init__(self, length: int) -> None:
        self.length = whole(length, "length", "ContinualReber", minimum=1)

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` streams: x (count, T, 7), target (count, T)."""
        found = next(stretches(count, self.length, draws))
        return Examples(found.x, found.target)


def stretches(count: int, length: int, draws: np.random.Generator) -> Iterator[Stretch]:
    """Endless streams, stretch by stretch.

    Args:
        count: B, streams beside each other.
        length: T, steps of a stretch.
        draws: the randomness; each stream takes from it in turn.
    """
    waiting: list[tuple[NDArray[np.int64], NDArray[np.bool_]]] = [
        (np.zeros(0, np.int64), np.zeros((0, len(SYMBOLS)), np.bool_)) for _ in range(count)
    ]
    while True:
        for row, kept in enumerate(waiting):
            waiting[row] = _filled(kept, length + 1, draws)
        tokens = np.stack([tokens[: length + 1] for tokens, _ in waiting])
        possible = np.stack([possible[:length] for _, possible in waiting])
        yield Stretch(np.eye(len(SYMBOLS), dtype=np.float32)[tokens[:, :-1]], tokens[:, 1:], possible)
        waiting = [(tokens[length:], possible[length:]) for tokens, possible in waiting]


def _filled(
    kept: tuple[NDArray[np.int64], NDArray[np.bool_]], length: int, draws: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """What is kept of a stream, and whole strings after it until there are ``length`` symbols."""
    parts, have = [kept], len(kept[0])
    while have < length:
        parts.append(_coded(embedded(draws)))
        have += len(parts[-1][0])
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


@lru_cache(4096)  # half of all strings are among a few dozen
def _coded(text: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The symbols of a string as numbers, and what may follow each."""
    possible = np.zeros((len(text), len(SYMBOLS)), np.bool_)
    for place, allowed in enumerate(following(text)):
        possible[place, [_PLACE[symbol] for symbol in allowed]] = True
    return np.array([_PLACE[symbol] for symbol in text], np.int64), possible


def possible_next(x: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which symbols may come after each of a stream that begins with a string: (B, T, 7).

    Args:
        x: (B, T, 7) one-hot symbols.
    """
    found = np.zeros(x.shape, np.bool_)
    for row, tokens in enumerate(x.argmax(axis=-1)):
        for step, allowed in enumerate(following("".join(SYMBOLS[token] for token in tokens))):
            found[row, step, [_PLACE[symbol] for symbol in allowed]] = True
    return found
