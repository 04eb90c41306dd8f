r"""The quadrature over z behind the informations of one output: trapezoid sums, and panels that are halved until they agree."""

from __future__ import annotations

from functools import partial

import numpy as np

from dualib.core.special import EPS
from dualib.core.typing import Float, FloatArray, IntArray
from ntkinfo.laws import Law, Marginals, in_own_units

_STEPS_PER_SIGMA = 2.5
_REACH = 9.0
_LARGEST_GRID = 2048
_RESOLUTION = 1e-12  # of the largest rest of its group: a density narrower than that is an atom, for its points cannot be told apart
_AGREEMENT = 1e-11  # of two grids, in relative terms
_HALVINGS = 60
_BLOCK = 2**20
_TOGETHER = 256  # points, at which those densities are looked at that count at one of them
_NEGLIGIBLE = 60.0  # by which the logarithm of a density that does not count is below that of two others


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
    own, shape, n = in_own_units(law), law.mean.shape[:-2], law.mean.shape[-2]
    wide, groups = (own.variance > 0) & ~own.trained, np.column_stack([own.place, own.trained])
    _, group = np.unique(groups, axis=0, return_inverse=True)
    rests, variances, stretched, wides = (a.reshape(-1, n) for a in (own.rest, own.variance, own.stretched, wide))
    one_time = partial(_scalar_information, own.place[:, 0], group.ravel(), leave_one_out=leave_one_out)
    pairs = np.array([one_time(x, v) for x, v in zip(rests, variances, strict=True)])
    information, upper = pairs.reshape(-1, 2).T
    # a point alone at its place is narrower than it was drawn, beside others that are not
    upper = upper + np.where(stretched.any(axis=1) & ~wides.any(axis=1), np.inf, stretched.sum(axis=1) / n)
    return information.reshape(shape), upper.reshape(shape)


def _scalar_information(
    place: FloatArray, group: IntArray, rest: FloatArray, variance: FloatArray, *, leave_one_out: bool
) -> tuple[float, float]:
    """The mutual information of the N-point input, and the leave-one-out bound (inf unless asked for)."""
    n, largest = rest.size, np.zeros(group.max() + 1)
    np.maximum.at(largest, group, np.abs(rest))
    resolution = _RESOLUTION * largest[group]
    atoms = variance <= resolution**2
    spread = ~atoms
    total = total_without = 0.0
    if atoms.any():
        same = _multiplicities(place[atoms], rest[atoms], resolution[atoms])
        total += float(np.log(n / same).sum())
        with np.errstate(divide="ignore"):
            total_without += float(np.log((n - 1) / (same - 1)).sum()) if n > 1 else 0.0
    if spread.any():
        inside, without = _density_information(place[spread], rest[spread], np.sqrt(variance[spread]), leave_one_out)
        count = int(spread.sum())
        total += inside + count * np.log(n / count)
        total_without += without + count * np.log(max(n - 1, 1) / max(count - 1, 1)) if count > 1 or n == 1 else np.inf
    upper = total_without / n if leave_one_out else np.inf
    return float(np.clip(total / n, 0.0, np.log(n))), max(float(upper), 0.0)


def _multiplicities(place: FloatArray, rest: FloatArray, resolution: FloatArray) -> IntArray:
    """How many of the atoms lie at each atom's place, to its `resolution`."""
    order = np.lexsort((rest, place + rest))
    step = np.diff(place[order], prepend=place[order[0]]) + np.diff(rest[order], prepend=rest[order[0]])
    group = np.empty(place.size, dtype=int)
    group[order] = np.cumsum(step > resolution[order])
    return np.bincount(group)[group]


