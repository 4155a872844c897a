"""Code blocks of the documents, run as a reader would run them.

The ``python`` blocks and the ``console`` lines that begin with ``$ longspan`` of one document share a
namespace, as if they were one module. What a ``python`` block prints is held to the ``text`` block below it,
where there is one: to the letter, and where that says ``text trained`` with numbers to within a quarter, as
training ends elsewhere in other last digits. A block below ``<!-- no-run: reason -->`` is not run.
"""

from __future__ import annotations
import __future__

import contextlib
import io
import re
import shlex
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from longspan.cli import run
from longspan.tasks.base import TASKS

NEAR = 0.25  # relative, of numbers that come from training
_BLOCK = re.compile(
    r"(?:<!-- no-run: (?P<reason>[^>]+?) -->\s*\n)?^```(?P<kind>python|console)\n(?P<code>.*?)^```\n?"
    r"(?:\n*^```text(?P<trained> trained)?\n(?P<shows>.*?)^```)?",
    re.DOTALL | re.MULTILINE,
)
_NUMBER = re.compile(r"[-+−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Block:
    kind: str
    code: str
    line: int
    reason: str | None
    shows: str | None = None
    trained: bool = False


def blocks(text: str) -> list[Block]:
    return [
        Block(
            found["kind"],
            found["code"],
            text.count("\n", 0, found.start("code")) + 1,
            found["reason"],
            found["shows"],
            found["trained"] is not None,
        )
        for found in _BLOCK.finditer(text)
    ]


def run_python(block: Block, names: dict[str, Any], source: str) -> str:
    """What the block prints; its lines are counted as in the document so that a failure points there."""
    flags = __future__.annotations.compiler_flag if "annotations" in names else 0  # as in one module
    code = compile("\n" * (block.line - 1) + block.code, source, "exec", flags, dont_inherit=True)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, names)
    return said.getvalue()


def run_console(block: Block) -> None:
    joined = block.code.replace("\\\n", " ")
    for line in joined.splitlines():
        if not line.startswith("$ longspan"):
            continue
        words = shlex.split(line.removeprefix("$ "), comments=True)[1:]
        said, complaint = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complaint):
            code = run(words)
        assert code == 0, f"line {block.line}: {line}\n{complaint.getvalue()}"


def same_words(said: str, shown: str, near: float) -> bool:
    """Whether two texts are equal but for numbers that differ by this share of the greater."""
    if _NUMBER.sub("#", said) != _NUMBER.sub("#", shown):
        return False
    pairs = zip(_numbers(said), _numbers(shown), strict=True)
    return all(abs(one - two) <= near * max(abs(one), abs(two)) for one, two in pairs)


def _numbers(text: str) -> list[float]:
    return [float(each.replace(",", "").replace("−", "-")) for each in _NUMBER.findall(text)]


def run_document(text: str, source: str) -> int:
    """How many blocks were run; an AssertionError tells what a block should have printed."""
    module, declared = ModuleType("document"), dict(TASKS)
    ran = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "document", module)
        try:
            for block in blocks(text):
                if block.reason is not None:
                    continue
                said = (
                    run_python(block, vars(module), source) if block.kind == "python" else run_console(block)
                )
                ran += 1
                if block.shows is not None:
                    near = NEAR if block.trained else 0.0
                    assert said is not None, f"{source}, line {block.line}: text below a console block"
                    assert same_words(said, block.shows, near), (
                        f"{source}, line {block.line}: expected to print\n{block.shows}got\n{said}"
                    )
        finally:  # a document may declare a task of its own
            TASKS.clear()
            TASKS.update(declared)
    return ran
