r"""The quadrature over z behind the informations of one output: trapezoid sums, and panels that are halved until they agree."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from dualib.core.special import EPS
from dualib.core.typing import Float, FloatArray, IntArray
from ntkinfo.laws import Law, Marginals, in_own_units

_STEPS_PER_SIGMA = 2.5
_REACH = 9.0
_LARGEST_GRID = 2048
_RESOLUTION = 1e-12  # of the largest mean: a density narrower than that is an atom, for its points cannot be told apart
_AGREEMENT = 1e-11  # of two grids, in relative terms
_HALVINGS = 60
_BLOCK = 2**20


def scalar_informations(
    law: Law | Marginals, *, leave_one_out: bool
) -> tuple[Float[np.ndarray, "*t"], Float[np.ndarray, "*t"]]:
    """The information of the N-point input at each time, and its leave-one-out bound (inf unless asked for), nats.

    Raises
    ------
    ValueError
        If there is more than one output.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> information, upper = scalar_informations(law, leave_one_out=True)
    >>> bool(information <= upper)
    True
    """
    if law.mean.shape[-1] != 1:
        raise ValueError(
            f"quadrature over z needs one output, got {law.mean.shape[-1]}; use the Kolchinsky-Tracey or sampled bounds"
        )
    own, shape = in_own_units(law), law.mean.shape[:-2]
    means, variances = (a.reshape(-1, law.mean.shape[-2]) for a in (own.mean, own.variance))
    pairs = np.array([_scalar_information(m, v, leave_one_out) for m, v in zip(means, variances, strict=True)])
    information, upper = pairs.reshape(-1, 2).T
    if leave_one_out and law.collapse is not None:  # of a point alone at its target the bound has no own units
        alone = np.unique(law.collapse.target, return_counts=True)[1].min() == 1
        moved = (own.mean != law.mean).any(axis=(-2, -1)).ravel()
        upper = np.where(alone & moved, np.inf, upper)
    return information.reshape(shape), upper.reshape(shape)


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


def _multiplicities(places: FloatArray, resolution: float) -> IntArray:
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
    noise = 8 * EPS * np.abs(left) / float(sigma.min())
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
    return np.asarray(total + coarse.sum(axis=1))


def _log_sum_of_others(log_p: FloatArray, scaled: FloatArray, sums: FloatArray, log_sum: FloatArray) -> FloatArray:
    """The log of Σ_{j≠i} p_j for each i, without cancellation.

    The largest term of each row is left out by summing the others afresh.
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
