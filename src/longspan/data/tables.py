"""From a file or a data frame to columns, with the user's own row numbers in every error."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import PolarsError

from longspan.core.errors import DataError, InputError
from longspan.data.delimited import read_delimited
from longspan.data.faults import select_columns
from longspan.data.filebytes import COMPRESSIONS, check_utf8, read_bytes, to_utf8
from longspan.data.frames import from_frame

__all__ = ["Table", "peek_table", "read_table"]

FORMATS = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
}


@dataclass(frozen=True)
class Table:
    """Columns as they were read, and how to speak of them.

    Attributes:
        frame: the columns; those of a CSV file are text (their meaning is given by the schema, not guessed).
        source: file name, or kind of frame.
        first_row: the user's number of frame row 0: 2 in a file with a header, 1 in a file without, 0 in a
            frame.
        rows: frame row of the table as read, for each row of ``frame``, when this is a selection of it.
        missing, decimal, thousands: how numbers are written in text columns.
    """

    frame: pl.DataFrame
    source: str
    first_row: int
    rows: NDArray[np.int64] | None = None
    missing: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str | None = None

    def row(self, index: int) -> int:
        """The user's number of a frame row."""
        return int(index if self.rows is None else self.rows[index]) + self.first_row

    def take(self, rows: NDArray[np.int64]) -> Table:
        """Some of the rows, which keep their numbers."""
        numbers = rows if self.rows is None else self.rows[rows]
        frame = self.frame[rows]
        return Table(frame, self.source, self.first_row, numbers, self.missing, self.decimal, self.thousands)


def read_table(
    source: Any,
    *,
    columns: Iterable[str] | None = None,
    header: bool = True,
    separator: str | None = None,
    encoding: str = "utf-8",
    missing: Iterable[str] = (),
    decimal: str = ".",
    thousands: str | None = None,
    max_bytes: int = 4 << 30,
) -> Table:
    """Read a file or take a data frame.

    Files are CSV, TSV (``.csv .txt .tsv``), Parquet, JSON lines (``.jsonl .ndjson``) or Arrow (``.arrow .ipc
    .feather``), each also compressed (``.gz .bz2 .xz .zst``). Frames are those of any library that narwhals
    knows, or a dict of columns. Only ``columns`` are kept, and read where the format allows it.

    Args:
        source: a path or a data frame.
        columns: the columns that are needed; None for all.
        header: whether the first line of a CSV file names the columns; without, they are column_1, column_2 …
        separator: field separator of a CSV file; None finds it among comma, tab, semicolon and bar.
        encoding: of a CSV or JSON lines file, as Python names it; a UTF-8 byte-order mark is skipped.
        missing: texts that mean missing, besides the blank.
        decimal: the decimal sign, ``.`` or ``,``. thousands: the sign between groups of three digits, if any.
        max_bytes: the most that a compressed file may unpack to.

    Raises:
        DataError: the file is absent, empty, damaged, not in the encoding, has ragged rows, lacks a column …
        InputError: an argument is wrong.
    """
    return _read(
        source, columns, header, separator, encoding, _writing(missing, decimal, thousands), max_bytes, None
    )


def peek_table(source: Any, *, rows: int = 1000, **reading: Any) -> Table:
    """The first rows of a table with all its columns; the other arguments are those of `read_table`."""
    return _read(
        source,
        None,
        reading.get("header", True),
        reading.get("separator"),
        reading.get("encoding", "utf-8"),
        _writing(reading.get("missing", ()), reading.get("decimal", "."), reading.get("thousands")),
        reading.get("max_bytes", 4 << 30),
        rows,
    )


def _writing(missing: Iterable[str], decimal: str, thousands: str | None) -> dict[str, Any]:
    if decimal not in (".", ","):
        raise InputError(f"decimal: expected '.' or ',', got {decimal!r}")
    if thousands is not None and (len(thousands) != 1 or thousands == decimal or thousands.isalnum()):
        raise InputError(f"thousands: expected one sign other than the decimal sign, got {thousands!r}")
    tokens = (missing,) if isinstance(missing, str) else tuple(missing)
    return {"missing": tokens, "decimal": decimal, "thousands": thousands}


