"""The Python door: fit, load and the model they give."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import longspan
from longspan.api import like, plain
from longspan.core.errors import DataError, InputError, ModelError
from longspan.store import lock
from longspan.store.workspace import Workspace

VALUES = {"t": [1, 2, 3], "y": [2.0, 4.0, 9.0]}


@pytest.fixture(autouse=True)
def task(level_task: object) -> None:
    """The test task is in the table."""


@pytest.fixture
def csv(tmp_path: Path) -> str:
    path = tmp_path / "d.csv"
    pl.DataFrame(VALUES).write_csv(path)
    return str(path)


def test_fit_without_out_writes_nothing(csv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = longspan.fit("level", csv, target="y")
    assert model.info()["metrics"]["level"] == 5.0
    assert [each.name for each in tmp_path.iterdir()] == ["d.csv"]


def test_saved_and_loaded_is_the_same(csv: str, tmp_path: Path) -> None:
    model = longspan.fit("level", csv, target="y", kind="median")
    where = model.save(tmp_path / "m")
    again = longspan.load(where)
    assert again.info() == model.info()
    assert again.predict(csv, steps=3).equals(model.predict(csv, steps=3))
    assert again.evaluate(csv)["error"] == model.evaluate(csv)["error"] == 7 / 3
    assert repr(again) == "<longspan level model, 1 parameters>"

    # Where a model comes from does not change when it is copied.
    copy = longspan.load(again.save(tmp_path / "copy"))
    assert copy.info() == again.info()


def test_fit_with_out_is_fit_and_save(csv: str, tmp_path: Path) -> None:
    with_out = longspan.fit("level", csv, target="y", out=tmp_path / "a")
    assert longspan.load(tmp_path / "a").info() == with_out.info()
    longspan.fit("level", csv, target="y").save(tmp_path / "b")
    first, second = (json.loads((tmp_path / each / "model.json").read_text()) for each in "ab")
    for each in ("config", "data", "metrics", "versions", "files"):
        assert first[each] == second[each]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "b", "d.csv"]


def test_save_refuses_what_is_there(csv: str, tmp_path: Path) -> None:
    model = longspan.fit("level", csv, target="y")
    model.save(tmp_path / "m")
    with pytest.raises(InputError, match="already exists"):
        model.save(tmp_path / "m")
    model.save(tmp_path / "m", force=True)
    with pytest.raises(InputError, match="not a longspan model"):
        model.save(csv, force=True)


def test_what_is_refused_leaves_nothing(csv: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column 'z'"):
        longspan.fit("level", csv, target="z", out=tmp_path / "m")
    for force in (False, True):
        with pytest.raises(InputError, match=r"^out= expected a folder to make, got the file '.*d\.csv'"):
            longspan.fit("level", csv, target="y", out=csv, force=force)
    with pytest.raises(InputError, match="does not exist"):
        longspan.fit("level", csv, target="y", out=tmp_path / "no" / "m")
    assert [each.name for each in tmp_path.iterdir()] == ["d.csv"]


def test_a_model_that_is_there_is_replaced_by_force_alone(csv: str, tmp_path: Path) -> None:
    longspan.fit("level", csv, target="y", out=tmp_path / "m")
    with pytest.raises(InputError, match=r"exists\. Pass force=True to replace it"):
        longspan.fit("level", csv, target="y", out=tmp_path / "m")
    longspan.fit("level", csv, target="y", out=tmp_path / "m", force=True)


def test_interrupted_and_resumed(csv: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"target": "y", "fail": "interrupt", "out": tmp_path / "m"}
    with pytest.raises(KeyboardInterrupt):
        longspan.fit("level", csv, **options)
    assert (tmp_path / "m.partial").is_dir()
    with pytest.raises(InputError, match="Pass resume=True to go on with it, or force=True to start anew"):
        longspan.fit("level", csv, **options)
    with pytest.raises(InputError, match="the seed was 0, now 1"):
        longspan.fit("level", csv, **options, resume=True, seed=1)
    model = longspan.fit("level", csv, **options, resume=True)
    assert model.info()["metrics"]["level"] == 5.0
    assert not (tmp_path / "m.partial").exists()


def test_force_throws_an_interrupted_run_away(csv: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        longspan.fit("level", csv, target="y", fail="interrupt", out=tmp_path / "m")
    longspan.fit("level", csv, target="y", out=tmp_path / "m", force=True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["d.csv", "m"]


class KilledError(BaseException):
    """Stands for a signal that no process outlives: nothing below catches it."""


def killed_before_the_cleaning(monkeypatch: pytest.MonkeyPatch, csv: str, **options: Any) -> None:
    """A fit that dies when its model is in place and its work folder is not yet removed."""

    def die(_path: Path) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr("longspan.store.atomic.remove_folder", die)
        with pytest.raises(KilledError):
            longspan.fit("level", csv, target="y", **options)


def test_a_run_killed_after_its_model_was_in_place_is_resumed_by_cleaning(
    csv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "m"
    killed_before_the_cleaning(monkeypatch, csv, out=out)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["d.csv", "m", "m.partial"]
    written = (out / "model.json").read_bytes()
    with caplog.at_level("INFO", logger="longspan"):
        model = longspan.fit("level", csv, target="y", out=out, resume=True)
    assert caplog.messages == [
        f"the run had ended: {out} is its model. The work folder that it left is removed"
    ]
    assert model.info() == longspan.load(out).info()
    assert (out / "model.json").read_bytes() == written
    assert sorted(each.name for each in tmp_path.iterdir()) == ["d.csv", "m"]


@pytest.mark.parametrize("change", [{"seed": 1}, {"kind": "median"}, {"target": "t"}])
def test_another_run_does_not_clean_it(
    csv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    killed_before_the_cleaning(monkeypatch, csv, out=tmp_path / "m")
    with pytest.raises(InputError, match=r"exists\. Pass force=True"):
        longspan.fit("level", csv, **({"target": "y", "out": tmp_path / "m", "resume": True} | change))
    assert (tmp_path / "m.partial" / "run.json").is_file()


def test_a_model_that_the_interrupted_run_was_to_replace_is_not_its_own(csv: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"target": "y", "fail": "interrupt", "out": tmp_path / "m"}
    longspan.fit("level", csv, target="y", out=tmp_path / "m")
    an_hour_ago = (tmp_path / "m" / "model.json").stat().st_mtime - 3600
    os.utime(tmp_path / "m" / "model.json", (an_hour_ago, an_hour_ago))
    with pytest.raises(KeyboardInterrupt):
        longspan.fit("level", csv, **options, force=True)
    with pytest.raises(InputError, match=r"exists\. Pass force=True"):
        longspan.fit("level", csv, **options, resume=True)
    assert list((tmp_path / "m.partial").glob("checkpoint-*"))
    assert longspan.fit("level", csv, **options, resume=True, force=True)
    assert not (tmp_path / "m.partial").exists()


@pytest.mark.parametrize("harm", ["weights", "run"])
def test_what_is_damaged_is_not_taken_for_a_finished_run(
    csv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    killed_before_the_cleaning(monkeypatch, csv, out=tmp_path / "m")
    place = tmp_path / ("m/weights.safetensors" if harm == "weights" else "m.partial/run.json")
    place.write_bytes(place.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"exists\. Pass force=True"):
        longspan.fit("level", csv, target="y", out=tmp_path / "m", resume=True)
    assert (tmp_path / "m.partial" / "run.json").is_file()


def test_a_finished_run_that_still_cleans_up_is_left_to_it(
    csv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_cleaning(monkeypatch, csv, out=tmp_path / "m")
    handle = lock.take(tmp_path / "m.partial" / "lock")
    try:
        with pytest.raises(ModelError, match=f"process {os.getpid()} is working there"):
            longspan.fit("level", csv, target="y", out=tmp_path / "m", resume=True)
    finally:
        lock.release(handle)
    assert (tmp_path / "m.partial" / "run.json").is_file()


def test_a_refused_fit_keeps_the_checkpoints_of_the_one_before(csv: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        longspan.fit("level", csv, target="y", fail="interrupt", out=tmp_path / "m")
    with pytest.raises(DataError):
        longspan.fit("level", csv, target="y", fail="data", out=tmp_path / "m", force=True)
    assert longspan.fit("level", csv, target="y", fail="interrupt", out=tmp_path / "m", resume=True)


def test_a_failure_with_nothing_to_go_on_from_leaves_nothing(csv: str, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="boom"):
        longspan.fit("level", csv, target="y", fail="crash", out=tmp_path / "m")
    assert [each.name for each in tmp_path.iterdir()] == ["d.csv"]


def test_a_work_folder_that_was_there_before_outlives_the_failures_of_who_resumes_it(
    csv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"target": "y", "fail": "crash", "out": tmp_path / "m"}
    with monkeypatch.context() as patched:
        patched.setattr(Workspace, "discard", Workspace.close)  # killed, it cleans nothing
        with pytest.raises(RuntimeError, match="boom"):
            longspan.fit("level", csv, **options)
    begun = (tmp_path / "m.partial" / "run.json").read_bytes()
    with pytest.raises(InputError, match="the seed was 0, now 1"):
        longspan.fit("level", csv, **options, resume=True, seed=1)
    with pytest.raises(RuntimeError, match="boom"):
        longspan.fit("level", csv, **options, resume=True)
    assert (tmp_path / "m.partial" / "run.json").read_bytes() == begun


def test_a_model_that_could_not_be_saved_is_still_to_be_had(
    csv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"target": "y", "fail": "interrupt", "out": tmp_path / "m"}
    with pytest.raises(KeyboardInterrupt):
        longspan.fit("level", csv, **options)

    def full(_path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("longspan.store.atomic.write_new", full)
        with pytest.raises(ModelError, match="No space left on device"):
            longspan.fit("level", csv, **options, resume=True)
    assert longspan.fit("level", csv, **options, resume=True).info()["metrics"]["level"] == 5.0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["d.csv", "m"]


def test_the_command_is_kept(csv: str) -> None:
    model = longspan.fit("level", csv, target="y", seed=3, time_budget="15m")
    assert model.info()["command"] == (
        f"longspan.fit('level', {csv!r}, seed=3, time_budget='15m', target='y')"
    )
    framed = longspan.fit("level", pl.DataFrame(VALUES), target="y")
    assert framed.info()["command"] == "longspan.fit('level', <polars data>, target='y')"


def test_notes_are_logged_or_shown(
    csv: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("INFO", logger="longspan"):
        longspan.fit("level", csv, target="y")
    assert caplog.messages == ["3 rows, seed 0, budget None"]
    assert capsys.readouterr().err == ""
    longspan.fit("level", csv, target="y", progress=True, time_budget="1m")
    assert capsys.readouterr().err == "3 rows, seed 0, budget 60.0\n"


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_frame_is_answered_in_kind(make: Any) -> None:
    frame = make(VALUES)
    answer = longspan.fit("level", frame, target="y").predict(frame)
    assert type(answer) is type(frame)
    assert [float(each) for each in answer["level"].to_numpy()] == [5.0, 5.0]


def test_a_path_is_answered_with_polars(csv: str) -> None:
    assert isinstance(longspan.fit("level", csv, target="y").predict(csv), pl.DataFrame)


FULL = pl.DataFrame(
    {
        "number": [1.5, None],
        "count": pl.Series([1, 2], dtype=pl.Int32),
        "word": ["ä", None],
        "flag": [True, False],
        "naive": [datetime(2024, 3, 31, 1), datetime(2024, 3, 31, 4)],
        "aware": pl.Series(
            [datetime(2024, 3, 31, 0, tzinfo=UTC), datetime(2024, 3, 31, 2, tzinfo=UTC)]
        ).dt.convert_time_zone("Europe/Berlin"),
    }
)


def test_pandas_gets_every_kind_of_column() -> None:
    found = like(FULL, pd.DataFrame())
    assert list(found.columns) == FULL.columns
    assert found["number"].isna().tolist() == [False, True]
    assert found["count"].dtype == np.int32
    assert found["word"][0] == "ä"
    assert pd.isna(found["word"][1])
    assert found["flag"].tolist() == [True, False]
    assert found["naive"].tolist() == [pd.Timestamp(2024, 3, 31, 1), pd.Timestamp(2024, 3, 31, 4)]
    assert str(found["aware"].dt.tz) == "Europe/Berlin"
    # Clocks went from 2 to 3 that night: one hour of two is missing on the wall, none in time.
    assert [each.hour for each in found["aware"]] == [1, 4]


def test_pandas_needs_no_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert like(FULL.drop("word"), pd.DataFrame())["number"][0] == 1.5


def test_lazy_frames_and_other_things_are_answered_with_polars() -> None:
    for data in (FULL.lazy(), "d.csv", Path("d.csv"), {"y": [1]}, None):
        assert like(FULL, data) is FULL


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None),
        (-math.inf, None),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array([[1.0, math.nan]]), [[1.0, None]]),
        ((1, "a", None, True), [1, "a", None, True]),
        ({1: {"b": (2,)}}, {"1": {"b": [2]}}),
        (datetime(2024, 1, 2, 3), "2024-01-02T03:00:00"),
        (date(2024, 1, 2), "2024-01-02"),
        (timedelta(minutes=1), 60.0),
        (Path("a"), "a"),
    ],
)
def test_plain_values(value: Any, expected: Any) -> None:
    found = plain(value)
    assert found == expected
    json.dumps(found, allow_nan=False)


def test_load_refuses_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected a model folder"):
        longspan.load(tmp_path / "nothing")


def test_import_is_light() -> None:
    import subprocess

    code = (
        "import sys, longspan, longspan.api; dir(longspan)\n"
        "heavy = [m for m in ('torch', 'polars', 'numpy', 'matplotlib') if m in sys.modules]\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_package_names_what_it_has() -> None:
    assert {"fit", "load", "Model", "nn", "datasets", "__version__"} <= set(dir(longspan))
    with pytest.raises(AttributeError, match="has no attribute 'fitt'"):
        longspan.fitt  # noqa: B018
