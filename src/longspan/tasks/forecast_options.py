"""What ``fit forecast``, ``compare forecast``, and ``predict`` and ``evaluate`` with a forecaster, take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import pydantic

from longspan.core.checks import known_name
from longspan.core.errors import InputError
from longspan.core.wording import spell
from longspan.tasks.base import Options, Run, option

if TYPE_CHECKING:
    from longspan.data.inference import Roles
    from longspan.data.panel import Panel
    from longspan.data.schema import PanelSchema
    from longspan.models.course import Asked
    from longspan.models.fitting import Recipe
    from longspan.models.planning import Wishes
    from longspan.training.settings import Settings

__all__ = ["ForecastCompare", "ForecastEvaluate", "ForecastFit", "ForecastPredict", "Reading", "Rewritten"]

Variant = Literal["peephole", "coupled", "layer-norm", "no-forget-gate"]
BaselineName = Literal["last_value", "drift", "seasonal_naive", "seasonal_mean", "ridge", "ets", "arima"]
# option → what it is called where it is searched
_SEARCHED = {
    "hidden": "hidden_size",
    "layers": "num_layers",
    "dropout": "dropout",
    "context": "context",
    "learning_rate": "learning_rate",
    "batch": "batch_size",
}


class Reading(Options):
    """How files are written; every verb takes these."""

    header: bool = option(True, "the first line of a CSV file names the columns", group="Reading")
    separator: str | None = option(None, "field separator of a CSV file; found by itself", group="Reading")
    encoding: str = option("utf-8", "encoding of a text file", group="Reading")

    def reading(self) -> dict[str, Any]:
        """Arguments of the reader."""
        return {"header": self.header, "separator": self.separator, "encoding": self.encoding}


class Rewritten(Options):
    """What newer data may write in another way than those of the fit; with `Reading`, every verb of a fitted
    forecaster takes these."""

    time_format: str | None = option(
        None, "strptime format of the time stamps, as %d-%m-%y; that of the fit", group="Reading"
    )
    day_first: bool | None = option(
        None, "31-12 rather than 12-31, where the column cannot prove it", group="Reading"
    )
    missing: tuple[str, ...] | None = option(
        None, "texts that mean missing, besides a blank; those of the fit", group="Reading", metavar="TEXT"
    )
    decimal: Literal[".", ","] | None = option(None, "decimal sign; that of the fit", group="Reading")
    thousands: str | None = option(
        None, "sign between groups of three digits; that of the fit", group="Reading"
    )
    duplicates: Literal["refuse", "mean", "first", "last"] | None = option(
        None, "two rows of one series and time; as in the fit", group="Reading"
    )

    def panel(self, data: Any, schema: PanelSchema, **reading: Any) -> Panel:
        """The data as a panel.

        Args:
            data: a path or a frame.
            schema: that of the fit.
            **reading: from `Reading.reading`.

        Raises:
            DataError, InputError: as `read_panel`; a format of time stamps where the model has none, or where
                it counts steps.
        """
        from longspan.data.inference import read_panel

        form = self.time_format or _day_order(self.day_first)
        if form is not None and (schema.time is None or (form == "step") != (schema.time_format == "step")):
            name = spell("time_format" if self.time_format else "day_first")
            has = "no column of times" if schema.time is None else f"{schema.time_format} in {schema.time!r}"
            raise InputError(f"{name} does not go with this model, which was fitted on {has}. Leave it out")
        written = schema.model_copy(update=_given(time_format=form, duplicates=self.duplicates))
        numbers = _given(missing=self.missing, decimal=self.decimal, thousands=self.thousands)
        return read_panel(data, schema=written, reading=reading | numbers)


class _Forecasting(Options):
    """Data, model and training."""

    target: str | None = option(None, "column to forecast", group="Data", metavar="COLUMN")
    horizon: int = option(..., "steps to forecast", group="Data", ge=1, le=100_000)
    series: tuple[str, ...] = option((), "columns that name the series", group="Data", metavar="COLUMN")
    time: str | None = option(
        None, "column of time stamps; found where there is one", group="Data", metavar="COLUMN"
    )
    layout: Literal["long", "wide"] | None = option(
        None, "long: one row a value; wide: one row a series, as in M4", group="Data"
    )
    known: tuple[str, ...] = option((), "covariates known over the horizon", group="Data", metavar="COLUMN")
    past: tuple[str, ...] = option((), "covariates known up to now", group="Data", metavar="COLUMN")
    static: tuple[str, ...] = option((), "covariates with one value a series", group="Data", metavar="COLUMN")
    frequency: str | None = option(None, "15min, h, D, B, W, MS, ME …, or row; inferred", group="Data")
    season: tuple[int, ...] = option(
        (), "steps of a season, the main one first; 0: none; inferred", group="Data"
    )
    time_format: str | None = option(None, "strptime format of the time stamps, as %d-%m-%y", group="Reading")
    day_first: bool | None = option(
        None, "31-12 rather than 12-31, where the column cannot prove it", group="Reading"
    )
    missing: tuple[str, ...] = option(
        (), "texts that mean missing, besides a blank", group="Reading", metavar="TEXT"
    )
    decimal: Literal[".", ","] = option(".", "decimal sign", group="Reading")
    thousands: str | None = option(None, "sign between groups of three digits", group="Reading")
    duplicates: Literal["refuse", "mean", "first", "last"] = option(
        "refuse", "two rows of one series and time", group="Reading"
    )
    encoder: str = option(
        "lstm", "lstm, gru, rnn, or without recurrence: feedforward, cnn, transformer", group="Model"
    )
    variant: tuple[Variant, ...] = option((), "variants of the lstm", group="Model")
    hidden: int | None = option(
        None, "units of a layer; 32 for few series, 64 for many", group="Model", ge=1, le=65536
    )
    layers: int = option(1, "layers of the encoder", group="Model", ge=1, le=64)
    dropout: float = option(0.0, "dropout in the decoder and between layers", group="Model", ge=0, lt=1)
    context: int | None = option(
        None, "steps that the encoder reads; from season and horizon", group="Model", ge=1
    )
    head: Literal["quantile", "student-t", "negative-binomial"] = option(
        "quantile", "how uncertainty is modelled; negative-binomial for counts", group="Model"
    )
    levels: tuple[float, ...] = option((), "quantiles to learn, 0.5 among them", group="Model")
    decoding: Literal["direct", "step"] = option(
        "direct", "all steps at once, or one after the other", group="Model"
    )
    anchor: int | None = option(
        None, "start from the last value (0) or one season before (its steps); measured", group="Model", ge=0
    )
    shortcut: bool | None = option(None, "add a linear map of the window; on for few series", group="Model")
    nonnegative: bool | None = option(None, "no forecast below zero; on where no value is", group="Model")
    steps: int = option(3000, "training steps at most", group="Training", ge=1)
    batch: int = option(128, "windows a step", group="Training", ge=1, le=65536)
    learning_rate: float = option(1e-3, "highest learning rate", group="Training", gt=0)
    weight_decay: float = option(1e-2, "weight decay", group="Training", ge=0)
    patience: int = option(10, "validations without improvement before stopping", group="Training", ge=1)
    validate_every: int = option(100, "training steps between validations", group="Training", ge=1)
    validation: int | None = option(
        None,
        "last values of each series, kept to validate on; a tenth, at least the horizon",
        group="Training",
        ge=1,
    )
    baselines: tuple[BaselineName, ...] = option(
        (),
        "what is to be beaten; all that apply; ets and arima take 20 % of --time-budget, the trainings share "
        "the rest",
        group="Backtest",
    )

    def roles(self) -> Roles:
        """What is said of the columns."""
        from longspan.data.inference import Roles

        return Roles(self.target, self.series, self.time, self.layout, self.known, self.past, self.static)

    def wishes(self) -> Wishes:
        """What is said of the design."""
        from longspan.models.planning import Wishes
        from longspan.nn.encoders import encoder_names

        return Wishes(
            context=self.context,
            anchor=self.anchor,
            shortcut=self.shortcut,
            nonnegative=self.nonnegative,
            levels=self.levels or None,
            head=self.head,
            decoding=self.decoding,
            encoder=known_name(self.encoder, "encoder", encoder_names()),
            hidden_size=self.hidden,
            num_layers=self.layers,
            dropout=self.dropout,
            encoder_options=_encoder_options(self.variant),
        )

    def settings(self, run: Run) -> Settings:
        """How to train; the time of each training is decided in the course of the fit."""
        from longspan.training.settings import Settings

        return Settings(
            seed=run.seed,
            max_steps=self.steps,
            validate_every=min(self.validate_every, self.steps),
            patience=self.patience,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            clip_norm=1.0,
            warmup_steps=self.steps // 20,
            schedule="cosine",
            average=0.99,
        )

    def recipe(self, run: Run) -> Recipe:
        """How every network of the fit is made."""
        from longspan.models.fitting import Recipe
        from longspan.training.devices import resolve

        settings, device = self.settings(run), resolve(run.device)
        return Recipe(self.horizon, self.validation, self.wishes(), settings, self.batch, device)


class _Finding(Options):
    """What a fit does besides one training."""

    tune: int = option(
        0,
        "trials of a search for sizes and rates, by the validation loss before the backtest; what you set "
        "yourself is not searched",
        group="Training",
        ge=0,
        le=10_000,
    )
    backtest: int | None = option(
        None,
        "origins of the backtest, the earlier half calibrates and the later tests; 0: none; 16 for few "
        "series (more for horizons below 6), 4 for many",
        group="Backtest",
        ge=0,
        le=1000,
    )
    seeds: int = option(
        3,
        "networks in the backtest, each with a seed of its own; fewer where --time-budget is short",
        group="Backtest",
        ge=1,
        le=100,
    )
    ensemble: bool = option(False, "forecast with the mean over the seeds", group="Backtest")


class ForecastFit(Reading, _Finding, _Forecasting):
    """Options of ``fit forecast``; in the help, fields of the last base come first."""

    def asked(self) -> Asked:
        """What is asked beyond one network."""
        from longspan.models.course import Asked

        given = {_SEARCHED[name] for name in self.model_fields_set if name in _SEARCHED}
        return Asked(
            origins=self.backtest,
            seeds=self.seeds,
            ensemble=self.ensemble,
            trials=self.tune,
            fixed=tuple(sorted(given)),
            baselines=self.baselines or None,
            find_seasons=not self.season,
        )


class ForecastCompare(Reading, _Forecasting):
    """Options of ``compare forecast``."""

    test: int | None = option(
        None, "last values of each series, kept to test on; a fifth, at least the horizon", group="Test", ge=1
    )
    stride: int | None = option(
        None,
        "steps between two forecasts of the test part; 1, more where they would be too many",
        group="Test",
        ge=1,
    )


class ForecastPredict(Reading, Rewritten):
    """Options of ``predict`` with a forecasting model."""

    levels: tuple[float, ...] = option((), "quantiles to give; those of the fit", group="Forecast")


class ForecastEvaluate(Reading, Rewritten):
    """Options of ``evaluate`` with a forecasting model."""

    history: Any = option(
        None,
        "data before DATA, in the same columns; then all of DATA is the test part",
        group="Test",
        metavar="FILE",
    )
    last: int | None = option(
        None,
        "length of the test part, the last values of each series; the horizon; not with --history",
        group="Test",
        ge=1,
    )
    stride: int = option(1, "steps between two forecasts", group="Test", ge=1)

    @pydantic.model_validator(mode="after")
    def _one_test_part(self) -> Self:
        if self.history is not None and self.last is not None:
            raise ValueError(
                f"{spell('last')} does not go with {spell('history')}, which makes all of the data the test "
                "part. Leave one of them out"
            )
        return self


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _day_order(day_first: bool | None) -> str | None:
    return None if day_first is None else "day-first" if day_first else "month-first"


def _encoder_options(variants: tuple[Variant, ...]) -> tuple[tuple[str, bool], ...]:
    """The encoder's arguments: ``no-forget-gate`` is ``forget_gate=False``."""
    return tuple(
        (name.removeprefix("no-").replace("-", "_"), not name.startswith("no-")) for name in variants
    )
