"""The leakage audit of a forecaster: its own preparation and forecasts, on the user's data, at every fit."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from longspan.core.seeds import derive
from longspan.data.panel import Panel
from longspan.data.schema import PanelSchema, Role
from longspan.data.seasons import infer_seasons
from longspan.data.windows import WindowBatch, Windows
from longspan.evaluation.audit import (
    Audit,
    Finding,
    Prepared,
    check_forecast,
    check_last_value,
    check_numbers,
    check_windows,
    copy_findings,
    search_words,
)
from longspan.evaluation.copies import find_copies
from longspan.evaluation.shifted import Carried, find_shifted
from longspan.models.design import Design, build_forecaster
from longspan.models.features import WindowFeatures
from longspan.models.fitting import Preparation, held_out
from longspan.models.forecaster import Forecaster
from longspan.models.forecasting import forecast_all
from longspan.models.planning import Wishes, plan_forecaster, training_part
from longspan.nn.heads import build_head

__all__ = ["Forecasting", "Prepare", "audit_forecaster", "forecasting", "planned", "prepared"]

Index = NDArray[np.int64]
Array = NDArray[np.float64]
_MOST_WINDOWS, _MOST_SERIES = 2048, 32
_BATCH = 256
_FAR = 10.0  # standard deviations: noise must not pass for data


Prepare = Callable[[Panel], Preparation]
# (panel, int64 (N,) rows known of each series, 0 where no forecast is wanted) → (n, …), in order of series.
Forecasting = Callable[[Panel, Index], NDArray[Any]]


def planned(hide: Callable[[Panel], Panel], horizon: int, validation: int | None, wishes: Wishes) -> Prepare:
    """The real preparation of a fit.

    Args:
        hide: masks what comes after the cut. horizon, validation, wishes: see `plan_forecaster`.
    """

    def prepare(panel: Panel) -> Preparation:
        fitted, design, steps = plan_forecaster(hide(panel), horizon, validation, wishes)
        training = training_part(fitted, design.features, steps)
        return Preparation(fitted, design, steps, training, *held_out(fitted, design.features, steps))

    return prepare


def forecasting(made: Preparation, forecaster: Forecaster | None = None, seed: int = 0) -> Forecasting:
    """The real forecast of a fit.

    Args:
        made: the preparation; its scaling of covariates is used.
        forecaster: the network; None takes a fresh one, whose weights hide nothing.
        seed: of the weights of a fresh one, and of sample paths.
    """
    network = _fresh(made.design, seed) if forecaster is None else forecaster
    design, features = made.design, made.design.features

    def forecast(panel: Panel, cut: Index) -> Array:
        windows = _windows(_encoded(panel, made.panel.schema), features, cut)
        # A forecast that is cut off at zero may hide that nothing has changed below it.
        found = forecast_all(
            network, features, windows, np.arange(len(windows)), design.levels, nonnegative=False, seed=seed
        )
        return np.concatenate([found.mean[..., None], found.quantiles], axis=2)

    return forecast


def _encoded(panel: Panel, schema: PanelSchema) -> Panel:
    """The panel with its covariates encoded as another was fitted."""
    fitted = {each.name: each for each in schema.encodings}
    blocks: dict[str, Any] = {}
    for role in ("past", "known", "static"):
        block, first = getattr(panel, role), 0
        parts = [np.empty((len(block), 0))]
        for encoding in panel.schema.of(role):
            last = first + len(encoding.columns)
            as_fitted = fitted[encoding.name]
            if encoding.kind == "number":
                parts.append((block[:, first:last] - as_fitted.mean) / as_fitted.scale)
            else:
                parts.append(block[:, first:last][:, [each in as_fitted.levels for each in encoding.levels]])
            first = last
        blocks[role] = np.concatenate(parts, axis=1, dtype=np.float32, casting="same_kind")
    return replace(panel, **blocks, schema=schema)


def _fresh(design: Design, seed: int) -> Forecaster:
    """A network whose linear map is not zero, so that it reads all of its window."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "audit"))
        network = build_forecaster(design)
        with torch.no_grad():
            for each in network.parameters():
                each.add_(0.05 * torch.randn_like(each))
    return network.eval()


