"""What a command writes: one JSON document, a table, a record for people, or a file, whole or not at all.

Standard output carries the answer alone; notes, progress and messages go to standard error.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.core.errors import InputError, ModelError

if TYPE_CHECKING:
    import polars
    from rich.console import Console

__all__ = [
    "ReaderGone",
    "check_new_file",
    "csv_text",
    "say",
    "show_record",
    "show_rows",
    "show_text",
    "write_json",
    "write_rows",
]

_SUFFIXES = (".csv", ".parquet", ".jsonl")
_PIECE = 2**14  # characters
_SHOWN_ROWS = 40  # of a table in a terminal
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tabs and line feeds


class ReaderGone(Exception):  # noqa: N818 - nothing is wrong
    """Whoever read our output closed it. The command-line library would take a BrokenPipeError for itself."""


def say(line: str) -> None:
    """One line for the user, on standard error."""
    sys.stderr.write(line.rstrip("\n") + "\n")
    sys.stderr.flush()


def write_json(value: Any) -> None:
    """The one JSON document of a command, on standard output; NaN and infinities become null."""
    from longspan.api import plain

    _write(json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=2) + "\n")


def _write(text: str) -> None:
    """Piece by piece: with ``PYTHONUNBUFFERED`` Python drops what is left of a write that was cut short."""
    try:
        for start in range(0, len(text), _PIECE):
            sys.stdout.write(text[start : start + _PIECE])
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderGone from error
    except OSError as error:
        _close_standard_output()
        raise _not_written("standard output", error) from error


def _close_standard_output() -> None:
    """What is left in Python's buffer must not fail a second time, when the process ends."""
    with contextlib.suppress(OSError):  # it has no file below it where it is captured
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _not_written(where: str, error: OSError) -> ModelError:
    return ModelError(
        f"{where}: not written ({error.strerror or error}). Make room or give a place that can be written"
    )


def check_new_file(path: Path, *, force: bool, suffixes: tuple[str, ...] = _SUFFIXES) -> None:
    """Refuse an output file before any work.

    Raises:
        InputError: it exists and force is off, its folder is missing, or its ending is none of ours.
    """
    if path.suffix.lower() not in suffixes:
        raise InputError(f"--out expected a file ending in {', '.join(suffixes)}, got {str(path)!r}")
    if not path.parent.is_dir():
        raise InputError(
            f"--out {str(path)!r}: the folder {str(path.parent)!r} does not exist. Make it first"
        )
    if path.is_dir():
        raise InputError(f"--out expected a file, got the folder {str(path)!r}")
    if path.exists() and not force:
        raise InputError(f"--out {str(path)!r} exists. Pass --force to replace it, or another name")


def write_rows(frame: polars.DataFrame, path: Path) -> None:
    """A table to a file in the format of its ending, whole or not at all.

    Raises:
        ModelError: the disk is full or not writable; what was there is as it was.
    """
    from longspan.store.atomic import write_file

    buffer = io.BytesIO()
    match path.suffix.lower():
        case ".csv":
            buffer.write(csv_text(frame).encode())
        case ".jsonl":
            frame.write_ndjson(buffer)
        case _:
            frame.write_parquet(buffer)
    try:
        write_file(path, buffer.getvalue())
    except OSError as error:
        raise _not_written(str(path), error) from error


def csv_text(frame: polars.DataFrame) -> str:
    """A table as CSV, its times as ISO 8601 without digits that say nothing."""
    import polars as pl

    def iso(name: str, kind: pl.Datetime) -> pl.Expr:
        column = pl.col(name)
        whole = frame[name].dt.truncate("1s").equals(frame[name], null_equal=True)
        zone = "%:z" if kind.time_zone else ""
        return column.dt.strftime(f"%Y-%m-%d %H:%M:%S{'' if whole else '%.f'}{zone}")

    times = [iso(name, kind) for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    return frame.with_columns(times).write_csv()


def show_text(text: str) -> None:
    """Lines on standard output."""
    _write(text + "\n")


def show_rows(frame: polars.DataFrame) -> None:
    """A table on standard output: CSV for programs, drawn for a terminal."""
    if not sys.stdout.isatty():
        _write(csv_text(frame))
        return
    head = frame.head(_SHOWN_ROWS)
    with _shown() as console:
        console.print(_table(head.columns, head.rows()))
    if frame.height > head.height:
        say(f"… and {frame.height - head.height:,} more rows. Pass --out FILE.csv to keep them all.")


def show_record(record: Mapping[str, Any]) -> None:
    """A record for people: sections, lines ``name  value``, lists of records as tables."""
    with _shown() as console:
        _show_section(console, record, "")


@contextlib.contextmanager
def _shown() -> Iterator[Console]:
    """What the block prints to the console goes to standard output at its end."""
    from rich.console import Console

    terminal, text = sys.stdout.isatty(), io.StringIO()
    width = None if terminal else 1000  # a pipe has no width: nothing is folded or cut
    force = terminal or None
    yield Console(file=text, force_terminal=force, highlight=False, markup=False, emoji=False, width=width)
    _write(text.getvalue())


def _show_section(console: Console, record: Mapping[str, Any], title: str) -> None:
    lines = {key: each for key, each in record.items() if not _nested(each)}
    if title and lines:
        console.print(f"\n{title}", style="bold")
    names = {key: _harmless(key) for key in record}
    width = max((len(names[key]) for key in lines), default=0)
    for key, each in lines.items():
        console.print(f"{'  ' if title else ''}{names[key]:<{width}}  {_text(each)}", soft_wrap=True)
    for key, each in record.items():
        heading = f"{title} · {names[key]}" if title else names[key]
        if isinstance(each, Mapping) and each:
            _show_section(console, each, heading)
        elif _nested(each):
            console.print(f"\n{heading}", style="bold")
            columns = list(dict.fromkeys(name for row in each for name in row))
            console.print(_table(columns, [[row.get(name) for name in columns] for row in each]))


def _nested(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    return (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(each, Mapping) for each in value)
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    rows = [list(row) for row in rows]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for position, name in enumerate(columns):
        numbers = all(isinstance(row[position], int | float | None) for row in rows)
        table.add_column(_harmless(name), justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_text(each) for each in row))
    return table


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else "–"
    if isinstance(value, list | tuple):
        return ", ".join(_text(each) for each in value) or "–"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return _harmless(value)


def _harmless(value: Any) -> str:
    """As text, control characters spelt out: a model of unknown origin must not steer the terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", str(value))