def _read(
    source: Any,
    columns: Iterable[str] | None,
    header: bool,
    separator: str | None,
    encoding: str,
    writing: dict[str, Any],
    max_bytes: int,
    rows: int | None,
) -> Table:
    wanted = None if columns is None else list(columns)
    if not isinstance(source, (str, Path)):
        frame, kind = from_frame(source, wanted, rows)
        return Table(_not_empty(frame, kind), kind, 0, **writing)
    path = Path(source)
    form, compression = _format(path)
    name = path.name
    if form in ("csv", "tsv"):
        mark = separator or ("\t" if form == "tsv" else None)
        content = _text(path, compression, encoding, max_bytes)
        frame = read_delimited(content, name, columns=wanted, header=header, separator=mark, rows=rows)
        return Table(frame, name, 2 if header else 1, **writing)
    if form == "jsonl":
        content = _text(path, compression, encoding, max_bytes)
        data = content.read_bytes() if isinstance(content, Path) else content
        frame = _not_empty(_read_json_lines(data, name, wanted, rows), name)
        return Table(frame, name, 1, _lines_with_text(data, frame.height), **writing)
    frame = _read_binary(path, form, compression, max_bytes, wanted, rows)
    return Table(_not_empty(frame, name), name, 1, **writing)


def _format(path: Path) -> tuple[str, str | None]:
    """Format and compression, by the ends of the name."""
    if not path.exists():
        raise DataError(f"expected a file, got no such path: {path}. Check the spelling.", source=path.name)
    if path.is_dir():
        raise DataError("expected a file, got a folder. Name one file in it.", source=path.name)
    compression = COMPRESSIONS.get(path.suffix.lower())
    stem = Path(path.stem) if compression else path
    form = FORMATS.get(stem.suffix.lower())
    if form is None:
        known = " ".join(FORMATS)
        raise DataError(
            f"expected a name that ends in one of {known} (then {' '.join(COMPRESSIONS)} if compressed), "
            f"got {path.name!r}. Rename the file, or pass a data frame.",
            source=path.name,
        )
    return form, compression


def _not_empty(frame: pl.DataFrame, source: str) -> pl.DataFrame:
    if frame.height == 0 or frame.width == 0:
        raise DataError(f"expected rows, got {frame.height} rows of {frame.width} columns.", source=source)
    return frame


def _text(path: Path, compression: str | None, encoding: str, max_bytes: int) -> bytes | Path:
    """UTF-8 bytes, or the path itself where the reader can work on the file as it lies."""
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig"):
        return path if compression is None else read_bytes(path, compression, max_bytes)
    return to_utf8(read_bytes(path, compression, max_bytes), encoding, path.name)


def _lines_with_text(data: bytes, rows: int) -> NDArray[np.int64] | None:
    """Lines that hold a row, where blank lines lie between them."""
    if data.count(b"\n\n") + data.count(b"\n\r\n") + data[:1].isspace() == 0:
        return None
    filled = [place for place, line in enumerate(data.splitlines()) if line.strip()]
    return np.array(filled[:rows], dtype=np.int64)


def _read_json_lines(data: bytes, source: str, columns: list[str] | None, rows: int | None) -> pl.DataFrame:
    check_utf8(data, source)
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise DataError("expected rows, got an empty file. Check that it was written whole.", source=source)
    try:
        frame = pl.read_ndjson(data, infer_schema_length=None, n_rows=rows)
    except (PolarsError, ValueError) as fault:
        raise _bad_json_line(data, source, fault) from fault
    return frame.select(select_columns(columns, frame.columns, source))


def _bad_json_line(data: bytes, source: str, fault: Exception) -> DataError:
    for row, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as wrong:
            message = (
                f"expected one JSON object a line, got {line[:60].decode(errors='replace')!r} ({wrong})."
            )
            return DataError(message, source=source, row=row)
        if not isinstance(value, dict):
            return DataError(f"expected a JSON object, got {line[:60].decode()!r}.", source=source, row=row)
    return DataError(f"expected JSON lines, got an error from the reader: {fault}", source=source)


def _read_binary(
    path: Path,
    form: str,
    compression: str | None,
    max_bytes: int,
    columns: list[str] | None,
    rows: int | None,
) -> pl.DataFrame:
    origin = path if compression is None else io.BytesIO(read_bytes(path, compression, max_bytes))
    if path.stat().st_size == 0:
        raise DataError(
            "expected rows, got an empty file. Check that it was written whole.", source=path.name
        )
    try:
        lazy = pl.scan_parquet(origin) if form == "parquet" else pl.scan_ipc(origin)
        names = lazy.collect_schema().names()
        chosen = lazy.select(select_columns(columns, names, path.name))
        return (chosen if rows is None else chosen.head(rows)).collect()
    except (PolarsError, OSError) as fault:
        raise DataError(
            f"expected {'Parquet' if form == 'parquet' else 'Arrow'}, got a file that cannot be read as "
            f"such ({str(fault).splitlines()[0]}).",
            source=path.name,
        ) from fault
