"""Ridge regression from a window to what follows it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longspan.baselines.base import Values

__all__ = ["ridge_map"]

_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)  # per window


def ridge_map(past: Values, future: Values) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (H, C) and offsets (H,) of the linear map from window to future with the least squared error.

    The penalty is chosen by generalised cross-validation among 1e-3 … 1 for each window (Golub, Heath and
    Wahba, Technometrics 21, 1979). Windows whose future is not wholly known are left out; without any the map
    is zero.

    Args:
        past: (W, C), nothing missing, scaled alike. future: (W, H), NaN where unknown.
    """
    whole = ~np.isnan(future).any(axis=1)
    if not whole.any():
        return np.zeros((future.shape[1], past.shape[1])), np.zeros(future.shape[1])
    from sklearn.linear_model import RidgeCV

    penalties = np.asarray(_PENALTIES) * int(whole.sum())
    fitted = RidgeCV(alphas=penalties).fit(past[whole], future[whole])
    return np.atleast_2d(fitted.coef_), np.atleast_1d(fitted.intercept_)
