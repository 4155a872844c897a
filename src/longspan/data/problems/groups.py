"""Products of a group's elements: the state must be tracked, for no step may be forgotten.

Parity is the group of two elements; S3, the permutations of three things, is the smallest group in which the
order counts. What one layer of a network whose steps commute cannot do, a recurrent net can: Grazzi et al.
2025, Unlocking state-tracking in linear RNNs through negative eigenvalues, arXiv:2411.12537; parity trained
at lengths 3 to 40 and tested at 40 to 256 is of Beck et al. 2024, xLSTM, arXiv:2405.04517.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from longspan.core.checks import boolean, whole
from longspan.core.errors import InputError
from longspan.data.problems.base import Answer, Examples

__all__ = ["Group", "GroupWord", "cyclic", "symmetric"]


@dataclass(frozen=True, eq=False)
class Group:
    """A finite group.

    Attributes:
        name: what it is called.
        product: int64 (G, G); ``product[a, b]`` is a, then b. Element 0 is the neutral one.

    Raises:
        InputError: the table is none of a group.
    """

    name: str
    product: NDArray[np.int64]

    def __post_init__(self) -> None:
        G, table = len(self.product), self.product
        every = np.arange(G)
        if table.shape != (G, G) or not np.array_equal(np.sort(table, axis=1), np.tile(every, (G, 1))):
            raise InputError(f"group {self.name!r}: expected each row of the table to hold 0 … {G - 1} once")
        if not (np.array_equal(table[0], every) and np.array_equal(table[:, 0], every)):
            raise InputError(f"group {self.name!r}: expected element 0 to be the neutral one")
        # (a b) c and a (b c), for all a, b, c
        if not np.array_equal(table[table], table[every[:, None, None], table]):
            raise InputError(f"group {self.name!r}: expected an associative product")

    @property
    def order(self) -> int:
        """G, the number of elements."""
        return len(self.product)


def cyclic(order: int) -> Group:
    """Sums modulo ``order``; 2 is parity."""
    every = np.arange(whole(order, "order", "cyclic", minimum=1))
    return Group("parity" if order == 2 else f"Z{order}", (every[:, None] + every) % order)


def symmetric(things: int) -> Group:
    """S_n, the n! permutations of ``things`` things, in lexicographic order; at most 5."""
    if not 1 <= whole(things, "things", "symmetric") <= 5:
        raise InputError(f"symmetric: expected 1 to 5 things, got {things}")
    every = list(permutations(range(things)))
    place = {each: number for number, each in enumerate(every)}
    table = [[place[tuple(b[a[thing]] for thing in range(things))] for b in every] for a in every]
    return Group(f"S{things}", np.array(table, np.int64))


@dataclass(frozen=True)
class GroupWord:
    """Elements drawn at random, one a step, one-hot: what is their product so far?

    Args:
        group: of the elements.
        shortest, longest: lengths are drawn from all between.
        every_step: the product is asked for at every step; otherwise at the end.

    Raises:
        InputError: lengths that are none.
    """

    group: Group
    shortest: int
    longest: int
    every_step: bool = True

    def __post_init__(self) -> None:
        whole(self.shortest, "shortest", "GroupWord", minimum=1)
        whole(self.longest, "longest", "GroupWord", minimum=self.shortest)
        boolean(self.every_step, "every_step", "GroupWord")

    @property
    def input_size(self) -> int:
        """G."""
        return self.group.order

    @property
    def output_size(self) -> int:
        """G."""
        return self.group.order

    @property
    def answer(self) -> Answer:
        """One of the G elements."""
        return "class"

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` words: x (count, T, G), target (count, T), or (count,) the product of the whole word."""
        T = self.longest
        lengths = draws.integers(self.shortest, T + 1, count)
        elements = draws.integers(0, self.group.order, (count, T))
        products = np.empty_like(elements)
        so_far = np.zeros(count, np.int64)
        for step in range(T):
            so_far = products[:, step] = self.group.product[so_far, elements[:, step]]
        x = np.eye(self.group.order, dtype=np.float32)[elements]
        x[np.arange(T) >= lengths[:, None]] = 0.0
        target = products if self.every_step else products[np.arange(count), lengths - 1]
        return Examples(x, target, None if self.shortest == T else lengths)
