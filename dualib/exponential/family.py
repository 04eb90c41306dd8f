"""Conditional distributions p(y|x) of exponential form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import logsumexp, softmax

from dualib.core.arrays import real_array
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, Float, FloatArray


@dataclass(frozen=True, eq=False)
class ExponentialFamily(Result):
    r"""A conditional distribution of exponential form.

    .. math:: p(y|x) = \exp\left(-\sum_r \lambda_r(y) A_r(x) - \lambda_0(x)\right), \qquad
              \lambda_0(x) = \log\sum_y \exp\left(-\sum_r \lambda_r(y) A_r(x)\right)

    Parameters
    ----------
    statistics : array
        A_r(x), shape (n_x, d). A constant statistic (a column of ones) is one like the others: its λ(y) is minus the log of
        a base measure on y. None is added unless it is asked for.
    natural_parameters : array
        λ_r(y), shape (d, n_y); adding a constant to a row changes nothing.

    Raises
    ------
    ValueError
        If the shapes do not fit (both are given), or an entry is not finite.

    References
    ----------
    [piran2020]_ section 3

    Examples
    --------
    >>> import numpy as np
    >>> family = ExponentialFamily(np.array([[0.0], [1.0]]), np.array([[-1.0, 2.0]]))
    >>> family.p_y_given_x.round(6)  # a logistic regression: two symbols, one statistic
    array([[0.5     , 0.5     ],
           [0.952574, 0.047426]])
    """

    statistics: FloatArray
    natural_parameters: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "statistics", matrix(self.statistics, "statistics"))
        object.__setattr__(self, "natural_parameters", matrix(self.natural_parameters, "natural_parameters"))
        if self.statistics.shape[1] != self.natural_parameters.shape[0]:
            shapes = f"{self.statistics.shape} and {self.natural_parameters.shape}"
            raise ValueError(f"statistics and natural_parameters of shapes {shapes} do not fit: (n_x, d) and (d, n_y)")

    @cached_property
    def log_normalizer(self) -> Float[np.ndarray, " n_x"]:
        """λ_0(x)."""
        found: FloatArray = logsumexp(-self.statistics @ self.natural_parameters, axis=1)
        return found

    @cached_property
    def p_y_given_x(self) -> Float[np.ndarray, "n_x n_y"]:
        """p(y|x)."""
        found: FloatArray = softmax(-self.statistics @ self.natural_parameters, axis=1)
        return found


def matrix(value: ArrayLike, name: str) -> FloatArray:
    """A non-empty finite matrix, or a ValueError with the shape or the entry."""
    array = real_array(value, name)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name} must be a non-empty matrix, got shape {array.shape}")
    if not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValueError(f"{name}{where} = {array[tuple(where)]} is not finite")
    return array
