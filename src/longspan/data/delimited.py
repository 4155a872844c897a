"""CSV and TSV: every column as text, with the row of every malformed line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl
from polars.exceptions import ColumnNotFoundError, ComputeError

from longspan.core.errors import DataError, InputError
from longspan.core.wording import passing
from longspan.data.faults import refuse_duplicates, select_columns
from longspan.data.filebytes import check_utf8, wrong_encoding

__all__ = ["read_delimited"]

_SEPARATORS = (",", "\t", ";", "|")
_HEAD = 1 << 20


def read_delimited(
    content: bytes | Path,
    source: str,
    *,
    columns: Iterable[str] | None,
    header: bool,
    separator: str | None,
    rows: int | None = None,
) -> pl.DataFrame:
    """Read UTF-8 bytes, or a UTF-8 file without holding its bytes, as text columns (blank = null).

    Raises:
        DataError: empty, not UTF-8, a duplicated name, a missing column, or a line with too many or too few
            fields.
    """
    head = _head(content)
    if not head.strip():
        raise _empty(source)
    _refuse_utf16(head, source)
    if separator is not None and len(separator.encode()) != 1:
        raise InputError(f"separator: expected one ASCII character, got {separator!r}")
    mark = separator or _sniff(head)
    # The reader checks the rows; names come from here.
    _check_first_record(head, mark, source)
    names = _names(head, mark, header, source)
    wanted = select_columns(columns, names, source)
    # A line with too few fields leaves nothing but a blank in the last column, so that column is read as
    # well.
    places = sorted({names.index(name) for name in wanted} | {len(names) - 1})
    try:
        frame = pl.read_csv(
            content, columns=places, has_header=header, separator=mark, infer_schema=False, n_rows=rows
        )
    except (ComputeError, ColumnNotFoundError) as fault:
        raise _explain(content, mark, len(names), source, fault) from fault
    frame.columns = [names[place] for place in places]
    if frame.is_empty():
        raise DataError("expected rows, got a header only. Check that it was written whole.", source=source)
    if rows is None and frame[names[-1]].null_count():
        _refuse_short_lines(content, mark, len(names), source)
    kept = _without_blank_end(frame.select(wanted))
    if kept.is_empty() and (rows is None or frame.height < rows):
        raise DataError("expected rows, got blank ones only. Check that it was written whole.", source=source)
    return kept


def _head(content: bytes | Path) -> bytes:
    if isinstance(content, bytes):
        return content[:_HEAD]
    with content.open("rb") as stream:
        return stream.read(_HEAD)


def _refuse_utf16(head: bytes, source: str) -> None:
    """UTF-16 must not be taken for UTF-8: many of its bytes are valid there."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        check_utf8(head, source)
    if b"\x00" in head:
        raise wrong_encoding(head, head.index(b"\x00"), "utf-8", source)


def _check_first_record(head: bytes, mark: str, source: str) -> None:
    """Refuse names that are not UTF-8; a quoted name may go on over several lines."""
    first = _first_record(head.decode("utf-8", errors="surrogateescape"), mark, source)
    if not all(map(_is_text, first)):
        check_utf8(head, source)


def _first_record(text: str, mark: str, source: str) -> list[str]:
    """The fields of the first record that is not blank; lines end where the reader of the rows ends them."""
    blank = 0
    try:
        for record in csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=mark):
            if record:
                return record
            blank += 1
    except csv.Error as fault:
        raise DataError(
            "expected column names, got text that cannot be split into fields. Look for a quote that is "
            "opened and never closed, or for a carriage return without a line feed.",
            source=source,
            row=blank + 1,
        ) from fault
    raise _empty(source)


def _empty(source: str) -> DataError:
    return DataError("expected rows, got an empty file. Check that it was written whole.", source=source)


def _is_text(name: str) -> bool:
    """No byte was kept back as a surrogate."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sniff(head: bytes) -> str:
    """The separator that occurs in the header and equally often in the first lines; a comma when none
    does."""
    lines = [line for line in _lines(head) if line.strip()][:20] or [""]
    counts = {mark: [_outside_quotes(line, mark) for line in lines] for mark in _SEPARATORS}
    even = [mark for mark in _SEPARATORS if counts[mark][0] and min(counts[mark]) == max(counts[mark])]
    some = [mark for mark in _SEPARATORS if counts[mark][0]]
    # A decimal comma also occurs equally often in every line, but then the real separator occurs more often.
    return max(even or some or [","], key=lambda mark: (mark != "," or len(even) == 1, counts[mark][0]))


def _lines(head: bytes) -> list[str]:
    lines = head.decode("utf-8", errors="replace").removeprefix("\ufeff").splitlines()
    return lines[:-1] if len(head) == _HEAD and len(lines) > 1 else lines


def _outside_quotes(line: str, mark: str) -> int:
    return sum(part.count(mark) for part in line.split('"')[::2])


def _names(head: bytes, mark: str, header: bool, source: str) -> list[str]:
    """Column names of the first record, or column_1, column_2 … for a file without header."""
    first = _first_record(head.decode("utf-8", errors="replace"), mark, source)
    if not header:
        return [f"column_{place + 1}" for place in range(len(first))]
    names = [name.strip() or f"column_{place + 1}" for place, name in enumerate(first)]
    refuse_duplicates(names, source)
    if len(names) > 1 and all(_is_number(name) for name in names):
        raise DataError(
            f"expected column names in the first line, got only numbers ({', '.join(names[:3])} …). Pass "
            f"{passing('header', value=False)} if the file has no header.",
            source=source,
            row=1,
        )
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _without_blank_end(frame: pl.DataFrame) -> pl.DataFrame:
    """Drop blank lines at the end of the file."""
    blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if not blank[-1]:
        return frame
    known = (~blank).arg_true()
    return frame.head(int(known[-1]) + 1 if len(known) else 0)


def _records(content: bytes | Path, mark: str) -> Iterator[tuple[int, list[str]]]:
    """Row number (records, from 1) and fields; slow, used only where something is wrong."""
    stream = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
    with io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="") as text:
        yield from enumerate(csv.reader(text, delimiter=mark), start=1)


def _ragged(content: bytes | Path, mark: str, width: int) -> tuple[int, int] | None:
    """Row and number of fields of the first line that is not ``width`` fields wide; blank lines do not
    count."""
    try:
        for row, fields in _records(content, mark):
            if fields and len(fields) != width:
                return row, len(fields)
    except csv.Error:
        return None
    return None


def _refuse_short_lines(content: bytes | Path, mark: str, width: int, source: str) -> None:
    if width == 1:
        return
    found = _ragged(content, mark, width)
    if found is not None:
        raise _ragged_error(found, width, source)


def _ragged_error(found: tuple[int, int], width: int, source: str) -> DataError:
    row, fields = found
    return DataError(
        f"expected {width} fields as in the first line, got {fields}. Quote fields that hold the separator, "
        "or complete the line.",
        source=source,
        row=row,
    )


def _explain(content: bytes | Path, mark: str, width: int, source: str, fault: Exception) -> DataError:
    """The refusal behind a reader's error: wrong bytes, a ragged line, or a quote that is never closed."""
    data = content if isinstance(content, bytes) else content.read_bytes()
    check_utf8(data, source)
    found = _ragged(content, mark, width)
    if found is not None:
        return _ragged_error(found, width, source)
    row = data.count(b"\n", 0, max(data.rfind(b'"'), 0)) + 1
    return DataError(
        f"expected CSV, got text that cannot be split into fields ({str(fault).splitlines()[0]}). Look for "
        "a quote that is opened and never closed, or a blank line before the first row.",
        source=source,
        row=row,
    )
