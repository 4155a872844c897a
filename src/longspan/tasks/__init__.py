"""The tasks, one import line each: a task's declaration puts itself into ``longspan.tasks.base.TASKS``."""

from __future__ import annotations

from longspan.tasks import forecast as forecast
