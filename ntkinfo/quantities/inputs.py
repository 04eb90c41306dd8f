r"""Information that outputs keep about inputs, I(Z;X|D), for the input that is uniform on the N points of a law.

Two different things are bounded here, and each function says which: the information about that N-point input (at most
log N), and the information about the population the points were drawn from, on averaging over the draw.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

from ntkinfo._arrays import FloatArray
from ntkinfo._quantity import quantity
from ntkinfo.laws import Law, Marginals, kl_gap

_STEPS_PER_SIGMA = 2.5
_REACH = 9.0
_LARGEST_GRID = 2048
_RESOLUTION = 1e-12  # of the largest mean: a density narrower than that is an atom, for its points cannot be told apart
_AGREEMENT = 1e-11  # of two grids, in relative terms
_HALVINGS = 60
_BLOCK = 2**20
_EPS = float(np.finfo(np.float64).eps)


@quantity(
    "exact",
    "I(Z;X|D) of the N-point input",
    "one output; as a statement on the population: a lower bound in expectation",
    "[shwartzziv2019]_ eq. 13, its average over z done by quadrature (derived here)",
)
def input_information(law: Law | Marginals) -> FloatArray:
    r"""Mutual information of a scalar output and the uniform N-point input, in nats.

    .. math:: I = \frac1N \sum_i \int p(z|x_i) \log \frac{p(z|x_i)}{\frac1N \sum_j p(z|x_j)}\,dz

    The integral is a trapezoid sum, which converges spectrally for Gaussian mixtures (panels of Gauss-Legendre nodes,
    halved until they agree, where the widths are too different for one grid or the nearest neighbours change); points
    without variance, or too little to resolve, are atoms and counted exactly, so that distinct deterministic outputs
    give log N.

    Returns
    -------
    array of the law's leading shape, between 0 and log N.

    Raises
    ------
    ValueError: more than one output (use the bounds of :func:`input_information_kolchinsky_tracey_lower` or the sampled
        :func:`input_information_infonce`).
    """
    return _over_times(law, leave_one_out=False)[0]


@quantity(
    "upper bound in expectation",
    "I(Z;X|D) of the population",
    "one output; the points are independent draws",
    "[shwartzziv2019]_ eq. 13, its average over z done by quadrature (derived here)",
)
def input_information_leave_one_out(law: Law | Marginals) -> FloatArray:
    r"""Leave-one-out upper bound, in nats: as :func:`input_information`, but a point is left out of its own mixture.

    .. math:: \frac1N \sum_i \int p(z|x_i) \log \frac{p(z|x_i)}{\frac1{N-1} \sum_{j \ne i} p(z|x_j)}\,dz

    Returns an array of the law's leading shape, +inf where a point's output has no variance and no twin.
    """
    return _over_times(law, leave_one_out=True)[1]


def _over_times(law: Law | Marginals, leave_one_out: bool) -> tuple[FloatArray, FloatArray]:
    """Both quadratures at each time (the second inf unless asked for)."""
    if law.mean.shape[-1] != 1:
        raise ValueError(
            f"quadrature over z needs one output, got {law.mean.shape[-1]}; use the Kolchinsky-Tracey or sampled bounds"
        )
    means, variances = law.mean.reshape(-1, law.mean.shape[-2]), law.variance.reshape(-1, law.mean.shape[-2])
    pairs = np.array([_scalar_information(m, v, leave_one_out) for m, v in zip(means, variances, strict=True)]).reshape(
        -1, 2
    )
    return pairs[:, 0].reshape(law.mean.shape[:-2]), pairs[:, 1].reshape(law.mean.shape[:-2])


def _scalar_information(mean: FloatArray, variance: FloatArray, leave_one_out: bool) -> tuple[float, float]:
    """The mutual information of the N-point input, and the leave-one-out bound (inf unless asked for)."""
    n = mean.size
    resolution = _RESOLUTION * float(np.abs(mean).max())
    atoms = variance <= resolution**2
    rest = ~atoms
    total = total_without = 0.0
    if atoms.any():
        same = _multiplicities(mean[atoms], resolution)
        total += float(np.log(n / same).sum())
        with np.errstate(divide="ignore"):
            total_without += float(np.log((n - 1) / (same - 1)).sum()) if n > 1 else 0.0
    if rest.any():
        inside, without = _density_information(mean[rest], np.sqrt(variance[rest]), leave_one_out)
        count = int(rest.sum())
        total += inside + count * np.log(n / count)
        total_without += without + count * np.log(max(n - 1, 1) / max(count - 1, 1)) if count > 1 or n == 1 else np.inf
    upper = total_without / n if leave_one_out else np.inf
    return float(np.clip(total / n, 0.0, np.log(n))), max(float(upper), 0.0)


def _multiplicities(places: FloatArray, resolution: float) -> np.ndarray:
    """How many of the atoms lie at each atom's place, to `resolution`."""
    order = np.argsort(places)
    group = np.empty(places.size, dtype=int)
    group[order] = np.cumsum(np.diff(places[order], prepend=places[order[0]]) > resolution)
    return np.bincount(group)[group]


