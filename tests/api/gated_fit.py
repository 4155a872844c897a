"""A program: the command line with a task that stops at gates, so that two runs meet where a test wants them.

``python gated_fit.py GATES WORD …`` takes the words of ``longspan``. At a gate it makes the file
``GATES/NAME.reached`` and waits for ``GATES/NAME.open``. The gates: ``read``, when the place to write to has
been looked at and nothing is made yet; ``begun``, in the work folder without any checkpoint; ``saving``.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import torch
from level_options import LEVEL, FitOptions
from level_task import Level, read

from longspan.cli import main
from longspan.tasks.base import Contents, Run, register

GATES = Path(sys.argv[1])
PATIENCE = 60.0  # seconds


def gate(name: str) -> None:
    (GATES / f"{name}.reached").touch()
    end = time.monotonic() + PATIENCE
    while not (GATES / f"{name}.open").exists():
        if time.monotonic() > end:
            raise TimeoutError(f"gate {name!r} stayed closed")
        time.sleep(0.01)


class Gated(Level):
    @classmethod
    def fit(cls, data: Any, options: FitOptions, run: Run) -> Gated:
        level, digest = read(data, options.target).mean(), "a" * 64
        gate("read")
        space = run.open_workspace(options, digest, "cpu")
        assert space is not None
        with space:
            gate("begun")
        found = {"sha256": digest, "rows": {}, "source": data}
        return cls(torch.tensor([level], dtype=torch.float64), options, found)

    def contents(self) -> Contents:
        gate("saving")
        return super().contents()


if __name__ == "__main__":
    register(dataclasses.replace(LEVEL, work="__main__:Gated"))
    del sys.argv[1]
    main()
