"""Which kernel runs, why, and how to override it."""

from __future__ import annotations

import threading

import pytest
import torch

from longspan.core.errors import InputError
from longspan.kernels import dispatch, native
from longspan.nn import GRU, LSTM, RNN, Recurrent, explain, using

# The kernels of plain layers and of what torch does not have: the engine, where it was built.
BUILT = native.supports(LSTM(1, 1).prepare(torch.zeros(1, 1, 1))[0]) is None
FIRST, SECOND = ("native", "native") if BUILT else ("vendor", "reference")
X = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layer", [LSTM(3, 4), GRU(3, 4), RNN(3, 4), RNN(3, 4, nonlinearity="relu")], ids=str)
def test_plain_layers_run_on_the_first_kernel(layer: Recurrent) -> None:
    explanation = explain(layer, X)
    assert explanation.backend == FIRST
    other = "vendor" if BUILT else "native"
    assert list(explanation.refusals) == [other, "reference"]
    assert explanation.refusals["reference"] == f"{FIRST} comes first"
    assert str(explanation).startswith(f"runs on {FIRST}\nnot {other}: ")
    assert str(explanation).endswith(f"\nnot reference: {FIRST} comes first")


def test_autocast_leaves_the_engine_out() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        explanation = explain(LSTM(3, 4), X)
        assert explanation.backend == "vendor"
        assert "autocast is on" in explanation.refusals["native"]
        assert LSTM(3, 4)(X)[0].dtype == torch.nn.LSTM(3, 4)(X)[0].dtype


REFUSED = [
    (LSTM(3, 4, peephole=True), {}, "torch has no fused lstm(peephole=True)"),
    (LSTM(3, 4, coupled=True, cell_clip=1.0), {}, "torch has no fused lstm(coupled=True, cell_clip=1.0)"),
    (GRU(3, 4, reset_after=False), {}, "torch has no fused gru(reset_after=False)"),
    (LSTM(3, 4), {"record": "c"}, "returns no gates or states of each step, record names 'c'"),
    (LSTM(3, 4), {"reset": torch.zeros(5, 2, dtype=torch.bool)}, "has no reset mask"),
    (LSTM(3, 4, zoneout=0.1).eval(), {}, "has no zoneout"),
    (LSTM(3, 4, recurrent_dropout=0.1), {}, "has no recurrent dropout"),
    (LSTM(3, 4, 2, dropout=0.1), {"seed": 3}, "draws its own dropout masks, not those of a given seed"),
    (LSTM(3, 4, 2, dropout=0.1), {"sample_ids": [4, 5]}, "not those of a given seed or sample ids"),
]


@pytest.mark.parametrize(("layer", "call", "reason"), REFUSED, ids=[reason for _, _, reason in REFUSED])
def test_every_refusal_has_its_reason(layer: Recurrent, call: dict[str, object], reason: str) -> None:
    explanation = explain(layer, X, **call)
    assert explanation.backend == SECOND
    assert reason in explanation.refusals["vendor"]
    with (
        using("vendor"),
        pytest.raises(InputError, match=r"using\('vendor'\): the backend cannot run this call"),
    ):
        layer(X, **call)


def test_options_that_do_not_act_refuse_nothing() -> None:
    assert "vendor" not in real_refusals(LSTM(3, 4, recurrent_dropout=0.2).eval())
    assert "vendor" not in real_refusals(LSTM(3, 4, 2, dropout=0.2).eval(), seed=3)
    assert "vendor" not in real_refusals(LSTM(3, 4), seed=3)


def real_refusals(layer: Recurrent, **call: object) -> dict[str, str]:
    """Refusals for another reason than the order of the table."""
    found = explain(layer, X, **call).refusals
    return {name: reason for name, reason in found.items() if not reason.endswith("comes first")}


def test_empty_inputs_do_not_go_to_torch() -> None:
    assert "refuses inputs without steps" in explain(LSTM(3, 4), X[:0]).refusals["vendor"]


def test_explain_runs_nothing_and_draws_nothing() -> None:
    layer = LSTM(3, 4, zoneout=0.5)
    before = torch.get_rng_state()
    explain(layer, X)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(InputError, match="LSTM: expected 3 features"):
        explain(layer, X[..., :2])


def test_using_overrides_and_ends() -> None:
    layer = LSTM(3, 4)
    with using("reference"):
        inner = explain(layer, X)
        assert inner.backend == "reference"
        assert inner.refusals["vendor"] == "using('reference') is in force"
        with using("vendor"):
            assert explain(layer, X).backend == "vendor"
        assert explain(layer, X).backend == "reference"
    assert explain(layer, X).backend == FIRST


def test_using_ends_with_an_error_too() -> None:
    with pytest.raises(ZeroDivisionError), using("reference"):
        raise ZeroDivisionError
    assert explain(LSTM(3, 4), X).backend == FIRST


def test_using_is_of_its_own_thread() -> None:
    seen = []
    with using("reference"):
        thread = threading.Thread(target=lambda: seen.append(explain(LSTM(3, 4), X).backend))
        thread.start()
        thread.join()
    assert seen == [FIRST]


def test_unknown_backend() -> None:
    with pytest.raises(
        InputError, match="using: expected backend to be one of native, vendor, reference, got 'cudnn'"
    ):
        using("cudnn").__enter__()


def test_a_seed_is_drawn_from_the_generator_of_torch() -> None:
    layer = LSTM(3, 4, zoneout=0.5)
    torch.manual_seed(1)
    first, second = layer(X)[0], layer(X)[0]
    torch.manual_seed(1)
    assert torch.equal(layer(X)[0], first)
    assert not torch.equal(first, second)


def test_a_call_that_draws_nothing_leaves_the_generator_alone() -> None:
    before = torch.get_rng_state()
    LSTM.forward(LSTM_QUIET, X)
    assert torch.equal(torch.get_rng_state(), before)


LSTM_QUIET = LSTM(3, 4, peephole=True, zoneout=0.3, recurrent_dropout=0.3).eval()


def test_a_backend_that_refuses_all_leaves_an_error_with_the_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    never = dispatch.Backend("never", lambda _: "it never can", lambda *_: pytest.fail("it ran"))
    monkeypatch.setattr(dispatch, "BACKENDS", (never,))
    with pytest.raises(InputError, match=r"no backend can run this call: \{'never': 'it never can'\}"):
        LSTM(3, 4)(X)
