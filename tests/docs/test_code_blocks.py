"""Code in the documents runs: ``python`` blocks, and ``console`` blocks that begin with ``$ longspan``.

See ``tests/support/document_blocks.py``. Each document has a folder of its own, which holds a few small data
files under the names that documents use. Blocks that are not run give a reason; these are counted. A
translation (``NAME.zh.md``) has the code of its original, which ``test_tutorial.py`` proves, and is not run
again.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import polars as pl
import pytest
from document_blocks import blocks, run_document, same_words

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if not path.name.endswith(".zh.md")),
]
NOT_RUN_AT_MOST = 12  # an excuse is not a habit


def write_data(folder: Path) -> None:
    """Small data under the names that documents use."""
    days = pl.date_range(pl.date(2023, 1, 1), pl.date(2023, 12, 31), eager=True)
    step = pl.Series(range(len(days)))
    units = (40 + 10 * (step * (2 * 3.141592653589793 / 7)).sin() + (step * 7 % 5)).round(2)
    sales = pl.DataFrame({"date": days, "units": units})
    sales.write_csv(folder / "sales.csv")
    january = sales.head(28).with_columns(pl.col("date").dt.offset_by("1y"))
    january.write_csv(folder / "january.csv")
    sales.write_parquet(folder / "sales.parquet")
    both = pl.concat([sales.with_columns(shop=pl.lit(name)) for name in ("north", "south")])
    both.write_csv(folder / "shops.csv")


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


@pytest.mark.parametrize("kind", ["text", "text trained"])
def test_what_is_printed_is_held_to_what_the_document_shows(kind: str) -> None:
    text = f"```python\nprint('a', 10)\n```\n\n```{kind}\na 10\n```\n"
    assert run_document(text, "here") == 1
    for wrong in ("a 20", "b 10", "a 10 10"):
        with pytest.raises(AssertionError, match="expected to print"):
            run_document(text.replace("a 10", wrong), "here")


def test_numbers_that_were_trained_may_be_near() -> None:
    assert same_words("loss 1.20, −3", "loss 1.0, -3.3", near=0.25)
    assert not same_words("loss 1.20", "loss 1.0", near=0.1)
    assert not same_words("loss 1.20", "loss 1.0", near=0.0)
    assert not same_words("gain 1.20", "loss 1.20", near=0.25)
    assert not same_words("loss 0.1", "loss -0.1", near=0.25)
