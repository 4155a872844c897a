"""Forecasting from the shell: real processes in a folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from longspan.data.synthetic import seasonal_panel

Shell = Callable[..., subprocess.CompletedProcess[str]]
# Warnings of Python are errors in the processes as they are in the tests.
COMMAND = (sys.executable, "-W", "error", "-m", "longspan")
PLAIN = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "COLUMNS": "120", "LC_ALL": "C.UTF-8"}


@pytest.fixture(scope="session")
def command() -> tuple[tuple[str, ...], dict[str, str]]:
    """The words of ``longspan`` and the environment of a process."""
    unwanted = ("FORCE_COLOR", "PY_COLORS", "NO_COLOR", "GITHUB_ACTIONS")
    return COMMAND, {key: value for key, value in os.environ.items() if key not in unwanted} | PLAIN


@pytest.fixture(scope="session")
def shell(command: tuple[tuple[str, ...], dict[str, str]]) -> Shell:
    words_of, environment = command

    def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*words_of, *words],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """As ``shell``, but in this process: the same code from words to exit code, without the import."""
    import torch

    from longspan.cli import run

    def call(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        torch.set_num_threads(1)
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        code = run(words)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, said.out, said.err)

    return call


@pytest.fixture(scope="session")
def listing() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder with its bytes, and every folder."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            str(each.relative_to(folder)): each.read_bytes() if each.is_file() else b"folder"
            for each in sorted(folder.rglob("*"))
        }

    return read


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory, shell: Shell) -> Path:
    """A folder with ``d.csv`` and the model ``m`` that was fitted to it from the shell."""
    place = tmp_path_factory.mktemp("fitted")
    seasonal_panel(2, 90, 7, frequency="D").write_csv(place / "d.csv")
    done = shell(
        *("fit", "forecast", "d.csv", "--target", "value", "--series", "id", "--horizon", "7", "--out", "m"),
        *("--hidden", "8", "--steps", "20", "--seeds", "2", "--json"),
        cwd=place,
    )
    (place / "stdout").write_text(done.stdout)
    (place / "stderr").write_text(done.stderr)
    assert done.returncode == 0, done.stderr
    return place