def _density_information(mean: FloatArray, sigma: FloatArray, leave_one_out: bool) -> tuple[float, float]:
    """Σ_i KL(p_i ‖ mean of all p_j), and Σ_i KL(p_i ‖ mean of the p_j with j ≠ i), of Gaussian densities."""
    n = mean.size
    if n == 1:
        return 0.0, 0.0
    points = _grid(mean, sigma)
    if points is not None:
        step = float(points[1] - points[0])
        first = _on_points(np.zeros_like(points), points, mean, sigma, leave_one_out).sum(axis=1) * step
        if not leave_one_out:
            return float(first[0]), np.inf
        # log Σ_{j≠i} p_j bends where the nearest neighbour changes, and no grid may resolve that: a shifted one tells
        second = _on_points(np.zeros_like(points), points + step / 2, mean, sigma, True).sum(axis=1) * step
        if abs(second[1] - first[1]) <= _AGREEMENT * abs(first[1]) + _RESOLUTION:
            return float(first[0]), float(first[1] + second[1]) / 2
    found = _adaptive(mean, sigma, leave_one_out)
    return float(found[0]), float(found[1]) if leave_one_out else np.inf


def _on_points(
    base: FloatArray, offset: FloatArray, mean: FloatArray, sigma: FloatArray, leave_one_out: bool
) -> FloatArray:
    """Σ_i p_i log(p_i / mean of all p_j) at the points z = base + offset, and the same without j = i (0 unless asked
    for); (2, points). The sum is never formed: a narrow density knows the distance from its own mean to all digits.
    """
    n = mean.size
    found = np.zeros((2, base.size))
    step = max(1, _BLOCK // n)
    log_norm = np.log(sigma) + 0.5 * np.log(2 * np.pi)
    for start in range(0, base.size, step):
        distance = (base[start : start + step, None] - mean) + offset[start : start + step, None]
        log_p = -0.5 * (distance / sigma) ** 2 - log_norm
        top = log_p.max(axis=1, keepdims=True)
        scaled = np.exp(log_p - top)
        sums = scaled.sum(axis=1, keepdims=True)
        density = np.exp(top[:, 0])
        log_sum = top + np.log(sums)
        found[0, start : start + step] = density * (scaled * (log_p - log_sum + np.log(n))).sum(axis=1)
        if leave_one_out:
            log_others = _log_sum_of_others(log_p, scaled, sums, log_sum)
            terms = scaled * (log_p - log_others + np.log(n - 1))
            found[1, start : start + step] = density * terms.sum(axis=1)
    return found


def _adaptive(mean: FloatArray, sigma: FloatArray, leave_one_out: bool) -> FloatArray:
    """∫ of :func:`_on_points` over panels that are halved until eight Gauss-Legendre nodes agree with twice eight, to
    1e-12 of the whole or to the rounding of the places.
    """
    nodes, weights = np.polynomial.legendre.leggauss(8)

    def sums(base: FloatArray, left: FloatArray, width: FloatArray) -> FloatArray:
        places = left[:, None] + width[:, None] * (nodes + 1) / 2
        values = _on_points(np.repeat(base, nodes.size), places.ravel(), mean, sigma, leave_one_out)
        return values.reshape(2, -1, nodes.size) @ weights * width / 2

    base, left, width = _panels(mean, sigma)
    noise = 8 * _EPS * np.abs(left) / float(sigma.min())
    coarse = sums(base, left, width)
    total, scale = np.zeros(2), np.abs(coarse).sum(axis=1, keepdims=True)
    for _ in range(_HALVINGS):
        width = width / 2
        halves = sums(base, left, width), sums(base, left + width, width)
        fine = halves[0] + halves[1]
        differ = (np.abs(fine - coarse) > _RESOLUTION * scale + noise * np.abs(fine)).any(axis=0)
        total += fine[:, ~differ].sum(axis=1)
        left, width = np.concatenate([left[differ], (left + width)[differ]]), np.tile(width[differ], 2)
        base, noise = np.tile(base[differ], 2), np.tile(noise[differ], 2)
        coarse = np.concatenate([half[:, differ] for half in halves], axis=1)
        if not left.size:
            break
    return total + coarse.sum(axis=1)


def _log_sum_of_others(log_p: FloatArray, scaled: FloatArray, sums: FloatArray, log_sum: FloatArray) -> FloatArray:
    """log Σ_{j≠i} p_j for each i, without cancellation: the largest term of each row is left out by summing the others
    afresh.
    """
    rows, first = np.arange(log_p.shape[0]), log_p.argmax(axis=1)
    share = scaled / sums
    share[rows, first] = 0.0
    others = log_sum + np.log1p(-share)
    rest = log_p.copy()
    rest[rows, first] = -np.inf
    others[rows, first] = logsumexp(rest, axis=1)
    return others


def _grid(mean: FloatArray, sigma: FloatArray) -> FloatArray | None:
    """A grid on which the mixture is resolved; None where the widths are too different for one."""
    low, high = float((mean - _REACH * sigma).min()), float((mean + _REACH * sigma).max())
    size = (high - low) / float(sigma.min()) * _STEPS_PER_SIGMA
    return np.linspace(low, high, max(int(np.ceil(size)), 64)) if size <= _LARGEST_GRID else None


def _panels(mean: FloatArray, sigma: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Panels none of which is wider than a density of the mixture inside it: a base (one of the means), the left edge's
    offset from it, and the width.
    """
    steps = np.array([-_REACH, -5.0, -3.0, -1.0, 1.0, 3.0, 5.0, _REACH])
    base, offset = np.repeat(mean, steps.size), np.outer(sigma, steps).ravel()
    order = np.argsort(base + offset, kind="stable")
    base, offset = base[order], offset[order]
    width = np.diff(base) + np.diff(offset)
    kept = width > 0
    return base[:-1][kept], offset[:-1][kept], width[kept]


# --- any number of outputs ---


@quantity("lower bound", "I(Z;X|D) of the N-point input", "none", "[kolchinsky2017]_ with the Bhattacharyya distance")
def input_information_kolchinsky_tracey_lower(law: Law | Marginals) -> FloatArray:
    r"""Closed-form lower bound from pairwise Bhattacharyya distances, in nats, for any number of outputs.

    .. math:: -\frac1N \sum_i \log \frac1N \sum_j e^{-B_{ij}}, \qquad
              B_{ij} = \frac{\|\mu_i-\mu_j\|^2}{4(v_i+v_j)} + \frac k2 \log\frac{v_i+v_j}{2\sqrt{v_i v_j}}
    """
    return _pairwise(law, _bhattacharyya)


@quantity(
    "upper bound", "I(Z;X|D) of the N-point input", "none", "[kolchinsky2017]_ with the Kullback-Leibler divergence"
)
def input_information_kolchinsky_tracey_upper(law: Law | Marginals) -> FloatArray:
    r"""Closed-form upper bound from pairwise KL divergences, in nats, for any number of outputs; at most log N.

    .. math:: -\frac1N \sum_i \log \frac1N \sum_j e^{-D_{ij}}, \qquad
              D_{ij} = \frac{\|\mu_i-\mu_j\|^2}{2v_j} + \frac k2\left[\frac{v_i}{v_j} - 1 - \log\frac{v_i}{v_j}\right]
    """
    return _pairwise(law, _kullback_leibler)


def _pairwise(law: Law | Marginals, distance: Callable[[FloatArray, FloatArray, int], FloatArray]) -> FloatArray:
    n, k = law.mean.shape[-2:]
    means, variances = law.mean.reshape(-1, n, k), law.variance.reshape(-1, n)
    values = [
        -np.log1p(np.expm1(-distance(_square_distances(mean), variance, k)).mean(axis=1)).mean()
        for mean, variance in zip(means, variances, strict=True)
    ]
    return np.array(values).reshape(law.mean.shape[:-2])


def _square_distances(mean: FloatArray) -> FloatArray:
    return sum((np.subtract.outer(column, column) ** 2 for column in mean.T), start=np.zeros((mean.shape[0],) * 2))


def _bhattacharyya(squares: FloatArray, variance: FloatArray, k: int) -> FloatArray:
    total = variance[:, None] + variance
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.subtract.outer(variance, variance) / total  # total² - gap² total² is 4 v_i v_j
        far = np.log(total) - np.log(2) - 0.5 * np.add.outer(np.log(variance), np.log(variance))
        value = squares / (4 * total) + 0.5 * k * np.where(np.abs(gap) < 0.5, -0.5 * np.log1p(-(gap**2)), far)
    return np.where(total > 0, value, np.where(squares > 0, np.inf, 0.0))


def _kullback_leibler(squares: FloatArray, variance: FloatArray, k: int) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = variance[:, None] / variance
        value = squares / (2 * variance) + 0.5 * k * kl_gap(ratio)
    both_atoms = (variance == 0)[:, None] & (variance == 0)
    return np.where(both_atoms, np.where(squares > 0, np.inf, 0.0), np.where(np.isnan(value), np.inf, value))


@quantity(
    "lower bound",
    "I(Z;X|D) of the population",
    "in expectation over the points; at most log N",
    "[shwartzziv2019]_ eq. 13; [oord2018]_",
)
def input_information_infonce(law: Law | Marginals, seed: int, samples: int = 1) -> tuple[FloatArray, FloatArray]:
    r"""InfoNCE from sampled outputs, in nats: its mean over samples is the information of the N-point input.

    .. math:: \frac1N \sum_i \log \frac{p(z_i|x_i)}{\frac1N \sum_j p(z_i|x_j)}, \qquad z_i \sim p(z|x_i)

    Parameters
    ----------
    seed : of the samples; the same seed gives the same numbers.
    samples : outputs drawn for each point.

    Returns
    -------
    value, standard error over samples of z : arrays of the law's leading shape.
    """
    return _sampled(law, seed, samples, leave_one_out=False)


@quantity(
    "upper bound in expectation",
    "I(Z;X|D) of the population",
    "the points are independent draws",
    "[shwartzziv2019]_ eq. 13",
)
def input_information_leave_one_out_sampled(
    law: Law | Marginals, seed: int, samples: int = 1
) -> tuple[FloatArray, FloatArray]:
    """As :func:`input_information_infonce`, with a point left out of its own mixture: an upper bound, for any number of
    outputs.
    """
    return _sampled(law, seed, samples, leave_one_out=True)


def _sampled(law: Law | Marginals, seed: int, samples: int, leave_one_out: bool) -> tuple[FloatArray, FloatArray]:
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    n, k = law.mean.shape[-2:]
    noise = np.random.default_rng(seed).standard_normal((samples, n, k))
    means, variances = law.mean.reshape(-1, n, k), law.variance.reshape(-1, n)
    values, errors = np.empty(len(means)), np.empty(len(means))
    for t, (mean, variance) in enumerate(zip(means, variances, strict=True)):
        ratios = np.stack(
            [_log_ratios(mean, variance, mean + np.sqrt(variance)[:, None] * eps, leave_one_out) for eps in noise]
        )
        values[t] = ratios.mean()
        errors[t] = _standard_error(ratios)
    shape = law.mean.shape[:-2]
    return values.reshape(shape), errors.reshape(shape)


def _standard_error(ratios: FloatArray) -> float:
    """The standard error over z at fixed points (over points as well, hence larger, with a single sample each)."""
    if not np.isfinite(ratios).all():
        return 0.0
    samples, n = ratios.shape
    if samples == 1:
        return float(ratios.std() / np.sqrt(max(n - 1, 1)))
    return float(np.sqrt((ratios.var(axis=0, ddof=1) / samples).sum()) / n)


def _log_ratios(mean: FloatArray, variance: FloatArray, z: FloatArray, leave_one_out: bool) -> FloatArray:
    """log p(z_i|x_i) / mixture(z_i) of each point; among atoms, densities are compared as the limit of small equal
    variances.
    """
    n, k = mean.shape
    squares = ((z[:, None, :] - mean) ** 2).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p = np.where(variance > 0, -squares / (2 * variance) - 0.5 * k * np.log(2 * np.pi * variance), -np.inf)
    atoms = variance == 0
    if atoms.any():  # an atom's mixture is that of the atoms at its place
        log_p[atoms] = np.where(atoms & (squares[atoms] == 0), 0.0, -np.inf)
    own = np.diagonal(log_p).copy()
    if leave_one_out:
        np.fill_diagonal(log_p, -np.inf)
    count = n - 1 if leave_one_out else n
    if count == 0:
        return np.zeros(n)
    return own - (logsumexp(log_p, axis=1) - np.log(count))
