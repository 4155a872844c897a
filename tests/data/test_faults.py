"""Every fault of a table is refused with file, row, column and what to do, or handled in a stated way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longspan.core.errors import DataError, InputError
from longspan.core.wording import entered_by
from longspan.data.covariates import require_horizon
from longspan.data.inference import Roles, read_panel
from longspan.data.panel import require_length

DAYS = "ds,y\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n2020-01-04,4\n"


def write(folder: Path, text: str | bytes, name: str = "sales.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(folder: Path, text: str | bytes, name: str = "sales.csv", **options: Any) -> str:
    roles = options.pop("roles", Roles())
    with pytest.raises(DataError) as caught:
        read_panel(write(folder, text, name), roles, **options)
    return str(caught.value)


def test_text_where_a_number_belongs_names_row_column_and_remedy(tmp_path: Path) -> None:
    lines = [f"2020-01-{day:02d},{day}" for day in range(1, 30)]
    lines[11] = "2020-01-12,n/a"
    path = write(tmp_path, "ds,units\n" + "\n".join(lines) + "\n")
    with pytest.raises(DataError) as caught:
        read_panel(path, Roles(target="units"))
    assert str(caught.value) == (
        "sales.csv row 13, column 'units': expected a number, got 'n/a'. Pass missing='n/a' to treat it as "
        "missing."
    )
    assert (caught.value.source, caught.value.row, caught.value.column) == ("sales.csv", 13, "units")
    panel = read_panel(path, Roles(target="units"), reading={"missing": ["n/a"]})
    assert np.flatnonzero(np.isnan(panel.target)).tolist() == [11]
    assert "1 of 29 values are missing: masked, never filled" in panel.notes


@pytest.mark.parametrize(
    ("cell", "remedy"),
    [
        ('"1,234.5"', "thousands separator: pass thousands=',' (or decimal=',' if"),
        ('"1,5"', "decimal comma: pass decimal=','"),
        ('"1234,5"', "decimal comma: pass decimal=','"),
        ('"1.234,5"', "decimal comma: pass decimal=','"),
        ("1 234", "thousands separator: pass thousands=' '"),
        ("12abc", "Pass missing='12abc'"),
    ],
)
def test_the_remedy_follows_from_the_text(tmp_path: Path, cell: str, remedy: str) -> None:
    text = refusal(tmp_path, f"ds,y\n2020-01-01,1\n2020-01-02,{cell}\n", roles=Roles(target="y"))
    assert "sales.csv row 3, column 'y': expected a number" in text
    assert remedy in text


def test_decimal_commas_and_thousands_are_read_when_stated(tmp_path: Path) -> None:
    path = write(tmp_path, "ds;y\n2020-01-01;1.234,5\n2020-01-02;2,25\n2020-01-03;-7\n")
    panel = read_panel(path, Roles(target="y"), reading={"decimal": ",", "thousands": "."})
    assert panel.target.tolist() == [1234.5, 2.25, -7.0]


def test_a_thousands_sign_in_the_wrong_place_is_refused(tmp_path: Path) -> None:
    text = refusal(
        tmp_path,
        'ds,y\n2020-01-01,"1,23"\n2020-01-02,2\n',
        roles=Roles(target="y"),
        reading={"thousands": ","},
    )
    assert "row 2, column 'y': expected a number, got '1,23'" in text


@pytest.mark.parametrize("cell", ["inf", "-Infinity"])
def test_an_infinity_is_refused(tmp_path: Path, cell: str) -> None:
    text = refusal(tmp_path, DAYS + f"2020-01-05,{cell}\n")
    assert "sales.csv row 6, column 'y': expected a finite number" in text
    assert f"Correct the value, or pass missing='{float(cell)}' to treat it as missing." in text


@pytest.mark.parametrize("value", [1.1e38, -5e156, 5e301])
def test_a_number_whose_size_no_network_could_know_is_refused(tmp_path: Path, value: float) -> None:
    text = refusal(tmp_path, DAYS + f"2020-01-05,{value}\n")
    assert "sales.csv row 6, column 'y': expected a number between -1e+38 and 1e+38, got" in text
    assert f"give the column in larger units, or pass missing='{value}'" in text
    panel = read_panel(tmp_path / "sales.csv", reading={"missing": [str(value)]})
    assert np.isnan(panel.target).tolist() == [False] * 4 + [True]
    assert read_panel({"y": [1.0, 1e38, -1e38]}).target.tolist() == [1.0, 1e38, -1e38]
    with pytest.raises(DataError, match="dict of columns row 1, column 'y': expected a number between"):
        read_panel({"y": [1.0, value]})


def test_a_blank_is_missing_and_counted_never_filled(tmp_path: Path) -> None:
    panel = read_panel(write(tmp_path, "ds,y\n2020-01-01,1\n2020-01-02,\n2020-01-03,3\n"))
    assert np.isnan(panel.target[1])
    assert panel.notes == ("1 of 3 values are missing: masked, never filled",)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.arrow"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    assert f"{name}: expected rows, got an empty file" in refusal(tmp_path, b"", name)


def test_a_header_without_rows_is_refused(tmp_path: Path) -> None:
    assert "sales.csv: expected rows, got a header only" in refusal(tmp_path, "ds,y\n")


def test_no_such_file_and_no_such_format(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a file, got no such path"):
        read_panel(tmp_path / "none.csv")
    assert "expected a name that ends in one of .csv" in refusal(tmp_path, "a", "sheet.xlsx")


@pytest.mark.parametrize(
    ("encoding", "word", "guess"),
    [
        ("latin-1", "Zürich", "latin-1"),
        ("cp1252", "5 € für", "cp1252"),
        ("utf-16", "Zürich", "utf-16"),
        ("utf-16-le", "Zürich", "utf-16-le"),
        ("gb18030", "销售数量与日期", "gb18030"),
        ("shift_jis", "テスト", "shift_jis"),
    ],
)
def test_a_wrong_encoding_names_the_byte_and_the_likely_encoding(
    tmp_path: Path, encoding: str, word: str, guess: str
) -> None:
    content = f"shop,y\n{word},1\n{word},2\n{word},3\n".encode(encoding)
    text = refusal(tmp_path, content, roles=Roles(target="y", series=("shop",)))
    assert "expected utf-8 text, got byte 0x" in text
    assert "at offset" in text
    assert f"pass encoding={guess!r}." in text
    roles = Roles(target="y", series=("shop",))
    panel = read_panel(tmp_path / "sales.csv", roles, reading={"encoding": encoding})
    assert panel.ids == (word,)


def test_the_offset_and_row_of_a_wrong_byte_are_exact(tmp_path: Path) -> None:
    content = b"ds,y\n2020-01-01,1\n2020-01-02,\xe9\n"
    text = refusal(tmp_path, content)
    assert f"sales.csv row 3: expected utf-8 text, got byte 0xe9 at offset {content.index(0xE9)}" in text


@pytest.mark.parametrize(
    ("head", "row"),
    [(b"zeit\xe9,y", 1), (b"y,zeit\xe9", 1), (b'"a\nb\xe9",y', 2), (b"\xef\xbb\xbfzeit\xe9,y", 1)],
    ids=["first", "last", "second line", "mark"],
)
def test_a_header_that_is_not_utf8_names_the_byte_and_the_likely_encoding(
    tmp_path: Path, head: bytes, row: int
) -> None:
    content = head + b"\n" + b"".join(b"%d,%d\n" % (n, n) for n in range(1, 30))
    text = refusal(tmp_path, content, roles=Roles(target="y"))
    assert text == (
        f"sales.csv row {row}: expected utf-8 text, got byte 0xe9 at offset {content.index(0xE9)}. It looks "
        "like latin-1: pass encoding='latin-1'."
    )


def test_a_header_with_the_sign_for_a_lost_letter_is_text(tmp_path: Path) -> None:
    """U+FFFD written as such is UTF-8, and no reason to refuse."""
    content = "zeit\ufffd,y\n" + "".join(f"{n},{n}\n" for n in range(1, 30))
    panel = read_panel(write(tmp_path, content), Roles(target="y", time="zeit\ufffd"))
    assert panel.schema.time == "zeit\ufffd"


def test_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="encoding: expected a name such as utf-8"):
        read_panel(write(tmp_path, DAYS), reading={"encoding": "utf-99"})


def test_a_missing_column_lists_the_columns_and_the_nearest(tmp_path: Path) -> None:
    text = refusal(tmp_path, "ds,Units\n2020-01-01,1\n", roles=Roles(target="units"))
    got = "got the columns 'ds', 'Units'. Did you mean 'Units'?"
    assert text == f"sales.csv: expected a column 'units', {got}"


def test_duplicated_column_names_are_refused(tmp_path: Path) -> None:
    assert "got 'y' as columns 2, 3" in refusal(tmp_path, "ds,y,y\n2020-01-01,1,2\n")


@pytest.mark.parametrize(
    ("lines", "row", "fields"),
    [("2020-01-02,2,9\n", 3, 3), ("2020-01-02\n2020-01-03,3\n", 3, 1)],
)
def test_ragged_rows_are_refused(tmp_path: Path, lines: str, row: int, fields: int) -> None:
    text = refusal(tmp_path, "ds,y\n2020-01-01,1\n" + lines)
    assert f"sales.csv row {row}: expected 2 fields as in the first line, got {fields}" in text


def test_a_quote_that_is_never_closed_is_refused(tmp_path: Path) -> None:
    text = refusal(tmp_path, 'ds,y\n2020-01-01,1\n"2020-01-02,2\n2020-01-03,3\n')
    assert "row 3" in text
    assert "expected" in text


def test_a_file_without_header_is_not_taken_for_one_with(tmp_path: Path) -> None:
    text = refusal(tmp_path, "1,2\n3,4\n5,6\n")
    assert "row 1: expected column names in the first line, got only numbers (1, 2 …)" in text
    assert "Pass header=False if the file has no header." in text


@pytest.mark.parametrize("line", ['{"y": 1', "[1, 2]", "nonsense"])
def test_a_bad_json_line_names_its_row(tmp_path: Path, line: str) -> None:
    text = refusal(tmp_path, '{"y": 1}\n\n' + line + "\n", "a.jsonl")
    assert "a.jsonl row 3: expected" in text


def test_text_in_a_json_number_names_its_line_past_blank_lines(tmp_path: Path) -> None:
    text = refusal(tmp_path, '{"y": 1}\n\n{"y": "n/a"}\n', "a.jsonl", roles=Roles(target="y"))
    assert "a.jsonl row 3, column 'y': expected a number, got 'n/a'" in text


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_binary_file_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    assert "got a file that cannot be read as such" in refusal(tmp_path, b"not binary at all, but text", name)


def test_duplicates_are_refused_with_both_rows_or_merged_and_counted(tmp_path: Path) -> None:
    text = "ds,y\n2020-01-01,1\n2020-01-02,2\n2020-01-02,5\n2020-01-03,3\n2020-01-04,3\n"
    message = refusal(tmp_path, text)
    assert "sales.csv row 4, column 'ds': expected one row a time" in message
    assert "got 2020-01-02 in row 3 and again here" in message
    assert "pass duplicates='mean', 'first' or 'last'" in message
    for how, value in (("first", 2.0), ("last", 5.0), ("mean", 3.5)):
        panel = read_panel(tmp_path / "sales.csv", duplicates=how)
        assert panel.target.tolist() == [1.0, value, 3.0, 3.0]
        assert any("1 row with the series and time of another: " in note for note in panel.notes)


def test_duplicates_of_several_series_hint_at_the_series_column(tmp_path: Path) -> None:
    text = "shop,ds,y\na,2020-01-01,1\nb,2020-01-01,2\na,2020-01-02,1\nb,2020-01-02,2\n"
    message = refusal(tmp_path, text, roles=Roles(target="y"))
    assert "name their column with series=." in message
    assert len(read_panel(tmp_path / "sales.csv", Roles(target="y", series=("shop",)))) == 2


def test_rows_out_of_order_are_sorted_and_counted(tmp_path: Path) -> None:
    panel = read_panel(write(tmp_path, "ds,y\n2020-01-03,3\n2020-01-01,1\n2020-01-02,2\n"))
    assert panel.target.tolist() == [1.0, 2.0, 3.0]
    assert panel.notes == ("1 row lay before an earlier one of the series: sorted by time",)


def test_gaps_become_masked_rows_and_are_counted(tmp_path: Path) -> None:
    panel = read_panel(write(tmp_path, DAYS + "2020-01-07,7\n"))
    assert np.isnan(panel.target).tolist() == [False, False, False, False, True, True, False]
    assert panel.notes == ("2 steps without a row are masked",)


@pytest.mark.parametrize("stamp", ["", "yesterday"])
def test_a_blank_or_unreadable_time_stamp_is_refused(tmp_path: Path, stamp: str) -> None:
    text = refusal(tmp_path, DAYS + f"{stamp},5\n", roles=Roles(target="y", time="ds"))
    assert "sales.csv row 6, column 'ds': expected" in text


def test_mixed_formats_name_both_rows(tmp_path: Path) -> None:
    text = refusal(tmp_path, DAYS + "05/01/2020,5\n", roles=Roles(target="y", time="ds"))
    assert "sales.csv row 6, column 'ds': expected one way of writing time stamps" in text
    assert "got '2020-01-01' (%Y-%m-%d) in row 2 and '05/01/2020' here" in text


def test_an_ambiguous_order_of_day_and_month_is_refused_or_stated(tmp_path: Path) -> None:
    lines = "".join(f"0{day}-01-00,{day}\n" for day in range(1, 8))
    text = refusal(tmp_path, "ds,y\n" + lines)
    assert "sales.csv row 2, column 'ds': expected an order of day and month that the column proves" in text
    assert "%d-%m-%y (day_first=True) or %m-%d-%y (day_first=False) in every row" in text
    days = read_panel(tmp_path / "sales.csv", day_first=True)
    months = read_panel(tmp_path / "sales.csv", day_first=False)
    assert (str(days.frequency), str(months.frequency)) == ("daily", "monthly")


def test_one_date_beyond_the_twelfth_proves_the_order(tmp_path: Path) -> None:
    lines = "".join(f"{day:02d}-01-00,{day}\n" for day in range(1, 14))
    panel = read_panel(write(tmp_path, "ds,y\n" + lines))
    assert str(panel.frequency) == "daily"
    assert "column 'ds' is read as %d-%m-%y: '01-01-00' is 2000-01-01" in panel.notes


def test_irregular_stamps_name_two_rows(tmp_path: Path) -> None:
    stamps = ["00:00:00", "00:10:00", "00:20:00", "00:30:07", "00:40:00", "00:50:00"]
    text = refusal(tmp_path, "ds,y\n" + "".join(f"2020-01-01 {stamp},1\n" for stamp in stamps))
    assert "expected time stamps at regular steps (most are 10 minutes apart)" in text
    assert "got 2020-01-01 00:20:00 in row 4 and 2020-01-01 00:30:07 in row 5" in text
    assert "frequency='row'" in text
    assert len(read_panel(tmp_path / "sales.csv", frequency="row").target) == 6


def test_a_stamp_off_the_stated_grid_names_two_rows(tmp_path: Path) -> None:
    text = refusal(
        tmp_path, "ds,y\n2020-01-01 00:00,1\n2020-01-01 01:00,2\n2020-01-01 02:30,3\n", frequency="h"
    )
    assert "row 4, column 'ds': expected time stamps on a grid (hourly) from 2020-01-01 in row 2" in text
    assert "or fit with another frequency: frequency='row' takes" in text


def test_one_stamp_far_away_does_not_make_a_huge_grid(tmp_path: Path) -> None:
    text = refusal(tmp_path, DAYS + "9020-01-01,5\n", frequency="D")
    assert "expected a grid that the rows fill" in text


def test_a_single_stamp_asks_for_the_frequency(tmp_path: Path) -> None:
    assert "Pass it, for instance frequency='D'" in refusal(tmp_path, "ds,y\n2020-01-01,1\n")


def test_a_frequency_without_time_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="frequency: expected a time column to go with 'h'"):
        read_panel(write(tmp_path, "y\n1\n2\n"), frequency="h")


def test_constant_and_valueless_series_are_noted(tmp_path: Path) -> None:
    rows = "".join(f"a,2020-01-0{day},5\nb,2020-01-0{day},{day}\nc,2020-01-0{day},\n" for day in range(1, 5))
    panel = read_panel(write(tmp_path, "id,ds,y\n" + rows), Roles(target="y", series=("id",)))
    assert "1 series constant: 'a'" in panel.notes
    assert "1 series without any value: 'c'" in panel.notes
    assert panel.observed.tolist() == [4, 4, 0]


def test_a_target_without_any_value_is_refused(tmp_path: Path) -> None:
    text = refusal(tmp_path, "ds,y\n2020-01-01,\n2020-01-02,\n2020-01-03,\n", roles=Roles(target="y"))
    assert "expected known values of 'y', got none at all" in text


def test_too_short_series_are_noted_and_all_too_short_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"a,2020-01-0{day},{day}\n" for day in range(1, 9)) + "b,2020-01-01,1\n"
    panel = read_panel(write(tmp_path, "id,ds,y\n" + rows), Roles(target="y", series=("id",)))
    assert require_length(panel, 5) == ("1 series shorter than 5 values, not learned from: 'b'",)
    with pytest.raises(DataError, match="expected 20 values of one series at least, got 8 in the longest"):
        require_length(panel, 20)


def test_a_blank_series_name_is_refused(tmp_path: Path) -> None:
    text = refusal(tmp_path, "id,y\na,1\n,2\nb,3\n", roles=Roles(target="y", series=("id",)))
    assert "sales.csv row 3, column 'id': expected the name of a series, got a blank" in text


def test_a_changing_static_covariate_names_two_rows(tmp_path: Path) -> None:
    text = refusal(
        tmp_path,
        "id,y,city\na,1,Ulm\na,2,Ulm\nb,1,Bonn\na,3,Köln\n",
        roles=Roles(target="y", series=("id",), static=("city",)),
    )
    assert "row 5, column 'city': expected one value of a static covariate in series 'a'" in text
    assert "got 'Ulm' in row 2 and 'Köln' here" in text


def test_too_many_levels_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"{row},name{row}x\n" for row in range(100))
    text = refusal(tmp_path, "y,who\n" + rows, roles=Roles(target="y", past=("who",)))
    assert "column 'who': expected at most 64 different texts, got 100" in text


def test_known_covariates_that_do_not_reach_over_the_horizon(tmp_path: Path) -> None:
    rows = (
        DAYS.replace("ds,y", "ds,y,promo").replace("\n2", ",0\n2")[:-1].replace("promo,0", "promo") + ",0\n"
    )
    path = write(tmp_path, rows + "2020-01-05,,1\n2020-01-06,,\n")
    panel = read_panel(path, Roles(target="y", time="ds", known=("promo",)))
    require_horizon(panel, 1)
    with pytest.raises(DataError) as caught:
        require_horizon(panel, 3)
    text = str(caught.value)
    assert "expected known covariates for 3 steps after the last 'y' (2020-01-04), got 1" in text
    assert "'promo' is lacking at 2020-01-06" in text


def test_a_target_that_is_not_certain_is_asked_for(tmp_path: Path) -> None:
    text = refusal(tmp_path, "ds,a,b\n2020-01-01,1,2\n")
    assert "expected to be told which column to forecast, got 'a', 'b'. Name it with target=, or" in text
    with entered_by("shell"):
        text = refusal(tmp_path, "ds,a,b\n2020-01-01,1,2\n")
    assert "Name it with --target, or pass --layout 'wide' if each row is a whole series." in text


def test_the_only_column_left_is_the_target_and_its_fault_is_told(tmp_path: Path) -> None:
    text = refusal(tmp_path, "Datum;Umsatz €\n01.01.2022;50,25\n31.01.2022;57,55\n")
    assert text == (
        "sales.csv row 2, column 'Umsatz €': expected a number, got '50,25'. This looks like a decimal "
        "comma: pass decimal=','."
    )
    text = refusal(tmp_path, "date,y\n2022-01-01,50\n2022-01-02,NA\n")
    assert "row 3, column 'y': expected a number, got 'NA'. Pass missing='NA'" in text


def test_two_time_columns_are_asked_about(tmp_path: Path) -> None:
    text = refusal(tmp_path, "made,sold,y\n2020-01-01,2020-01-02,1\n", roles=Roles(target="y"))
    assert "expected one column of time stamps, got 'made', 'sold'" in text


def test_one_column_in_two_roles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected every column in one role, got 'y' in 2"):
        read_panel(write(tmp_path, DAYS), Roles(target="y", past=("y",)))


def test_wide_tables_refuse_two_rows_of_one_series(tmp_path: Path) -> None:
    text = refusal(tmp_path, "id,v1,v2,v3\na,1,2,3\na,4,5,6\n", roles=Roles(layout="wide"))
    assert "row 3, column 'id': expected one row a series, got 'a' in row 2 and again here" in text


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(InputError, match="data: expected a path, a data frame or a dict of columns, got int"):
        read_panel(7)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="expected columns of one length, got 'a' 2, 'b' 3"):
        read_panel({"a": [1, 2], "b": [1, 2, 3]}, Roles(target="a"))


@pytest.mark.parametrize("values", [[[1], [2]], [{"a": 1}, {"a": 2}]])
def test_nested_values_are_refused(values: list[Any]) -> None:
    with pytest.raises(DataError, match="column 'y': expected"):
        read_panel({"y": values}, Roles(target="y"))


def test_one_name_may_stand_for_a_tuple_of_one() -> None:
    roles = Roles(target="y", series="id")  # type: ignore[arg-type]
    assert read_panel({"id": ["b", "a"], "y": [1.0, 2.0]}, roles).ids == ("a", "b")


def test_pandas_with_mixed_values_names_the_row() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(DataError, match="pandas frame row 1, column 'y': expected a number, got 'x'"):
        read_panel(pandas.DataFrame({"y": [1, "x", 3]}), Roles(target="y"))
