"""Calls of the engine's operators that a program with a mistake might make.

Run as a script: ``nasty_calls.py [FIRST]`` prints, for each call from number FIRST on, one JSON line before
it and one after it with the error that it raised. What crashes the process is the call without a second line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from longspan.kernels import native_ops  # registers the operators

T, B, I, H = 4, 3, 2, 5  # noqa: E741

Call = dict[str, Any]
NAMES = (
    "x", "h", "c", "weights", "lengths", "reset", "fresh_h", "fresh_c", "seed", "sample_ids", "first_step",
)  # fmt: skip


def good_call() -> Call:
    """Every operand of an LSTM with biases, by name."""
    torch.manual_seed(1)
    side = native_ops.Side(0, 0, 0, 0, True, True, 0b1111, (0, 9), 0.0, 0.2, 0.1, 0.1)
    shapes = ((4 * H, I), (4 * H, H), (4 * H,), (4 * H,))
    return {
        "x": torch.randn(T, B, I),
        "h": torch.randn(B, H),
        "c": torch.randn(B, H),
        "weights": [torch.randn(*shape) * 0.3 for shape in shapes],
        "lengths": torch.tensor([4, 0, 2]),
        "reset": torch.rand(T, B) < 0.3,
        "fresh_h": torch.randn(H),
        "fresh_c": torch.randn(H),
        "seed": torch.tensor(3),
        "sample_ids": torch.tensor([5, 1, 2]),
        "first_step": torch.tensor(0),
        "numbers": side.numbers(),
        "rates": side.rates(),
    }


def forward(call: Call) -> tuple[Tensor, ...]:
    """The forward operator."""
    return torch.ops.longspan.native_side(*(call[n] for n in NAMES), call["numbers"], call["rates"])


def backward(call: Call, **changes: Any) -> Any:
    """The backward operator after a good forward pass, some of its operands changed."""
    y, h, c, records, tape = forward(call)
    given = {"tape": tape, "d_y": y, "d_h": h, "d_c": c, "d_records": records, **changes}
    operands = {**call, **changes}
    return torch.ops.longspan.native_side_backward(
        *(operands[n] for n in NAMES), operands["numbers"], operands["rates"],
        *(given[n] for n in ("tape", "d_y", "d_h", "d_c", "d_records")), True,
    )  # fmt: skip


def _with(**changes: Any) -> Callable[[], Any]:
    return lambda: forward({**good_call(), **changes})


def _weight(place: int, value: Tensor) -> Callable[[], Any]:
    def run() -> Any:
        call = good_call()
        call["weights"][place] = value
        return forward(call)

    return run


def _number(place: int, value: int) -> Callable[[], Any]:
    def run() -> Any:
        call = good_call()
        call["numbers"][place] = value
        return forward(call)

    return run


def _rate(place: int, value: float) -> Callable[[], Any]:
    def run() -> Any:
        call = good_call()
        call["rates"][place] = value
        return forward(call)

    return run


def _back(**changes: Any) -> Callable[[], Any]:
    return lambda: backward(good_call(), **changes)


def _deaf(numbers: list[int]) -> list[int]:
    return [*numbers[:5], 0, *numbers[6:]]


EXPECTED: dict[str, tuple[Callable[[], Any], str]] = {
    "x without time": (_with(x=torch.randn(B, I)), r"x of shape \(T, B, I\), .*got \(3, 2\)"),
    "x of whole numbers": (_with(x=torch.ones(T, B, I).long()), "float32 or float64, got .*int64"),
    "x in half precision": (_with(x=torch.ones(T, B, I).half()), "float32 or float64, got .*float16"),
    "x of complex numbers": (_with(x=torch.ones(T, B, I) * 1j), "float32 or float64, got .*complex64"),
    "x wider than the weights": (
        _with(x=torch.randn(T, B, 99)),
        r"weight_ih of shape \(20, 99\).*got \(20, 2\)",
    ),
    "x of another batch": (_with(x=torch.randn(T, 50, I)), r"h of shape \(50, 5\).*got \(3, 5\)"),
    "x sparse": (_with(x=torch.randn(T, B, I).to_sparse()), "Sparse"),
    "h too narrow": (_with(h=torch.randn(B, 1)), r"h of shape \(3, 5\).*got \(3, 1\)"),
    "h without batch": (_with(h=torch.randn(H)), r"h of shape \(3, 5\).*got \(5,\)"),
    "h of a number": (_with(h=torch.tensor(1.0)), r"h of shape \(3, 5\).*got \(\)"),
    "h of another type": (_with(h=torch.randn(B, H).double()), "h of shape .*float32.*got .*float64"),
    "h elsewhere": (_with(h=torch.randn(B, H, device="meta")), r"on one device, got \['cpu', 'meta'\]"),
    "c left away": (_with(c=torch.empty(0)), r"c of shape \(3, 5\).*got \(0,\)"),
    "c too long": (_with(c=torch.randn(B + 1, H)), r"c of shape \(3, 5\).*got \(4, 5\)"),
    "no weights": (_with(weights=[]), r"the 4 weights \['weight_ih'.*got 0"),
    "a weight too few": (
        lambda: forward({**good_call(), "weights": good_call()["weights"][:3]}),
        "4 weights .*got 3",
    ),
    "a weight too many": (
        lambda: forward({**good_call(), "weights": good_call()["weights"] * 2}),
        "4 weights .*got 8",
    ),
    "weight_hh of one row": (_weight(1, torch.randn(1, H)), r"weight_hh of shape \(4·H, P\), got \(1, 5\)"),
    "weight_hh transposed": (_weight(1, torch.randn(H, 4 * H)), r"\(4·H, P\), got \(5, 20\)"),
    "weight_hh of a number": (_weight(1, torch.tensor(2.0)), r"weight_hh of shape \(4·H, P\), got \(\)"),
    "weight_ih transposed": (
        _weight(0, torch.randn(I, 4 * H)),
        r"weight_ih of shape \(20, 2\).*got \(2, 20\)",
    ),
    "a bias of one gate": (_weight(2, torch.randn(H)), r"bias_ih of shape \(20,\).*got \(5,\)"),
    "a bias of another type": (_weight(3, torch.randn(4 * H).double()), "bias_hh .*got .*float64"),
    "a bias elsewhere": (_weight(3, torch.randn(4 * H, device="meta")), "on one device"),
    "lengths in 32 bits": (
        _with(lengths=torch.tensor([1, 1, 1]).int()),
        "lengths of shape .*int64.*got .*int32",
    ),
    "lengths too few": (_with(lengths=torch.tensor([1])), r"lengths of shape \(3,\).*got \(1,\)"),
    "a negative length": (_with(lengths=torch.tensor([1, -1, 2])), "between 0 and the 4 steps .*got -1"),
    "a length past the end": (
        _with(lengths=torch.tensor([1, 1 << 40, 2])),
        "between 0 and the 4 steps .*got 1099",
    ),
    "reset of bytes": (_with(reset=torch.ones(T, B).byte()), "reset of shape .*bool.*got .*uint8"),
    "reset too short": (_with(reset=torch.ones(1, B).bool()), r"reset of shape \(4, 3\).*got \(1, 3\)"),
    "half of a fresh state": (
        _with(fresh_c=None),
        r"each of the 2 states .*fresh_h of shape \(5,\) and fresh_c None",
    ),
    "a fresh state for each sequence": (
        _with(fresh_h=torch.randn(B, H)),
        r"fresh_h of shape \(5,\).*got \(3, 5\)",
    ),
    "no seed": (_with(seed=None), "a seed for the masks of training, got None"),
    "two seeds": (_with(seed=torch.tensor([1, 2])), r"seed of shape \(\).*got \(2,\)"),
    "a real seed": (_with(seed=torch.tensor(1.5)), "seed of shape .*int64.*got .*float32"),
    "sample ids too few": (_with(sample_ids=torch.tensor([1])), r"sample_ids of shape \(3,\).*got \(1,\)"),
    "numbers too few": (_with(numbers=[0, 0]), "at least 7 numbers and 4 rates, got 2 and 4"),
    "rates too few": (_with(rates=[0.0]), "and 4 rates, got .* and 1"),
    "no such cell": (_number(0, 7), "expected cell 0, 1 or 2, got 7"),
    "no such option": (
        _number(1, 1 << 12),
        "a cell, type, instruction set or record is unknown, or options contradict",
    ),
    "options that contradict": (_number(1, 2 | 4), "forget_gate must be True"),
    "options without their weights": (
        _number(1, 1),
        r"expected the weights .*'weight_ch'.*got those of present 15",
    ),
    "no such weight": (_number(6, 0b1111 | 1 << 12), "got those of present 4111"),
    "a negative layer": (_number(2, -1), "a layer below 256 .*got layer -1"),
    "a third direction": (_number(3, 2), "direction 0 or 1, got .*direction 2"),
    "no such record": (_number(7, 99), r"places to record among .*got \[99, 9\]"),
    "a negative record": (_number(7, -1), r"got \[-1, 9\]"),
    "a record twice": (_number(7, 9), r"each once, got \[9, 9\]"),
    "a clip below zero": (_rate(0, -1.0), "cell_clip above 0"),
    "a clip of NaN": (_rate(0, float("nan")), "cell_clip"),
    "a rate above one": (_rate(1, 1.5), r"recurrent_dropout to be a probability in \[0, 1\], got 1.5"),
    "a rate of NaN": (_rate(3, float("nan")), "zoneout_c to be a probability .*got nan"),
    "a backward pass without tape": (_back(tape=torch.empty(0)), "an array that the call needs is missing"),
    "a tape too short": (_back(tape=torch.empty(10)), "the tape or the work space is too small"),
    "a tape of another type": (
        _back(tape=torch.empty(9999, dtype=torch.float64)),
        "tape of shape .*got .*float64",
    ),
    "a tape that was not kept": (
        _back(numbers=_deaf(good_call()["numbers"])),
        "expected keep in the numbers",
    ),
    "d_y too short": (_back(d_y=torch.randn(1, B, H)), r"d_y of shape \(4, 3, 5\).*got \(1, 3, 5\)"),
    "d_h too narrow": (_back(d_h=torch.randn(B, 1)), r"d_h of shape \(3, 5\).*got \(3, 1\)"),
    "d_c of another type": (_back(d_c=torch.randn(B, H).double()), "d_c .*got .*float64"),
    "d_records of one": (
        _back(d_records=torch.randn(1, B, T, H)),
        r"d_records of shape \(2, 3, 4, 5\).*got \(1,",
    ),
    "x of another length": (_back(x=torch.randn(T + 9, B, I), lengths=None, reset=None), "d_y of shape"),
}


def main(first: int) -> None:
    """Make the calls from this number on."""
    for number, (name, (run, _)) in enumerate(EXPECTED.items()):
        if number < first:
            continue
        print(json.dumps({"number": number, "name": name}), flush=True)
        try:
            run()
            error = None
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
        print(json.dumps({"number": number, "name": name, "error": error}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
