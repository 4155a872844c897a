"""``benchmarks/engine.py``: its bars worked by hand, its problem file, and a run on tiny rows."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest


def module(repository: Path, name: str) -> ModuleType:
    """A script of the benchmarks, loaded from its file."""
    path = repository / "benchmarks" / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = found
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def bars(repository: Path) -> Any:
    return module(repository, "engine_bars.py").bars


@pytest.fixture(scope="module")
def side(repository: Path) -> ModuleType:
    return module(repository, "peers/engine_side.py")


def row(us: float = 10.0, **ratios: float) -> dict[str, Any]:
    """Peers by name with their ratio; the interval is a tenth to both sides."""
    peers = {
        name.replace("_", " "): {"us": us * each, "ratio": [each, each - 0.1, each + 0.1]}
        for name, each in ratios.items()
    }
    return {"us": us, "peers": peers}


def told(lines: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    return {
        line["what"]: (line["limit"], line["want"], line["reached"], line["held"], line["wanted"])
        for line in lines
    }


def test_small_bound_steps_and_their_mean(bars: Any) -> None:
    rows = {
        f"streaming/bound/1x1x{sizes}": row(onnxruntime=each, torch=50.0)
        for sizes, each in (("16x32", 2.0), ("64x64", 4.0), ("64x128", 8.0))
    }
    found = told(bars("streaming", rows))
    assert found["streaming/bound/1x1x16x32, onnxruntime"] == (2.2, 4.0, 2.0, False, False)
    assert found["streaming/bound/1x1x64x64, onnxruntime"] == (2.2, 4.0, 4.0, True, True)
    mean = found["bound step, H ≤ 128, onnxruntime with IO binding: geometric mean"]
    assert mean[:4] == (2.5, 4.0, pytest.approx(4.0), True)
    assert len(found) == 4


def test_a_mean_waits_for_all_of_its_rows(bars: Any) -> None:
    found = told(bars("streaming", {"streaming/bound/1x1x16x32": row(onnxruntime=3.0)}))
    assert list(found) == ["streaming/bound/1x1x16x32, onnxruntime"]


def test_checked_steps_have_two_bars(bars: Any) -> None:
    found = told(bars("streaming", {"streaming/checked/1x1x64x64": row(torch=2.6, onnxruntime=0.9)}))
    assert found == {
        "streaming/checked/1x1x64x64, torch": (2.5, None, 2.6, True, False),
        "streaming/checked/1x1x64x64, onnxruntime": (1.0, None, 0.9, False, False),
    }


def test_large_steps_are_held_to_the_best_peer(bars: Any) -> None:
    found = told(bars("streaming", {"streaming/bound/1x1x512x512": row(torch=3.0, onnxruntime=1.3, jax=2.0)}))
    assert found == {"streaming/bound/1x1x512x512, best peer (onnxruntime)": (1.4, 2.0, 1.3, False, False)}


def test_faster_means_that_the_interval_lies_above_one(bars: Any) -> None:
    rows = {"inference/64x100x512x512": row(torch=1.05), "inference/32x100x64x128": row(torch=1.25)}
    found = told(bars("inference", rows))
    low, better = found.values()
    assert low == (1.0, 1.2, pytest.approx(0.95), False, False)
    assert better == (1.0, 1.2, pytest.approx(1.15), True, True)


def test_inference_rows_have_the_bar_of_their_batch(bars: Any) -> None:
    rows = {
        f"inference/{sizes}": row(torch=1.4)
        for sizes in ("1x100x64x64", "1x100x256x256", "1x1000x128x128", "16x50x1x64", "32x100x32x64")
    }
    found = told(bars("inference", rows))
    limits = {name.split(",")[0]: values[0] for name, values in found.items()}
    assert limits == {
        "inference/1x100x64x64": 1.5,
        "inference/1x100x256x256": 1.5,
        "inference/1x1000x128x128": 1.5,
        "inference": 1.7,  # the mean of the three
        "inference/16x50x1x64": 1.3,
        "inference/32x100x32x64": 1.3,
    }


def test_variants_may_cost_more_where_they_are_small(bars: Any) -> None:
    rows = {
        "variants/coupled/32x100x64x128": row(plain_LSTM=1.5, torch_loop=6.0),
        "variants/coupled/64x100x128x256": row(plain_LSTM=1.5, torch_loop=20.0),
    }
    found = told(bars("variants", rows))
    assert found["variants/coupled/32x100x64x128, plain LSTM"] == (1.6, 1.1, 1.5, True, False)
    assert found["variants/coupled/64x100x128x256, plain LSTM"] == (1.3, 1.1, 1.5, False, False)
    assert found["variants/coupled/64x100x128x256, torch loop"] == (5.0, 15.0, 20.0, True, True)


def test_ragged_time_is_held_to_the_share_of_real_steps(bars: Any) -> None:
    rows = {
        "ragged/inference/32x100x64x128": row(full_batch=0.7, pack_padded_sequence=1.6) | {"share": 0.5},
        "ragged/inference/128x100x64x128": row(full_batch=0.6, pack_padded_sequence=1.4) | {"share": 0.5},
    }
    found = told(bars("ragged", rows))
    small, large = "ragged/inference/32x100x64x128", "ragged/inference/128x100x64x128"
    assert found[f"{small}, time over share of steps"] == (1.45, None, pytest.approx(1.4), True, False)
    assert found[f"{large}, time over share of steps"] == (1.15, None, pytest.approx(1.2), False, False)
    assert found[f"{large}, pack_padded_sequence"][3] is False


@pytest.mark.parametrize("lost", [{"refused": "wrong"}, {"skipped": "no engine"}])
def test_a_row_without_a_figure_misses_its_bar(lost: dict[str, str], bars: Any) -> None:
    (line,) = bars("record", {"record/32x100x64x128": {"peers": {}, **lost}})
    assert (line["what"], line["held"], line["reached"]) == ("record/32x100x64x128: no figure", False, None)


def test_a_peer_that_was_not_measured_is_no_bar_met(bars: Any) -> None:
    rows = {"streaming/bound/1x1x16x32": row(torch=20.0), "training/1x100x64x64": row()}
    assert [line["held"] for line in bars("streaming", rows)] == [False]
    assert [line["held"] for line in bars("training", rows)] == [False]


def test_the_error_of_a_side(side: ModuleType) -> None:
    truth = np.array([3.0, 4.0])
    assert side.relative_error(np.array([3.0, 4.0], np.float32), truth) == 0.0
    assert side.relative_error(np.array([3.3, 4.4]), truth) == pytest.approx(0.1)
    assert side.relative_error(np.zeros((2, 1)), truth) == float("inf")
    wrong = side._errors({"y": np.array([np.nan, 1.0])}, {"y": truth, "h": truth})
    assert wrong == {"y": None, "h": None}


def engine(repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repository / "benchmarks" / "engine.py"), *words, "--threads", "1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "LONGSPAN_PEERS_ENGINE": "/nowhere"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_a_run_on_tiny_rows_keeps_nothing(repository: Path) -> None:
    place = repository / "benchmarks" / "results" / "engine.json"
    before = place.read_bytes() if place.is_file() else None
    done = engine(repository, "training", "--smoke", "--peer", "torch", "cell-loop")
    assert done.returncode == 0, done.stderr
    assert (place.read_bytes() if place.is_file() else None) == before
    found = json.loads(done.stdout.splitlines()[-1])["sections"]["training"]
    (measured,) = found["rows"].values()
    assert set(measured["peers"]) == {"torch", "cell-loop"}
    for name, errors in [
        ("ours", measured["errors"]),
        *((n, p["errors"]) for n, p in measured["peers"].items()),
    ]:
        assert "gradient of weight_hh_l0" in errors, name
        assert max(errors.values()) < 2e-6, name
    assert {"before", "after"} == set(measured["gflops_product"])
    assert "best peer" in done.stdout


def test_without_their_environment_the_peers_are_asked_for(repository: Path) -> None:
    done = engine(repository, "inference", "--smoke", "--peer", "jax")
    assert done.returncode == 1
    assert "run benchmarks/peers/setup.sh --engine first" in done.stderr
