"""Panels and small forecasters for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray

from longspan.data.inference import Roles, read_panel
from longspan.data.panel import Panel


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def panel_of() -> Callable[..., Panel]:
    """One series, or several side by side, without time; seasons are given, not inferred."""

    def make(*series: NDArray[np.float64], seasons: tuple[int, ...] = ()) -> Panel:
        table = pl.concat(
            pl.DataFrame({"id": [f"s{n}"] * len(each), "y": np.asarray(each, dtype=np.float64)})
            for n, each in enumerate(series)
        ).with_columns(pl.col("y").fill_nan(None))
        return read_panel(table, Roles(target="y", series=("id",)), seasons=seasons)

    return make
