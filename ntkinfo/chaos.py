r"""The third kernel Ω of dense networks (:mod:`ntkinfo.dense`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ntkinfo import _arrays
from ntkinfo._arrays import FloatArray
from ntkinfo.activations import Activation
from ntkinfo.activations.closed_forms import Expectations
from ntkinfo.dense import blocks, points, recursion
from ntkinfo.kernels import Kernels


@dataclass(frozen=True, eq=False)
class ChaosKernels:
    """The kernels Θ and K of one network, and its third kernel Ω.

    Parameters
    ----------
    kernels : Kernels, Θ and K on n training points and m test points.
    omega : array, shape (n, n), symmetric, Ω ⪰ Θ.
    omega_test_train, omega_test : arrays, shapes (m, n) and (m, m), or None without test points.

    Raises
    ------
    ValueError: shapes that do not match the kernels (both are printed), an Ω that is not symmetric, or one that is not
        Ω ⪰ Θ; or not Θ ⪰ K.
    """

    kernels: Kernels
    omega: FloatArray
    omega_test_train: FloatArray | None = None
    omega_test: FloatArray | None = None

    def __post_init__(self) -> None:
        n, m = self.kernels.n_train, self.kernels.n_test
        self.kernels.check_ntk_above_nngp()
        checked = {"omega": check_third_kernel("omega", self.omega, self.kernels.ntk)}
        blocks = (self.omega_test_train, self.omega_test)
        if [block is not None for block in blocks] != 2 * [m > 0]:
            raise ValueError(f"the kernels have {m} test points: give both test blocks of omega if m > 0, else neither")
        if m:
            cross = _arrays.as_shape("omega_test_train", blocks[0], (m, n), f"ntk_test_train of shape ({m}, {n})")  # type: ignore[arg-type]
            test = check_third_kernel("omega_test", blocks[1], self.kernels.ntk_test)  # type: ignore[arg-type]
            checked |= {"omega_test_train": cross, "omega_test": test}
        for name, array in checked.items():
            object.__setattr__(self, name, _arrays.read_only(array))


def check_third_kernel(name: str, omega: ArrayLike, ntk: FloatArray) -> FloatArray:
    """Ω as a symmetric float64 array of Θ's shape.

    Raises
    ------
    ValueError: not that, or not Ω ⪰ Θ up to rounding, which the kernels of one network have: Ω - Θ = Σ q(q-1) K_q.
    """
    n = len(ntk)
    omega = _arrays.as_symmetric(name, _arrays.as_shape(name, omega, (n, n), f"ntk of shape ({n}, {n})"))
    rounding = 1e-12 * float(np.abs(omega).sum(axis=0).max())
    try:
        _arrays.check_positive_semidefinite(f"{name} - ntk", omega - ntk + rounding * np.eye(n))
    except ValueError as error:
        raise ValueError(
            f"{name} and ntk are not of one network, where Ω - Θ = Σ q(q-1) K_q is positive semi-definite: {error}"
        ) from None
    return omega


def chaos_kernels(
    x_train: ArrayLike,
    x_test: ArrayLike | None = None,
    *,
    hidden_layers: int = 2,
    activation: str | Activation = "erf",
    w_std: float = 1.5,
    b_std: float = 0.1,
) -> ChaosKernels:
    """Θ, K and Ω of a fully connected network (that of :func:`ntkinfo.mlp` with the same arguments) by recursion.

    Parameters
    ----------
    x_train, x_test : arrays, shapes (n, d) and (m, d)
    hidden_layers, activation, w_std, b_std :
        As of :func:`ntkinfo.dense.recursion`.

    Returns
    -------
    ChaosKernels

    Raises
    ------
    ValueError
        If the activation has no third kernel (relu), and as of :func:`ntkinfo.dense.dense_kernels`.
    """
    phi = Activation.named(activation)
    phi.require_third_kernel()
    x, n = points(x_train, x_test)
    ntk, nngp, omega = recursion(x, hidden_layers=hidden_layers, activation=phi, w_std=w_std, b_std=b_std)
    assert omega is not None
    kernels = Kernels(*(b for pair in zip(blocks(ntk, n), blocks(nngp, n), strict=True) for b in pair))
    return ChaosKernels(kernels, *blocks(omega, n))


def activation_expectations(activation: str | Activation) -> Expectations:
    """The expectations of an activation that has a third kernel."""
    phi = Activation.named(activation)
    phi.require_third_kernel()
    return phi.expectations
