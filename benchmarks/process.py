"""One side of a benchmark in a process of its own, which is told what to do by a line of JSON.

A side that has nothing to do stands still: the threads of some libraries go on spinning after a call, and
would take the processors away from whoever is measured next.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any, Self

_PEERS = Path(__file__).resolve().parent / "peers"


class Worker:
    """One side in a process of its own.

    Args:
        name: of the side, for messages.
        command: interpreter, file in ``peers/``, and its words.
        threads: set for every library of numbers.
        patience: seconds to wait for an answer.
        folder: where it runs; some libraries leave folders there.
    """

    def __init__(
        self, name: str, command: list[str], *, threads: int, patience: float, folder: str | None = None
    ) -> None:
        self.name, self.patience = name, patience
        python, script, *words = command
        pools = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
        self.log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            [python, str(_PEERS / script), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=os.environ | dict.fromkeys(pools, str(threads)) | {"PYTHONUNBUFFERED": "1"},
            cwd=folder,
        )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.about = self._answer()
        self.process.send_signal(signal.SIGSTOP)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self.lines.put(line)
        self.lines.put("")

    def _answer(self) -> dict[str, Any]:
        try:
            line = self.lines.get(timeout=self.patience)
        except queue.Empty:
            line = ""
        if line:
            return dict(json.loads(line))
        self.process.kill()  # it is dead already, or hangs
        self.log.seek(0)
        raise RuntimeError(f"{self.name} gave no answer. Its last words:\n{self.log.read()[-3000:]}")

    def tell(self, **command: Any) -> dict[str, Any]:
        """Give one command and wait for its answer."""
        if self.process.stdin is None:
            raise RuntimeError(f"{self.name} has no standard input")
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.process.send_signal(signal.SIGSTOP)
        return answer
