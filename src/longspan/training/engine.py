"""ignite's Engine, imported without the deprecation warnings that torch raises while ignite imports it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

with warnings.catch_warnings():
    # torch.distributed.optim uses torch.jit at import: torch's own code, of no concern to the user.
    warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
    from ignite.engine import Engine, Events

__all__ = ["Engine", "Events", "quiet_engine"]


def quiet_engine(process: Callable[[Any, Any], Any]) -> Engine:
    """An engine that does not log.

    It would log every exception that passes through it; ours are reported once, by whoever catches them.
    """
    engine = Engine(process)
    engine.logger = logging.Logger("longspan.training")
    engine.logger.disabled = True
    return engine
