"""Stamps and steps are each other's inverse on every grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.data.frequency import Frequency, write_stamp

CODES = [
    "row",
    "us",
    "ms",
    "s",
    "5min",
    "min",
    "h",
    "4h",
    "D",
    "2D",
    "B",
    "3B",
    "W",
    "MS",
    "ME",
    "QS",
    "QE",
    "YS",
    "YE",
]


def stamp(text: str) -> int:
    return int(np.datetime64(text, "us").astype(np.int64))


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(CODES), st.integers(-20_000, 40_000), st.integers(0, 86_399), st.integers(-400, 400))
def test_steps_between_undoes_stamps(code: str, day: int, second: int, first: int) -> None:
    frequency = Frequency.parse(code)
    start = day * 86_400_000_000 + second * 1_000_000
    if code.endswith("B"):
        start -= 2 * 86_400_000_000 * ((day + 3) % 7 > 4)
    if frequency.unit == "month":
        month = np.datetime64(start, "us").astype("datetime64[M]")
        date = (
            (month + 1).astype("datetime64[D]") - 1
            if frequency.anchor == "end"
            else month.astype("datetime64[D]") + 5
        )
        start = int(date.astype("datetime64[us]").astype(np.int64)) + second * 1_000_000
    steps = np.arange(first, first + 50)
    stamps = frequency.stamps(start, steps)
    assert (np.diff(stamps) > 0).all()
    found, exact = frequency.steps_between(start, stamps)
    assert exact.all()
    np.testing.assert_array_equal(found, steps)
    if code != "us" and frequency.unit != "row":
        assert not frequency.steps_between(start, stamps + 1)[1].any()


@pytest.mark.parametrize(
    ("code", "start", "expected"),
    [
        ("ME", "2020-01-31", ["2020-01-31", "2020-02-29", "2020-03-31"]),
        ("MS", "2019-12-15", ["2019-12-15", "2020-01-15", "2020-02-15"]),
        ("QE", "2019-12-31", ["2019-12-31", "2020-03-31", "2020-06-30"]),
        ("YS", "2019-02-28", ["2019-02-28", "2020-02-28", "2021-02-28"]),
        ("B", "2020-01-02", ["2020-01-02", "2020-01-03", "2020-01-06"]),
        ("W", "1969-12-31", ["1969-12-31", "1970-01-07", "1970-01-14"]),
    ],
)
def test_stamps_by_hand(code: str, start: str, expected: list[str]) -> None:
    stamps = Frequency.parse(code).stamps(stamp(start), np.arange(3))
    assert [write_stamp(int(one)) for one in stamps] == expected


def test_business_days_agree_with_numpy() -> None:
    steps = np.arange(-1000, 1000)
    found = (
        Frequency.parse("B")
        .stamps(stamp("2024-05-08"), steps)
        .astype("datetime64[us]")
        .astype("datetime64[D]")
    )
    np.testing.assert_array_equal(found, np.busday_offset("2024-05-08", steps))


@pytest.mark.parametrize(
    ("code", "text", "seasons"),
    [
        ("h", "hourly", (24, 168)),
        ("15min", "every 15 minutes", (4, 96, 672)),
        ("4h", "every 4 hours", (6, 42)),
        ("D", "daily", (7, 365)),
        ("B", "every business day", (5, 261)),
        ("W", "weekly", (52,)),
        ("MS", "monthly", (12,)),
        ("ME", "monthly (month end)", (12,)),
        ("QS", "quarterly", (4,)),
        ("YE", "yearly (month end)", ()),
        ("row", "every row", ()),
        ("250ms", "every 250 milliseconds", ()),
    ],
)
def test_text_seasons_code_and_json(code: str, text: str, seasons: tuple[int, ...]) -> None:
    frequency = Frequency.parse(code)
    assert (str(frequency), frequency.seasons, frequency.code) == (text, seasons, code)
    assert Frequency.model_validate_json(frequency.model_dump_json()) == frequency


@pytest.mark.parametrize("text", ["", "fortnight", "0h", "1.5h", "-1D"])
def test_an_unknown_frequency_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="frequency: expected one of row, us"):
        Frequency.parse(text)
