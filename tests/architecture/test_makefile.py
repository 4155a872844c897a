"""What ``make`` does before anything is installed, with Pythons that only pretend."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def make(repository: Path, folder: Path, *words: str, python: str) -> subprocess.CompletedProcess[str]:
    """``make`` in a folder that holds only what it reads."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(repository / name, folder / name)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ["make", *words, f"PYTHON={python}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def pretend(folder: Path, name: str, script: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_python_without_ensurepip_stops_with_the_line_that_installs_it(
    repository: Path, tmp_path: Path
) -> None:
    python = pretend(tmp_path, "python", 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac')
    done = make(repository, tmp_path, "demo", python=python)
    assert done.returncode != 0
    assert "sudo apt-get install python3-venv" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_too_old_a_python_is_refused(repository: Path, tmp_path: Path) -> None:
    done = make(repository, tmp_path, "demo", python=pretend(tmp_path, "python", "exit 1"))
    assert done.returncode != 0
    assert "longspan needs Python 3.11 or later" in done.stderr


def planned(repository: Path, folder: Path, *words: str) -> list[str]:
    done = make(repository, folder, "-n", *words, python="python3")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_torch_comes_first_and_from_its_index(repository: Path, tmp_path: Path) -> None:
    lines = planned(repository, tmp_path, "demo", "TORCH_INDEX=https://i.example/x")
    installs = [line for line in lines if " -m pip " in line]
    assert installs[0].endswith("--no-deps --index-url https://i.example/x torch")
    assert not any("--index-url" in line for line in installs[1:])
    assert all("-c constraints.txt" in line for line in installs)
    assert not any("--index-url" in line for line in planned(repository, tmp_path, "demo"))


def test_the_gate_is_whole_and_ends_with_pytest(repository: Path, tmp_path: Path) -> None:
    lines = planned(repository, tmp_path, "test")
    words = ("ruff check", "ruff format --check", "bin/mypy")
    order = [next(number for number, line in enumerate(lines) if word in line) for word in words]
    assert order == sorted(order)
    assert lines[-1].endswith("-m pytest -n 2")


def test_the_second_time_nothing_is_installed(repository: Path, tmp_path: Path) -> None:
    planned(repository, tmp_path, "demo")  # puts the files in place
    folder = tmp_path / ".venv"
    (folder / "bin").mkdir(parents=True)
    for name in ("bin/python", ".installed-torch", ".installed-run"):
        (folder / name).touch()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-n", "demo"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == [".venv/bin/longspan demo"]


def test_what_the_machine_runs_is_the_same_gate(repository: Path) -> None:
    script = repository / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert "set -euo pipefail" in lines
    assert lines[-1] == "make test"
    subprocess.run(["bash", "-n", str(script)], check=True, timeout=20)
