"""Times of the engine beside torch's own LSTM: forward, training and streaming steps.

    LONGSPAN_NATIVE_LIBRARY=build/liblongspan.so python native/bench/rows.py [threads] [seconds a figure]

A row whose results are not torch's, to 1e-5, prints no figure. The last line is the table as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from longspan import cells
from longspan.kernels import native, vendor
from longspan.kernels.native_stepper import Stepper
from longspan.kernels.plan import Arguments, Plan

ROWS = (
    (1, 100, 64, 64), (1, 100, 256, 256), (1, 1000, 128, 128), (16, 50, 1, 64), (32, 100, 32, 64),
    (32, 100, 64, 128), (64, 100, 128, 256), (20, 35, 650, 650), (64, 100, 512, 512),
)  # fmt: skip
STEPS = ((16, 32), (64, 64), (64, 128), (256, 256), (512, 512))


def best(seconds: float, *runs: Callable[[], object]) -> list[float]:
    """The best time of each, in microseconds, taken in turns."""
    found = [float("inf")] * len(runs)
    for run in runs:
        run()
    end = time.perf_counter() + seconds * len(runs)
    while time.perf_counter() < end:
        for number, run in enumerate(runs):
            start = time.perf_counter()
            run()
            found[number] = min(found[number], 1e6 * (time.perf_counter() - start))
    return found


def problem(B: int, T: int, I: int, H: int) -> tuple[Plan, Arguments]:  # noqa: E741
    """A plain LSTM of these sizes with torch's starting weights."""
    torch.manual_seed(1)
    layer = torch.nn.LSTM(I, H)
    state = (torch.zeros(1, B, H), torch.zeros(1, B, H))
    plan = Plan(
        cells.build("lstm"), 1, False, False, H, 0, 0.0, 0.0, (), False, False, (), False, False, False,
        False, "cpu", torch.float32,
    )  # fmt: skip
    return plan, Arguments(torch.randn(T, B, I), state, list(layer.parameters()))


def train(run: Callable[..., object], plan: Plan, args: Arguments) -> tuple[Tensor, ...]:
    """Forward and backward: gradients of x and of every weight."""
    x = args.x.detach().requires_grad_()
    y = run(plan, args._replace(x=x)).y  # type: ignore[attr-defined]
    return torch.autograd.grad(y.sum(), [x, *args.weights])


def agree(plan: Plan, args: Arguments) -> bool:
    """Whether the gradients are torch's, to 1e-5 of their size."""
    pairs = zip(train(native.run, plan, args), train(vendor.run, plan, args), strict=True)
    return all(torch.dist(a, b) <= 1e-5 * b.norm() for a, b in pairs)


def row(seconds: float, *sizes: int) -> dict[str, object]:
    """One line of the table: a whole sequence."""
    plan, args = problem(*sizes)
    if not agree(plan, args):
        return {"row": sizes, "refused": "the gradients are not torch's"}
    with torch.no_grad():
        mine, theirs = best(seconds, lambda: native.run(plan, args), lambda: vendor.run(plan, args))
    both = best(seconds, lambda: train(native.run, plan, args), lambda: train(vendor.run, plan, args))
    B, T, I, H = sizes  # noqa: E741
    return {
        "row": sizes,
        "forward_us": mine,
        "forward_ratio": theirs / mine,
        "gflops": 8e-3 * B * T * H * (I + H) / mine,
        "training_us": both[0],
        "training_ratio": both[1] / both[0],
    }


def step(seconds: float, I: int, H: int) -> dict[str, object]:  # noqa: E741
    """One line of the table: a bound streaming step."""
    torch.manual_seed(1)
    cell = torch.nn.LSTMCell(I, H)
    stepper = Stepper(cells.build("lstm"), list(cell.parameters()))
    x, y, state = torch.randn(1, I), torch.empty(1, H), stepper.start()
    with torch.no_grad():
        h, _ = cell(x)
        if torch.dist(stepper(x)[0], h) > 1e-5 * h.norm():
            return {"step": (I, H), "refused": "the step is not torch's"}
        stepper.bind(x, y, state)
        zeros = (torch.zeros(1, H), torch.zeros(1, H))
        mine, theirs = best(seconds, stepper.step, lambda: cell(x, zeros))
    return {"step": (I, H), "bound_us": mine, "ratio_to_LSTMCell": theirs / mine}


def main(threads: str = "1", seconds: str = "0.3") -> None:
    """Print the table."""
    torch.set_num_threads(int(threads))
    table = [row(float(seconds), *sizes) for sizes in ROWS] + [
        step(float(seconds), *sizes) for sizes in STEPS
    ]
    for line in table:
        print(  # noqa: T201 (the table is what it is for)
            "  ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in line.items()),
            flush=True,
        )
    print(json.dumps({"threads": int(threads), "table": table}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
