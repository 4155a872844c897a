"""The forecasting task: a table of series in, quantiles of their future out."""

from __future__ import annotations

import logging
import math
from contextlib import nullcontext
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from longspan.tasks.base import Contents, Run, Task, register
from longspan.tasks.forecast_options import ForecastEvaluate, ForecastFit, ForecastPredict

if TYPE_CHECKING:
    import polars

    from longspan.data.panel import Panel
    from longspan.models.design import Design
    from longspan.models.forecaster import Forecaster
    from longspan.models.forecasting import Forecasts
    from longspan.training.history import History

__all__ = ["FORECAST", "Forecast", "verdict"]

_LOG = logging.getLogger("longspan")

FORECAST = register(
    Task(
        name="forecast",
        summary="the future of one or thousands of time series, with quantiles",
        data_help="CSV, Parquet, JSON lines or Arrow, one row a value (or, as in M4, one row a series)",
        work="longspan.tasks.forecast:Forecast",
        fit_options=ForecastFit,
        predict_options=ForecastPredict,
        evaluate_options=ForecastEvaluate,
    )
)


@dataclass(frozen=True, eq=False)
class Forecast:
    """A fitted forecaster: how it is built, what its columns mean, its weights, and how it came about.

    Attributes:
        design: sizes and choices. schema: what the columns mean. forecaster: the network, on its device.
        history: the course of training. record: data hash, rows and validation scores. files: the report.
    """

    design: Design
    schema: Any
    forecaster: Forecaster
    history: History
    record: dict[str, Any]
    files: dict[str, bytes]

    @classmethod
    def fit(cls, data: Any, options: ForecastFit, run: Run) -> Self:
        """Read, design, train, score on the validation part, report."""
        from longspan.data.digest import panel_sha256
        from longspan.models.comparison import compare
        from longspan.models.fitting import held_out, train_forecaster
        from longspan.models.forecasting import forecast_all
        from longspan.models.planning import describe_plan, plan_forecaster, training_part
        from longspan.tasks.forecast_report import forecast_report
        from longspan.training.devices import resolve
        from longspan.training.progress import choose_progress

        panel = _read(data, options, run)
        sha256 = panel_sha256(panel)
        panel, design, validation = plan_forecaster(
            panel, options.horizon, options.validation, options.wishes()
        )
        features = design.features
        training = training_part(panel, features, validation)
        held, numbers = held_out(panel, features, validation)
        for line in describe_plan(panel, design, validation, len(training)):
            run.say(line)
        settings, device = options.settings(run), resolve(run.device)
        with run.open_workspace(options, sha256, device=str(device)) or nullcontext() as workspace:
            forecaster, history = train_forecaster(
                design,
                training,
                held,
                numbers,
                settings,
                batch_size=options.batch,
                device=device,
                workspace=workspace,
                progress=choose_progress(quiet=not run.progress),
            )
        found = forecast_all(
            forecaster, features, held, numbers, design.levels, nonnegative=design.nonnegative, seed=run.seed
        )
        scores = compare(found, panel, panel.observed - validation)
        record = {
            "data": {
                "sha256": sha256,
                "rows": {"values": int(panel.observed.sum()), "series": len(panel), "windows": len(training)},
                "source": _source(data),
            },
            "validation": scores,
            "notes": list(panel.notes),
            "steps": validation,
        }
        fitted = cls(design, panel.schema, forecaster, history, record, {})
        answer = verdict(scores)
        run.say(f"on the validation part {answer}")
        ahead = fitted._ahead(panel, design.levels)
        page = forecast_report(panel, design, history, record, found, ahead, answer)
        return replace(fitted, files={"report.html": page.encode()})

    @classmethod
    def restore(cls, contents: Contents) -> Self:
        """The fitted forecaster again, on the CPU."""
        from longspan.data.schema import PanelSchema
        from longspan.models.design import Design, build_forecaster
        from longspan.training.history import History

        config = contents.config
        design = Design.model_validate(config["design"])
        forecaster = build_forecaster(design)
        forecaster.load_state_dict(contents.tensors)
        schema = PanelSchema.model_validate(config["schema"])
        history = History.from_json(config["history"])
        return cls(design, schema, forecaster.eval(), history, config["record"], dict(contents.files))

    def contents(self) -> Contents:
        """Design, schema, history and record as JSON, the weights, and the report."""
        config = {
            "design": self.design.model_dump(mode="json"),
            "schema": self.schema.model_dump(mode="json"),
            "history": self.history.to_json(),
            "record": _finite(self.record),
        }
        tensors = {name: each.detach().cpu() for name, each in self.forecaster.state_dict().items()}
        return Contents(config=config, tensors=tensors, files=self.files)

    def describe(self) -> dict[str, Any]:
        """What ``info`` shows."""
        design = self.design.model_dump(mode="json")
        training = {
            "steps": self.history.steps,
            "best_step": self.history.best_step,
            "stopped_by": self.history.stopped_by,
            "seconds": self.history.seconds,
        }
        columns = self.schema.model_dump(mode="json", exclude={"encodings"}, exclude_defaults=True)
        return {
            "data": self.record["data"],
            "metrics": {"validation": self.record["validation"]},
            "parameters": sum(each.numel() for each in self.forecaster.parameters()),
            "design": design,
            "columns": columns,
            "training": training,
            "notes": self.record["notes"],
        }

    def predict(self, data: Any, options: ForecastPredict) -> polars.DataFrame:
        """Forecasts of the steps after the last known value of every series."""
        from longspan.data.inference import read_panel
        from longspan.data.results import forecast_table
        from longspan.nn.heads import check_levels

        levels = check_levels(options.levels) if options.levels else self.design.levels
        self._check_range(levels)
        panel = read_panel(data, schema=self.schema, reading=options.reading())
        _tell(panel.notes)
        found = self._ahead(panel, levels)
        return forecast_table(panel, found.series, found.cut, found.mean, found.quantiles, levels)

    def _check_range(self, levels: tuple[float, ...]) -> None:
        """Refuse levels beyond those that were learned: nothing is known of the tails there."""
        from longspan.core.errors import InputError

        least, most = self.design.levels[0], self.design.levels[-1]
        beyond = [level for level in levels if not least <= level <= most]
        if self.design.head == "quantile" and beyond:
            raise InputError(
                f"levels: expected levels from {least:g} to {most:g}, which is what the model learned, got "
                f"{beyond[0]:g}. Fit with these levels, or with another head"
            )

    def _ahead(self, panel: Panel, levels: tuple[float, ...]) -> Forecasts:
        """One forecast a series, from its last known value."""
        import numpy as np

        from longspan.core.errors import DataError
        from longspan.data.covariates import require_horizon
        from longspan.data.windows import Windows
        from longspan.models.forecasting import forecast_all

        require_horizon(panel, self.design.horizon)
        reach, horizon = self.design.features.reach, self.design.horizon
        windows = Windows(panel, reach, horizon, panel.observed, panel.observed, min_past=1, min_future=0)
        if len(windows) == 0:
            raise DataError(
                f"expected a known value to forecast from, got none in the last {reach} steps of any series"
            )
        numbers = np.arange(len(windows))
        _warn_of_the_left_out(panel, windows.pairs(numbers)[0], reach)
        return forecast_all(
            self.forecaster,
            self.design.features,
            windows,
            numbers,
            levels,
            nonnegative=self.design.nonnegative,
        )

    def evaluate(self, data: Any, options: ForecastEvaluate) -> dict[str, Any]:
        """Scores of the model and of simple baselines on the test part of the data."""
        import numpy as np

        from longspan.core.errors import DataError
        from longspan.data.append import append_panel
        from longspan.data.inference import read_panel
        from longspan.data.windows import validation_windows
        from longspan.models.comparison import compare
        from longspan.models.forecasting import forecast_all

        panel = read_panel(data, schema=self.schema, reading=options.reading())
        _tell(panel.notes)
        test: Any = self.design.horizon if options.last is None else options.last
        if options.history is not None:
            before = read_panel(options.history, schema=self.schema, reading=options.reading())
            panel, test = append_panel(before, panel)
        features = self.design.features
        windows = validation_windows(
            panel, features.reach, features.horizon, holdout=test, stride=options.stride
        )
        if len(windows) == 0:
            raise DataError(
                f"expected a test part of at least {features.horizon} values (the horizon) with values "
                "before it, got none. Give more rows, or --last or --history"
            )
        found = forecast_all(
            self.forecaster,
            features,
            windows,
            np.arange(len(windows)),
            self.design.levels,
            nonnegative=self.design.nonnegative,
        )
        scores = compare(found, panel, panel.observed - np.asarray(test))
        return {
            "windows": len(windows),
            "series": len(set(found.series.tolist())),
            **scores,
            "verdict": verdict(scores),
        }


