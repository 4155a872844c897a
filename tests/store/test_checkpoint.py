"""Checkpoints come back to the last bit, or not at all."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from longspan.core.errors import InputError, ModelError
from longspan.store import strict_json
from longspan.store.checkpoint import Checkpoint, decode_checkpoint, encode_checkpoint
from longspan.store.flatten import flatten, same, unflatten

OPTIMIZERS = {
    "adamw": lambda ps: torch.optim.AdamW(ps, lr=1e-2, betas=(0.8, 0.99)),
    "amsgrad": lambda ps: torch.optim.Adam(ps, lr=1e-2, amsgrad=True),
    "fused": lambda ps: torch.optim.AdamW(ps, lr=1e-2, fused=True),
    "sgd": lambda ps: torch.optim.SGD(ps, lr=1e-2, momentum=0.9, nesterov=True),
    "plain sgd": lambda ps: torch.optim.SGD(ps, lr=1e-2),
}
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
SHAPES = st.lists(st.lists(st.integers(0, 4), max_size=3).map(tuple), min_size=1, max_size=4)


def _round_trip(checkpoint: Checkpoint) -> Checkpoint:
    return decode_checkpoint(encode_checkpoint(checkpoint), "test")


def _parameters(shapes: list[tuple[int, ...]], dtype: torch.dtype) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    return [nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in shapes]


def _step(parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    for p in parameters:
        p.grad = torch.randn(p.shape, generator=generator).to(p.dtype)
    optimizer.step()


@given(SHAPES, st.sampled_from(DTYPES), st.sampled_from(sorted(OPTIMIZERS)), st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_optimiser_goes_on_to_the_same_bits(
    shapes: list[tuple[int, ...]], dtype: torch.dtype, name: str, steps: int
) -> None:
    ours = _parameters(shapes, dtype)
    optimizer = OPTIMIZERS[name](ours)
    for number in range(steps):
        _step(ours, optimizer, number)
    weights = {str(n): p.detach() for n, p in enumerate(ours)}
    back = _round_trip(Checkpoint(steps, weights, optimizer.state_dict()))
    assert same(back.optimizer, optimizer.state_dict())
    assert same(back.weights, weights)

    copies = [nn.Parameter(back.weights[str(n)].clone()) for n in range(len(ours))]
    resumed = OPTIMIZERS[name](copies)
    resumed.load_state_dict(dict(back.optimizer))
    for number in range(steps, steps + 2):
        _step(ours, optimizer, number)
        _step(copies, resumed, number)
    assert same([p.detach() for p in ours], [p.detach() for p in copies])
    assert same(optimizer.state_dict(), resumed.state_dict())


def test_every_part_comes_back() -> None:
    whole = Checkpoint(
        step=123456789012,
        weights={"w": torch.tensor([math.nan, -0.0, math.inf])},
        optimizer={"state": {}, "param_groups": [{"lr": 0.1 + 0.2, "betas": (0.9, 0.999), "params": [0]}]},
        best={"w": torch.zeros(0)},
        average={"w": torch.ones(2, 3).t()},
        generators={"cpu": torch.get_rng_state()},
        progress={"losses": [1e-320, -0.0, math.inf, math.nan], "flag": True, "none": None, "größe": "ß"},
    )
    back = _round_trip(whole)
    assert back.step == whole.step
    for part in ("weights", "optimizer", "best", "average", "generators", "progress"):
        assert same(getattr(back, part), getattr(whole, part)), part
    assert _round_trip(Checkpoint(0, {}, {})).best is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_tied_and_strided_tensors(dtype: torch.dtype) -> None:
    base = torch.arange(12).reshape(3, 4).to(dtype)
    weights = {"a": base, "tied": base, "column": base[:, 1], "turned": base.t(), "tail": base[2:]}
    assert same(_round_trip(Checkpoint(0, weights, {})).weights, weights)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=5)
    | st.sampled_from([torch.zeros(2), torch.tensor(3), torch.tensor([True])]),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner)
    | st.dictionaries(st.text(max_size=4) | st.integers(0, 9), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(PLAIN)
@settings(max_examples=50, deadline=None)
def test_flatten_is_undone_by_unflatten(value: Any) -> None:
    tensors: dict[str, Tensor] = {}
    back = unflatten(flatten(value, tensors), tensors, "test")
    assert same(back, value)
    assert type(back) is type(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.5])
def test_a_number_of_numpy_is_kept_as_a_number(value: float) -> None:
    back = _round_trip(Checkpoint(0, {}, {}, progress={"loss": np.float64(value)}))
    assert same(back.progress, {"loss": value})
    assert type(back.progress["loss"]) is float


def test_two_paths_that_read_the_same_do_not_share_a_tensor() -> None:
    value = {
        "a/b": torch.zeros(1),
        "a": {"b": torch.ones(1)},
        1: {"x": torch.full((1,), 2.0)},
        "1": {"x": torch.full((1,), 3.0)},
    }
    tensors: dict[str, Tensor] = {}
    back = unflatten(flatten(value, tensors), tensors, "test")
    assert [back["a/b"], back["a"]["b"], back[1]["x"], back["1"]["x"]] == [0.0, 1.0, 2.0, 3.0]


def test_same_tells_bits_apart() -> None:
    assert not same(torch.tensor(0.0), torch.tensor(-0.0))
    assert not same(torch.tensor(1.0), torch.tensor(1.0, dtype=torch.float64))
    assert not same(torch.zeros(2, 1), torch.zeros(1, 2))
    assert not same([1], (1,))
    assert not same(1, True)
    assert not same(0.0, -0.0)
    assert same(torch.tensor(math.nan), torch.tensor(math.nan))


def test_value_of_another_kind_is_refused_with_its_path() -> None:
    with pytest.raises(InputError, match="progress/a/1: expected plain values and tensors, got set"):
        encode_checkpoint(Checkpoint(0, {}, {}, progress={"a": [0, {1}]}))


def test_dtype_that_cannot_be_kept() -> None:
    with pytest.raises(InputError, match=r"dtype torch\.complex64 cannot be kept"):
        encode_checkpoint(Checkpoint(0, {"w": torch.zeros(1, dtype=torch.complex64)}, {}))


def test_checkpoint_cut_off_at_every_length_is_refused() -> None:
    data = encode_checkpoint(Checkpoint(1, {"w": torch.arange(3.0)}, {}))
    for length in range(len(data)):
        with pytest.raises(ModelError):
            decode_checkpoint(data[:length], "test")


def test_every_flipped_bit_is_noticed_or_harmless() -> None:
    checkpoint = Checkpoint(1, {"w": torch.arange(3.0)}, {})
    data = encode_checkpoint(checkpoint)
    header = 8 + struct.unpack("<Q", data[:8])[0]
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 4
        try:
            back = decode_checkpoint(bytes(changed), "test")
        except ModelError:
            continue
        # The header may be padded with blanks; nothing else may be read.
        assert place < header
        assert same(back.weights, checkpoint.weights)


@pytest.mark.parametrize("version", [0, 2, 99])
def test_checkpoint_of_another_version(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("longspan.store.checkpoint.CHECKPOINT_VERSION", version)
        data = encode_checkpoint(Checkpoint(1, {}, {}))
    with pytest.raises(ModelError, match=f"checkpoint version {version}, this longspan reads 1"):
        decode_checkpoint(data, "test")


@pytest.mark.parametrize(
    "text",
    [
        '{"$tensor": "absent"}',
        '{"$tensor": ["x"]}',
        '{"$float": "1"}',
        '{"$exec": "rm"}',
        '{"$pairs": [[1]]}',
        '{"$tuple": 3}',
    ],
)
def test_marks_that_flatten_does_not_write(text: str) -> None:
    with pytest.raises(ModelError, match="cannot read"):
        unflatten(strict_json.parse(text.encode(), "test"), {}, "test")
