"""Calls without gradients keep packed weights, and see every change of the weights, however it was made."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from native_problems import assert_same_bits, engine
from torch import Tensor

from longspan import nn
from longspan.kernels import native_buffers, native_job
from longspan.nn.stack import Recurrent


@pytest.fixture(autouse=True)
def keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside of these tests, which fill memory that is not written yet with NaN and so keep nothing."""
    monkeypatch.setattr(native_buffers, "may_keep", lambda: True)
    monkeypatch.setattr(native_job, "_kept", native_buffers.Bounded(1 << 20, native_job._kept.bytes_of))


def _named(result: tuple[Tensor, tuple[Tensor, ...]]) -> dict[str, Tensor]:
    return {"y": result[0], **{str(number): part for number, part in enumerate(result[1])}}


def _assert_seen(layer: Recurrent, x: Tensor, **given: Tensor) -> None:
    """A call without gradients has the bits of one with gradients, which packs the weights anew."""
    with torch.no_grad():
        got = layer(x, **given)
    assert native_job._kept.by_name
    assert_same_bits(_named(got), _named(layer(x, **given)))


def _layer(**options: object) -> Recurrent:
    torch.manual_seed(0)
    return nn.LSTM(5, 40, peephole=True, layer_norm=True, proj_size=20, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_change_of_any_weight_is_seen(threads: int) -> None:
    layer, x = _layer(), torch.randn(4, 3, 5)
    with engine(threads):
        _assert_seen(layer, x)
        before = layer(x)[0]
        for name, weight in layer.named_parameters():
            for element in (0, weight.numel() // 2, weight.numel() - 1):
                weight.data.view(-1)[element] += 1.0  # past the counter of versions
                _assert_seen(layer, x)
            after = layer(x)[0]
            assert not torch.equal(before, after), name
            before = after


def test_a_change_by_numpy_and_a_loaded_state_are_seen() -> None:
    layer, x = _layer(), torch.randn(4, 3, 5)
    state = {name: part.clone() for name, part in layer.state_dict().items()}
    first = layer(x)[0]
    _assert_seen(layer, x)
    layer.weight_hh_l0.detach().numpy()[...] *= 2.0
    _assert_seen(layer, x)
    layer.load_state_dict(state)
    _assert_seen(layer, x)
    assert torch.equal(layer(x)[0], first)


def test_layers_that_share_weights_and_differ_in_options() -> None:
    coupled, without = nn.LSTM(5, 40, coupled=True), nn.LSTM(5, 40, forget_gate=False)
    without._parameters.update(coupled._parameters)
    x = torch.randn(4, 3, 5)
    for layer in (coupled, without, coupled):
        _assert_seen(layer, x)
    with torch.no_grad():
        assert not torch.equal(coupled(x)[0], without(x)[0])


def test_biases_that_come_and_go() -> None:
    layer, plain = nn.LSTM(5, 40), nn.LSTM(5, 40, bias=False)
    plain._parameters.update({name: layer._parameters[name] for name in ("weight_ih_l0", "weight_hh_l0")})
    x = torch.randn(4, 3, 5)
    for each in (layer, plain, layer):
        _assert_seen(each, x)


def test_what_one_call_gives_beside_x_is_not_seen_by_the_next() -> None:
    layer, x = nn.LSTM(5, 40), torch.randn(6, 3, 5)
    layer.eval()
    state = (torch.randn(1, 3, 40), torch.randn(1, 3, 40))
    reset = torch.rand(6, 3) < 0.4
    calls: list[dict[str, Any]] = [
        {}, {"lengths": torch.tensor([2, 0, 6])}, {"record": ("f", "c")}, {"reset": reset}, {"hx": state},
        {"reset": reset, "hx": state, "record": "pre_o"}, {"seed": 3, "first_step": 2},
    ]  # fmt: skip
    want = [layer(x, **given)[:2] for given in calls]  # with gradients: nothing is kept
    for first in range(len(calls)):
        for second in range(len(calls)):
            for which in (first, second, first):
                with torch.no_grad():
                    got = layer(x.clone(), **calls[which])[:2]
                assert_same_bits(_named(got), _named(want[which]))
    learned = nn.LSTM(5, 40, learn_initial_state=True)
    for given in ({"reset": reset}, {}, {"reset": ~reset}):
        _assert_seen(learned, x, **given)


def test_masks_are_drawn_at_every_call() -> None:
    layer, x = nn.LSTM(5, 40, recurrent_dropout=0.5), torch.randn(6, 3, 5)
    with torch.no_grad():
        first, again = (layer(x, seed=seed)[0] for seed in (1, 2))
    assert not torch.equal(first, again)
    assert_same_bits({"y": again}, {"y": layer(x, seed=2)[0]})


def test_many_threads_at_once_have_the_bits_of_one() -> None:
    layer, x = nn.LSTM(16, 64), torch.randn(20, 2, 16)
    with torch.no_grad():
        want = _named(layer(x))

    def call(_: int) -> dict[str, Tensor]:
        with torch.no_grad():
            return _named(layer(x))

    with ThreadPoolExecutor(8) as pool:
        for got in pool.map(call, range(200)):
            assert_same_bits(got, want)


def test_sequences_of_any_length_find_the_same_weights() -> None:
    layer = nn.LSTM(5, 40)
    for steps in (3, 1, 70, 17, 3):
        _assert_seen(layer, torch.randn(steps, 2, 5))
        assert len(native_job._kept.by_name) == 1


def test_what_is_kept_is_bounded() -> None:
    layer, spaces = nn.LSTM(16, 64), native_job._kept
    for batch in range(1, 40):
        _assert_seen(layer, torch.randn(3, batch, 16))
        sizes = [each.work.numel() * each.work.element_size() for each in spaces.by_name.values()]
        assert 0 < sum(sizes) == spaces.bytes <= spaces.most
    with torch.no_grad():
        nn.LSTM(200, 300)(torch.randn(3, 1, 200))  # larger than all that may be kept
    assert sum(sizes) == spaces.bytes


def test_nobody_waits_for_what_is_kept() -> None:
    """A signal handler that runs a layer may have interrupted the one that is putting something away."""
    layer, x = _layer(), torch.randn(4, 3, 5)
    with torch.no_grad():
        want = layer(x)
        with native_job._kept._lock, native_buffers._large._lock:
            got = layer(x)
            layer(torch.randn(400, 30, 5))
    assert_same_bits(_named(got), _named(want))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_of_fork_begins_with_nothing_and_waits_for_nobody() -> None:
    layer, x = _layer(), torch.randn(4, 3, 5)
    with torch.no_grad():
        layer(x)
        assert native_job._kept.by_name
        with native_job._kept._lock:
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    kept = native_job._kept
                    code = 0 if not kept.by_name and kept._lock.acquire(blocking=False) else 2
                finally:
                    os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
