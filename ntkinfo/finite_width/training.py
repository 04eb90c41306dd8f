r"""Corrections of order 1/width of networks trained by gradient flow on the loss ½‖z - y‖².

With r = z - y on the training points, dr = -Θ_s r ds, dΘ = -O_3 r ds, dO_3 = -O_4 r ds ([huang2020]_), expanded about the limit
kernel to the order 1/width and averaged by Wick's rule over the start, where the coefficients of :class:`Corrections` are what the
moments of start outputs and kernels are off their limits. In the eigenvectors of Θ all integrals over time are
:func:`~ntkinfo.finite_width.exponentials.ordered_integral`. Derived here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from dualib.core.typing import Float, FloatArray
from ntkinfo.finite_width.exponentials import ordered_integral
from ntkinfo.finite_width.start import Corrections


class Flow:
    """Training under the limit kernel in its eigenvectors: modes e, f, g of the n training points, points a of all p."""

    def __init__(self, ntk: FloatArray, n: int, tau: float) -> None:
        self.n, self.tau = n, tau
        self.rates, self.modes = np.linalg.eigh(ntk[:n, :n])
        self.rates = np.where(self.rates > len(ntk) * np.finfo(float).eps * self.rates[-1], self.rates, 0.0)
        self.seen = ntk[n:, :n] @ self.modes

    def rotated(self, tensor: FloatArray, *axes: int) -> FloatArray:
        """`tensor` with the training points of each of `axes` turned into modes."""
        for axis in axes:
            at_training = np.take(tensor, range(self.n), axis=axis)
            tensor = np.moveaxis(np.tensordot(self.modes, at_training, axes=(0, axis)), 0, axis)
        return tensor

    def carried(self, source: FloatArray, *rates: FloatArray) -> FloatArray:
        r"""What sources at all points have become at τ: ∫ E_{τ-s} source_j e^{-...} ds, summed over the modes j.

        E_s = e^{-sΘP} is the flow, P the projection on the training points; the source of the modes j has shape (p, *modes, *rest)
        and the time dependence of the ordered integral with the `rates` of shape (*modes), which broadcast. The result has shape
        (p, *rest).
        """
        n, shape = self.n, np.broadcast_shapes(*(rate.shape for rate in rates))
        at = self.rates.reshape(-1, *[1] * len(shape))
        inner = int(np.prod(shape))
        flat = source.reshape(len(source), inner, -1)
        train = np.tensordot(self.modes, flat[:n], axes=(0, 0))

        def summed(weights: FloatArray, values: FloatArray) -> FloatArray:
            return np.asarray(weights.reshape(-1, 1, inner) @ values)[:, 0]

        on_train = self.modes @ summed(ordered_integral(self.tau, at, *rates), train)
        pulled = self.seen @ summed(ordered_integral(self.tau, 0.0, at, *rates), train) if len(self.seen) else 0.0
        own = (
            summed(ordered_integral(self.tau, np.zeros((1,) * (len(shape) + 1)), *rates), flat[n:])
            if len(self.seen)
            else 0.0
        )
        on_test = own - pulled
        found = np.concatenate([on_train, on_test]) if len(self.seen) else on_train
        return found.reshape(len(source), *source.shape[1 + len(shape) :])

    @property
    def decay(self) -> FloatArray:
        """E_τ, shape (p, p)."""
        return self.carried(np.eye(self.n + len(self.seen)))


class Coefficients(NamedTuple):
    """Coefficients of 1/width of trained networks, and the parts of the mean's."""

    mean: FloatArray
    covariance: FloatArray
    start_covariance: FloatArray
    mirrored_covariance: FloatArray
    ntk: FloatArray
    bias: FloatArray
    fluctuation: FloatArray
    third: FloatArray
    fourth: FloatArray