def _windows(panel: Panel, features: WindowFeatures, cut: Index) -> Windows:
    first = np.where(cut > 0, cut, 1)
    return Windows(panel, features.reach, features.horizon, first, cut, min_future=0)


def prepared(made: Preparation, seed: int = 0) -> Prepared:
    """Every number that a preparation fitted or chose, and its windows: at most 2,048, a seeded sample."""
    numbers: dict[str, NDArray[Any]] = {}
    for encoding in made.panel.schema.encodings:
        if encoding.kind == "levels":
            numbers[f"the list of levels of column {encoding.name!r}"] = np.array(encoding.levels, dtype=str)
        else:
            numbers[f"the mean of column {encoding.name!r}"] = np.array([encoding.mean], dtype=np.float64)
            numbers[f"the scale of column {encoding.name!r}"] = np.array([encoding.scale], dtype=np.float64)
    for name, value in made.design.model_dump(mode="json").items():
        numbers[f"the design's {name}"] = np.array(json.dumps(value))
    numbers["the length of the validation part"] = np.array(made.validation)
    numbers["the number of training windows"] = np.array(len(made.training))
    numbers["the number of validation windows"] = np.array(len(made.held))
    draws = np.random.default_rng(derive(seed, "audit windows"))
    count = len(made.training)
    chosen = np.arange(count)
    if count > _MOST_WINDOWS:
        chosen = np.sort(draws.choice(count, _MOST_WINDOWS, replace=False))
    return Prepared(
        numbers,
        {
            "training windows": _digests(made.training, made.design.features, chosen),
            "validation windows": _digests(made.held, made.design.features, made.numbers),
        },
    )


def _digests(windows: Windows, features: WindowFeatures, numbers: Index) -> NDArray[np.uint64]:
    """(n,) hashes of the windows as they are cut and as the network reads them."""
    found = []
    for first in range(0, len(numbers), _BATCH):
        batch = windows.gather(*windows.pairs(numbers[first : first + _BATCH]))
        inputs, location, scale = features.inputs(batch)
        parts = [getattr(batch, each.name) for each in fields(WindowBatch)]
        parts += [getattr(inputs, each.name).numpy() for each in fields(inputs)]
        parts += [location, scale]
        rows = [np.ascontiguousarray(each).reshape(len(batch.cut), -1).view(np.uint8) for each in parts]
        joined = np.concatenate(rows, axis=1)
        found += [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in joined]
    return np.frombuffer(b"".join(found), dtype=np.uint64)


def audit_forecaster(
    panel: Panel,
    cut: Index,
    prepare: Prepare,
    *,
    forecast: Callable[[Preparation], Forecasting] = forecasting,
    inferred: bool = False,
    seed: int = 0,
) -> Audit:
    """Look for leaks in the data and in their preparation.

    Args:
        panel: as it was read, covariates not yet scaled.
        cut: int64 (N,), rows of each series before its backtest part.
        prepare: panel → what is learned from; the real one is `planned`.
        forecast: preparation → how forecasts are made; the real one is `forecasting`.
        inferred: the seasons of a panel are found in its values, so that those of a panel with noise after
            the cut are found anew; False where the user gave them.
        seed: of noise, samples and fresh weights.

    Returns:
        The audit. A finding stops nothing.
    """
    begun = time.monotonic()
    cut = np.minimum(np.asarray(cut, dtype=np.int64), panel.observed)
    made = prepare(panel)
    findings: list[Finding] = []
    checks: list[str] = []
    if bool((cut < panel.observed).any()):
        noised = _noised(panel, cut, seed, made.design, inferred=inferred)
        one, other = prepared(made, seed), prepared(prepare(noised), seed)
        findings += [*check_numbers(one, other), *check_windows(one, other)]
        checks.append(f"{len(one.numbers)} fitted numbers compared with noise after the cut")
        sizes = " and ".join(f"{len(each):,} {name}" for name, each in one.windows.items())
        checks.append(f"{sizes} compared with noise after the cut")
    said, found = _forecasts(panel, cut, made, forecast(made), seed)
    findings += found
    checks += said
    if bool((cut < panel.observed).any()):
        copies = find_copies(
            panel.target, panel.offsets, cut, panel.observed, seasons=panel.schema.seasons, seed=seed
        )
        findings += copy_findings(copies.found, panel.ids)
        checks.append(search_words(copies.searched, copies.values))
    columns = _columns(panel)
    if columns:
        known = panel.schema.encoded("known")
        arrays = (panel.offsets, panel.observed)
        carried = find_shifted(panel.target, columns, known, *arrays, made.design.horizon, seed=seed)
        findings += [_carried(each, made.design.horizon) for each in carried]
        checks.append(f"{len(columns)} columns of covariates searched for a later target")
    return Audit(tuple(findings), tuple(checks), time.monotonic() - begun)


