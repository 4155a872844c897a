"""Every path, tree, task and option that a document quotes is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from longspan.tasks.base import TASKS, spell

# What begins one of these is meant as a path of the repository.
ROOTS = ("src/", "tests/", "docs/", "benchmarks/", "native/", ".ci/")
PLACEHOLDER = re.compile(r"[<>{}*…]|NAME|\.\.\.")


def documents(repository: Path) -> list[Path]:
    return [*sorted(repository.glob("*.md")), *sorted((repository / "docs").rglob("*.md"))]


def quoted_paths(text: str) -> Iterator[str]:
    """Paths in backquotes and in links."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for word in re.findall(r"`([^`\s]+)`", prose):
        if word.startswith(ROOTS) and not PLACEHOLDER.search(word):
            yield word.split("::")[0].split("#")[0]
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not target.startswith(("http://", "https://", "mailto:", "#")):
            yield "link:" + target.split("#")[0]


def tree_paths(text: str) -> Iterator[str]:
    """Files of the package in blocks that draw a road, such as ``cells/base.py``."""
    packages = (
        r"(?:cells|kernels|nn|data|models|tasks|training|store|core|metrics|baselines|evaluation|report|cli)"
    )
    yield from re.findall(rf"(?<![\w/.-])({packages}/\w+\.py)(?!\w)", text)


def missing(repository: Path, document: Path, text: str) -> list[str]:
    found = []
    for quoted in quoted_paths(text):
        is_link = quoted.startswith("link:")
        target = document.parent / quoted.removeprefix("link:") if is_link else repository / quoted
        if not target.exists():
            found.append(quoted)
    found += [each for each in tree_paths(text) if not (repository / "src" / "longspan" / each).is_file()]
    return found


def test_every_quoted_path_exists(repository: Path) -> None:
    found = {
        str(document.relative_to(repository)): gone
        for document in documents(repository)
        if (gone := missing(repository, document, document.read_text()))
    }
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "see `src/longspan/nowhere.py`",
        "see [there](nowhere.md)",
        "`tests/none/test_none.py::test_it` holds it",
        "    cli ──> tasks/nothing.py",
    ],
)
def test_a_missing_path_is_seen(repository: Path, text: str) -> None:
    assert missing(repository, repository / "README.md", text)


def test_what_is_no_path_is_left_alone(repository: Path) -> None:
    text = "`docs/decisions/NNNN-….md`, `a/b`, [web](https://example.org/x), `pip install .`"
    assert not missing(repository, repository / "README.md", text)


def quoted_commands(text: str) -> Iterator[list[str]]:
    """The words of every ``longspan fit TASK …`` in a document."""
    joined = text.replace("\\\n", " ")
    for line in re.findall(r"longspan (fit \w+ [^`\n#|]*)", joined):
        yield line.split()


def test_every_quoted_option_exists(repository: Path) -> None:
    import longspan.tasks  # noqa: F401 - fills the table

    common = {
        "--out",
        "--seed",
        "--time-budget",
        "--device",
        "--resume",
        "--force",
        "--quiet",
        "--json",
        "--debug",
        "--help",
    }
    unknown = []
    for document in documents(repository):
        for words in quoted_commands(document.read_text()):
            if words[1] not in TASKS:
                continue
            fields = {spell(name, "shell") for name in TASKS[words[1]].fit_options.model_fields}
            known = common | fields | {"--no-" + each[2:] for each in fields}
            given = {word.split("=")[0] for word in words if word.startswith("--")}
            unknown += [f"{document.name}: {each}" for each in given - known]
    assert not unknown


def test_the_document_of_ranks_names_what_imports_are_checked_against(repository: Path) -> None:
    text = (repository / "docs" / "architecture.md").read_text()
    assert "`tests/architecture`" in text
    assert (repository / "tests" / "architecture" / "test_imports.py").is_file()
