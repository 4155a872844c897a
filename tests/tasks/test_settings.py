"""What every fit takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.tasks.settings import FitSettings, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (90, 90.0),
        (0.5, 0.5),
        ("90", 90.0),
        ("90s", 90.0),
        ("15m", 900.0),
        ("2h", 7200.0),
        ("1.5h", 5400.0),
        (".5m", 30.0),
        ("1d", 86400.0),
        (" 2 h ", 7200.0),
    ],
)
def test_lengths_of_time(text: Any, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "h", "-5", -5, 0, "0s", "5x", "1h30m", "inf", float("nan"), True, None, "1e3"]
)
def test_what_is_no_length_of_time_is_refused(text: Any) -> None:
    with pytest.raises(InputError, match=r"expected a positive length of time .* got "):
        seconds(text)


@given(st.integers(1, 10**6), st.sampled_from([("s", 1), ("m", 60), ("h", 3600), ("d", 86400)]))
def test_a_unit_multiplies(number: int, unit: tuple[str, int]) -> None:
    assert seconds(f"{number}{unit[0]}") == number * unit[1]


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:11", "mps", "xpu:1"])
def test_devices(device: str) -> None:
    assert FitSettings.read({"device": device}, verb="fit").device == device


@pytest.mark.parametrize(
    ("given_", "text"),
    [
        ({"device": "gpu"}, r"^device= expected auto, cpu, cuda, .*, got 'gpu'$"),
        ({"device": "cuda:"}, "device= expected"),
        ({"seed": -1}, r"^seed= expected greater than or equal to 0, got -1$"),
        ({"seed": 2**63}, "seed= expected"),
        ({"time_budget": "soon"}, r"^time_budget= expected a positive length of time .*, got 'soon'$"),
        ({"out": ""}, "out= expected"),
        ({"resume": 1}, r"^resume= expected True or False, got 1$"),
    ],
)
def test_wrong_settings_are_refused(given_: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        FitSettings.read(given_, verb="fit")
