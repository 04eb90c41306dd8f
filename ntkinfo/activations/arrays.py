"""Arrays of NumPy or of JAX, and the functions that go with them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

import numpy as np

if TYPE_CHECKING:
    import jax
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[Any] | jax.Array"
"""An array of NumPy or of JAX, traced ones included."""

_One: TypeAlias = "Callable[[Array], Array]"


class Namespace(Protocol):
    """What activations use of ``numpy`` and of ``jax.numpy``."""

    abs: _One
    cos: _One
    exp: _One
    expm1: _One
    sign: _One
    sin: _One
    sqrt: _One
    tanh: _One
    arctan2: Callable[[Array, Array], Array]
    logaddexp: Callable[[Array, float], Array]
    maximum: Callable[[Array, float], Array]
    where: Callable[[Array, Array | float, Array | float], Array]
    result_type: Callable[[Array, float], np.dtype[np.float64]]
    finfo: type[np.finfo[np.float64]]
    ones_like: _One
    zeros_like: _One


class Special(Protocol):
    """What activations use of ``scipy.special`` and of ``jax.scipy.special``."""

    erf: _One
    erfc: _One
    ndtr: _One


def of_jax(x: object) -> bool:
    """Whether `x` is an array of JAX, a traced one included; it does not import JAX."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(x, jax.Array)


def namespace(x: object) -> Namespace:
    """``jax.numpy`` for JAX's arrays and NumPy for all else."""
    return cast(Namespace, sys.modules["jax.numpy"] if of_jax(x) else np)


def special(x: object) -> Special:
    """The special functions that go with :func:`namespace`: those of ``jax.scipy`` or of SciPy."""
    return cast(Special, import_module("jax.scipy.special" if of_jax(x) else "scipy.special"))
