"""Training is really killed, and resumed: the end is the same to the last bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DRIVER = Path(__file__).with_name("killed_runs.py")


def _drive(folder: Path, kind: str) -> dict[str, Any]:
    command = [sys.executable, str(DRIVER), str(folder), kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("kind", "end"), [("random", "killed"), ("interrupt", "interrupted"), ("terminate", "interrupted")]
)
def test_stopped_at_random_instants_ends_in_the_same_bits(tmp_path: Path, kind: str, end: str) -> None:
    report = _drive(tmp_path, kind)
    assert report["ends"].count(end) >= 3, report
    assert report["ends"][-1] == "done"
    assert report["same"], report


def test_killed_after_each_file_operation_ends_in_the_same_bits(tmp_path: Path) -> None:
    report = _drive(tmp_path, "operations")
    assert report["deaths"] > 50, report  # ten checkpoints of five operations and more
    assert report["different"] == []
