"""Rows made ready: every group passes its gate, and the gate sees what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spoilt_kernels import spoil
from torch import Tensor

from longspan.bench.calls import Call
from longspan.bench.case import OURS, Case, Judged, Side, UnavailableError, check, relative_error
from longspan.bench.catalogue import GROUPS, Sizes
from longspan.bench.loops import HandWritten
from longspan.bench.run import MAKERS
from longspan.cells.base import Cell
from longspan.kernels.native_library import NativeError, library
from longspan.nn import LSTM, using

TINY, STEP = Sizes(2, 6, 3, 24), Sizes(1, 1, 3, 8)


def made(group: str) -> Case:
    """A case of tiny sizes, or a skip where this machine has no engine."""
    try:
        return MAKERS[group](STEP if group.startswith("streaming") else TINY)
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_passes_its_own_gate(group: str) -> None:
    case = made(group)
    judged = check(case)
    assert len(judged) == 1 + len(case.peers)
    assert all(each.green for each in judged), [str(each) for each in judged]


@pytest.mark.parametrize("group", GROUPS)
def test_the_truth_is_of_float64_and_not_the_result_itself(group: str) -> None:
    ours = made(group).ours
    found, truth = ours.found(), ours.truth()
    assert {part.dtype for part in truth.values()} == {torch.float64}
    assert all(found[name].data_ptr() != part.data_ptr() for name, part in truth.items())


@pytest.mark.parametrize("group", GROUPS)
def test_all_sides_run_and_leave_the_results_alone(group: str) -> None:
    case = made(group)
    before = {name: part.clone() for name, part in case.ours.found().items()}
    with torch.set_grad_enabled(case.grad):
        for side in (case.ours, *case.peers):
            side.run()
            side.run()
    after = case.ours.found()
    assert all(torch.equal(after[name], part) for name, part in before.items())


@pytest.mark.parametrize("group", ["training", "ragged/training", "variants/coupled", "variants/four-gates"])
def test_training_rows_judge_the_gradient_of_every_weight(group: str) -> None:
    truth = made(group).ours.truth()
    names = {f"gradient of {name}" for name in ("x", "weight_ih_l0", "weight_hh_l0", "bias_ih_l0")}
    assert names | {"y", "h", "c"} <= set(truth)
    if group.startswith("variants"):
        assert {"gradient of weight_ch_l0", "gradient of gain_c_l0", "gradient of shift_c_l0"} <= set(truth)


def test_the_gate_of_a_record_looks_at_every_record() -> None:
    assert {f"record {name}" for name in "ifgoc"} <= set(made("record").ours.truth())


def test_the_caller_keeps_its_random_numbers() -> None:
    before = torch.random.get_rng_state()
    for group in ("training", "variants/coupled", "ragged/inference"):
        made(group)
    assert torch.equal(torch.random.get_rng_state(), before)


def wrong_output(y: Tensor) -> Tensor:
    return y * 1.0001


def wrong_gradient(y: Tensor) -> Tensor:
    """The same values, and a gradient that is a hundredth too small."""
    return 0.99 * y + 0.01 * y.detach()


def one_nan(y: Tensor) -> Tensor:
    spoilt = y.clone()
    spoilt.view(-1)[-1] = torch.nan
    return spoilt


SEQUENCES = [group for group in GROUPS if not group.startswith("streaming")]


@pytest.mark.parametrize("fault", [wrong_output, one_nan])
@pytest.mark.parametrize("group", SEQUENCES)
def test_a_wrong_output_is_red(
    group: str, fault: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    if group.startswith(("variants", "record")):
        needs_engine()
    spoil(monkeypatch, fault, "reference")
    ours = check(made(group))[0]
    assert not ours.green
    assert ours.side == "longspan"


@pytest.mark.parametrize("group", [group for group in SEQUENCES if MAKERS[group](TINY).grad])
def test_a_wrong_gradient_is_red(group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if group.startswith("variants"):
        needs_engine()
    spoil(monkeypatch, wrong_gradient, "reference")
    ours = check(made(group))[0]
    assert not ours.green
    assert ours.tensor.startswith("gradient of")


def needs_engine() -> None:
    """Without the engine these rows run on the loop that defines the truth, which is not spoilt."""
    try:
        library()
    except NativeError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("group", ["streaming/bound", "streaming/checked"])
def test_a_wrong_stepper_is_red(group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_engine()
    from longspan.bench import streaming

    right = streaming.Stepper

    class Wrong(right):  # type: ignore[valid-type,misc]
        def __init__(self, cell: object, weights: list[Tensor], **given: int) -> None:
            super().__init__(cell, [1.001 * weight.detach() for weight in weights], **given)

    monkeypatch.setattr(streaming, "Stepper", Wrong)
    judged = check(made(group))
    assert [each.green for each in judged] == [False, True, True]


def half_stepper(accuracy: float) -> type:
    """A stepper that takes weights in bfloat16, and is off by so much."""
    from longspan.bench import streaming

    class Half(streaming.Stepper):
        def __init__(self, cell: Cell, weights: list[Tensor], **given: int) -> None:
            off = accuracy if weights[0].dtype == torch.bfloat16 else 0.0
            super().__init__(cell, [(1 + off) * weight.detach().float() for weight in weights], **given)

    return Half


@pytest.mark.parametrize(("accuracy", "green"), [(0.0, True), (0.1, False)])
def test_half_precision_is_held_to_twice_the_error_of_eager_torch(
    accuracy: float, green: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_engine()
    from longspan.bench import streaming

    monkeypatch.setattr(streaming, "Stepper", half_stepper(accuracy))
    case = made("streaming/bf16")
    half, full = check(case)
    assert (half.green, full.green) == (green, True)
    assert half.tolerance == 2 * case.facts["error of eager bfloat16"]
    assert case.facts["error"] == pytest.approx(half.error)
    assert 1e-4 < case.facts["error of eager bfloat16"] < 1e-2


def test_a_tensor_that_is_missing_or_of_another_shape_is_red() -> None:
    whole = {"y": torch.ones(3), "h": torch.ones(2)}
    for found in ({"y": torch.ones(3)}, {"y": torch.ones(3), "h": torch.ones(1)}):
        side = Side("ours", lambda: None, lambda found=found: found, lambda: whole, OURS)
        judged = check(Case(side, (), 1.0))[0]
        assert (judged.green, judged.tensor) == (False, "h")


def test_the_worst_tensor_is_named() -> None:
    truth = {"y": torch.ones(3), "h": torch.ones(2)}
    side = Side("ours", lambda: None, lambda: {"y": truth["y"], "h": 1.5 * truth["h"]}, lambda: truth, OURS)
    assert str(check(Case(side, (), 1.0))[0]) == "ours: h is off by 0.5 of its size, at most 2e-06"
    nothing = replace(side, found=lambda: {"y": truth["y"], "h": truth["h"] * torch.nan})
    assert not check(Case(nothing, (), 1.0))[0].green


def test_an_error_that_is_no_number_is_red() -> None:
    assert not Judged("ours", "y", float("nan"), 1.0).green
    assert not Judged("ours", "y", float("inf"), 1.0).green
    assert Judged("ours", "y", 1.0, 1.0).green


@given(st.floats(1e-6, 1e6), st.floats(1e-3, 1.0))
def test_the_relative_error_does_not_depend_on_the_scale(scale: float, off: float) -> None:
    truth = scale * torch.linspace(-1, 1, 7, dtype=torch.float64)
    assert relative_error(truth * (1 + off), truth) == pytest.approx(off, rel=1e-6)


def test_the_relative_error_of_nothing() -> None:
    zero = torch.zeros(4)
    assert relative_error(zero, zero) == 0.0
    assert relative_error(zero + 2.0, zero) == 2.0


@pytest.mark.parametrize("coupled", [False, True])
def test_the_hand_written_loop_draws_its_masks_in_training_only(coupled: bool) -> None:
    torch.manual_seed(0)
    layer = LSTM(
        3, 8, peephole=True, layer_norm=True, coupled=coupled, cell_clip=1.0, zoneout=(0.3, 0.3),
        recurrent_dropout=0.5,
    )  # fmt: skip
    loop = HandWritten(layer, coupled=coupled, clip=1.0)
    x, dy = torch.randn(5, 2, 3), torch.randn(5, 2, 8)
    assert not torch.equal(loop(x)[0], loop(x)[0])
    loop.eval()
    layer.eval()
    with using("reference"):
        truth = Call(layer, layer, x, dy).found()
    found = Call(loop, partial(loop), x, dy).found()
    assert all(relative_error(found[name], part) < 1e-4 for name, part in truth.items())


def test_zoneout_of_the_hand_written_loop_holds_at_its_rate() -> None:
    torch.manual_seed(0)
    layer = LSTM(
        1, 64, peephole=True, layer_norm=True, cell_clip=1.0, zoneout=(0.25, 0.0), recurrent_dropout=0.0
    )
    loop = HandWritten(layer, coupled=False, clip=1.0)
    y, _ = loop(torch.randn(50, 8, 1))
    held = (y[1:] == y[:-1]).double().mean()
    assert held == pytest.approx(0.25, abs=0.02)  # 25,088 draws: a standard error of 0.003
