"""What a forecaster's folder keeps in ``config``, read back strictly: a folder may come from anywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from longspan.core.errors import InputError, ModelError
from longspan.data.calendar import calendar_features, feature_count
from longspan.data.schema import Encoding, PanelSchema
from longspan.evaluation.conformal import Calibration
from longspan.models.design import Design
from longspan.models.learned import Learned
from longspan.nn.heads import check_levels
from longspan.store.manifest import DataRecord, first_fault
from longspan.training.history import History
from longspan.training.settings import Settings

__all__ = ["ForecastConfig", "read_config"]

_NOW = "Restore it from a copy or make it again."
_LONGEST = 1 << 26  # steps: more than twice the seconds of a year
_WIDEST = 1 << 53  # microseconds (285 years), months or rows from one step to the next
_FARTHEST = 1 << 62  # microseconds from 1970, or rows: what sums of two still hold
_PLACED = {"device", "dtype"}  # arguments of an encoder that say where its weights are, not what they are


class _Kept(BaseModel):
    """Strict in what is read; what later versions add beside it is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Verdict(_Kept):
    outcome: str
    words: str


class _Row(_Kept):
    title: str
    sample: str | None
    scores: dict[str, float | None]


class _Backtest(_Kept):
    verdict: _Verdict
    table: tuple[_Row, ...] = ()


def _settings(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        Settings(**values)  # type: ignore[arg-type]
    except TypeError as error:
        raise InputError(f"expected settings of a training: {error}") from None
    return values


class _Recipe(_Kept):
    settings: Annotated[dict[str, JsonValue], AfterValidator(_settings)]
    batch_size: int = Field(ge=1, le=1 << 16)


def _of_series(learned: Learned) -> Learned:
    for each in learned.series:
        if max(abs(each.start), each.rows) > _FARTHEST:
            raise InputError(f"expected a start and rows of 62 bits, got {each.start} and {each.rows}")
    return learned


class _Record(_Kept):
    """The parts of the record that are read again; a folder of before the backtest has the first four."""

    data: DataRecord
    validation: dict[str, JsonValue]
    notes: tuple[str, ...]
    steps: int = Field(ge=1, le=_LONGEST)
    tuning: tuple[dict[str, JsonValue], ...] = ()
    backtest: _Backtest | None = None
    recipe: _Recipe | None = None
    learned: Annotated[Learned, AfterValidator(_of_series)] | None = None


class ForecastConfig(_Kept):
    """All of a forecaster but its weights and its report.

    Attributes:
        design: sizes and choices. columns: what the columns mean, ``schema`` in the folder.
        history: the course of training, of the first network.
        members: how many networks; absent in a folder of before there were several.
        calibration: as `Calibration` writes it; None or absent where there is none.
        record: data, backtest, audit, validation.
    """

    design: Design
    columns: PanelSchema = Field(alias="schema")
    history: History
    members: int = Field(default=1, ge=1, le=1 << 16)
    calibration: dict[str, JsonValue] | None = None
    record: _Record

    def conformal(self) -> Calibration | None:
        """The calibration, for a forecast of the design's horizon.

        Raises:
            InputError: it is none.
        """
        if self.calibration is None:
            return None
        found = Calibration.from_json(self.calibration)
        if len(found.scale) != self.design.horizon:
            raise InputError(
                f"calibration: expected one scale for each of {self.design.horizon:,} steps, got "
                f"{len(found.scale):,}"
            )
        return found


def read_config(config: Mapping[str, Any]) -> ForecastConfig:
    """The record in a folder's ``config``, its parts found to go together; weights are not looked at.

    Raises:
        ModelError: a field is missing, of the wrong kind, out of its range, or at odds with another.
    """
    try:
        # As JSON, whose lists may be tuples where everything else is strict.
        found = ForecastConfig.model_validate_json(json.dumps(config), strict=True)
        _check_history(config["history"])
        _check_design(found.design)
        _check_columns(found.columns)
        _check_sizes(found.design, found.columns)
        found.conformal()
    except ValidationError as error:
        raise ModelError(f"config: {first_fault(error)}. {_NOW}") from None
    except InputError as error:
        raise ModelError(f"config: {error}. {_NOW}") from None
    return found


def _check_history(history: Mapping[str, Any]) -> None:
    """All fields are always written; those that are absent would take the values of a run not yet begun."""
    missing = [each.name for each in fields(History) if each.name not in history]
    if missing:
        raise InputError(f"history: expected {missing[0]}, got {', '.join(history) or 'nothing'}")


def _check_design(design: Design) -> None:
    check_levels(design.levels)
    if design.anchor not in (0, *design.seasons):
        raise InputError(
            f"design.anchor: expected 0 or one of the seasons, {design.seasons}, got {design.anchor}"
        )
    options = design.encoder_options.items()
    wrong = [name for name, value in options if name in _PLACED or not isinstance(value, bool)]
    if wrong:
        raise InputError(f"design.encoder_options: expected switches of the encoder, got {wrong[0]!r}")


def _check_columns(columns: PanelSchema) -> None:
    calendar_features(columns.calendar, np.zeros(1, dtype=np.int64))
    if (columns.frequency.step or columns.frequency.multiple) > _WIDEST:
        raise InputError(f"schema.frequency: expected a step of 285 years at most, got {columns.frequency}")
    if not all(2 <= season <= _LONGEST for season in columns.seasons):
        raise InputError(f"schema.seasons: expected 2 to {_LONGEST:,} steps, got {columns.seasons}")
    roles = (("known", columns.known), ("past", columns.past), ("static", columns.static))
    named = [(name, role) for role, names in roles for name in names]
    if [(each.name, each.role) for each in columns.encodings] != named:
        raise InputError("schema.encodings: expected one for each covariate, in their order")
    if not columns.fitted or not all(map(_is_fitted, columns.encodings)):
        raise InputError("schema: expected covariates with the scales of the fit, got none")


def _is_fitted(encoding: Encoding) -> bool:
    if encoding.kind == "levels":
        return True
    mean, scale = encoding.mean, encoding.scale
    return mean is not None and scale is not None and math.isfinite(mean) and 0 < scale < math.inf


def _check_sizes(design: Design, columns: PanelSchema) -> None:
    """Refuse a network that reads another number of columns than the data will have."""
    known = feature_count(columns.calendar) + len(columns.encoded("known")) + len(columns.encoded("static"))
    sizes = {
        "step_size": design.features.step_size + known + len(columns.encoded("past")),
        "future_size": design.features.future_size + known,
    }
    for name, size in sizes.items():
        if getattr(design, name) != size:
            raise InputError(
                f"design.{name}: expected {size}, as seasons and columns make it, got {getattr(design, name)}"
            )
