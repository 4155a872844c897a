"""Imports go down the ranks of docs/architecture.md only, those inside functions too."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

FREE = {"__init__", "__main__"}  # the package's own front: it names what lies below, lazily


def ranks(repository: Path) -> dict[str, int]:
    """Package → rank, from the table of the document."""
    text = (repository / "docs" / "architecture.md").read_text()
    found: dict[str, int] = {}
    for rank, packages in re.findall(r"^\| (\d+) \| ([^|]+) \|", text, flags=re.MULTILINE):
        found |= dict.fromkeys(re.findall(r"`(\w+)`", packages), int(rank))
    return found


def modules(repository: Path) -> list[Path]:
    return sorted((repository / "src" / "longspan").rglob("*.py"))


def package_of(path: Path, repository: Path) -> str:
    """``core`` for src/longspan/core/errors.py, ``api`` for src/longspan/api.py."""
    return path.relative_to(repository / "src" / "longspan").parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, package of ours) of every import, wherever it stands."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module"
        ):
            names = [each.value for each in node.args if isinstance(each, ast.Constant)]
        for name in names:
            parts = str(name).split(".")
            if parts[0] == "longspan" and len(parts) > 1:
                yield getattr(node, "lineno", 0), parts[1]


def faults(source: str, package: str, table: dict[str, int]) -> list[str]:
    """What a module of that package may not import."""
    found = []
    for line, other in imported(ast.parse(source)):
        if other == package or other not in table:
            continue
        if table[other] >= table[package]:
            found.append(f"line {line}: {package} ({table[package]}) imports {other} ({table[other]})")
    return found


def test_every_package_has_its_rank(repository: Path) -> None:
    packages = {package_of(path, repository) for path in modules(repository)} - FREE
    assert packages <= set(ranks(repository)), "docs/architecture.md does not rank these"


def test_every_rank_has_its_package(repository: Path) -> None:
    packages = {package_of(path, repository) for path in modules(repository)}
    assert set(ranks(repository)) <= packages, "docs/architecture.md ranks packages that there are not"


def test_imports_go_down(repository: Path) -> None:
    table = ranks(repository)
    found = [
        f"{path.relative_to(repository)} {fault}"
        for path in modules(repository)
        if (package := package_of(path, repository)) not in FREE
        for fault in faults(path.read_text(), package, table)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "import longspan.nn.recurrent",
        "from longspan.nn import LSTM",
        "from longspan import nn",
        "def f():\n    from longspan.nn.recurrent import LSTM",
        "from importlib import import_module\nimport_module('longspan.nn.recurrent')",
        "import importlib\nimportlib.import_module('longspan.nn')",
        "from longspan.training.loop import train",  # the same rank
        "if TYPE_CHECKING:\n    from longspan.cli.app import build",
    ],
)
def test_an_import_upwards_is_seen(source: str) -> None:
    table = {"core": 0, "kernels": 2, "training": 2, "nn": 3, "cli": 8}
    assert faults(source, "kernels", table)
    assert not faults(
        "from longspan.core.errors import InputError\nfrom longspan import __version__", "kernels", table
    )


def test_tasks_do_not_import_each_other(repository: Path) -> None:
    """A task's own parts share its name: forecast.py may import forecast_report.py, and no other task."""
    folder = repository / "src" / "longspan" / "tasks"
    shared = {"base", "settings"}
    names = {path.stem for path in folder.glob("*.py")} - FREE - shared
    for name in names - {"demo"}:  # the demonstration is a story told with the forecast task
        story = name.split("_")[0]
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("longspan.tasks."):
                other = str(node.module).split(".")[2]
                assert other in shared or other.split("_")[0] == story, f"tasks/{name}.py line {node.lineno}"
