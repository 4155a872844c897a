"""Files are read within limits, and separators are found."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from longspan.core.errors import DataError, InputError
from longspan.data.filebytes import zstd_block_sizes
from longspan.data.tables import peek_table, read_table


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_a_decompression_bomb_is_refused_with_the_limit(tmp_path: Path, ending: str) -> None:
    content = b"y\n" + b"1\n" * 2_000_000
    if ending == ".zst":
        pyarrow = pytest.importorskip("pyarrow")
        packed = pyarrow.compress(content, codec="zstd", asbytes=True)
        assert len(content) <= sum(zstd_block_sizes(packed)) <= len(content) + (128 << 10)
    else:
        packed = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[ending](content)
    path = tmp_path / f"bomb.csv{ending}"
    path.write_bytes(packed)
    with pytest.raises(DataError) as caught:
        read_table(path, max_bytes=1_000_000)
    message = f"bomb.csv{ending}: expected at most 1,000,000 bytes after decompression"
    assert str(caught.value).startswith(message)
    assert "Raise max_bytes" in str(caught.value)
    assert read_table(path).frame.height == 2_000_000


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_a_damaged_file_is_refused(tmp_path: Path, ending: str) -> None:
    content = b"y\n" + b"".join(b"%d\n" % (number * 7919 % 10007) for number in range(9000))
    if ending == ".zst":
        packed = pytest.importorskip("pyarrow").compress(content, codec="zstd", asbytes=True)
    else:
        packed = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[ending](content)
    for broken in (packed[: len(packed) // 2], b"y\n1\n2\n"):
        path = tmp_path / f"a.csv{ending}"
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"expected a whole .* file, got one that cannot be decompressed"):
            read_table(path)


def test_zstd_text_is_read_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    packed = pytest.importorskip("pyarrow").compress("a,b\n1,é\n\n3,x\n".encode(), codec="zstd", asbytes=True)
    (tmp_path / "a.csv.zst").write_bytes(packed)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert read_table(tmp_path / "a.csv.zst").frame.rows() == [("1", "é"), (None, None), ("3", "x")]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,2\n", [("1", "2")]),
        ("a;b\n1,5;2,5\n3,5;4,5\n", [("1,5", "2,5"), ("3,5", "4,5")]),
        ("a\tb\n1\t2\n", [("1", "2")]),
        ("a|b\n1|2\n", [("1", "2")]),
        ('a,b\n"1;2;3",2\n', [("1;2;3", "2")]),
        ("a\n1\n", [("1",)]),
        ('a,b\n"x\ny",2\n', [("x\ny", "2")]),
        ("\ufeffa,b\r\n1,2\r\n", [("1", "2")]),
        ("a,b\n1,2\n\n\n", [("1", "2")]),
        ('a,b\n"",2\n1,\n', [("", "2"), ("1", None)]),
    ],
)
def test_separators_quotes_and_blank_ends(tmp_path: Path, text: str, rows: list[tuple[str, ...]]) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    assert read_table(path).frame.rows() == rows


def test_rows_are_numbered_as_the_user_counts_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,1\ny,2\n")
    assert read_table(path).row(0) == 2
    table = read_table(path, header=False)
    assert (table.row(0), table.frame.columns) == (1, ["column_1", "column_2"])
    assert read_table({"a": [1]}).row(0) == 0
    assert read_table(path, header=False).take(__import__("numpy").array([1])).row(0) == 2


def test_peek_reads_the_first_rows_of_all_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1,2\n" * 5000)
    assert peek_table(path, rows=10).frame.shape == (10, 2)
    assert peek_table({"a": list(range(99))}, rows=10).frame.shape == (10, 1)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"decimal": ";"}, "decimal: expected '.' or ',', got ';'"),
        ({"thousands": "."}, "thousands: expected one sign other than the decimal sign, got '.'"),
        ({"separator": "::"}, "separator: expected one ASCII character, got '::'"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, option: dict[str, str], message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError) as caught:
        read_table(path, **option)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_a_stated_separator_is_used(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a:b\n1:2\n")
    assert read_table(path, separator=":").frame.rows() == [("1", "2")]