def _forecasts(
    panel: Panel, cut: Index, made: Preparation, forecast: Forecasting, seed: int
) -> tuple[list[str], list[Finding]]:
    """Forecasts at the cut and within the part after it, with noise after them, and another last value."""
    said: list[str] = []
    findings: list[Finding] = []
    middle = cut + (panel.observed - cut) // 2
    places = [cut] if np.array_equal(middle, cut) else [cut, middle]
    count = 0
    for place in places:
        origin = _origins(panel, place, made.design.features, seed)
        names = _names(panel, origin)
        if not names:
            continue
        run = _at(forecast, origin)
        noised = _noised(panel, origin, seed, made.design, ahead=True)
        findings += check_forecast(run, panel, noised, names)
        if place is places[0]:
            changed = [_last_changed(panel, origin, by) for by in (1.0, -_FAR)]
            findings += check_last_value(run, panel, changed, names)
            said.append(f"{len(names):,} forecasts compared with another last observation")
        count += len(names)
    if count:
        said.insert(0, f"{count:,} forecasts compared with noise after their origins")
    return said, findings


def _at(forecast: Forecasting, origin: Index) -> Callable[[Panel], NDArray[Any]]:
    def run(panel: Panel) -> NDArray[Any]:
        return forecast(panel, origin)

    return run


def _origins(panel: Panel, place: Index, features: WindowFeatures, seed: int) -> Index:
    """(N,) origins of at most 32 series with a value in the context before them; 0 for the others."""
    usable = [series for series in range(len(panel)) if _last_known(panel, series, place, features) >= 0]
    if len(usable) > _MOST_SERIES:
        draws = np.random.default_rng(derive(seed, "audit series"))
        usable = sorted(draws.choice(usable, _MOST_SERIES, replace=False).tolist())
    origin = np.zeros(len(panel), dtype=np.int64)
    origin[usable] = place[usable]
    return origin


def _last_known(panel: Panel, series: int, place: Index, features: WindowFeatures) -> int:
    """Row of the last known target before the origin, if the context shows it; else -1."""
    first, end = int(panel.offsets[series]), int(place[series])
    begin = max(end - features.context, 0)
    known = np.flatnonzero(np.isfinite(panel.target[first + begin : first + end]))
    return first + begin + int(known[-1]) if len(known) else -1


def _names(panel: Panel, origin: Index) -> list[str]:
    return [
        f"of series {panel.ids[n]!r} after row {origin[n]:,}" if panel.ids[n] else f"after row {origin[n]:,}"
        for n in np.flatnonzero(origin)
    ]


def _last_changed(panel: Panel, origin: Index, by: float) -> Panel:
    """The last known target before each origin moved by so many standard deviations; counts stay counts."""
    target = panel.target.copy()
    for series in np.flatnonzero(origin):
        first = int(panel.offsets[series])
        past = panel.target[first : first + int(origin[series])]
        known = np.flatnonzero(np.isfinite(past))
        spread = float(past[known].std()) or max(1.0, abs(float(past[known[-1]])))
        step = np.ceil(spread) if _whole(past[known]) else spread
        moved = past[known[-1]] + by * step
        target[first + known[-1]] = abs(moved) if (past[known] >= 0).all() else moved
    return replace(panel, target=target)