def _density_information(
    place: FloatArray, rest: FloatArray, sigma: FloatArray, leave_one_out: bool
) -> tuple[float, float]:
    """Σ_i KL(p_i ‖ mean of all p_j), and Σ_i KL(p_i ‖ mean of the p_j with j ≠ i), of Gaussian densities."""
    if place.size == 1:
        return 0.0, 0.0
    points = _grid(place + rest, sigma)
    if points is not None:
        step, first_point = float(points[1] - points[0]), np.zeros(points.size, dtype=int)
        points -= place[0] + rest[0]
        first = _on_points(first_point, points, place, rest, sigma, leave_one_out).sum(axis=1) * step
        if not leave_one_out:
            return float(first[0]), np.inf
        # log Σ_{j≠i} p_j bends where the nearest neighbour changes, and no grid may resolve that: a shifted one tells
        second = _on_points(first_point, points + step / 2, place, rest, sigma, True).sum(axis=1) * step
        if abs(second[1] - first[1]) <= _AGREEMENT * abs(first[1]) + _RESOLUTION:
            return float(first[0]), float(first[1] + second[1]) / 2
    found = _adaptive(place, rest, sigma, leave_one_out)
    return float(found[0]), float(found[1]) if leave_one_out else np.inf


def _on_points(
    base: IntArray, offset: FloatArray, place: FloatArray, rest: FloatArray, sigma: FloatArray, leave_one_out: bool
) -> FloatArray:
    """Σ_i p_i log(p_i / mean of all p_j) at the points z at an offset from the mean of the density `base`, and the same
    without j = i (0 unless asked for); (2, points). z is never formed: a narrow density knows the distance from its own
    mean to all digits.
    """
    n = place.size
    found = np.zeros((2, base.size))
    step = max(1, min(_BLOCK // n, _TOGETHER))
    for start in range(0, base.size, step):
        of, to = base[start : start + step], offset[start : start + step]
        near = _near(of, to, place, rest, sigma)
        width, gap = sigma[near], np.subtract.outer(rest[of], rest[near])
        distance = (np.subtract.outer(place[of], place[near]) + gap) + to[:, None]
        log_p = -0.5 * (distance / width) ** 2 - (np.log(width) + 0.5 * np.log(2 * np.pi))
        top = log_p.max(axis=1, keepdims=True)
        scaled = np.exp(log_p - top)
        sums = scaled.sum(axis=1, keepdims=True)
        density = np.exp(top[:, 0])
        log_sum = top + np.log(sums)
        found[0, start : start + step] = density * (scaled * (log_p - log_sum + np.log(n))).sum(axis=1)
        if leave_one_out:
            log_others = _log_sum_of_others(log_p, top, scaled, sums, log_sum)
            terms = scaled * (log_p - log_others + np.log(n - 1))
            found[1, start : start + step] = density * terms.sum(axis=1)
    return found


def _near(of: IntArray, to: FloatArray, place: FloatArray, rest: FloatArray, sigma: FloatArray) -> IntArray:
    """The densities that count at some points: all but those that are below e^{-60} of two others at each of them."""
    first = place[of[0]] - place, rest[of[0]] - rest
    along = (place[of] - place[of[0]]) + (rest[of] - rest[of[0]]) + to
    rounding = 8 * EPS * (np.abs(first[0]) + np.abs(first[1]) + np.abs(along).max() + np.abs(rest).max())
    low, high = (sum(first) + end for end in (along.min(), along.max()))
    most = np.maximum(np.abs(low), np.abs(high)) + rounding
    least = np.maximum(np.maximum(low, -high) - rounding, 0.0)
    with np.errstate(over="ignore"):
        above, below = (-0.5 * (far / sigma) ** 2 - np.log(sigma) for far in (least, most))
    return np.flatnonzero(above >= np.partition(below, -2)[-2] - _NEGLIGIBLE)


def _adaptive(place: FloatArray, rest: FloatArray, sigma: FloatArray, leave_one_out: bool) -> FloatArray:
    """∫ of :func:`_on_points` over panels that are halved until eight Gauss-Legendre nodes agree with twice eight, to
    1e-12 of the whole or to the rounding of the places.
    """
    nodes, weights = np.polynomial.legendre.leggauss(8)

    def sums(base: IntArray, left: FloatArray, width: FloatArray) -> FloatArray:
        places = left[:, None] + width[:, None] * (nodes + 1) / 2
        values = _on_points(np.repeat(base, nodes.size), places.ravel(), place, rest, sigma, leave_one_out)
        return values.reshape(2, -1, nodes.size) @ weights * width / 2

    base, left, width, noise = _panels(place, rest, sigma)
    coarse = sums(base, left, width)
    total, scale = np.zeros(2), np.abs(coarse).sum(axis=1, keepdims=True)
    for _ in range(_HALVINGS):
        width = width / 2
        halves = sums(base, left, width), sums(base, left + width, width)
        fine = halves[0] + halves[1]
        differ = (np.abs(fine - coarse) > _RESOLUTION * scale + noise * np.abs(fine)).any(axis=0)
        total += fine[:, ~differ].sum(axis=1)
        # neighbours stay side by side, so that few densities count at the points that are looked at together
        left, width = np.stack([left, left + width], axis=1)[differ].ravel(), np.repeat(width[differ], 2)
        base, noise = np.repeat(base[differ], 2), np.repeat(noise[differ], 2)
        coarse = np.stack(halves, axis=2)[:, differ].reshape(2, -1)
        if not left.size:
            break
    return np.asarray(total + coarse.sum(axis=1))


def _log_sum_of_others(
    log_p: FloatArray, top: FloatArray, scaled: FloatArray, sums: FloatArray, log_sum: FloatArray
) -> FloatArray:
    """The log of Σ_{j≠i} p_j for each i, without cancellation.

    The largest term of each row is left out by summing the others afresh, in their own unit where they are far below it.
    """
    rows, first = np.arange(log_p.shape[0]), log_p.argmax(axis=1)
    share = scaled / sums
    share[rows, first] = 0.0
    others = log_sum + np.log1p(-share)
    beside = scaled.copy()
    beside[rows, first] = 0.0
    left = beside.sum(axis=1)
    far = left < 1e-200
    others[rows, first] = top[:, 0] + np.log(np.where(far, 1.0, left))
    if far.any():
        rest = log_p[far]
        rest[np.arange(len(rest)), first[far]] = -np.inf
        most = rest.max(axis=1)
        others[rows[far], first[far]] = most + np.log(np.exp(rest - most[:, None]).sum(axis=1))
    return others


def _grid(mean: FloatArray, sigma: FloatArray) -> FloatArray | None:
    """A grid on which the mixture is resolved; None where the widths are too different for one."""
    low, high = float((mean - _REACH * sigma).min()), float((mean + _REACH * sigma).max())
    size = (high - low) / float(sigma.min()) * _STEPS_PER_SIGMA
    return np.linspace(low, high, max(int(np.ceil(size)), 64)) if size <= _LARGEST_GRID else None


def _panels(
    place: FloatArray, rest: FloatArray, sigma: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """Panels none of which is wider than a density of the mixture inside it: the density of the left edge, that edge's offset
    from its mean, the width, and the rounding of places there in units of the narrowest density of its place.
    """
    steps = np.array([-_REACH, -5.0, -3.0, -1.0, 1.0, 3.0, 5.0, _REACH])
    base, offset = np.repeat(np.arange(place.size), steps.size), np.outer(sigma, steps).ravel()
    order = np.lexsort((rest[base] + offset, place[base] + rest[base] + offset))
    base, offset = base[order], offset[order]
    width = np.diff(place[base]) + np.diff(rest[base]) + np.diff(offset)
    kept = width > 0
    _, group = np.unique(place, return_inverse=True)
    narrowest = np.full(group.max() + 1, np.inf)
    np.minimum.at(narrowest, group, sigma)
    noise = 8 * EPS * np.abs(offset) / narrowest[group][base]
    return base[:-1][kept], offset[:-1][kept], width[kept], noise[:-1][kept]
