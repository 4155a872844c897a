"""Code in the documents runs: ``python`` blocks, and ``console`` blocks that begin with ``$ longspan``.

The blocks of one document share a namespace, as if they were one module, and a folder of their own, which
holds a few small data files under the names that documents use. A block below ``<!-- no-run: reason -->`` is
not run; such reasons are counted.
"""

from __future__ import annotations
import __future__

import contextlib
import io
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from longspan.cli import run
from longspan.tasks.base import TASKS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_RUN_AT_MOST = 12  # an excuse is not a habit
_BLOCK = re.compile(
    r"(?:<!-- no-run: (?P<reason>[^>]+?) -->\s*\n)?^```(?P<kind>python|console)\n(?P<code>.*?)^```",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    kind: str
    code: str
    line: int
    reason: str | None


def blocks(text: str) -> list[Block]:
    return [
        Block(found["kind"], found["code"], text.count("\n", 0, found.start("code")) + 1, found["reason"])
        for found in _BLOCK.finditer(text)
    ]


def run_python(block: Block, names: dict[str, Any], source: str) -> None:
    """The block, its lines counted as in the document so that a failure points there."""
    flags = __future__.annotations.compiler_flag if "annotations" in names else 0  # as in one module
    code = compile("\n" * (block.line - 1) + block.code, source, "exec", flags, dont_inherit=True)
    exec(code, names)


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


def write_data(folder: Path) -> None:
    """Small data under the names that documents use."""
    days = pl.date_range(pl.date(2023, 1, 1), pl.date(2023, 12, 31), eager=True)
    step = pl.Series(range(len(days)))
    units = (40 + 10 * (step * (2 * 3.141592653589793 / 7)).sin() + (step * 7 % 5)).round(2)
    sales = pl.DataFrame({"date": days, "units": units})
    sales.write_csv(folder / "sales.csv")
    sales.write_parquet(folder / "sales.parquet")
    both = pl.concat([sales.with_columns(shop=pl.lit(name)) for name in ("north", "south")])
    both.write_csv(folder / "shops.csv")


def run_document(text: str, source: str) -> int:
    module, declared = ModuleType("document"), dict(TASKS)
    ran = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "document", module)
        try:
            for block in blocks(text):
                if block.reason is None:
                    run_python(block, vars(module), source) if block.kind == "python" else run_console(block)
                    ran += 1
        finally:  # a document may declare a task of its own
            TASKS.clear()
            TASKS.update(declared)
    return ran


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_blocks_run(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()):
        run_document(document.read_text(), str(document))


def test_few_blocks_are_excused() -> None:
    reasons = [
        block.reason for path in DOCUMENTS for block in blocks(path.read_text()) if block.reason is not None
    ]
    assert len(reasons) <= NOT_RUN_AT_MOST, reasons


@pytest.mark.parametrize(
    "text",
    [
        "```python\nassert 1 == 2\n```\n",
        "```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n",
        "```console\n$ longspan fit nothing-of-the-kind\n```\n",
        "```console\n$ longspan info \\\n    no-model\n```\n",
    ],
)
def test_a_block_that_fails_is_seen(text: str) -> None:
    with pytest.raises(AssertionError):
        run_document(text, "here")


def test_a_block_is_excused_by_its_reason_only() -> None:
    text = "<!-- no-run: needs a GPU -->\n```python\nassert False\n```\n"
    assert run_document(text, "here") == 0
    with pytest.raises(AssertionError):
        run_document(text.replace("no-run", "norun"), "here")


def test_lines_are_counted_as_in_the_document() -> None:
    text = "one\n\n```python\nx = 1\nraise KeyError\n```\n"
    with pytest.raises(KeyError) as caught:
        run_document(text, "somewhere.md")
    assert caught.traceback[-1].lineno == 4  # counted from 0