def _whole(values: Array) -> bool:
    return bool((values == np.floor(values)).all())


def _noised(
    panel: Panel, cut: Index, seed: int, design: Design, *, ahead: bool = False, inferred: bool = False
) -> Panel:
    """The panel with noise in place of all that comes after row ``cut`` of its series.

    Missing values stay missing, counts stay counts where the head needs them, and of levels one remains. With
    ``ahead`` covariates that are known ahead stay as they are, and series with a cut of 0 too.
    """
    draws = np.random.default_rng(derive(seed, "audit noise"))
    wanted = np.where((cut > 0) | (not ahead), cut, panel.lengths)
    rows = np.arange(len(panel.target)) >= np.repeat(panel.offsets[:-1] + wanted, panel.lengths)
    target = panel.target.copy()
    target[rows] = _noise(target, rows, draws)
    if build_head(design.head, design.levels).whole:
        target[rows] = np.abs(np.round(target[rows]))
    blocks = {role: _noised_block(panel, role, rows, draws) for role in _roles(ahead=ahead)}
    noised = replace(panel, target=target, **blocks)  # type: ignore[arg-type]
    if not inferred:
        return noised
    return replace(noised, schema=panel.schema.model_copy(update={"seasons": infer_seasons(noised)}))


def _roles(*, ahead: bool) -> tuple[Role, ...]:
    return ("past",) if ahead else ("past", "known")


def _noise(values: NDArray[np.floating[Any]], rows: NDArray[np.bool_], draws: np.random.Generator) -> Array:
    """Far from all known values, of either sign; NaN where the values are."""
    known = values[np.isfinite(values)]
    size = _FAR * (float(known.std()) or max(1.0, abs(float(known[0])))) if len(known) else 1.0
    centre = float(known.mean()) if len(known) else 0.0
    noise = centre + size * draws.normal(size=int(rows.sum()))
    return np.where(np.isnan(values[rows]), np.nan, noise)


def _noised_block(
    panel: Panel, role: Role, rows: NDArray[np.bool_], draws: np.random.Generator
) -> NDArray[np.floating[Any]]:
    block: NDArray[np.floating[Any]] = getattr(panel, role).copy()
    first = 0
    for encoding in panel.schema.of(role):
        last = first + len(encoding.columns)
        if encoding.kind == "number":
            block[rows, first] = _noise(block[:, first], rows, draws)
        elif last > first:  # one level that is known before: those that only come later are gone
            usual = int(np.nansum(block[~rows, first:last], axis=0).argmax())
            levels = (np.arange(last - first) == usual).astype(np.float64)
            block[rows, first:last] = np.where(np.isnan(block[rows, first:last]), np.nan, levels)
        first = last
    return block


def _columns(panel: Panel) -> dict[str, Array]:
    columns: dict[str, Array] = {}
    for role in _roles(ahead=False):
        block = getattr(panel, role)
        for place, name in enumerate(panel.schema.encoded(role)):
            columns[name] = block[:, place]
    return columns


def _carried(found: Carried, horizon: int) -> Finding:
    many = f" (in {found.series} of {found.looked_at} series)" if found.looked_at > 1 else ""
    name = repr(found.column)
    if found.lag > 0:
        later = f"column {name} carries the target of {_steps(found.lag)} later{many}"
        words = f"{later}. Leave it out, or move it to the rows where it is known"
    elif found.lag == 0:
        words = f"column {name}, known ahead, is the target of the same row{many}. Leave it out"
    else:
        words = (
            f"column {name}, known ahead, is the target of {_steps(-found.lag)} before{many}, which from "
            f"step {1 - found.lag} of {horizon} on is not known yet. Pass it as a past covariate"
        )
    return Finding("target shifted", f"column {name}", words)


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count:,} steps"
