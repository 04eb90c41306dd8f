r"""Powers of the width with which finite networks approach infinite ones: of their bias and of their fluctuations.

The bias, of order 1/N, is far below the fluctuations, of order 1/√N. Here these are subtracted to leading order, by terms
whose mean is exactly zero, so that what is left has the bias as its mean and a spread of order 1/N as well; its standard
error is then the same small part of the bias at every width.

Given the layer below, a layer's units are independent draws, and with the map F of a layer's kernel to the next

.. math:: d_l = \hat K^l - F(\hat K^{l-1}), \qquad \dot d_l = \hat{\dot K}^l - \dot F(\hat K^{l-1})

have mean zero; so have the new parts e_l of the backward signals (:class:`~deepnets.widths.start.StartSample`). Put into
the recursion of the kernel, with B^l = δ^l·δ^l,

.. math:: K^l = F(K^{l-1}) + d_l, \quad \dot K^l = \dot F(K^{l-1}) + \dot d_l, \quad B^l = \dot K^l B^{l+1} + e_l, \quad
          \Theta = K^L + \sum_l B^l K^{l-1}

to first order they make the kernel's fluctuation T. Trained outputs are averaged over a network and its mirror image (start
outputs negated, kernel kept), which leaves of the start only what the kernel of the pair does to the labels; to first
order that is the derivative of the linearised training along T. Coefficients are those of infinite width, not fitted:
fitted ones would depend on the networks and bring a bias of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from deepnets.networks import Network
from deepnets.widths.flow import FlowSample, steps_of
from deepnets.widths.formulas import hidden_width
from deepnets.widths.start import StartSample
from dualib.core.result import Result
from dualib.core.typing import Float, FloatArray
from ntkinfo.kernels.recursion import recursion


@dataclass(frozen=True)
class Exponent(Result):
    """A power of the width, value ∝ N^exponent, with its 95 % bootstrap interval over networks.

    Attributes
    ----------
    name : str
        What falls with the width.
    expected : float
        By theory.
    exponent, low, high : float
        Fitted over the widths; NaN where there is nothing to fit (`note` says why).
    note : str

    Examples
    --------
    >>> power = Exponent("NTK drift", expected=-1.0, exponent=-0.97, low=-1.1, high=-0.9)
    >>> power.low <= power.expected <= power.high
    True
    """

    name: str
    expected: float
    exponent: float
    low: float
    high: float
    note: str = ""

    @property
    def compatible(self) -> bool:
        """Whether the interval holds what theory expects."""
        return self.low <= self.expected <= self.high


@dataclass(frozen=True, eq=False)
class Deviations(Result):
    """How networks of one width deviate from infinite width, a row a network; means are biases.

    Attributes
    ----------
    width : int
        N.
    outputs : array, shape (R, points)
        Trained outputs less what the own start becomes at infinite width.
    kernel : array, shape (R'', entries)
        The kernel at the start less Θ.
    pair_outputs : array, shape (R', points), or None
        Outputs averaged over a network and its mirror image, leading fluctuation subtracted; None where the activation has
        a kink, whose second derivatives that takes.
    kernel_left : array, shape (R'', entries), or None
        The kernel less Θ, leading fluctuation subtracted; None where the activation has a kink.
    """

    width: int
    outputs: Float[np.ndarray, "n_networks n_points"]
    kernel: Float[np.ndarray, "n_kernels n_entries"]
    pair_outputs: Float[np.ndarray, "n_pairs n_points"] | None
    kernel_left: Float[np.ndarray, "n_kernels n_entries"] | None


def deviations_of(
    network: Network,
    x: FloatArray,
    y: FloatArray,
    taus: tuple[float, ...],
    step: float,
    sample: FlowSample,
    mirrored: FlowSample,
    start: StartSample,
    kernels: StartSample,
) -> Deviations:
    """Deviations at the last time.

    Parameters
    ----------
    network : Network
    x : array, shape (p, d)
        Training points first.
    y : array, shape (n,)
    taus, step : tuple of float, float
        As trained.
    sample, mirrored, start : FlowSample, FlowSample, StartSample
        The same networks, number 0 first, `start` on all points; the pairs are as many as the shortest of them has.
    kernels : StartSample
        Networks of the same law on the training points.
    """
    pairs, n = min(len(sample.start), len(mirrored.start), len(start.kernel)), len(y)
    row, column = np.triu_indices(n)
    pair_outputs = kernel_left = None
    if network.phi.has_third_kernel:
        theta, fluctuation = kernel_fluctuation(network, x, start)
        mean, response = linearised_outputs(theta, fluctuation[:pairs], y, taus, step)
        pair_outputs = (sample.outputs[:pairs, -1] + mirrored.outputs[:pairs, -1]) / 2 - mean - response
        limit, leading = kernel_fluctuation(network, x[:n], kernels)
        kernel_left = (kernels.kernel - limit - leading)[:, row, column]
    else:
        theta = infinite_kernel(network, x)
        limit = theta[:n, :n]
        mean, _ = linearised_outputs(theta, np.zeros((0, *theta.shape)), y, taus, step)
    return Deviations(
        width=hidden_width(network),
        outputs=sample.outputs[:, -1] - mean - linearised_start(theta, sample.start, n, taus, step),
        kernel=(kernels.kernel - limit)[:, row, column],
        pair_outputs=pair_outputs,
        kernel_left=kernel_left,
    )


def infinite_kernel(network: Network, x: FloatArray) -> Float[np.ndarray, "n_points n_points"]:
    """Θ on the points x, in the precision in which the networks see them."""
    points = np.asarray(x, network.dtype).astype(np.float64)
    found = recursion(
        points,
        hidden_layers=network.hidden_layers,
        activation=network.activation,
        w_std=network.w_std,
        b_std=network.b_std,
    )
    return found.ntk


def kernel_fluctuation(
    network: Network, x: FloatArray, start: StartSample
) -> tuple[Float[np.ndarray, "n_points n_points"], Float[np.ndarray, "n_networks n_points n_points"]]:
    """Θ on the points x, and the part T of each network's Θ̂ - Θ of first order, of exactly zero mean."""
    expectations, w2, b2 = network.phi.expectations, network.w_std**2, network.b_std**2

    def mapped(k: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        v = np.diagonal(k, axis1=-2, axis2=-1)
        f, slope, second = map(np.asarray, expectations(v[..., :, None], v[..., None, :], k))
        return w2 * f + b2, w2 * slope, w2 * second

    x = np.asarray(x, network.dtype).astype(np.float64)  # the networks' points
    kernel, below = w2 * (x @ x.T) / x.shape[1] + b2, np.broadcast_to(np.float64(0), start.kernel.shape)
    below_hat = np.broadcast_to(kernel, start.kernel.shape)
    kernels, moves, slopes, slope_moves = [kernel], [below], [], []
    for i in range(network.hidden_layers):
        from_hat = mapped(below_hat)
        new, new_slope = start.grams[:, i] - from_hat[0], start.slopes[:, i] - from_hat[1]
        kernel, slope, second = mapped(kernels[-1])
        along, slope_along = _by_variance(mapped, kernels[-1])
        own = np.diagonal(moves[-1], axis1=1, axis2=2)
        moves.append(new + slope * moves[-1] + along * own[:, :, None] + along.T * own[:, None, :])
        slope_moves.append(
            new_slope + second * moves[-2] + slope_along * own[:, :, None] + slope_along.T * own[:, None, :]
        )
        kernels.append(kernel)
        slopes.append(slope)
        below_hat = start.grams[:, i]
    theta, fluctuation = kernels[-1], moves[-1]
    back, back_move, signal = np.ones_like(kernel), np.zeros(start.kernel.shape), np.zeros(start.kernel.shape)
    for i in range(network.hidden_layers - 1, -1, -1):
        back_move = slope_moves[i] * back + slopes[i] * back_move
        back = slopes[i] * back
        theta = theta + back * kernels[i]
        # Signals are new given the whole forward pass: their coefficients may be the network's own.
        signal = start.slopes[:, i] * signal + start.signals[:, i]
        own_gram = start.grams[:, i - 1] if i else kernels[0]
        fluctuation = fluctuation + back_move * kernels[i] + back * moves[i] + signal * own_gram
    return theta, fluctuation


def _by_variance(
    mapped: Callable[[FloatArray], tuple[FloatArray, FloatArray, FloatArray]], k: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """∂/∂K_ii of a layer's map and of its slope at [i, j], K_ij kept, by differences (an error costs spread, not bias)."""
    slope, second = mapped(k)[1:]
    step, found = 1e-5, [np.empty_like(k), np.empty_like(k)]
    for p in range(len(k)):
        ends = []
        for sign in (1, -1):
            moved = k.copy()
            moved[p, p] *= 1 + sign * step
            ends.append(mapped(moved))
        for part, whole in enumerate(found):
            whole[p] = (ends[0][part][p] - ends[1][part][p]) / (2 * step * k[p, p])
    for whole, diagonal in zip(found, (slope, second), strict=True):  # where the variance was the covariance as well
        np.fill_diagonal(whole, (np.diagonal(whole) - np.diagonal(diagonal)) / 2)
    return found[0], found[1]


def linearised_start(kernel: FloatArray, start: FloatArray, n: int, taus: tuple[float, ...], step: float) -> FloatArray:
    """What start outputs (R, p) become at the last time under a constant kernel, with labels 0."""
    z = start
    for stretch, count in zip(*steps_of(taus, step), strict=True):
        h = stretch / count
        for _ in range(count):
            middle = z[:, :n] - h / 2 * (z[:, :n] @ kernel[:n, :n])
            z = z - h * (middle @ kernel[:n])
    return z


def linearised_outputs(
    kernel: FloatArray, moves: FloatArray, y: FloatArray, taus: tuple[float, ...], step: float
) -> tuple[FloatArray, FloatArray]:
    """Outputs at the last time from zero under a constant kernel, and their derivatives along changes of it.

    By the midpoint steps of :func:`~deepnets.widths.flow.gradient_flow`: then the error of the time step is on both sides.

    Parameters
    ----------
    kernel : array, shape (p, p)
        Training points first.
    moves : array, shape (R, p, p)
    y : array, shape (n,)
    taus, step : tuple of float, float

    Returns
    -------
    outputs : array, shape (p,)
    derivatives : array, shape (R, p)
    """
    n = len(y)
    theta, move = kernel[:, :n], moves[:, :, :n]
    z, dz = np.zeros(len(kernel)), np.zeros(moves.shape[:2])
    for stretch, count in zip(*steps_of(taus, step), strict=True):
        h = stretch / count
        for _ in range(count):
            r, dr = z[:n] - y, dz[:, :n]
            middle = r - h / 2 * (theta[:n] @ r)
            dmiddle = dr - h / 2 * (move[:, :n] @ r + dr @ theta[:n].T)
            z, dz = z - h * (theta @ middle), dz - h * (move @ middle + dmiddle @ theta.T)
    return z, dz


def bias_exponent(widths: FloatArray, means: FloatArray, errors: FloatArray) -> float:
    """The p at which B N^p, B a free vector, fits the mean deviations (widths, entries) best, in their standard errors."""
    weight = 1 / np.maximum(errors, np.finfo(float).tiny) ** 2

    def misfit(p: float) -> float:
        power = (widths / widths[0])[:, None] ** p
        vector = (weight * power * means).sum(axis=0) / (weight * power**2).sum(axis=0)
        return float((weight * (means - power * vector) ** 2).sum())

    return float(minimize_scalar(misfit, bounds=(-3.0, 1.0), method="bounded").x)


KINK = "the fluctuations are subtracted with second derivatives, which this activation with a kink does not have"
NO_KERNEL_BIAS = "with one hidden layer the mean kernel at the start has no bias: its units are independent"


def width_exponents(
    deviations: Sequence[Deviations], hidden_layers: int, seed: int, draws: int = 300
) -> tuple[Exponent, ...]:
    """Exponents of bias and of fluctuation, of the trained function and of the kernel at the start."""
    widths = np.array([d.width for d in deviations], float)
    rng = np.random.default_rng(seed)

    def bias(samples: list[FloatArray]) -> float:
        means = np.stack([s.mean(axis=0) for s in samples])
        errors = np.stack([s.std(axis=0, ddof=1) / np.sqrt(len(s)) for s in samples])
        return bias_exponent(widths, means, errors)

    def spread(samples: list[FloatArray]) -> float:
        rms = [np.sqrt(s.var(axis=0, ddof=1).mean()) for s in samples]
        return float(np.polyfit(np.log(widths), np.log(rms), 1)[0])

    def interval(
        name: str, expected: float, statistic: Callable[[list[FloatArray]], float], found: Sequence[FloatArray | None]
    ) -> Exponent:
        samples = [s for s in found if s is not None]
        if len(samples) < len(found):
            return Exponent(name, expected, np.nan, np.nan, np.nan, KINK)
        drawn = [statistic([s[rng.integers(len(s), size=len(s))] for s in samples]) for _ in range(draws)]
        low, high = np.quantile(drawn, [0.025, 0.975])
        return Exponent(name, expected, statistic(samples), float(low), float(high))

    found = [interval("bias of the mean function", -1.0, bias, [d.pair_outputs for d in deviations])]
    kernel = "bias of the kernel at the start"
    if hidden_layers == 1:
        found.append(Exponent(kernel, -1.0, np.nan, np.nan, np.nan, NO_KERNEL_BIAS))
    else:
        found.append(interval(kernel, -1.0, bias, [d.kernel_left for d in deviations]))
    found.append(interval("fluctuation of one network's function", -0.5, spread, [d.outputs for d in deviations]))
    found.append(interval("fluctuation of one network's kernel", -0.5, spread, [d.kernel for d in deviations]))
    return tuple(found)