class _Modes:
    """The tensors of networks at the start, their training points turned into modes: what a time's coefficients are made of."""

    def __init__(self, found: Corrections, tensors: Mapping[str, FloatArray], flow: Flow, y: FloatArray) -> None:
        self.flow, self.y = flow, flow.modes.T @ y
        nngp = found.full("nngp")
        self.nngp_bias, self.ntk_bias = found.nngp_bias, found.ntk_bias
        self.k_any = flow.rotated(nngp, 0)
        self.k = flow.rotated(self.k_any, 1)
        self.bias = flow.rotated(found.ntk_bias, 1)
        ct = flow.rotated(tensors["ntk_covariance"], 1, 3)
        self.pair = ct  # (a, e, b, f)
        self.chain = np.einsum("ajje->aje", flow.rotated(ct, 2))
        self.output = np.einsum("aeek->aek", flow.rotated(tensors["ntk_output"], 1, 2))
        self.third_any = tensors["third"]
        self.third = np.swapaxes(flow.rotated(tensors["third"], 1, 2), 1, 2)  # (a, e, f, k): A_s of e, E_s of f
        self.fourth_any = flow.rotated(tensors["fourth"], 2, 3)
        self.fourth = np.moveaxis(flow.rotated(self.fourth_any, 1), 1, 3)  # (a, e, f, g): E_v of e, A_v of f, E_s of g
        rates = flow.rates
        e, f = rates[:, None], rates[None, :]
        self.third_rates = (f, e + f)
        self.fourth_rates = (f[None], e[:, :, None] + f[None], e[:, :, None] + rates[None, :, None] + f[None])

    def mean(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """The four parts: bias, fluctuation, third, fourth."""
        flow, y, k, rates = self.flow, self.y, self.k, self.flow.rates
        third = flow.rotated(self.third, 3)
        crossed = np.einsum("aefe,f->aef", third, y) + np.einsum("aeff,e->aef", third, y)
        cubes = np.einsum("e,f,g->efg", y, y, y) + _three(k, y)
        return (
            flow.carried(self.bias * y, rates),
            -flow.carried(self.chain * y, rates[:, None], rates[None, :]),
            -flow.carried(crossed, *self.third_rates),
            flow.carried(self.fourth * cubes, *self.fourth_rates),
        )

    def responses(self, second: FloatArray) -> FloatArray:
        """E r¹ r¹ᵀ of the first-order responses r¹ to the kernel's fluctuation, start and labels having the moments `second`."""
        once = self.flow.carried(np.einsum("aebf,ef->aefb", self.pair, second), self.flow.rates)
        return self.flow.carried(once.transpose(2, 1, 0), self.flow.rates)

    def with_start(self) -> FloatArray:
        """E (r¹ + r² + r³)_a z_k, z the outputs at the start."""
        flow, k, k_any, rates = self.flow, self.k, self.k_any, self.flow.rates
        second = np.outer(self.y, self.y) + k
        third = flow.rotated(self.third, 3)
        first = self.bias[:, :, None] * k_any + self.output
        chained = self.chain[..., None] * k_any
        crossed = (
            self.third * second[:, :, None]
            + np.einsum("aefe,fk->aefk", third, k_any)
            + np.einsum("aeff,ek->aefk", third, k_any)
        )
        weights = _three(second, k_any)
        found: FloatArray = (
            -flow.carried(first, rates)
            + flow.carried(chained, rates[:, None], rates[None, :])
            + flow.carried(crossed, *self.third_rates)
            - flow.carried(self.fourth[..., None] * weights, *self.fourth_rates)
        )
        return found

    def ntk(self) -> FloatArray:
        """The coefficient n (E Θ_τ - Θ) of the kernel."""
        flow, rates = self.flow, self.flow.rates
        third = np.einsum("abee->abe", flow.rotated(self.third_any, 2, 3))
        second = np.outer(self.y, self.y) + self.k
        once = ordered_integral(flow.tau, 0.0, rates)
        twice = ordered_integral(flow.tau, 0.0, rates[:, None], rates[:, None] + rates[None, :])
        moved: FloatArray = self.ntk_bias + np.einsum("abef,ef->ab", self.fourth_any, second * twice) - third @ once
        return moved


def _three(pair: FloatArray, one: FloatArray) -> FloatArray:
    """Σ pair_ef one_g over the three choices of g; `one` may have a second axis, which comes last."""
    choices = [
        np.einsum(f"{two},{last}...->efg...", pair, one) for two, last in (("ef", "g"), ("eg", "f"), ("fg", "e"))
    ]
    total: FloatArray = np.sum(choices, axis=0)
    return total


def coefficients(
    found: Corrections, tensors: Mapping[str, FloatArray], y: Float[np.ndarray, " n"], tau: float
) -> Coefficients:
    """All coefficients of trained networks at τ, from the four-point arrays `tensors` of `found`."""
    flow = Flow(found.full("ntk"), len(y), tau)
    modes = _Modes(found, tensors, flow, y)
    decay, parts, with_start = flow.decay, modes.mean(), modes.with_start()
    start = decay @ found.nngp_bias + with_start
    labels = np.outer(modes.y, modes.y)
    covariance = decay @ found.nngp_bias @ decay.T + modes.responses(labels + modes.k)
    crossed = with_start @ decay.T
    return Coefficients(
        np.sum(parts, axis=0), covariance + crossed + crossed.T, start, modes.responses(labels), modes.ntk(), *parts
    )
