"""Forecasters' folders whose configuration was forged, each sealed anew: refused as they are loaded, before
anything of their sizes is made.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

import longspan
from longspan.core.errors import LongspanError, ModelError
from longspan.store import tensors

resource = pytest.importorskip("resource")

SPARE = 2 << 30  # bytes that a forged folder may make us ask for
CURE = r"Restore (it|the model) from a copy or make it again\.$"
# Of the record these are shown as they are; nothing is computed from what is in them.
SHOWN = ("validation", "audit", "time", "tuning", "horizons", "comparisons", "spread")
BAD = (None, True, -1, 0, 1.5, 2**40, 2**63, 1e300, "", "\x1b[2J", [], {}, [[1]], {"x": 1})
DELETED = object()
Place = tuple[str | int, ...]


def _table(days: int, ahead: int) -> pl.DataFrame:
    rows = [
        (
            *(series, date(2024, 1, 1) + timedelta(days=day)),
            *(10.0 + day % 7 + day % 3 if day < days else None, float(day % 5), "xy"[day % 2]),
            *(float(day % 4), float(series == "a")),
        )
        for series in "ab"
        for day in range(days + ahead)
    ]
    return pl.DataFrame(rows, schema=["id", "time", "y", "known", "level", "past", "static"], orient="row")


DATA = _table(90, 3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that a folder can have."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("forecaster") / "whole"
    roles = {"series": ("id",), "known": ("known", "level"), "past": ("past",), "static": ("static",)}
    few = {"steps": 4, "hidden": 4, "seeds": 2, "ensemble": True, "baselines": ("seasonal_naive",)}
    longspan.fit("forecast", DATA, target="y", time="time", horizon=3, season=(7,), **roles, **few).save(
        place
    )
    return place


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def test_the_untouched_folder_has_everything_and_forecasts(model: Path) -> None:
    config = _manifest(model)["config"]
    assert config["calibration"]
    assert config["members"] == 2
    assert config["record"]["backtest"]["table"]
    assert len(config["schema"]["encodings"]) == 4
    assert longspan.load(model).predict(DATA).height == 6


@pytest.mark.parametrize("part", ["design", "schema", "history", "members", "calibration", "record"])
def test_whatever_stands_in_a_field_it_is_refused_or_harmless(model: Path, part: str) -> None:
    manifest = _manifest(model)
    paths = [path for path in _paths(manifest["config"]) if path[0] == part]
    assert paths
    longspan.load(model).predict(DATA)  # whatever is made once is there
    with _little_memory():
        for path in paths:
            for value in (*BAD, DELETED):
                _seal(model, manifest | {"config": _changed(manifest["config"], path, value)})
                _use(model, path, value)


def _use(model: Path, path: Place, value: object) -> None:
    try:
        loaded = longspan.load(model)
    except ModelError as error:
        assert str(error).startswith(f"{model / 'model.json'}: ")
        assert not [each for each in str(error) if ord(each) < 32]
        return
    except Exception as error:
        pytest.fail(f"{path} = {value!r}: load raised {error!r}")
    uses = [loaded.info, lambda: loaded.evaluate(DATA), lambda: loaded.predict(DATA)]
    shown = path[0] == "history" or (path[0] == "record" and path[1:2] != ("learned",))
    for use in uses[:1] if shown else uses[:2] if path[0] == "record" else uses:
        _only_ours(use, f"{path} = {value!r}")


def _only_ours(use: Callable[[], object], what: str) -> None:
    """A folder of parts that go together may still not fit the data: then our words say so."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # absurd scales overflow
            use()
    except LongspanError:
        pass
    except Exception as error:
        pytest.fail(f"{what}: {error!r}")


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (("design",), DELETED, "config: field 'design': Field required"),
        (
            ("design", "hidden_size"),
            20_000,
            r"weights: expected 'encoder.layer.weight_ih_l0' as torch.float32",
        ),
        (("design", "hidden_size"), 65_536, r"of shape \(262144, \d+\), which is what the design makes it"),
        (("design", "hidden_size"), 2**20, "config: field 'design.hidden_size': Input should be less than"),
        (("design", "num_layers"), 64, "expected 'encoder.layer.weight_ih_l1' as .*, got none"),
        (("design", "horizon"), 100_000, "expected one scale for each of 100,000 steps, got 3"),
        (("design", "seasons"), [2**40], "field 'design.seasons.0': Input should be less than"),
        (("design", "seasons"), [7] * 1000, "field 'design.seasons': Tuple should have at most 64 items"),
        (("design", "anchor"), 2**40, "field 'design.anchor'"),
        (("design", "anchor"), 5, r"design.anchor: expected 0 or one of the seasons, \(7,\), got 5"),
        (("design", "shortcut"), 2**40, "field 'design.shortcut'"),
        (("design", "levels"), [0.5] * 10_000, "field 'design.levels': Tuple should have at most"),
        (("design", "levels"), [0.9, 0.5], "levels: expected two or more rising numbers"),
        (("design", "encoder"), "gpt", "build_encoder: expected encoder to be one of"),
        (("design", "head"), "oracle", "build_head: expected head to be one of"),
        (("design", "encoder_options"), {"peepholes": True}, "no network can be built to it .* no option"),
        (("design", "encoder_options"), {"levels": 10**9}, "expected switches of the encoder, got 'levels'"),
        (("design", "encoder_options"), {"device": True}, "expected switches of the encoder, got 'device'"),
        (("design", "step_size"), 3, "design.step_size: expected 12, as seasons and columns make it, got 3"),
        (("design", "future_size"), 3, "design.future_size: expected 13, .* got 3"),
        (("schema", "calendar"), ["phase of moon"], "calendar: expected one of .*, got 'phase of moon'"),
        (("schema", "seasons"), [2**31], "schema.seasons: expected 2 to 67,108,864 steps"),
        (
            ("schema", "frequency", "multiple"),
            2**45,
            "schema.frequency: expected a step of 285 years at most",
        ),
        (("schema", "fitted"), False, "schema: expected covariates with the scales of the fit"),
        (("schema", "encodings", 0, "scale"), 0, "schema: expected covariates with the scales of the fit"),
        (("schema", "encodings", 0, "mean"), None, "schema: expected covariates with the scales of the fit"),
        (("schema", "encodings", 0, "name"), "other", "schema.encodings: expected one for each covariate"),
        (("schema", "target"), 3, "config: field 'schema.target': Input should be a valid string, got 3"),
        (("history",), {"x": 1}, "history: expected records, got x"),
        (("members",), 0, "field 'members': Input should be greater than or equal to 1, got 0"),
        (("members",), "3", "field 'members': Input should be a valid integer, got '3'"),
        (("members",), 10**9, "field 'members'"),
        (("members",), 60_000, "expected 'members.2.encoder.layer.weight_ih_l0' as .*, got none"),
        (("members",), 1, "expected those of 1 networks of the design, got 'members.1.* too"),
        (("calibration", "scale"), [1.0], "calibration: expected one scale for each of 3 steps, got 1"),
        (("calibration", "scale"), [-1.0] * 3, "calibration: expected scales and factors of zero or above"),
        (("record", "recipe", "settings", "max_steps"), 0, "max_steps: expected a whole number from 1 up"),
        (("record", "recipe", "settings", "speed"), 1, "expected settings of a training: .*'speed'"),
    ],
)
def test_forged_field_is_refused_with_the_reason(model: Path, path: Place, value: object, text: str) -> None:
    manifest = _manifest(model)
    _seal(model, manifest | {"config": _changed(manifest["config"], path, value)})
    with _little_memory(), pytest.raises(ModelError, match=text) as caught:
        longspan.load(model)
    assert caught.match(CURE)


