from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.core.philox import DROPOUT, RECURRENT, ZONEOUT, event, philox4x32, words


def tensors(numbers: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor(number) for number in numbers)


# The known answers that Random123 ships for philox4x32 with ten rounds (kat_vectors).
KNOWN = [
    ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers(counter: tuple[int, ...], key: tuple[int, ...], answer: tuple[int, ...]) -> None:
    assert tuple(int(word) for word in philox4x32(tensors(counter), tensors(key))) == answer  # type: ignore[arg-type]


def scalar_philox(counter: list[int], key: list[int]) -> list[int]:
    """The same generator in Python's unbounded integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [
            (second >> 32) ^ c[1] ^ k[0], second & 0xFFFFFFFF,
            (first >> 32) ^ c[3] ^ k[1], first & 0xFFFFFFFF,
        ]  # fmt: skip
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


SEEDS = st.integers(-(2**63), 2**63 - 1)


@settings(max_examples=40, deadline=None)
@given(
    seed=SEEDS, purpose=st.integers(0, 7), layer=st.integers(0, 255), direction=st.integers(0, 1),
    sample=SEEDS, step=st.integers(0, 2**40), unit=st.integers(0, 40),
)  # fmt: skip
def test_layout_of_counter_and_key_is_the_documented_one(
    seed: int, purpose: int, layer: int, direction: int, sample: int, step: int, unit: int
) -> None:
    drawn = words(
        torch.tensor(seed), purpose, layer, direction, torch.tensor([sample]), torch.tensor([step]), 41
    )
    low = 0xFFFFFFFF
    counter = [
        unit // 4 | layer << 20 | direction << 28 | purpose << 29,
        step & low, sample & low, (sample >> 32) & low,
    ]  # fmt: skip
    assert int(drawn[0, 0, unit]) == scalar_philox(counter, [seed & low, (seed >> 32) & low])[unit % 4]


def test_golden_words() -> None:
    """A change of these numbers is a change of every mask that a stored seed stands for."""
    drawn = words(torch.tensor(7), ZONEOUT, 1, 1, torch.tensor([5]), torch.tensor([9]), 6)
    low = 0xFFFFFFFF
    expected = [
        scalar_philox([block | 1 << 20 | 1 << 28 | 2 << 29, 9, 5, 0], [7 & low, 0])[word]
        for block in (0, 1)
        for word in range(4)
    ]
    assert drawn.flatten().tolist() == expected[:6]
    assert (DROPOUT, RECURRENT, ZONEOUT) == (0, 1, 2)
    assert drawn.flatten().tolist() == GOLDEN


GOLDEN = [538000577, 2684589396, 478079326, 3822282146, 2523987784, 546923211]


def test_a_word_depends_on_its_own_numbers_only() -> None:
    seed, ids, steps = torch.tensor(3), torch.tensor([4, 9, 1]), torch.arange(5)
    whole = words(seed, RECURRENT, 0, 0, ids, steps, 10)
    assert whole.shape == (5, 3, 10)
    assert torch.equal(words(seed, RECURRENT, 0, 0, ids[[2, 0]], steps[3:], 7), whole[3:][:, [2, 0], :7])


def test_words_are_uniform_and_differ_in_every_number() -> None:
    def draw(seed: int = 1, purpose: int = 0, layer: int = 0, direction: int = 0) -> torch.Tensor:
        return words(
            torch.tensor(seed), purpose, layer, direction, torch.arange(20), torch.arange(20), 100
        ).double()

    base = draw() / 2**32
    assert base.min() >= 0
    assert base.max() < 1
    assert abs(base.mean() - 0.5) < 0.005  # 40,000 words: five standard errors are 0.007
    assert abs(base.var() - 1 / 12) < 0.003
    for other in (draw(seed=2), draw(purpose=1), draw(layer=1), draw(direction=1)):
        correlation = torch.corrcoef(torch.stack((base.flatten(), other.flatten())))[0, 1]
        assert abs(correlation) < 0.025


@settings(max_examples=25, deadline=None)
@given(probability=st.floats(0, 1))
def test_events_happen_with_their_probability(probability: float) -> None:
    drawn = words(torch.tensor(0), 0, 0, 0, torch.arange(10), torch.arange(10), 100)
    assert abs(event(drawn, probability).double().mean() - probability) < 0.03


def test_certain_and_impossible_events() -> None:
    extremes = torch.tensor([0, 2**32 - 1])
    assert not event(extremes, 0.0).any()
    assert event(extremes, 1.0).all()


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0, 256, 0, 4), r"random masks: expected layer in \[0, 256\), got 256"),
        ((8, 0, 0, 4), r"expected purpose in \[0, 8\), got 8"),
        ((0, 0, 2, 4), r"expected direction in \[0, 2\), got 2"),
        ((0, 0, 0, 2**22 + 1), r"at most 4194304 units in a layer, got 4194305"),
    ],
)
def test_numbers_without_room_in_the_counter_are_refused(numbers: tuple[int, ...], text: str) -> None:
    purpose, layer, direction, units = numbers
    with pytest.raises(InputError, match=text):
        words(torch.tensor(0), purpose, layer, direction, torch.tensor([0]), torch.tensor([0]), units)
