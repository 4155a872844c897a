"""The public sets are read as a person would read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from longspan.data import registry
from longspan.data.frequency import write_stamp
from longspan.data.inference import Roles, read_panel

pytestmark = pytest.mark.data


def test_sinewave(shared_data: Path) -> None:
    panel = read_panel(shared_data / "timeseries/sinewave.csv")
    assert (panel.schema.target, panel.schema.time, panel.schema.seasons) == ("sinewave", None, (100,))
    assert panel.lengths.tolist() == [5001]
    assert panel.notes == ()


def test_sp500_dates_are_proved_and_holidays_are_masked(shared_data: Path) -> None:
    panel = read_panel(shared_data / "timeseries/sp500.csv", Roles(target="Close", past=("Volume",)))
    assert panel.frequency.code == "B"
    assert panel.schema.time_format == "%d-%m-%y"
    first, last = panel.stamps(0, 0, 1)[0], panel.stamps(0, int(panel.lengths[0]) - 1, 1)[0]
    assert (write_stamp(int(first)), write_stamp(int(last))) == ("2000-01-03", "2018-08-31")
    assert np.isfinite(panel.target).sum() == 4697
    assert panel.lengths[0] == np.busday_count("2000-01-03", "2018-09-01")
    assert f"{int(panel.lengths[0]) - 4697:,} steps without a row are masked" in panel.notes


def test_etth1(shared_data: Path) -> None:
    panel = read_panel(shared_data / "timeseries/ETTh1.csv.gz", Roles(target="OT", past=("HUFL", "HULL")))
    assert (str(panel.frequency), panel.schema.seasons) == ("hourly", (24,))
    assert panel.past.shape == (17420, 2)
    assert panel.notes == ()


def test_m4_hourly_is_wide(shared_data: Path) -> None:
    panel = read_panel(shared_data / "timeseries/m4/Hourly-train.csv.gz")
    assert (panel.schema.layout, len(panel), panel.schema.seasons) == ("wide", 414, (24, 168))
    assert panel.ids[:3] == ("H1", "H2", "H3")
    assert set(panel.lengths.tolist()) == {700, 960}
    assert panel.values(0)[:3].tolist() == [605.0, 586.0, 586.0]
    test = read_panel(shared_data / "timeseries/m4/Hourly-test.csv", schema=panel.schema)
    assert test.ids == panel.ids
    assert set(test.lengths.tolist()) == {48}


def test_exchange_rates_have_no_header(shared_data: Path) -> None:
    panel = read_panel(
        shared_data / "timeseries/exchange_rate.txt.gz", Roles(target="column_8"), reading={"header": False}
    )
    assert panel.lengths.tolist() == [7588]
    assert panel.target[:2].tolist() == [0.525486, 0.523972]


def test_half_hours_of_taxis(shared_data: Path) -> None:
    panel = read_panel(shared_data / "anomaly/NAB/realKnownCause/nyc_taxi.csv")
    assert (str(panel.frequency), panel.schema.seasons) == ("every 30 minutes", (48, 336))


def test_the_sets_of_statsmodels_have_their_frequencies() -> None:
    found = {name: read_panel(registry.load(name)) for name in ("sunspots", "co2", "elnino")}
    codes = {name: panel.frequency.code for name, panel in found.items()}
    assert codes == {"sunspots": "YS", "co2": "W", "elnino": "MS"}
    assert found["elnino"].schema.seasons == (12,)
    assert found["co2"].schema.seasons == (52,)


def test_every_registered_file_is_in_the_mirror_unaltered(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGSPAN_DATA", str(shared_data))
    for entry in registry.catalog():
        for found, file in zip(registry.fetch(entry.name), entry.files, strict=True):
            assert found.stat().st_size == file.bytes


@pytest.mark.parametrize(
    ("name", "file", "shape"),
    [
        ("sine", None, (5001, 1)),
        ("exchange-rate", None, (7588, 8)),
        ("m4-hourly", "Hourly-test.csv", (414, 49)),
    ],
)
def test_load(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch, name: str, file: str | None, shape: tuple[int, int]
) -> None:
    monkeypatch.setenv("LONGSPAN_DATA", str(shared_data))
    assert registry.load(name, file).shape == shape
