"""Calendar features agree with the calendar."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.data.calendar import calendar_features, calendar_names, feature_count
from longspan.data.frequency import Frequency

NAMES = ("minute of hour", "hour of day", "day of week", "day of month", "time of year")


@settings(max_examples=50, deadline=None)
@given(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)))
def test_features_agree_with_datetime(when: dt.datetime) -> None:
    stamp = np.array([[np.datetime64(when, "us").astype(np.int64)]])
    days = (
        when.replace(month=when.month % 12 + 1, day=1, year=when.year + when.month // 12)
        - when.replace(day=1)
    ).days
    year = (dt.date(when.year + 1, 1, 1) - dt.date(when.year, 1, 1)).days
    phases = [
        (when.minute * 60 + when.second + when.microsecond / 1e6) / 3600,
        (when.hour * 3600 + when.minute * 60 + when.second) / 86400,
        when.weekday() / 7,
        (when.day - 1) / days,
        (when.timetuple().tm_yday - 1) / year,
    ]
    expected = np.array([part(2 * np.pi * phase) for phase in phases for part in (np.sin, np.cos)])
    found = calendar_features(NAMES, stamp)
    assert found.shape == (1, 1, feature_count(NAMES))
    assert found.dtype == np.float32
    # A place is rounded down to 1/4096 of its cycle.
    np.testing.assert_allclose(found[0, 0], expected, atol=2 * np.pi / 4096 * 1.01)


@pytest.mark.parametrize(
    ("code", "span", "expected"),
    [
        ("h", 24 * 400, ("hour of day", "day of week", "day of month")),
        ("h", 24 * 800, ("hour of day", "day of week", "day of month", "time of year")),
        ("h", 47, ()),
        ("5min", 12 * 24 * 3, ("minute of hour", "hour of day")),
        ("D", 800, ("day of week", "day of month", "time of year")),
        ("B", 600, ("day of week", "day of month", "time of year")),
        ("W", 200, ("time of year",)),
        ("MS", 36, ("time of year",)),
        ("QS", 12, ("time of year",)),
        ("YS", 300, ()),
        ("row", 10**6, ()),
    ],
)
def test_only_what_the_frequency_resolves_and_the_span_supports(
    code: str, span: int, expected: tuple[str, ...]
) -> None:
    assert calendar_names(Frequency.parse(code), span) == expected


def test_an_unknown_feature_is_refused() -> None:
    with pytest.raises(InputError, match="calendar: expected one of minute of hour"):
        calendar_features(("phase of the moon",), np.zeros((1, 1), dtype=np.int64))
