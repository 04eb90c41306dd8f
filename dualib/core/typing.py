"""Types of arrays: what a signature says about dtype and shape.

``Float[np.ndarray, "n_x n_y"]`` names the shape of an array in a signature; a letter stands for one size within a call.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

__all__ = ["ArrayLike", "Bool", "BoolArray", "Float", "FloatArray", "Int", "IntArray", "NDArray", "Shaped"]
