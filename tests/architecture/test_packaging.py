"""What the package says of itself: dependencies, their reasons, their pins."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import longspan

# Imported only inside functions, and only where the user's own data are of that library.
OPTIONAL = {"pyarrow", "pandas"}


@pytest.fixture
def project(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text())["project"]


def requirements(project: dict[str, Any]) -> list[Requirement]:
    optional = [each for group in project["optional-dependencies"].values() for each in group]
    return [Requirement(each) for each in [*project["dependencies"], *optional]]


@pytest.fixture
def pins(repository: Path) -> dict[str, str]:
    lines = (repository / "constraints.txt").read_text().splitlines()
    found = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^\s;@+]+", line) for line in found), (
        "exact pins and nothing else"
    )
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in found}


def test_every_dependency_has_its_reason(repository: Path, project: dict[str, Any]) -> None:
    decisions = "\n".join(path.read_text() for path in (repository / "docs" / "decisions").glob("*.md"))
    lines = [line for line in decisions.splitlines() if line.lstrip().startswith(("-", "*", "|"))]
    for each in requirements(project):
        assert any(re.search(rf"(?<![\w-]){re.escape(each.name)}(?![\w-])", line) for line in lines), (
            f"{each.name}: no line in docs/decisions says why"
        )


def test_every_dependency_is_pinned_within_its_range(project: dict[str, Any], pins: dict[str, str]) -> None:
    for each in requirements(project):
        assert canonicalize_name(each.name) in pins, f"{each.name} is not in constraints.txt"
        assert each.specifier.contains(pins[canonicalize_name(each.name)]), f"{each} against constraints.txt"


def test_torch_is_pinned_without_a_local_version(pins: dict[str, str]) -> None:
    assert pins["torch"] == "2.13.0"


def test_every_dependency_has_a_lower_bound(project: dict[str, Any]) -> None:
    assert [str(each) for each in requirements(project) if ">=" not in str(each.specifier)] == []


def test_the_version_is_one(project: dict[str, Any]) -> None:
    assert project["version"] == longspan.__version__


def test_the_package_is_typed(repository: Path) -> None:
    assert (repository / "src" / "longspan" / "py.typed").is_file()


def test_what_is_imported_is_declared(repository: Path, project: dict[str, Any]) -> None:
    """Every library that the sources import is a dependency, so that a plain installation works."""
    names = {"ignite": "pytorch-ignite", "sklearn": "scikit-learn", "yaml": "pyyaml"}
    declared = {canonicalize_name(Requirement(each).name) for each in project["dependencies"]}
    found: set[str] = set()
    for path in (repository / "src" / "longspan").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names_here = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names_here = {node.module.split(".")[0]}
            else:
                continue
            assert node.col_offset or not names_here & OPTIONAL, (
                f"{path} line {node.lineno}: optional, so late"
            )
            found |= names_here
    ours = {"longspan", "__future__", *OPTIONAL} | set(sys.stdlib_module_names)
    missing = {name for name in found - ours if canonicalize_name(names.get(name, name)) not in declared}
    assert not missing
