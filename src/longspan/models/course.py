"""The course of a fit: audit, tuning, backtest, final training, and what is concluded from the backtest.

The backtest part, the last rows of every series, chooses nothing: what comes before it is audited, tuned and
trained on, its earlier origins calibrate the intervals, its later ones give every score and the verdict. The
final network is then trained on all rows by the same recipe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from longspan.core.errors import DataError, InputError
from longspan.data.panel import Panel
from longspan.evaluation.audit import Audit
from longspan.evaluation.conformal import Calibration, calibration_of
from longspan.evaluation.verdict import Verdict, judge, untested
from longspan.models.audit import audit_forecaster, planned
from longspan.models.backtest import Backtested, member_seed, run_backtest
from longspan.models.design import build_forecaster
from longspan.models.fitting import Preparation, Recipe, fit_forecaster, prepare
from longspan.models.forecaster import Forecaster
from longspan.models.origins import Origins, before_origins, plan_origins
from longspan.models.session import Session
from longspan.models.tuning import Trial, choose, tune
from longspan.store.stage import Result, Stage
from longspan.training.history import History

__all__ = ["Asked", "Course", "Made", "plan_course", "run_course"]


@dataclass(frozen=True)
class Asked:
    """What the user asked of a fit beyond one network.

    Args:
        origins: of the backtest, None to decide, 0 for none. seeds: networks in it.
        ensemble: forecast with the mean over the seeds. trials: of the search, 0 for none.
        fixed: names of `TUNED` that are not searched. baselines: names, None for all that apply.
        find_seasons: seasons are found in the data, so they are found again before the backtest part.
    """

    origins: int | None = None
    seeds: int = 3
    ensemble: bool = False
    trials: int = 0
    fixed: tuple[str, ...] = ()
    baselines: tuple[str, ...] | None = None
    find_seasons: bool = True


@dataclass(frozen=True, eq=False)
class Course:
    """What a fit is going to do.

    Attributes:
        panel: all the data, as read. recipe: how every network is made.
        whole: all the data, prepared. origins: of the backtest, its reason where there is none.
        earlier: the panel before the backtest part. before: the same, prepared. None where there is none.
    """

    panel: Panel
    recipe: Recipe
    whole: Preparation
    origins: Origins
    earlier: Panel | None = None
    before: Preparation | None = None


@dataclass(frozen=True, eq=False)
class Made:
    """What a fit came to.

    Attributes:
        whole: all the data, prepared as the final forecasters saw it.
        forecasters, histories: one, or one a seed of the ensemble.
        tested: the backtest, or None. verdict: what it says, with the reason where nothing was tested.
        audit: of leaks. trials: of the search.
        calibration: of the intervals, from all origins of the backtest.
    """

    whole: Preparation
    forecasters: tuple[Forecaster, ...]
    histories: tuple[History, ...]
    tested: Backtested | None
    verdict: Verdict
    audit: Audit
    trials: list[Trial]
    calibration: Calibration | None


def plan_course(panel: Panel, recipe: Recipe, asked: Asked) -> Course:
    """Decide all that can be decided before any work, and refuse what cannot be used.

    Raises:
        DataError, InputError: as `prepare` and `plan_origins`.
    """
    whole = prepare(panel, recipe)
    origins = plan_origins(panel, recipe.horizon, recipe.validation, asked.origins)
    if not origins.testing:
        return Course(panel, recipe, whole, origins)
    earlier = before_origins(panel, origins, seasons=asked.find_seasons)
    try:
        before = prepare(earlier, recipe)
    except (DataError, InputError) as error:
        reason = f"what lies before the backtest part cannot be learned from: {error}"
        return Course(panel, recipe, whole, replace(origins, calibrating=0, testing=0, reason=reason))
    return Course(panel, recipe, whole, origins, earlier, before)


def run_course(course: Course, asked: Asked, session: Session) -> Made:
    """Audit, tune, test and train; every part is a stage.

    Raises:
        TrainingError, Interrupted: as `train`.
    """
    audit = _audit(course, asked, session)
    trials: list[Trial] = []
    if asked.trials:
        course, trials = _tuned(course, asked, session)
    tested = _test(course, asked, session)
    members = 1 if not asked.ensemble else asked.seeds if tested is None else len(tested.backtest.model)
    forecasters, histories = _finals(course, members, session)
    verdict, calibration = _conclude(course, tested, asked.ensemble)
    return Made(course.whole, forecasters, histories, tested, verdict, audit, trials, calibration)


def _audit(course: Course, asked: Asked, session: Session) -> Audit:
    """Is anything known before it could be? Said loudly, kept and shown; it does not stop the fit."""
    panel, recipe, origins = course.panel, course.recipe, course.origins

    def hide(given: Panel) -> Panel:
        tested = course.earlier is not None
        return before_origins(given, origins, seasons=asked.find_seasons) if tested else given

    def work(_: Stage | None) -> Result:
        prepared = planned(hide, recipe.horizon, recipe.validation, recipe.wishes)
        cut = np.maximum(panel.observed - origins.part, 0)
        audit = audit_forecaster(panel, cut, prepared, inferred=asked.find_seasons, seed=session.seed)
        return {"seconds": audit.seconds, "audit": audit.to_json()}, {}

    record, _ = session.stage("audit", work)
    audit = Audit.from_json(record["audit"])
    for line in audit.words():
        session.say(line)
    return audit


def _tuned(course: Course, asked: Asked, session: Session) -> tuple[Course, list[Trial]]:
    """The course with the recipe of the best trial."""
    earlier = course.panel if course.earlier is None else course.earlier
    trials = tune(earlier, course.recipe, asked.trials, asked.fixed, session)
    recipe, best = choose(course.recipe, trials)
    session.say(f"trial {best.number} is the best by validation loss, {best.loss:.4g}")
    before = None if course.earlier is None else prepare(course.earlier, recipe)
    return replace(course, recipe=recipe, whole=prepare(course.panel, recipe), before=before), trials


def _test(course: Course, asked: Asked, session: Session) -> Backtested | None:
    if course.before is None:
        return None
    return run_backtest(
        course.panel,
        course.before,
        course.recipe,
        course.origins,
        session,
        seeds=asked.seeds,
        ensemble=asked.ensemble,
        baselines=asked.baselines,
    )


def _finals(
    course: Course, members: int, session: Session
) -> tuple[tuple[Forecaster, ...], tuple[History, ...]]:
    """The networks that forecast, trained on all rows."""
    forecasters, histories = [], []
    for number in range(members):
        session.say("final training" if members == 1 else f"final training {number + 1} of {members}")
        budget = session.budget.training(members - number)
        work = partial(_final, course, member_seed(session.seed, number), budget, session)
        record, weights = session.stage(f"final-{number + 1}", work)
        forecaster = build_forecaster(course.whole.design)
        forecaster.load_state_dict({name: torch.from_numpy(each) for name, each in weights.items()})
        forecasters.append(forecaster.to(course.recipe.device).eval())
        histories.append(History.from_json(record["history"]))
    return tuple(forecasters), tuple(histories)


def _final(course: Course, seed: int, budget: float | None, session: Session, stage: Stage | None) -> Result:
    forecaster, history = fit_forecaster(course.whole, course.recipe, seed, budget, stage, session.progress())
    weights = {name: each.detach().cpu().numpy() for name, each in forecaster.state_dict().items()}
    return {"seconds": history.seconds, "budget": budget, "history": history.to_json()}, weights


def _conclude(
    course: Course, tested: Backtested | None, together: bool
) -> tuple[Verdict, Calibration | None]:
    if tested is None:
        return untested(course.origins.reason, title=course.whole.design.encoder.upper()), None
    calibration = calibration_of(tested.backtest, every=True, together=together)
    return judge(tested.backtest, together=together), calibration
