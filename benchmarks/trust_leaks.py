"""Leaks, planted and looked for by the tests of the audit, which stand beside the code that they test."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from machine import ROOT, GateError, bar

SEEDS = 10
PLANTED = {
    "a scaler fitted on all rows": ("test_a_scaler_fitted_on_all_rows_is_named", ((),)),
    "a training window over the cut": ("test_a_training_window_over_the_cut_is_named", ((),)),
    "a forecast that reads the future": ("test_a_forecast_that_reads_the_future_is_named", ((),)),
    "a forecast that misses the last value": ("test_a_forecast_that_misses_the_last_value_is_named", ((),)),
    "the same series on both sides": (
        "test_the_same_series_on_both_sides_is_named",
        ((1.0, 0.0), (3.0, -40.0)),
    ),
    "the target shifted": (
        "test_the_target_shifted_in_a_covariate_is_named",
        (("load", 1), ("load", 6), ("price", 0), ("price", 3)),
    ),
}


def _plants() -> ModuleType:
    path = ROOT / "tests" / "models" / "test_audit_forecaster.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise GateError(f"expected the tests of the audit at {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _passes(test: Callable[..., None], *given: Any) -> bool:
    try:
        test(*given)
    except AssertionError as error:
        print(f"  {test.__name__}{given}: {error}")
        return False
    return True


def planted(kind: str, count: int) -> dict[str, Any]:
    """One kind of leak with so many seeds: named, and nothing else named beside it."""
    if not __debug__:
        raise GateError("leaks: expected assertions to run, got python -O")
    plants, (name, variants) = _plants(), PLANTED[kind]
    given = [(seed, *each) for each in variants for seed in range(count)]
    missed = [each for each in given if not _passes(vars(plants)[name], *each)]
    print(f"  named {len(given) - len(missed)} of {len(given)} times")
    return {"planted": len(given), "missed": missed, "bars": [bar(f"{kind}: not named", 0, len(missed))]}


def clean(count: int) -> dict[str, Any]:
    """Clean data with so many seeds: the frames that leaks are planted in, and seven other kinds."""
    plants = _plants()
    found = {("frame", seed): _of_frame(plants, seed) for seed in range(count)}
    found |= {(name, seed): _of_table(plants, name, seed) for name in plants.CLEAN for seed in range(count)}
    blamed = [(*key, words) for key, each in found.items() for words in each]
    print(f"  {len(found)} audits, {len(blamed)} findings")
    return {"audited": len(found), "blamed": blamed, "bars": [bar("clean data: findings", 0, len(blamed))]}


def _of_frame(plants: ModuleType, seed: int) -> list[str]:
    found = plants.audit(plants.read(plants.frame(seed)), seed=seed)
    return [each.words for each in found.findings]


def _of_table(plants: ModuleType, name: str, seed: int) -> list[str]:
    """What the audit of a fit says of one of the clean kinds of data."""
    table = plants.CLEAN[name](seed)
    roles = plants.Roles(target="value", series=("id",) if "id" in table.columns else ())
    panel = plants.read_panel(table, roles)
    cut = panel.observed - 60
    prepare = plants.planned(plants.before(cut, seasons=True), plants.H, None, plants.Wishes(hidden_size=4))
    audit = plants.audit_forecaster(panel, cut, prepare, inferred=True, seed=seed)
    return [each.words for each in audit.findings]
