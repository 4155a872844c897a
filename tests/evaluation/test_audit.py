"""The checks on plain arrays and callables: what counts as a change, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from longspan.core.errors import InputError
from longspan.evaluation.audit import (
    Audit,
    Finding,
    Prepared,
    check_forecast,
    check_last_value,
    check_numbers,
    check_windows,
    copy_findings,
    same_bits,
    search_words,
)
from longspan.evaluation.copies import Copy

Array = NDArray[np.float64]


def fitted(values: Array, until: int, windows: int) -> Prepared:
    """A preparation of a plain series: a scale, a list, and windows of four."""
    part = values[:until]
    cut = np.stack([values[n : n + 4] for n in range(windows)])
    return Prepared(
        {"the scale": np.array([part.std()]), "the window": np.array(4), "the levels": np.array(["a", "b"])},
        {"training windows": cut},
    )


def pair(cut: int = 30) -> tuple[Array, Array]:
    draws = np.random.default_rng(0)
    values = draws.normal(size=50)
    noised = values.copy()
    noised[cut:] = 100 * draws.normal(size=50 - cut)
    return values, noised


def test_numbers_and_windows_of_the_past_are_not_blamed() -> None:
    one, other = (fitted(each, 30, 26) for each in pair())
    assert list(check_numbers(one, other)) == []
    assert list(check_windows(one, other)) == []


def test_one_number_and_one_window_too_far_are_named() -> None:
    one, other = (fitted(each, 31, 28) for each in pair())
    (number,) = check_numbers(one, other)
    assert (number.kind, number.where) == ("number from the future", "the scale")
    shown = [f"{each.numbers['the scale'][0]:.6g}" for each in (one, other)]
    assert number.words == (
        f"the scale changes with values after the cut ({shown[0]} becomes {shown[1]}). Take it from the part "
        "before the cut only"
    )
    (window,) = check_windows(one, other)
    assert window.kind == "window over the cut"
    assert window.words.startswith(
        "1 of 28 training windows change with values after the cut. End every window"
    )


def test_a_change_in_the_last_bit_is_a_change() -> None:
    one = Prepared({"the scale": np.array([1.0])}, {})
    other = Prepared({"the scale": np.array([np.nextafter(1.0, 2.0)])}, {})
    assert len(list(check_numbers(one, other))) == 1


def test_a_number_or_windows_that_come_or_go_are_named() -> None:
    some = Prepared({"the scale": np.array([1.0])}, {"training windows": np.zeros((3, 2))})
    none = Prepared({}, {})
    assert "(1. becomes nothing)" in next(check_numbers(some, none)).words
    assert "(nothing becomes 1.)" in next(check_numbers(none, some)).words
    assert "((3, 2) becomes none)" in next(check_windows(some, none)).words
    fewer = Prepared({}, {"training windows": np.zeros((2, 2))})
    assert "((3, 2) becomes (2, 2))" in next(check_windows(some, fewer)).words


def test_equal_bits_are_of_one_shape_and_type_and_not_a_number_is_itself() -> None:
    holed = np.array([1.0, np.nan])
    assert same_bits(holed, holed.copy())
    assert not same_bits(holed, holed[:, None])
    assert not same_bits(np.array([1.0]), np.array([1], dtype=np.int64))
    assert not same_bits(np.array([0.0]), np.array([-0.0]))
    assert same_bits(np.array(["a", None], dtype=object), np.array(["a", None], dtype=object))


NAMES = ("after row 30",)


def last(values: Array) -> Array:
    return values[29:30, None]


def test_a_forecast_from_the_past_passes_and_one_that_peeks_is_named() -> None:
    values, noised = pair()
    assert list(check_forecast(last, values, noised, NAMES)) == []
    (found,) = check_forecast(lambda each: last(each) + 1e-9 * each[30], values, noised, NAMES)
    assert (found.kind, found.where) == ("forecast from the future", "after row 30")
    assert found.words.startswith("1 of 1 forecasts, first that after row 30, change with values after their")


def test_a_forecast_that_fails_on_noise_is_named() -> None:
    values, noised = pair()

    def fragile(each: Array) -> Array:
        return np.where(np.abs(each[30:]).max() > 50, np.nan, last(each))

    assert [each.kind for each in check_forecast(fragile, values, noised, NAMES)] == [
        "forecast from the future"
    ]
    (found,) = check_forecast(lambda each: last(each)[: int(each is values)], values, noised, NAMES)
    assert found.words == "1 forecasts become 0 with other values after the origin"


def test_rounding_of_a_machine_whose_own_repeats_differ_is_no_leak() -> None:
    draws = np.random.default_rng(0)
    values, noised = pair()

    def jittery(each: Array) -> Array:
        return last(each) * (1 + 1e-15 * draws.integers(-2, 3, size=(1, 1)))

    for _ in range(20):
        assert list(check_forecast(jittery, values, noised, NAMES)) == []
    peeks = [
        list(check_forecast(lambda each: jittery(each) + each[30], values, noised, NAMES)) for _ in range(20)
    ]
    assert all(len(found) == 1 for found in peeks)


def test_a_forecast_that_misses_the_last_value_is_named() -> None:
    values, _ = pair()
    moved = values.copy()
    moved[29] += 1
    assert list(check_last_value(last, values, [moved], NAMES)) == []
    (found,) = check_last_value(lambda each: each[28:29, None], values, [moved], NAMES)
    assert (found.kind, found.where) == ("last value not read", "after row 30")
    assert "the last observation is not read" in found.words


def test_one_of_the_changes_is_enough() -> None:
    """A forecast in whole numbers need not follow a small change, but a large one."""
    values, _ = pair()
    changed = []
    for by in (1e-3, 50.0):
        moved = values.copy()
        moved[29] += by
        changed.append(moved)
    whole: Callable[[Array], Array] = lambda each: np.round(last(each))  # noqa: E731
    assert list(check_last_value(whole, values, changed, NAMES)) == []
    assert len(list(check_last_value(whole, values, changed[:1], NAMES))) == 1


def test_only_the_forecasts_that_stay_are_counted() -> None:
    values, _ = pair()
    moved = values.copy()
    moved[29] += 1
    (found,) = check_last_value(lambda each: each[[29, 28, 27], None], values, [moved], ("a", "b", "c"))
    assert found.words.startswith("2 of 3 forecasts, first that b, do not change")


def copied(series: int, *, learned: bool = True, scale: float = 1.0, shift: float = 0.0) -> Copy:
    return Copy(series, 40, 60, 9, 0, scale, shift, learned)


def test_copies_in_words() -> None:
    ids = [f"s{n}" for n in range(20)]
    (found,) = copy_findings([copied(1)], ids)
    assert found == Finding(
        "same series on both sides",
        "series 's1', series 's9'",
        "values 41 to 60 of series 's1', tested in part, are values 1 to 20 of series 's9', learned from, "
        "value for value. Leave one of them out, or scores tell how well was copied",
    )
    (found,) = copy_findings([copied(1, scale=-2.0, shift=0.5)], ids)
    assert "learned from (times -2, plus 0.5)." in found.words
    (found,) = copy_findings([copied(1, learned=False)], ids)
    assert "one series under two names. Leave one of them out, or it counts twice" in found.words
    (found,) = copy_findings([copied(9)], ids)
    assert found.where == "series 's9'"
    (found,) = copy_findings([copied(0)], [""] * 10)
    assert found.words.startswith(
        "values 41 to 60 of the series, tested in part, are values 1 to 20 of the series"
    )


def test_many_copies_are_counted_beyond_the_tenth() -> None:
    found = list(copy_findings([copied(1)] * 25, [f"s{n}" for n in range(20)]))
    assert len(found) == 11
    assert found[-1].words == "15 more pairs of series hold the same values"


def test_the_bound_of_a_search_is_said() -> None:
    assert search_words(5000, 5000).endswith("(5,000 values)")
    assert search_words(5000, 9000).endswith("(5,000 of 9,000 values, the last of a sample)")


def test_one_line_where_nothing_leaks_else_one_a_finding() -> None:
    assert Audit((), ("one", "two"), 0.5).words() == ("audit: 2 checks, nothing leaks",)
    found = Audit((Finding("target shifted", "column 'x'", "it does"),) * 2, ("one",), 0.5)
    assert not found.clean
    assert found.words() == ("audit: target shifted: it does",) * 2


@given(
    st.lists(st.tuples(st.sampled_from(["target shifted", "window over the cut"]), st.text(), st.text())),
    st.lists(st.text()),
    st.floats(0, 1e6),
)
def test_the_record_comes_back_from_json(
    findings: list[tuple[str, str, str]], checks: list[str], seconds: float
) -> None:
    audit = Audit(tuple(Finding(*each) for each in findings), tuple(checks), round(seconds, 3))  # type: ignore[arg-type]
    assert Audit.from_json(json.loads(json.dumps(audit.to_json(), allow_nan=False))) == audit


def test_a_record_with_an_unknown_kind_is_refused() -> None:
    record = {"findings": [{"kind": "gremlins", "where": "", "words": ""}], "checks": [], "seconds": 0}
    with pytest.raises(
        InputError, match=r"expected a finding of kind number from the future, .* got 'gremlins'"
    ):
        Audit.from_json(record)
