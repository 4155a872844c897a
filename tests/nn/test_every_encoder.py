"""One contract, over every entry of the table of encoders."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from longspan.core.errors import InputError
from longspan.nn import build_encoder, encoder_names
from longspan.nn.encoder import Encoder

# Beyond the table's own entries: spans shorter than the sequences, odd widths, several layers.
SMALL: list[tuple[str, dict[str, Any]]] = [
    ("feedforward", {"window": 4}),
    ("feedforward", {"window": 1}),
    ("cnn", {"kernel_size": 2, "levels": 1}),
    ("cnn", {"kernel_size": 3, "levels": 1}),
    ("transformer", {"context": 4}),
    ("transformer", {"context": 3, "heads": 2}),
    ("transformer", {"context": 1}),
]
EVERY = [(name, {}) for name in encoder_names()] + SMALL
INPUTS, H, T = 3, 6, 13
each_encoder = pytest.mark.parametrize(
    ("name", "options"), EVERY, ids=[" ".join([n, *(f"{k}={v}" for k, v in o.items())]) for n, o in EVERY]
)


def built(
    name: str, options: dict[str, Any], layers: int = 2, dtype: torch.dtype = torch.float32, **more: Any
) -> Encoder:
    torch.manual_seed(3)
    return build_encoder(name, INPUTS, H, layers, **{"reach": T, **options, **more}).to(dtype).eval()


def data(batch: int = 4, steps: int = T, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(batch, steps, INPUTS, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def close(one: Tensor, two: Tensor, dtype: torch.dtype = torch.float32) -> None:
    tolerance = 1e-12 if dtype == torch.float64 else 2e-6
    torch.testing.assert_close(one, two, rtol=tolerance, atol=tolerance)


@each_encoder
def test_shapes_and_the_last_step(name: str, options: dict[str, Any]) -> None:
    encoder = built(name, options)
    assert (encoder.input_size, encoder.output_size) == (INPUTS, H)
    for batch, steps in ((4, T), (1, 2), (2, 1)):  # shorter than the window too
        x = data(batch, steps)
        y, state = encoder(x)
        assert y.shape == (batch, steps, H)
        assert torch.isfinite(y).all()
        assert torch.equal(encoder.last(y, state), y[:, -1])
        close(encoder.summary(x), y[:, -1])


@each_encoder
def test_the_future_does_not_change_the_past(name: str, options: dict[str, Any]) -> None:
    encoder, x = built(name, options), data()
    other = x.clone()
    other[:, 7:] = torch.randn(4, T - 7, INPUTS) * 100
    one, two = encoder(x)[0], encoder(other)[0]
    assert torch.equal(one[:, :7], two[:, :7])
    assert not torch.equal(one[:, 7], two[:, 7])


@each_encoder
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_in_pieces_is_as_whole(name: str, options: dict[str, Any], dtype: torch.dtype) -> None:
    encoder, x = built(name, options, dtype=dtype), data(dtype=dtype)
    whole, _ = encoder(x)
    for cuts in ([6], [1, 2, 3], [5, 5, 12], list(range(1, T))):
        state, read = None, []
        for begin, end in zip([0, *cuts], [*cuts, T], strict=True):
            if begin == end:
                continue
            y, state = encoder(x[:, begin:end], None, state)
            read.append(y)
        close(torch.cat(read, 1), whole, dtype)


@each_encoder
def test_what_lies_past_the_end_is_not_read(name: str, options: dict[str, Any]) -> None:
    encoder, x = built(name, options), data()
    lengths = torch.tensor([T, 5, 0, 9])
    poisoned = x.clone()
    for row, length in enumerate(lengths.tolist()):
        poisoned[row, length:] = float("nan")
    ragged, state = encoder(poisoned, lengths)
    ends = encoder.summary(poisoned, lengths)
    for row, length in enumerate(lengths.tolist()):
        assert not ragged[row, length:].any()
        if length:
            alone, _ = encoder(x[row : row + 1, :length])
            close(ragged[row, :length], alone[0])
            close(ends[row], alone[0, -1])
    assert not ends[2].any()
    # The state is the one at each end: reading on is as if the sequences had been whole.
    more = data(4, 6, seed=5)
    on, _ = encoder(more, None, state)
    for row, length in enumerate(lengths.tolist()):
        joined, _ = encoder(torch.cat((x[row : row + 1, :length], more[row : row + 1]), 1))
        close(on[row], joined[0, length:])


@pytest.mark.parametrize("name", ["feedforward", "cnn", "transformer"])
@settings(max_examples=40, deadline=None)
@given(drawn=st.data())
def test_ragged_pieces_are_as_whole(name: str, drawn: st.DataObject) -> None:
    """Any lengths, any number of pieces, any span: each sequence reads as it would alone."""
    pieces = drawn.draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))
    reach, layers = drawn.draw(st.integers(1, 12)), drawn.draw(st.integers(1, 2))
    encoder = built(name, {}, layers, torch.float64, reach=reach)
    state: Any = None
    given_rows: list[list[Tensor]] = [[], [], []]
    read: list[list[Tensor]] = [[], [], []]
    for number, steps in enumerate(pieces):
        x = data(3, steps, torch.float64, seed=number)
        lengths = drawn.draw(st.lists(st.integers(0, steps), min_size=3, max_size=3))
        y, state = encoder(x, lengths, state)
        for row, length in enumerate(lengths):
            given_rows[row].append(x[row, :length])
            read[row].append(y[row, :length])
    for inputs, outputs in zip(given_rows, read, strict=True):
        whole = torch.cat(inputs)[None]
        if whole.shape[1]:
            close(torch.cat(outputs), encoder(whole)[0][0], torch.float64)


@pytest.mark.parametrize("name", ["feedforward", "cnn", "transformer"])
@settings(max_examples=40, deadline=None)
@given(drawn=st.data())
def test_a_summary_is_the_last_step_with_its_gradient(name: str, drawn: st.DataObject) -> None:
    """Whatever the shorter way leaves out does not matter to the end."""
    steps, reach = drawn.draw(st.integers(1, 40)), drawn.draw(st.integers(1, 40))
    encoder = built(name, {}, drawn.draw(st.integers(1, 3)), torch.float64, reach=reach)
    lengths = torch.tensor(drawn.draw(st.lists(st.integers(1, steps), min_size=3, max_size=3)))
    given_lengths = drawn.draw(st.sampled_from([lengths, None]))
    ends = torch.full((3,), steps) if given_lengths is None else lengths
    x = data(3, steps, torch.float64).requires_grad_()
    short, whole = encoder.summary(x, given_lengths), encoder(x, given_lengths)[0][range(3), ends - 1]
    close(short, whole, torch.float64)
    slopes = [torch.autograd.grad(each.sin().sum(), x)[0] for each in (short, whole)]
    close(*slopes, torch.float64)


@each_encoder
def test_a_sequence_reads_the_same_alone_and_in_a_batch(name: str, options: dict[str, Any]) -> None:
    encoder, x = built(name, options), data()
    together = encoder(x)[0]
    for row in range(len(x)):
        close(encoder(x[row : row + 1])[0][0], together[row])


@each_encoder
def test_the_span_is_exact(name: str, options: dict[str, Any]) -> None:
    encoder = built(name, options, dtype=torch.float64)
    steps = 40
    x = data(2, steps, torch.float64).requires_grad_()
    reached = torch.zeros(steps, dtype=torch.bool)  # by lag
    for unit in range(H):
        (slope,) = torch.autograd.grad(encoder(x)[0][:, -1, unit].sum(), x)
        reached |= slope.flip(1).ne(0).any(dim=2).any(dim=0)
    if encoder.span is None:
        assert reached[:10].all()
    else:
        assert reached[: encoder.span].all()
        assert not reached[encoder.span :].any()


@each_encoder
def test_gradients_are_right(name: str, options: dict[str, Any]) -> None:
    encoder = built(name, options, dtype=torch.float64)
    x = data(2, 6, torch.float64).requires_grad_()
    lengths = torch.tensor([6, 4])

    def read(given: Tensor) -> Tensor:
        first, state = encoder(given[:, :2])
        rest, _ = encoder(given[:, 2:], lengths - 2, state)
        return torch.cat((first, rest), 1)

    assert torch.autograd.gradcheck(read, (x,), eps=1e-6, atol=1e-6)
    read(x).square().sum().backward()
    for parameter in encoder.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.any()


@each_encoder
def test_copies_and_weights_give_the_same_bits(name: str, options: dict[str, Any]) -> None:
    encoder, x = built(name, options), data()
    y, _ = encoder(x)
    assert torch.equal(copy.deepcopy(encoder)(x)[0], y)
    torch.manual_seed(11)
    other = build_encoder(name, INPUTS, H, 2, **{"reach": T, **options}).eval()
    assert not torch.equal(other(x)[0], y)
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(x)[0], y)


@each_encoder
def test_dropout_is_for_training_only(name: str, options: dict[str, Any]) -> None:
    encoder, x = built(name, options, dropout=0.5), data()
    assert torch.equal(encoder(x)[0], built(name, options)(x)[0])
    encoder.train()
    assert not torch.equal(encoder(x)[0], encoder(x)[0])
    built(name, options, layers=1, dropout=0.5)  # nothing lies between the layers of a stack of one


@each_encoder
def test_parameters_grow_with_the_width(name: str, options: dict[str, Any]) -> None:
    """Sizes are matched by width, without any memory: each width has more parameters, and not many more."""

    def parameters(width: int) -> int:
        with torch.device("meta"):
            encoder = build_encoder(name, INPUTS, width, 2, **{"reach": T, **options})
        return sum(each.numel() for each in encoder.parameters())

    step = options.get("heads", 1)
    for narrow, wide in pairwise(range(16, 97, step)):
        few, many = parameters(narrow), parameters(wide)
        assert few < many <= few * (wide / narrow) ** 2.5


@each_encoder
def test_nonsense_is_refused(name: str, options: dict[str, Any]) -> None:
    encoder = built(name, options)
    with pytest.raises(InputError, match=rf"encoder {name!r} has no option 'widnow': its options are"):
        built(name, {"widnow": 3})
    with pytest.raises(InputError, match=r"input_size"):
        build_encoder(name, 0, H)
    with pytest.raises(InputError, match=r"expected 3 features .* got 4"):
        encoder(torch.zeros(2, 5, 4))
    with pytest.raises(InputError, match=r"torch\.float32, got torch\.float64"):
        encoder(data(dtype=torch.float64))
    with pytest.raises(InputError, match=r"between 0 and the 13 steps of the input, got 14 for sequence 1"):
        encoder(data(), [1, 14, 1, 1])
    if encoder.span is not None:
        with pytest.raises(InputError, match=r"\(B, T, I\), got \(5, 3\)"):
            encoder(torch.zeros(5, INPUTS))
        with pytest.raises(InputError, match=r"an earlier call returned"):
            encoder(data(), None, (torch.zeros(1),))
        with pytest.raises(InputError, match=r"of shape \(2,|an earlier call returned"):
            encoder(data(2), None, encoder(data(4))[1])
