"""What every ``fit`` takes besides the options of its task."""

from __future__ import annotations

import re
from typing import Any

import pydantic

from longspan.core.errors import InputError
from longspan.tasks.base import Options, option

__all__ = ["FitSettings", "seconds"]

_LENGTH = "a positive length of time such as 90, '90s', '15m' or '2h'"
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DEVICE = r"^(auto|cpu|mps|(cuda|xpu)(:\d+)?)$"


def seconds(text: str | float) -> float:
    """Seconds of a length of time: ``90``, ``"90s"``, ``"15m"``, ``"2h"``, ``"1.5h"``, ``"1d"``.

    Raises:
        InputError: anything else, and what is not positive or not finite.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([smhd]?)\s*", str(text))
    value = float(match[1]) * _UNITS[match[2]] if match and not isinstance(text, bool) else 0.0
    if not 0 < value < float("inf"):
        raise InputError(f"expected {_LENGTH}, got {text!r}")
    return value


class FitSettings(Options):
    """What every ``fit`` takes besides the options of its task."""

    out: str | None = option(None, "folder to write the model to", min_length=1)
    seed: int = option(0, "seed of every random choice", ge=0, le=2**63 - 1)
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps …")
    time_budget: float | None = option(None, "longest time for the whole fit, in seconds or as 90s, 15m, 2h")
    resume: bool = option(False, "go on where an interrupted run stopped")
    force: bool = option(False, "replace the model at out")
    progress: bool = option(False, "show a progress bar and notes")

    @pydantic.field_validator("time_budget", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        try:
            return None if value is None else seconds(value)
        except InputError:
            raise ValueError(_LENGTH) from None  # whoever reads the options adds the name and what was got

    @pydantic.field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not re.fullmatch(_DEVICE, value):
            raise ValueError("auto, cpu, cuda, cuda:0, cuda:1 …, xpu or mps")
        return value
