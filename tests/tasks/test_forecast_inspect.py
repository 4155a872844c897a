"""What ``inspect`` says of a series that is not there, and of the values it measures."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from longspan.core.errors import InputError
from longspan.data.inference import Roles, read_panel
from longspan.data.panel import Panel
from longspan.data.synthetic import seasonal_panel
from longspan.data.windows import Windows
from longspan.tasks.forecast_inspect import ForecastInspect, _shown_row, _usual_part


def shown(panel: Panel, of: str | None) -> int:
    windows = Windows(panel, 10, 5, 60, panel.observed - 5)
    return _shown_row(panel, windows, ForecastInspect(of=of))


def test_of_names_a_series_or_is_left_away() -> None:
    one = read_panel({"y": np.arange(100.0)}, Roles(target="y"))
    assert shown(one, None) == 35
    with pytest.raises(InputError, match="of: there is one series, without a name: leave `of` away"):
        shown(one, "x")
    two = read_panel(seasonal_panel(2, 100, 24), Roles(target="value", series=("id",)))
    assert shown(two, "series_1") == 35
    with pytest.raises(InputError, match="of: expected one of the series, such as 'series_1'"):
        shown(two, "x")


@pytest.mark.parametrize(
    ("length", "kept", "expected"), [(1000, 100, 120), (1000, 130, 130), (200, 20, 100), (200, 110, 110)]
)
def test_the_usual_part_is_what_the_help_says(length: int, kept: int, expected: int) -> None:
    """As many as the fit kept, or 24 horizons if that is more, of these at most half a series."""
    panel = read_panel({"y": np.arange(float(length))}, Roles(target="y"))
    fitted = SimpleNamespace(design=SimpleNamespace(horizon=5), record={"steps": kept})
    assert _usual_part(panel, fitted) == expected  # type: ignore[arg-type]
    assert "or 24 horizons if that is more" in str(ForecastInspect.model_fields["last"].description)
