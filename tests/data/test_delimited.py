"""The first record of a CSV file is read by another reader than the rows: what it cannot split is refused in
our words.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import LongspanError
from longspan.data.delimited import read_delimited
from longspan.data.inference import Roles, read_panel
from longspan.data.tables import read_table

MANY = b"1,2\n" * (csv.field_size_limit() // 4 + 1)
REMEDY = (
    "expected column names, got text that cannot be split into fields. Look for a quote that is opened and "
    "never closed, or for a carriage return without a line feed."
)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        (b'a,"y\n' + MANY, 1),
        (b'\n\r\na,"y\n' + MANY, 3),
        (b'\xef\xbb\xbf"a,y\n' + MANY, 1),
        (b"a," + b"y" * (csv.field_size_limit() + 1) + b"\n1,2\n", 1),
        (b"a\rb,y\n1,2\n", 1),
        (b"a,y\r1,2\r2,3\r", 1),
        (b"\n\na,y\r1,2\r", 3),
    ],
    ids=["a quote", "a quote in row 3", "a mark and a quote", "a long name", "a return", "returns", "row 3"],
)
@pytest.mark.parametrize("header", [True, False])
def test_a_first_record_that_cannot_be_split_is_refused_with_its_row(
    tmp_path: Path, text: bytes, row: int, header: bool
) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(text)
    with pytest.raises(LongspanError) as caught:
        read_table(path, header=header)
    assert str(caught.value) == f"d.csv row {row}: {REMEDY}"
    assert caught.value.row == row  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\n\n", b"\n \n", b""])
def test_a_file_without_any_record_is_empty(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(text)
    with pytest.raises(LongspanError, match=r"^d\.csv: expected rows, got "):
        read_table(path)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n\n", ",,\n,,\n"])
def test_blank_lines_below_a_header_are_no_rows(tmp_path: Path, end: str) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(b"s,time,y\n" + end.encode())
    for roles in (Roles(), Roles(target="y", series=("s",), time="time")):
        with pytest.raises(LongspanError, match=r"^d\.csv: expected rows, got (blank ones|a header) only\."):
            read_panel(path, roles)


def test_many_blank_lines_before_the_rows_do_not_end_the_file(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("time,y\n" + "\n" * 1000 + "2020-01-01,1\n2020-01-02,2\n")
    assert read_table(path).frame.height == 1002
    with pytest.raises(LongspanError, match=r"row 2, column 'time': expected a time stamp, got a blank"):
        read_panel(path, Roles(target="y", time="time"))


def test_returns_within_quotes_and_before_line_feeds_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(b'"a\rb",y\r\n1,2\r\n')
    assert read_table(path).frame.rows() == [("1", "2")]


@given(st.text('a1,;"\n\r\t |\ufeff\xa0\x0b\x85\u2028\0é', max_size=12), st.booleans())
def test_whatever_stands_there_is_read_or_refused(text: str, header: bool) -> None:
    try:
        read_delimited(text.encode(), "d.csv", columns=None, header=header, separator=None)
    except LongspanError as error:
        assert str(error).startswith(("d.csv: ", "d.csv row ", "d.csv, column "))


def test_a_blank_line_before_rows_without_names_is_no_raw_error(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("\n1,2\n3,4\n")
    with pytest.raises(LongspanError, match=r"^d\.csv row 1: expected CSV.* or a blank line before"):
        read_table(path, header=False)