def test_levels_are_those_of_a_distribution_whatever_the_head(model: Path) -> None:
    manifest = _manifest(model)
    manifest["config"]["design"] |= {"head": "student-t", "levels": [0.9, 0.5]}
    _seal(model, manifest)
    with pytest.raises(ModelError, match="config: levels: expected two or more rising numbers"):
        longspan.load(model)


def _none_of(weights: dict[str, torch.Tensor]) -> None:
    weights.clear()


def _one_less(weights: dict[str, torch.Tensor]) -> None:
    del weights["members.1.plan.bias"]


def _one_more(weights: dict[str, torch.Tensor]) -> None:
    weights["backdoor"] = torch.zeros(1)


def _turned(weights: dict[str, torch.Tensor]) -> None:
    weights["plan.weight"] = weights["plan.weight"].t().contiguous()


def _of_whole_numbers(weights: dict[str, torch.Tensor]) -> None:
    weights["plan.bias"] = weights["plan.bias"].to(torch.int64)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_none_of, "weights: expected 'encoder.layer.weight_ih_l0' as .*, got none"),
        (_one_less, "weights: expected 'members.1.plan.bias' as .*, got none"),
        (_one_more, "weights: expected those of 2 networks of the design, got 'backdoor' too"),
        (_turned, "weights: expected 'plan.weight' as .*, got torch.float32 of shape"),
        (_of_whole_numbers, "weights: expected 'plan.bias' as torch.float32 .*, got torch.int64 of shape"),
    ],
)
def test_weights_of_another_network_are_refused(
    model: Path, change: Callable[[dict[str, torch.Tensor]], None], text: str
) -> None:
    weights, _ = tensors.decode((model / "weights.safetensors").read_bytes(), "weights")
    change(weights)
    data = tensors.encode(weights)
    (model / "weights.safetensors").write_bytes(data)
    manifest = _manifest(model)
    manifest["files"]["weights.safetensors"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    _seal(model, manifest)
    with pytest.raises(ModelError, match=text) as caught:
        longspan.load(model)
    assert caught.match(CURE)


def test_names_that_later_versions_may_add_are_left_alone(model: Path) -> None:
    manifest = _manifest(model)
    expected = longspan.load(model).predict(DATA)
    manifest["config"] |= {"later": {"a": [1]}}
    manifest["config"]["record"] |= {"later": None}
    _seal(model, manifest)
    assert longspan.load(model).predict(DATA).equals(expected)


# Making the attacks.


def _manifest(model: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((model / "model.json").read_text())
    return found


def _seal(model: Path, manifest: dict[str, Any]) -> None:
    zeros = "0" * 64
    text = json.dumps(manifest | {"seal": zeros})
    head, _, tail = text.rpartition(zeros)
    (model / "model.json").write_text(head + hashlib.sha256(text.encode()).hexdigest() + tail)


def _paths(value: object, before: Place = ()) -> Iterator[Place]:
    """To every field; of a list only to its first entry."""
    entries: list[tuple[str | int, object]] = []
    if isinstance(value, dict) and not {*before} & {*SHOWN}:
        entries = list(value.items())
    elif isinstance(value, list) and not {*before} & {*SHOWN}:
        entries = list(enumerate(value[:1]))
    for key, each in entries:
        yield (*before, key)
        yield from _paths(each, (*before, key))


def _changed(config: dict[str, Any], path: Place, value: object) -> dict[str, Any]:
    """The configuration with another value at a path, or without it."""
    result = copy.deepcopy(config)
    inner: Any = result
    for key in path[:-1]:
        inner = inner[key]
    if value is DELETED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return result


@contextlib.contextmanager
def _little_memory() -> Iterator[None]:
    """Whoever asks for much more memory than is taken already gets none."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        yield
        return
    taken = int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + SPARE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
