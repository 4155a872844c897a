"""Sequences cut, padded, reversed, reset and reordered: what a recurrence over time implies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from longspan.kernels.plan import start_state
from longspan.nn import GRU, LSTM, RNN, Recurrent, using

Make = Callable[..., Recurrent]
MAKERS: dict[str, Make] = {
    "lstm": LSTM,
    "rnn": RNN,
    "gru": GRU,
    "lstm with everything": lambda *sizes, **kw: LSTM(
        *sizes, peephole=True, layer_norm=True, cell_clip=1.0, proj_size=3, learn_initial_state=True, **kw
    ),
}


def make(name: str, **options: Any) -> Recurrent:
    torch.manual_seed(4)
    layer = MAKERS[name](4, 5, 2, dtype=torch.float64, **options)
    if layer.learn_initial_state:
        with torch.no_grad():
            for parameter in layer._learned_state():
                parameter.normal_()
    return layer


def sequences(steps: int, batch: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(steps, batch, 4, dtype=torch.float64, generator=generator)


def close(got: object, want: object) -> None:
    """Equal up to the rounding of sums that depend on the size of the batch, which layer norm amplifies."""
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)


def parts(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


every_cell = pytest.mark.parametrize("name", MAKERS)
few = settings(max_examples=25, deadline=None)


@every_cell
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@few
@given(cut=st.integers(1, 8), seed=st.integers(0, 99), noisy=st.booleans())
def test_chunks_with_the_state_passed_are_the_whole(name: str, cut: int, seed: int, noisy: bool) -> None:
    layer = make(name, **({"zoneout": 0.3, "recurrent_dropout": 0.2} if noisy else {}))
    x = sequences(9, 3, seed)
    whole, final = layer(x, seed=seed)
    outputs, state = [], None
    for first in range(0, 9, cut):
        y, state = layer(x[first : first + cut], state, seed=seed, first_step=first)
        outputs.append(y)
    close(torch.cat(outputs), whole)
    close(state, final)


@every_cell
@few
@given(
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=4), seed=st.integers(0, 99), two=st.booleans()
)
def test_each_sequence_is_alone_in_its_batch(name: str, lengths: list[int], seed: int, two: bool) -> None:
    """Lengths, padding and neighbours leave no trace; the padding is NaN."""
    layer = make(name, bidirectional=two)
    x = sequences(7, len(lengths), seed)
    for row, length in enumerate(lengths):
        x[length:, row] = float("nan")
    with using("reference"):
        y, state = layer(x, lengths=lengths)
        assert y.isfinite().all()
        for row, length in enumerate(lengths):
            alone, alone_state = layer(x[:length, row : row + 1])
            close(y[:length, row : row + 1], alone)
            assert not y[length:, row].any()
            for got, want in zip(parts(state), parts(alone_state), strict=True):
                close(got[:, row : row + 1], want)


@every_cell
@few
@given(order=st.permutations(range(4)), seed=st.integers(0, 99))
def test_the_order_of_the_batch_does_not_matter(name: str, order: list[int], seed: int) -> None:
    layer = make(name, zoneout=0.3, recurrent_dropout=0.3, dropout=0.3)
    x, ids = sequences(5, 4, seed), torch.tensor([5, -3, 2**40, 8])
    y, state = layer(x, sample_ids=ids, seed=1)
    mixed, mixed_state = layer(x[:, order], sample_ids=ids[order], seed=1)
    close(mixed, y[:, order])
    for got, want in zip(parts(mixed_state), parts(state), strict=True):
        close(got, want[:, order])


@pytest.mark.parametrize("make_one", [LSTM, GRU, RNN])
def test_the_backward_direction_is_the_forward_one_on_the_reversed_sequence(make_one: Make) -> None:
    torch.manual_seed(5)
    both = make_one(4, 5, bidirectional=True, dtype=torch.float64)
    one = make_one(4, 5, dtype=torch.float64)
    one.load_state_dict({n: both.state_dict()[n + "_reverse"] for n in one.state_dict()})
    x = sequences(7, 3)
    y, state = both(x)
    reversed_y, reversed_state = one(x.flip(0))
    close(y[..., 5:], reversed_y.flip(0))
    for got, want in zip(parts(state), parts(reversed_state), strict=True):
        close(got[1:], want)


@every_cell
@pytest.mark.parametrize("two", [False, True], ids=["forward", "both"])
def test_a_reset_makes_two_sequences(name: str, two: bool) -> None:
    layer = make(name, bidirectional=two)
    x = sequences(8, 3)
    reset = torch.zeros(8, 3, dtype=torch.bool)
    reset[5] = True
    hx = start_state(*layer.prepare(x))
    hx = tuple(torch.randn_like(part) for part in hx)
    given = hx if len(hx) > 1 else hx[0]
    y, _ = layer(x[:, :], None, reset=reset)
    with using("reference"):
        close(y, torch.cat((layer(x[:5])[0], layer(x[5:])[0])))
    if not two:  # the given state reaches only what comes before the reset
        y, final = layer(x, given, reset=reset)
        with using("reference"):
            close(y[:5], layer(x[:5], given)[0])
            close((y[5:], final), layer(x[5:]))


@every_cell
def test_a_reset_at_every_step_is_a_network_without_memory(name: str) -> None:
    layer = make(name)
    x = sequences(6, 2)
    y, _ = layer(x, reset=torch.ones(6, 2, dtype=torch.bool))
    with using("reference"):
        close(y, torch.cat([layer(x[t : t + 1])[0] for t in range(6)]))


def test_zero_steps_change_no_state() -> None:
    layer = make("lstm")
    state = tuple(torch.randn(2, 3, 5, dtype=torch.float64) for _ in range(2))
    y, final = layer(sequences(0, 3), state)
    assert y.shape == (0, 3, 5)
    close(final, state)
