"""longspan: the LSTM toolkit, from a file on disk to a trained, tested and explained sequence model.

``import longspan`` is light: torch and the readers load with the first name that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from longspan import nn
    from longspan.api import Model, fit, load
    from longspan.data import registry as datasets
    from longspan.studies.compare import compare
    from longspan.studies.paper import paper

_LAZY = {
    "fit": ("longspan.api", "fit"),
    "load": ("longspan.api", "load"),
    "Model": ("longspan.api", "Model"),
    "compare": ("longspan.studies.compare", "compare"),
    "paper": ("longspan.studies.paper", "paper"),
    "nn": ("longspan.nn", None),
    "datasets": ("longspan.data.registry", None),
}

__all__ = ["Model", "__version__", "compare", "datasets", "fit", "load", "nn", "paper"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'longspan' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    value = import_module(module)
    return value if attribute is None else getattr(value, attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