def verdict(scores: dict[str, Any]) -> str:
    """One sentence: is the model better than the strongest simple baseline?"""
    best = scores["strongest"]
    model, simple = scores["model"]["mase"], scores["baselines"][best]["mase"]
    unit = "MASE"
    if model is None or simple is None or model != model or simple != simple:
        unit, model, simple = "mean absolute error", scores["model"]["mae"], scores["baselines"][best]["mae"]
    title = best.replace("_", " ")
    if model < simple:
        return (
            f"the model beats {title}, the strongest simple baseline: {unit} {model:.4g} against {simple:.4g}"
        )
    return f"{title} is better: {unit} {simple:.4g} against {model:.4g} of the model. Use it instead"


def _read(data: Any, options: ForecastFit, run: Run) -> Panel:
    from longspan.data.inference import read_panel

    written = {"missing": options.missing, "decimal": options.decimal, "thousands": options.thousands}
    panel = read_panel(
        data,
        options.roles(),
        reading=options.reading() | written,
        frequency=options.frequency,
        seasons=tuple(season for season in options.season if season) if options.season else None,
        time_format=options.time_format,
        day_first=options.day_first,
        duplicates=options.duplicates,
    )
    for note in panel.notes:
        run.say(note)
    return panel


def _warn_of_the_left_out(panel: Panel, forecast: Any, reach: int) -> None:
    """Name the series that have no forecast, up to five."""
    there = set(forecast.tolist())
    names = [name for number, name in enumerate(panel.ids) if number not in there]
    if names:
        shown = ", ".join(map(repr, names[:5])) + (" …" if len(names) > 5 else "")
        _LOG.warning(
            "%s series not forecast, without a known value in the last %s steps: %s",
            f"{len(names):,}",
            f"{reach:,}",
            shown,
        )


def _tell(notes: tuple[str, ...]) -> None:
    for note in notes:
        _LOG.info(note)


def _finite(value: Any) -> Any:
    """JSON has no NaN: a score that there is not (MASE of a constant series) is None."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _source(data: Any) -> str | None:
    """The file's name, where the data are a file."""
    return Path(data).name if isinstance(data, str | PathLike) else None
