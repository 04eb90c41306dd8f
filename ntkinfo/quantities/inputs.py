r"""Information that outputs keep about inputs, I(Z;X|D), for the input that is uniform on the N points of a law.

Two different things are bounded here, and each function says which: the information about that N-point input (at most
log N), and the information about the population the points were drawn from, on averaging over the draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
from scipy.special import logsumexp, ndtri

from dualib.core.arrays import whole
from dualib.core.estimate import Estimates, Kind
from dualib.core.quantity import Relation
from dualib.core.special import EPS, ratio_gap
from dualib.core.statistics import LEVEL
from dualib.core.typing import Float, FloatArray, IntArray
from dualib.core.units import Unit
from ntkinfo.laws import Collapse, Law, Marginals, Rounding, in_own_units, mean_errors, means_have_more_digits
from ntkinfo.quantities.registry import REGISTRY, Bound, Condition, DataSets, Group, with_loss, with_rounding
from ntkinfo.quantities.scalar_quadrature import scalar_informations
from ntkinfo.resources import PAIRS, column_blocks

Pair = tuple[Float[np.ndarray, "*t"], Float[np.ndarray, "*t"]]
"""The information of the N-point input, and its leave-one-out bound, at each time."""
Known = tuple[FloatArray, FloatArray]
"""Variances and their errors."""

_register = partial(REGISTRY.register, unit=Unit.NATS, group=Group.INPUTS, holds_for=DataSets.ONE)

_ON_POINTS = "I(Z;X|D) of X uniform on the points"
_POPULATION = "I(Z;X|D) of the population of x that the points are drawn from"
_BY_QUADRATURE = "[shwartzziv2019]_ eq. 13, its average over z done by quadrature (derived here)"
_SAMPLED = "[shwartzziv2019]_ eq. 13; [oord2018]_"


def _of_log_densities(value: FloatArray, law: Law | Marginals) -> FloatArray:
    """The error of a mean of differences between log densities of one point, which are nearly the same where the inputs are hardly told
    apart; without bound where densities too narrow to be resolved make it infinite.
    """
    variance = in_own_units(law).variance
    with np.errstate(divide="ignore"):
        logs = np.where(variance > 0, np.abs(np.log(variance)), 0.0).max(axis=-1)
    loss = 16 * EPS * (1 + np.log(variance.shape[-1]) + law.mean.shape[-1] * logs / 2)
    return np.where((value == np.inf) & (variance > 0).all(axis=-1), np.inf, loss)


@_register(
    "N points",
    relation=Relation.EXACT,
    of=_ON_POINTS,
    assumption="one output; as a statement on the population: a lower bound in expectation",
    source=_BY_QUADRATURE,
    only=[Condition.ONE_OUTPUT],
    main=True,
)
@with_loss(_of_log_densities)
def input_information(law: Law | Marginals, informations: Pair | None = None) -> Float[np.ndarray, "*t"]:
    r"""Mutual information of a scalar output and the uniform N-point input, in nats.

    .. math:: I = \frac1N \sum_i \int p(z|x_i) \log \frac{p(z|x_i)}{\frac1N \sum_j p(z|x_j)}\,dz

    The integral is a trapezoid sum, which converges spectrally for Gaussian mixtures (panels of Gauss-Legendre nodes,
    halved until they agree, where the widths are too different for one grid or the nearest neighbours change); points
    without variance, or too little to resolve, are atoms and counted exactly, so that distinct deterministic outputs
    give log N.

    Parameters
    ----------
    law : Law or Marginals
    informations : pair of arrays or None
        What the quadrature gave for this law, where it is known already.

    Returns
    -------
    array of the law's leading shape
        Between 0 and log N.

    Raises
    ------
    ValueError
        If there is more than one output (use the bounds of :func:`input_information_kolchinsky_tracey_lower` or the
        sampled :func:`input_information_infonce`).

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> round(float(input_information(law)), 6)  # nats; at most log 2, of two points
    0.439341
    """
    return (informations or scalar_informations(law))[0]


@_register(
    "population",
    relation=Relation.UPPER_IN_EXPECTATION,
    of=_POPULATION,
    assumption="one output; the points are independent draws",
    source=_BY_QUADRATURE,
    only=[Condition.ONE_OUTPUT],
    provided=[Condition.FRESH_POINTS],
)
@with_loss(_of_log_densities)
def input_information_leave_one_out(law: Law | Marginals, informations: Pair | None = None) -> Float[np.ndarray, "*t"]:
    r"""Leave-one-out upper bound, in nats: as :func:`input_information`, but a point is left out of its own mixture.

    .. math:: \frac1N \sum_i \int p(z|x_i) \log \frac{p(z|x_i)}{\frac1{N-1} \sum_{j \ne i} p(z|x_j)}\,dz

    Parameters
    ----------
    law : Law or Marginals
    informations : pair of arrays or None
        The same as for :func:`input_information`.

    Returns
    -------
    array of the law's leading shape
        +inf where a point's output has no variance and no twin.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> round(float(input_information_leave_one_out(law)), 6)
    3.5
    """
    return (informations or scalar_informations(law))[1]


@_register(
    "N points, pairwise",
    relation=Relation.LOWER,
    of=_ON_POINTS,
    assumption="none",
    source="[kolchinsky2017]_ with the Bhattacharyya distance",
)
@with_rounding(lambda law: _pairwise(law, _bhattacharyya, -1))
def input_information_kolchinsky_tracey_lower(law: Law | Marginals) -> Float[np.ndarray, "*t"]:
    r"""Closed-form lower bound from pairwise Bhattacharyya distances, in nats, for any number of outputs.

    .. math:: -\frac1N \sum_i \log \frac1N \sum_j e^{-B_{ij}}, \qquad
              B_{ij} = \frac{\|\mu_i-\mu_j\|^2}{4(v_i+v_j)} + \frac k2 \log\frac{v_i+v_j}{2\sqrt{v_i v_j}}

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> round(float(input_information_kolchinsky_tracey_lower(law)), 6)
    0.315629
    """
    return _values(law, _bhattacharyya, -1)


@_register(
    "N points only, pairwise",
    relation=Relation.UPPER,
    of=_ON_POINTS + " only; it bounds nothing of their population",
    assumption="none",
    source="[kolchinsky2017]_ with the Kullback-Leibler divergence",
)
@with_rounding(lambda law: _pairwise(law, _kullback_leibler, 1))
def input_information_kolchinsky_tracey_upper(law: Law | Marginals) -> Float[np.ndarray, "*t"]:
    r"""Closed-form upper bound from pairwise KL divergences, in nats, for any number of outputs; at most log N.

    .. math:: -\frac1N \sum_i \log \frac1N \sum_j e^{-D_{ij}}, \qquad
              D_{ij} = \frac{\|\mu_i-\mu_j\|^2}{2v_j} + \frac k2\left[\frac{v_i}{v_j} - 1 - \log\frac{v_i}{v_j}\right]

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> round(float(input_information_kolchinsky_tracey_upper(law)), 6)
    0.64271
    """
    return _values(law, _kullback_leibler, 1)


Distance = Callable[[FloatArray, Known, Known, int], FloatArray]
_ROWS = 64  # of which the part that is rounding is found, spread over all


def _pairwise(law: Law | Marginals, distance: Distance, side: Literal[-1, 1]) -> Bound:
    """The bound of that distance, and how much of it is rounding, from some of the points if there are many: what that may do to it
    either way, since beside log N or 0 it shows to one side alone.
    """
    n = law.mean.shape[-2]
    some = np.arange(n) if n <= _ROWS else np.linspace(0, n - 1, _ROWS).astype(int)
    plain, lost = _values(law, distance, side, some, rounding=0), np.zeros(law.mean.shape[:-2])
    for rounding in _BOTH_WAYS:
        moved = _values(law, distance, side, some, rounding=rounding)
        with np.errstate(invalid="ignore"):
            lost = np.maximum(lost, np.where(moved == plain, 0.0, np.abs(moved - plain)))
    return _values(law, distance, side), np.where(np.isnan(lost), np.inf, lost)


_BOTH_WAYS: tuple[Literal[-1, 1], ...] = (1, -1)


def _values(
    law: Law | Marginals,
    distance: Distance,
    side: Literal[-1, 1],
    points: IntArray | None = None,
    *,
    rounding: Literal[-1, 0, 1] = 1,
) -> FloatArray:
    """The mean over (some of) the points of the bound of that distance; the last digits of means and variances, which outputs of little
    spread do not have, count for its side (1), or not (0), or those of the means against it (-1).
    """
    (n, k), times = law.mean.shape[-2:], law.mean.shape[:-2]
    values, points = [], np.arange(n) if points is None else points
    for now in _each_time(law):
        total = 0.0
        for block in column_blocks(len(points), max(1, PAIRS // n)):
            rows = points[block]
            apart, lost, ours, theirs = _pairs(now, rows, rounded=rounding > 0)
            # two variances known to be 0 are told apart by any distance; from above so are two that are lost in their rounding
            random = theirs[0] > 0 if side > 0 else ours[0] + ours[1] + theirs[0] + theirs[1] > 0
            apart += side * rounding * lost * random
            apart[np.arange(len(apart)), rows] = 0.0
            with np.errstate(over="ignore"):
                far = distance(np.maximum(apart, 0.0) ** 2, ours, theirs, k)
            far[np.arange(len(apart)), rows] = 0.0
            total -= float(np.log1p(np.expm1(-far).mean(axis=1)).sum())
        values.append(total / len(points) * (1 + side * rounding * 64 * EPS))
    return np.array(values).reshape(times)


def _each_time(law: Law | Marginals) -> Iterator[Collapse]:
    """What the means lack of the labels at each time; of 0, where the labels are so large that this leaves more digits of the means."""
    nothing = np.zeros_like(law.variance)
    unmoved = Rounding(np.zeros_like(law.mean), nothing)
    plain = Collapse(np.zeros(law.mean.shape[-2:]), -law.mean, law.variance, nothing, law.rounding or unmoved)
    own, early = law.collapse or plain, means_have_more_digits(law)
    if own.rounding is None:
        own = replace(own, rounding=unmoved)
    for t in np.ndindex(early.shape):
        yield plain[t] if early[t] else own[t]


def _pairs(law: Collapse, rows: IntArray, *, rounded: bool) -> tuple[FloatArray, FloatArray, Known, Known]:
    """Distances of the means of some points from all, their rounding, and both variances with theirs, in the unit of the larger one."""
    sizes = law.log_size if np.ptp(law.log_size) else law.log_size[:1]
    mine = sizes[rows, None] if sizes.size > 1 else sizes[:, None]
    unit = np.maximum(mine, sizes)
    a, b = np.exp(mine - unit), np.exp(sizes - unit)
    with np.errstate(over="ignore"):
        stretch, squares = np.exp(-unit), np.zeros((len(law.target[rows]), len(law.target)))
        for target, rest in zip(law.target.T, law.shortfall.T, strict=True):
            apart = np.subtract.outer(target[rows], target)
            np.multiply(apart, stretch, out=apart, where=apart != 0)
            squares += (apart - (a * rest[rows, None] - b * rest)) ** 2
    assert law.rounding is not None
    largest = mean_errors(law.shortfall, law.rounding)
    lost = a * largest[rows, None] + b * largest
    errors = np.maximum(law.rounding.variance, 4 * EPS * law.spread) * rounded
    ours, theirs = (a**2 * x[rows, None] for x in (law.spread, errors)), (b**2 * x for x in (law.spread, errors))
    return np.sqrt(squares), lost, tuple(ours), tuple(theirs)


def _row_blocks(n: int) -> list[slice]:
    """Rows of a matrix of n × n pairs, a few million pairs at a time."""
    return column_blocks(n, max(1, PAIRS // n))


def _bhattacharyya(squares: FloatArray, ours: Known, theirs: Known, k: int) -> FloatArray:
    """The least that it may be."""
    (v, v_error), (w, w_error) = ours, theirs
    total = v + w + v_error + w_error
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.maximum(np.maximum((v - v_error) / (w + w_error), (w - w_error) / (v + v_error)), 1.0)
        gap = 1 - 2 / (1 + ratio)  # of the two variances, by which (v + w)² is 4 v w/(1 - gap²)
        far = 0.5 * np.log(ratio) + np.log1p(1 / ratio) - np.log(2)
        value = squares / (4 * total) + 0.5 * k * np.where(gap < 0.5, -0.5 * np.log1p(-(gap**2)), far)
    return np.where(total > 0, value, np.where(squares > 0, np.inf, 0.0))


def _kullback_leibler(squares: FloatArray, ours: Known, theirs: Known, k: int) -> FloatArray:
    """The most that it may be."""
    (v, v_error), (w, w_error) = ours, theirs
    least = np.maximum(w - w_error, 0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gap = np.maximum(ratio_gap((v + v_error) / least), ratio_gap(np.maximum(v - v_error, 0.0) / (w + w_error)))
        value = squares / (2 * least) + 0.5 * k * gap
    both_atoms = (v == 0) & (w == 0)
    return np.where(both_atoms, np.where(squares > 0, np.inf, 0.0), np.where(np.isnan(value), np.inf, value))


@_register(
    "population, InfoNCE",
    relation=Relation.LOWER,
    of=_POPULATION,
    assumption="in expectation over the points; at most log N",
    source=_SAMPLED,
    only=[Condition.SEVERAL_OUTPUTS],
    provided=[Condition.FRESH_POINTS],
    main=True,
)
@with_loss(_of_log_densities)
def input_information_infonce(law: Law | Marginals, seed: int, samples: int = 1) -> Estimates:
    r"""InfoNCE from sampled outputs, in nats: its mean over samples is the information of the N-point input.

    .. math:: \frac1N \sum_i \log \frac{p(z_i|x_i)}{\frac1N \sum_j p(z_i|x_j)}, \qquad z_i \sim p(z|x_i)

    Parameters
    ----------
    law : Law or Marginals
    seed : int
        Seed of the samples.
    samples : int
        Outputs drawn for each point.

    Returns
    -------
    Estimates
        An estimate of the law's leading shape; the interval is that of the samples of z.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> found = input_information_infonce(law, seed=0, samples=4)
    >>> bool(found.low < found.value < found.high)
    True
    """
    return _sampled(law, seed, samples, leave_one_out=False)


@_register(
    "population, sampled",
    relation=Relation.UPPER_IN_EXPECTATION,
    of=_POPULATION,
    assumption="the points are independent draws",
    source=_SAMPLED,
    only=[Condition.SEVERAL_OUTPUTS],
    provided=[Condition.FRESH_POINTS],
)
@with_loss(_of_log_densities)
def input_information_leave_one_out_sampled(law: Law | Marginals, seed: int, samples: int = 1) -> Estimates:
    """As :func:`input_information_infonce`, but a point is left out of its own mixture: an upper bound in expectation.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> found = input_information_leave_one_out_sampled(law, seed=0, samples=4)
    >>> bool(found.low < found.value < found.high)
    True
    """
    return _sampled(law, seed, samples, leave_one_out=True)


def _sampled(law: Law | Marginals, seed: int, samples: int, leave_one_out: bool) -> Estimates:
    whole(samples, "samples", 1)
    own, (n, k) = in_own_units(law), law.mean.shape[-2:]
    places, trained = own.place.reshape(-1, n, k), own.trained.reshape(-1, n)
    noise = np.random.default_rng(seed).standard_normal((samples, n, k))
    rests, variances = own.rest.reshape(-1, n, k), own.variance.reshape(-1, n)
    longer = own.stretched.reshape(-1, n) if leave_one_out else np.zeros_like(variances)
    values, errors = np.empty(len(rests)), np.empty(len(rests))
    for t, (rest, variance, stretched) in enumerate(zip(rests, variances, longer, strict=True)):
        ratios = np.stack(
            [
                np.concatenate(
                    [_log_ratios(places[t], rest, variance, z, rows, leave_one_out) for rows in _row_blocks(n)]
                )
                for z in rest + np.sqrt(variance)[:, None] * noise
            ]
        )
        beside_wide = ((variance > 0) & ~trained[t]).any()  # whose density at a narrow point is what it is
        ratios += np.where(stretched > 0, k * stretched if beside_wide else np.inf, 0.0)
        values[t] = ratios.mean()
        errors[t] = _standard_error(ratios)
    half = float(ndtri(0.5 + LEVEL / 2)) * errors
    value, low, high = (array.reshape(law.mean.shape[:-2]) for array in (values, values - half, values + half))
    return Estimates(value, low, high, Kind.STATISTICAL, Unit.NATS, LEVEL, samples, "samples of z")


def _standard_error(ratios: FloatArray) -> float:
    """The standard error over z at fixed points (over points as well, hence larger, with a single sample each)."""
    if not np.isfinite(ratios).all():
        return 0.0
    samples, n = ratios.shape
    unit = max(float(np.abs(ratios).max()), 1.0)  # whose square may be no number
    ratios = ratios / unit
    if samples == 1:
        return unit * float(ratios.std() / np.sqrt(max(n - 1, 1)))
    return unit * float(np.sqrt((ratios.var(axis=0, ddof=1) / samples).sum()) / n)


def _log_ratios(
    place: FloatArray, rest: FloatArray, variance: FloatArray, z: FloatArray, rows: slice, leave_one_out: bool
) -> FloatArray:
    """The log ratio p(z_i|x_i) / mixture(z_i) of some points, whose outputs are place + z.

    Among atoms, densities are compared as the limit of small equal variances.
    """
    n, k = rest.shape
    of, squares = np.arange(n)[rows], np.zeros((len(z[rows]), n))
    for where, ours, theirs in zip(place.T, z.T, rest.T, strict=True):
        squares += (np.subtract.outer(where[rows], where) + np.subtract.outer(ours[rows], theirs)) ** 2
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        log_p = np.where(variance > 0, -squares / (2 * variance) - 0.5 * k * np.log(2 * np.pi * variance), -np.inf)
    atoms, own_atoms, diagonal = variance == 0, variance[of] == 0, (np.arange(len(of)), of)
    if own_atoms.any():  # an atom's mixture is that of the atoms at its place
        log_p[own_atoms] = np.where(atoms & (squares[own_atoms] == 0), 0.0, -np.inf)
    own = log_p[diagonal]
    if leave_one_out:
        log_p[diagonal] = -np.inf
    count = n - 1 if leave_one_out else n
    if count == 0:
        return np.zeros(len(of))
    return np.asarray(own - (logsumexp(log_p, axis=1) - np.log(count)))
