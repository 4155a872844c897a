"""The forecasting task: a table of series in, quantiles of their future out."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from longspan.core.wording import spell
from longspan.tasks.base import Contents, Run, Task, register
from longspan.tasks.forecast_inspect import ForecastInspect, forecast_subject, kept_recipe
from longspan.tasks.forecast_options import (
    ForecastCompare,
    ForecastEvaluate,
    ForecastFit,
    ForecastPredict,
)

if TYPE_CHECKING:
    import polars

    from longspan.data.panel import Panel
    from longspan.data.windows import Windows
    from longspan.evaluation.conformal import Calibration
    from longspan.models.course import Asked, Course, Made
    from longspan.models.design import Design
    from longspan.models.forecast_contest import ForecastContest
    from longspan.models.forecast_subject import ForecastSubject
    from longspan.models.forecaster import Forecaster
    from longspan.models.forecasting import Forecasts
    from longspan.models.session import Session
    from longspan.training.history import History

__all__ = ["FORECAST", "Forecast"]

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
        compare_options=ForecastCompare,
        inspect_options=ForecastInspect,
    )
)


@dataclass(frozen=True, eq=False)
class Forecast:
    """A fitted forecaster: how it is built, what its columns mean, its weights, and how it came about.

    Attributes:
        design: sizes and choices. schema: what the columns mean.
        forecasters: the networks, on their device: one, or those whose mean is the forecast.
        history: the course of training, of the first. calibration: of the intervals, None without a backtest.
        record: data, backtest, audit, validation. files: the report.
    """

    design: Design
    schema: Any
    forecasters: tuple[Forecaster, ...]
    history: History
    calibration: Calibration | None
    record: dict[str, Any]
    files: dict[str, bytes]

    @property
    def forecaster(self) -> Forecaster:
        """The network, or the first of an ensemble."""
        return self.forecasters[0]

    @classmethod
    def fit(cls, data: Any, options: ForecastFit, run: Run) -> Self:
        """Read, plan, then audit, tune, backtest and train in stages, and report."""
        from longspan.data.digest import panel_sha256
        from longspan.models.course import plan_course, run_course
        from longspan.models.session import Budget, Session
        from longspan.training.progress import choose_progress

        began = time.monotonic()
        recipe, asked = options.recipe(run), options.asked()
        panel = _read(data, options, run)
        sha256 = panel_sha256(panel)
        course = plan_course(panel, recipe, asked)
        _tell_course(course, run)
        budget = Budget(run.time_budget)
        with run.open_workspace(options, sha256, device=str(recipe.device)) or nullcontext() as workspace:
            session = Session(
                run.seed, budget, workspace, run.say, lambda: choose_progress(quiet=not run.progress)
            )
            session.begin(began)
            made = run_course(course, asked, session)
        return cls._concluded(data, sha256, course, asked, made, session, run)

    @classmethod
    def _concluded(
        cls,
        data: Any,
        sha256: str,
        course: Course,
        asked: Asked,
        made: Made,
        session: Session,
        run: Run,
    ) -> Self:
        """Scores of the validation part, the record, the verdict, the report."""
        from longspan.models.comparison import compare
        from longspan.models.forecasting import forecast_members
        from longspan.tasks.forecast_record import erred, fit_record
        from longspan.tasks.forecast_report import forecast_report

        whole, design = made.whole, made.whole.design
        held = forecast_members(
            made.forecasters,
            design.features,
            whole.held,
            whole.numbers,
            design.levels,
            nonnegative=design.nonnegative,
            seed=run.seed,
        )
        scores = compare(held, whole.panel, whole.panel.observed - whole.validation)
        record = fit_record(data, sha256, course, asked, made, scores, session.budget)
        record["recipe"] = kept_recipe(course, made)
        history, calibration = made.histories[0], made.calibration
        fitted = cls(design, whole.panel.schema, made.forecasters, history, calibration, record, {})
        run.say(made.verdict.words)
        tested = made.tested
        page = forecast_report(
            whole.panel,
            design,
            history,
            record,
            held,
            fitted._ahead(whole.panel, design.levels),
            "" if tested else f"On the validation part {erred(scores, design.encoder.upper())}",
            verdict=made.verdict,
            backtest=tested.backtest if tested else None,
            calibration=calibration,
            audit=made.audit,
            tuning=record["tuning"],
            histories=tested.histories if tested else None,
            notes=record["backtest"]["notes"],
            made={"seed": run.seed, "command": run.command},
        )
        return replace(fitted, files={"report.html": page.encode()})

    @classmethod
    def contest(cls, data: Any, options: ForecastCompare, run: Run) -> ForecastContest:
        """The data, split; every encoder forecasts the same test part."""
        from longspan.data.digest import panel_sha256
        from longspan.models.forecast_contest import plan_contest

        recipe = options.recipe(run)
        panel = _read(data, options, run)
        return plan_contest(
            panel,
            recipe,
            panel_sha256(panel),
            test=options.test,
            stride=options.stride,
            baselines=options.baselines or None,
            find_seasons=not options.season,
            seed=run.seed,
        )

    @classmethod
    def restore(cls, contents: Contents) -> Self:
        """The fitted forecaster again, on the CPU.

        Raises:
            ModelError: configuration and weights are not those of one forecaster.
        """
        from longspan.models.design import load_members
        from longspan.tasks.forecast_config import read_config

        kept, record = read_config(contents.config), contents.config["record"]
        forecasters = load_members(kept.design, contents.tensors, kept.members)
        return cls(
            design=kept.design,
            schema=kept.columns,
            forecasters=forecasters,
            history=kept.history,
            calibration=kept.conformal(),
            record=record,
            files=dict(contents.files),
        )

    def contents(self) -> Contents:
        """Design, schema, history, calibration and record as JSON, the weights, and the report."""
        from longspan.models.design import member_tensors
        from longspan.tasks.forecast_record import finite

        config = {
            "design": self.design.model_dump(mode="json"),
            "schema": self.schema.model_dump(mode="json"),
            "history": self.history.to_json(),
            "members": len(self.forecasters),
            "calibration": None if self.calibration is None else self.calibration.to_json(),
            "record": finite(self.record),
        }
        return Contents(config=config, tensors=member_tensors(self.forecasters), files=self.files)

    def describe(self) -> dict[str, Any]:
        """What ``info`` shows."""
        from longspan.tasks.forecast_record import shown_metrics

        design = self.design.model_dump(mode="json")
        training = {
            "steps": self.history.steps,
            "best_step": self.history.best_step,
            "stopped_by": self.history.stopped_by,
            "seconds": self.history.seconds,
            "members": len(self.forecasters),
        }
        columns = self.schema.model_dump(mode="json", exclude={"encodings"}, exclude_defaults=True)
        return {
            "data": self.record["data"],
            "metrics": shown_metrics(self.record),
            "parameters": sum(each.numel() for one in self.forecasters for each in one.parameters()),
            "design": design,
            "columns": columns,
            "training": training,
            "calibration": "none" if self.calibration is None else self.calibration.words(),
            "tuning": self.record.get("tuning", []),
            "notes": self.record["notes"],
        }

    def subject(self, data: Any, options: ForecastInspect) -> ForecastSubject:
        """The forecaster and the last windows of the data, to look into."""
        return forecast_subject(self, data, options)

    def predict(self, data: Any, options: ForecastPredict) -> polars.DataFrame:
        """Forecasts of the steps after the last known value of every series."""
        from longspan.data.results import forecast_table
        from longspan.nn.heads import check_levels

        levels = check_levels(options.levels) if options.levels else self.design.levels
        self._check_range(levels)
        panel = options.panel(data, self.schema, **options.reading())
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

        require_horizon(panel, self.design.horizon)
        reach, horizon = self.design.features.reach, self.design.horizon
        windows = Windows(panel, reach, horizon, panel.observed, panel.observed, min_past=1, min_future=0)
        if len(windows) == 0:
            raise DataError(
                f"expected a known value to forecast from, got none in the last {reach} steps of any series"
            )
        numbers = np.arange(len(windows))
        _warn_of_the_left_out(panel, windows.pairs(numbers)[0], reach)
        return self._forecast(windows, levels)

    def _forecast(self, windows: Windows, levels: tuple[float, ...]) -> Forecasts:
        """Forecasts of all windows at these levels, their intervals calibrated."""
        import numpy as np

        from longspan.evaluation.conformal import apply
        from longspan.models.forecasting import forecast_members
        from longspan.nn.heads import build_head

        design = self.design
        # All learned levels are calibrated together, so that a level is the same whichever others are asked.
        every = tuple(sorted({*design.levels, *levels}))
        found = forecast_members(
            self.forecasters,
            design.features,
            windows,
            np.arange(len(windows)),
            every if self.calibration else levels,
            nonnegative=design.nonnegative,
        )
        if self.calibration is None:
            return found
        quantiles = apply(self.calibration, found.quantiles, every)
        if build_head(design.head, design.levels).whole:  # a quantile of counts is a count: outwards
            above = np.asarray(every) >= 0.5
            quantiles = np.where(above, np.ceil(quantiles), np.floor(quantiles))
        if design.nonnegative:
            quantiles = np.maximum(quantiles, 0.0)
        places = [every.index(level) for level in levels]
        return replace(found, quantiles=quantiles[..., places], levels=levels)

    def evaluate(self, data: Any, options: ForecastEvaluate) -> dict[str, Any]:
        """Scores of the model and of simple baselines on the test part of the data."""
        import numpy as np

        from longspan.core.errors import DataError
        from longspan.data.append import append_panel
        from longspan.data.windows import validation_windows
        from longspan.tasks.forecast_record import evaluated

        panel = options.panel(data, self.schema, **options.reading())
        _tell(panel.notes)
        test: Any = self.design.horizon if options.last is None else options.last
        if options.history is not None:
            before = options.panel(options.history, self.schema, **options.reading())
            panel, test = append_panel(before, panel)
        features = self.design.features
        windows = validation_windows(
            panel, features.reach, features.horizon, holdout=test, stride=options.stride
        )
        if len(windows) == 0:
            raise DataError(
                f"expected a test part of at least {features.horizon} values (the horizon) with values "
                f"before it, got none. Give more rows, or {spell('last')} or {spell('history')}"
            )
        found = self._forecast(windows, self.design.levels)
        until = panel.observed - np.asarray(test)
        return evaluated(found, panel, until, self.record, self.design.encoder.upper())


def _tell_course(course: Course, run: Run) -> None:
    """The data, the design and the backtest in a few lines."""
    from longspan.models.planning import describe_plan

    whole = course.whole
    for line in describe_plan(whole.panel, whole.design, whole.validation, len(whole.training)):
        run.say(line)
    if course.before is not None:
        run.say(f"backtest: {course.origins.words()}, on the last {course.origins.part:,} values")


def _read(data: Any, options: ForecastFit | ForecastCompare, run: Run) -> Panel:
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
