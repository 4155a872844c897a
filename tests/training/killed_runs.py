"""A driver that is run as a program: it trains a small LSTM in child processes and really kills them.

``python killed_runs.py FOLDER KIND`` prints one line of JSON. KIND is

- ``random``: SIGKILL at random instants, resumed until it ends;
- ``operations``: SIGKILL right after each single file operation of a run, half a write included;
- ``interrupt`` and ``terminate``: SIGINT or SIGTERM at random instants, resumed until it ends.

Children are forked, so that each costs no import; torch has started no threads before.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from longspan.core.errors import Interrupted
from longspan.store import atomic
from longspan.store.tensors import encode
from longspan.store.workspace import Run, Workspace
from longspan.training.loop import train
from longspan.training.settings import Settings

OPERATIONS = (
    "open",
    "write",
    "fsync",
    "rename",
    "replace",
    "unlink",
    "mkdir",
    "rmdir",
    "ftruncate",
    "pwrite",
)
INTERRUPTED, OUTSIDE = 3, 4


class Network(nn.Module):
    """Dropout between the layers and after them: a wrong draw shows in the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 6, num_layers=2, dropout=0.3, batch_first=True)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.lstm(x)[0]))


def loss(module: nn.Module, batch: Tensor) -> Tensor:
    return ((module(batch[:, :-1]) - batch[:, 1:]) ** 2).mean()


def batches(_: int) -> Tensor:
    return torch.sin(torch.rand(4, 1, 1) * 6 + torch.arange(12.0).reshape(1, -1, 1))


def run(folder: Path, result: Path, *, steps: int) -> None:
    """Train, or go on training, in `folder`; the outcome goes into `result`, whole."""
    torch.manual_seed(1)
    network = Network()
    held_out = torch.sin(torch.arange(40.0)).reshape(2, 20, 1)
    settings = Settings(
        seed=5, max_steps=steps, validate_every=3 if steps < 20 else 7, patience=None, average=0.9,
        schedule="cosine",
        warmup_steps=4, learning_rate=0.01, weight_decay=0.1, checkpoint_every=0.0,
    )  # fmt: skip
    record = Run({"steps": steps}, "0" * 64, 5, threads=1)
    began = (folder / "run.json").is_file()
    space = Workspace.resume(folder, record) if began else Workspace.create(folder, record)
    with space:
        history = train(network, loss, batches, lambda m: float(loss(m, held_out)), settings, space)
        checkpoint = space.latest()
        average, optimizer = checkpoint.average, checkpoint.optimizer["state"]
        moments = {f"{n}.{key}": t for n, state in optimizer.items() for key, t in state.items()}
        tensors = {**network.state_dict(), **{f"average.{n}": t for n, t in average.items()}, **moments}
        plain = history.to_json()
        del plain["seconds"]
        for entry in plain["records"]:
            del entry["seconds"]
        atomic.write_file(result, encode(tensors, json.dumps(plain)))
        space.remove()


def fork(work: Callable[[], None]) -> int:
    """The process number of a child that does `work`."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except Interrupted:
        os._exit(INTERRUPTED)
    except KeyboardInterrupt:  # the signal came before training began, or after it had ended
        os._exit(OUTSIDE)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def wait(pid: int) -> str:
    """How the child ended; a child that failed by itself ends the driver."""
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        return "killed"
    code = os.WEXITSTATUS(status)
    ends = {0: "done", INTERRUPTED: "interrupted", OUTSIDE: "outside"}
    if code not in ends:
        sys.exit(f"the child failed with {code}")
    return ends[code]


def at_random(folder: Path, number: int, steps: int) -> dict[str, Any]:
    """Send the signal at random instants until the run is done."""
    choose = random.Random(7)
    began = time.monotonic()
    wait(fork(lambda: run(folder / "whole.partial", folder / "whole", steps=steps)))
    length = time.monotonic() - began
    ends = []
    while not ends or ends[-1] != "done":
        pid = fork(lambda: run(folder / "cut.partial", folder / "cut", steps=steps))
        if len(ends) < 15:
            time.sleep(choose.uniform(0.02, 0.3) * length)
            os.kill(pid, number)
        ends.append(wait(pid))
    return {"ends": ends, "same": same(folder, "cut"), "left": names(folder)}


def after_each_operation(folder: Path, steps: int) -> dict[str, Any]:
    """Kill right after file operation 1, 2, 3 … of a run, each time resuming to the end."""
    wait(fork(lambda: run(folder / "whole.partial", folder / "whole", steps=steps)))
    deaths, different = 0, []
    while True:
        number = deaths + 1
        place, result = folder / f"cut{number}.partial", folder / f"cut{number}"
        if wait(fork(lambda n=number, p=place, r=result: deadly(n, p, r, steps))) == "done":
            return {"deaths": deaths, "different": different, "left": names(folder)}
        deaths += 1
        if place.exists() or not result.exists():
            wait(fork(lambda p=place, r=result: run(p, r, steps=steps)))
        # Killed within the very last operations the result is written and the work folder is on its way out.
        if not same(folder, result.name):
            different.append(number)
        result.unlink()


def deadly(number: int, place: Path, result: Path, steps: int) -> None:
    """Run, and die right after file operation `number`; a write gets out half of its bytes."""
    done = [0]

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*args: Any, **kwargs: Any) -> Any:
            done[0] += 1
            last = done[0] == number
            if last and name == "write":
                args = (args[0], args[1][: len(args[1]) // 2])
            try:
                return real(*args, **kwargs)
            finally:
                if last:
                    os.kill(os.getpid(), signal.SIGKILL)

        return operation

    for name in OPERATIONS:
        setattr(os, name, wrap(name, getattr(os, name)))
    run(place, result, steps=steps)


def same(folder: Path, name: str) -> bool:
    return (folder / name).read_bytes() == (folder / "whole").read_bytes()


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def warm_up() -> None:
    """Have torch import here what it imports at the first step, else every child does."""
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight], fused=True)
    weight.grad = torch.zeros(1)
    optimizer.step()


def main() -> None:
    torch.set_num_threads(1)
    warm_up()
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    match kind:
        case "operations":
            report = after_each_operation(folder, steps=7)
        case "random":
            report = at_random(folder, signal.SIGKILL, steps=120)
        case "interrupt":
            report = at_random(folder, signal.SIGINT, steps=120)
        case _:
            report = at_random(folder, signal.SIGTERM, steps=120)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
