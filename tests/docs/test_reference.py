"""The documentation builds without a warning and holds everything that is public."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sphinx.util.inventory import InventoryFile

import longspan
from longspan import nn
from longspan.cells.base import names
from longspan.cli.app import build
from longspan.core import errors


@pytest.fixture(scope="module")
def site(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = ("-W", "-q", "-b", "html", "-d", str(folder / "trees"), "docs", str(folder / "html"))
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return folder / "html"


def test_everything_public_is_in_the_reference(site: Path) -> None:
    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    known = {name for kind in inventory if kind.startswith("py:") for name in inventory[kind]}
    own = {"__version__", "nn", "datasets"}  # a string, and two modules with pages of their own
    wanted = {f"longspan.{name}" for name in set(longspan.__all__) - own}
    wanted |= {f"longspan.nn.{name}" for name in nn.__all__}
    wanted |= {f"longspan.core.errors.{name}" for name in errors.__all__}
    wanted |= {f"longspan.cells.{name}.{name}" for name in names()}
    assert wanted <= known, sorted(wanted - known)


def test_every_command_shows_its_help(site: Path) -> None:
    page = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    application = build()
    commands = [command.name for command in application.registered_commands]
    groups = [group.name for group in application.registered_groups]
    for name in (*commands, *groups):
        assert f"Usage: longspan {name}" in page, name


def test_sizes_and_bars_are_shown_as_they_are_written(site: Path) -> None:
    layers = (site / "reference" / "layers.html").read_text(encoding="utf-8")
    assert "<strong>hidden_size</strong>" in layers and "– H." in layers
    evaluation = (site / "reference" / "evaluation.html").read_text(encoding="utf-8")
    assert "|y - f|" in evaluation
