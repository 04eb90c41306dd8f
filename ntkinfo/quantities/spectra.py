"""What several quantities take from the eigenmodes of Θ."""

from __future__ import annotations

import numpy as np

from dualib.core.special import log1p_gap
from dualib.core.typing import ArrayLike, Bool, Float, FloatArray
from ntkinfo.ensemble import Ensemble
from ntkinfo.laws import Spectrum

_SMALL = 0.05  # fitted fractions below which the logarithm of what is left is not subtracted but a series summed


def is_linear(ensemble: Ensemble) -> bool:
    """Whether the network is linear in what it trains: the last layer only, or K = Θ."""
    return ensemble.mode == "nngp" or np.array_equal(ensemble.kernels.nngp, ensemble.kernels.ntk)


def seen_modes(ensemble: Ensemble) -> Bool[np.ndarray, " n"]:
    """The modes outside the null space of Θ; eigenvalues ascend.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> seen_modes(ensemble)
    array([ True,  True])
    """
    return np.arange(ensemble.n_train) >= ensemble.n_train - ensemble.rank


def like(value: FloatArray, tau: ArrayLike) -> FloatArray:
    """Values at times, (T,), in the shape of `tau`.

    Examples
    --------
    >>> import numpy as np
    >>> like(np.array([2.0]), 0.5).shape, like(np.array([2.0]), [0.5]).shape
    ((), (1,))
    """
    return np.asarray(value).reshape(np.shape(tau))


def displacement(ensemble: Ensemble, spectrum: Spectrum) -> Float[np.ndarray, "t n"]:
    """The part of each mode in E‖Δθ‖²: λa² times its mean squared initial error.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> displacement(ensemble, ensemble.spectrum(0.5)).round(6)
    array([[0.399576, 0.399576]])
    """
    return np.asarray(spectrum.fitted * spectrum.response * ensemble.mode_power)


def entropy_gap(spectrum: Spectrum) -> Float[np.ndarray, "t n"]:
    """-log |r| - (1 - r) of each mode, accurate where little is fitted.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> entropy_gap(ensemble.spectrum(0.5)).round(6)  # 2τ − (1 − e^{−2τ})
    array([[0.367879, 0.367879]])
    """
    return log_gap(spectrum.fitted, spectrum.log_residual)


def log_gain(spectrum: Spectrum) -> Float[np.ndarray, "t n"]:
    """The log of λa²/r² of each mode.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> log_gain(ensemble.spectrum(0.5)).round(6)
    array([[0.389503, 0.389503]])
    """
    with np.errstate(divide="ignore"):
        gain: FloatArray = np.log(spectrum.fitted) + np.log(spectrum.response) - 2 * spectrum.log_residual
    return gain


def log_gap(f: FloatArray, log_rest: FloatArray) -> FloatArray:
    """-log_rest - f, where log_rest is log |1 - f|.

    Examples
    --------
    >>> import numpy as np
    >>> log_gap(np.array([0.5]), np.log([0.5])).round(6)  # log 2 − ½
    array([0.193147])
    """
    small = np.abs(f) < _SMALL
    return np.asarray(np.where(small, log1p_gap(-np.where(small, f, 0.0)), -log_rest - f))
