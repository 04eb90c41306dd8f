r"""The quadrature over z behind the informations of one output: trapezoid sums, and panels that are halved until they agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dualib.core.typing import Bool, Float, FloatArray, Int, IntArray
from ntkinfo.laws import Law, Marginals, in_own_units
from ntkinfo.quantities.scalar_mixture import REACH, Mixtures, sums_by
from ntkinfo.quantities.scalar_panels import panels_of

_STEPS_PER_SIGMA = 2.5
_LARGEST_GRID = 2048
_RESOLUTION = 1e-12  # of the largest rest of its group: a density narrower than that is an atom, for its points cannot be told apart
_AGREEMENT = 1e-11  # of two grids, in relative terms,
_SQUARED = 1e-7  # and of two whose mean is off by the square of that
_CUTS = 30  # in four, after a first one in two
_NEAR = 0.25  # of its width or its variance, by which a density may move and the nodes stay

Pair = tuple[Float[np.ndarray, "*t"], Float[np.ndarray, "*t"]]
"""The information of the N-point input, and its leave-one-out bound, at each time."""


def scalar_informations(law: Law | Marginals) -> Pair:
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
    >>> information, upper = scalar_informations(law)
    >>> bool(information <= upper)
    True
    """
    return informations_of(law).values


@dataclass(frozen=True, eq=False)
class Informations:
    """The informations of a law, and the nodes that a law near it shares."""

    values: Pair
    outputs: _Outputs
    integrals: Float[np.ndarray, "t 2"]
    nodes: _Nodes

    def of(self, law: Law | Marginals) -> Pair:
        """The informations of a law near this one: where no density moves by much of its width at the same nodes, so that their
        difference is known to all digits.
        """
        other = _outputs(law)
        old, new = self.outputs.mixtures, other.mixtures
        there = old.sigma > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            shift, stretch = np.abs(new.rest - old.rest) / old.sigma, np.abs((new.sigma / old.sigma) ** 2 - 1)
        far = np.where(there, np.maximum(shift, stretch), 0.0) > _NEAR
        stays = ~(far | (there != (new.sigma > 0))).any(axis=1)
        found = self.integrals + self.nodes.sums(new.at(stays), old) - self.nodes.of_law
        found[~stays] = _integrals(new.at(~stays))[0][~stays]
        return other.informations(found)


def informations_of(law: Law | Marginals) -> Informations:
    """:func:`scalar_informations` with its nodes.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> found = informations_of(law)
    >>> bool(np.isclose(found.of(law.with_output_noise(0.01))[0], scalar_informations(law.with_output_noise(0.01))[0]))
    True
    """
    outputs = _outputs(law)
    integrals, nodes = _integrals(outputs.mixtures)
    return Informations(outputs.informations(integrals), outputs, integrals, nodes)


@dataclass(frozen=True, eq=False)
class _Outputs:
    """Scalar outputs as atoms and densities, and what their informations have beside the integrals over the densities."""

    mixtures: Mixtures
    beside: Float[np.ndarray, "t 2"]
    shape: tuple[int, ...]

    def informations(self, integrals: Float[np.ndarray, "t 2"]) -> Pair:
        """Both, of the law's leading shape."""
        n = self.mixtures.n
        information, upper = ((self.beside + integrals) / n).T
        return np.clip(information, 0.0, np.log(n)).reshape(self.shape), np.maximum(upper, 0.0).reshape(self.shape)


def _outputs(law: Law | Marginals) -> _Outputs:
    if law.mean.shape[-1] != 1:
        raise ValueError(
            f"quadrature over z needs one output, got {law.mean.shape[-1]}; use the Kolchinsky-Tracey or sampled bounds"
        )
    own, shape, n = in_own_units(law), law.mean.shape[:-2], law.mean.shape[-2]
    wide = (own.variance > 0) & ~own.trained
    place, rest, variance, trained, stretched, wide = (
        a.reshape(-1, n) for a in (own.place, own.rest, own.variance, own.trained, own.stretched, wide)
    )
    _, group = np.unique(np.column_stack([place.ravel(), trained.ravel()]), axis=0, return_inverse=True)
    group, time = group.reshape(rest.shape), np.arange(len(rest))[:, None]
    largest = np.zeros((len(rest), int(group.max()) + 1))
    np.maximum.at(largest, (time, group), np.abs(rest))
    resolution = _RESOLUTION * largest[time, group]
    atoms = variance <= resolution**2
    count = (~atoms).sum(axis=1)
    beside = np.zeros((len(rest), 2))
    some, of = count > 0, np.maximum(count, 1)
    beside[some] = np.stack([of * np.log(n / of), of * _log_others(n, of)], axis=1)[some]
    for t in np.flatnonzero(atoms.any(axis=1)):
        these = atoms[t]
        same = _multiplicities(place[t, these], rest[t, these], resolution[t, these])
        beside[t] += np.log(n / same).sum(), _log_others(n, same).sum()
    # a point alone at its place is narrower than it was drawn, beside others that are not
    beside[:, 1] += np.where(stretched.any(axis=1) & ~wide.any(axis=1), np.inf, stretched.sum(axis=1))
    return _Outputs(Mixtures(place, rest, np.where(atoms, 0.0, np.sqrt(variance))), beside, shape)


def _log_others(n: int, same: IntArray) -> FloatArray:
    """The log of how many times more other points there are than others of the same kind; 0 of one point."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log((n - 1) / np.maximum(same - 1, 0))) if n > 1 else np.zeros(same.shape)


def _multiplicities(place: FloatArray, rest: FloatArray, resolution: FloatArray) -> IntArray:
    """How many of the atoms lie at each atom's place, to its `resolution`."""
    order = np.lexsort((rest, place + rest))
    step = np.diff(place[order], prepend=place[order[0]]) + np.diff(rest[order], prepend=rest[order[0]])
    group = np.empty(place.size, dtype=int)
    group[order] = np.cumsum(step > resolution[order])
    return np.bincount(group)[group]


@dataclass(frozen=True, eq=False)
class _Nodes:
    """Nodes in the order of time, densities with rivals, and what both give of the mixtures that they are made for."""

    base: IntArray
    offset: FloatArray
    weight: FloatArray
    rival: Int[np.ndarray, "t n"]
    of_law: Float[np.ndarray, "t 2"]

    def sums(self, mixtures: Mixtures, old: Mixtures) -> Float[np.ndarray, "t 2"]:
        """What they give of other mixtures at the same z, at the times at which those have densities."""
        there = mixtures.count > 0
        kept = there[self.base // mixtures.n]
        base, weight = self.base[kept], self.weight[kept, None]
        offset = self.offset[kept] - (mixtures.rest - old.rest).ravel()[base]
        found = sums_by(base // mixtures.n, mixtures.integrands(base, offset) * weight, len(there))
        return np.asarray(found + mixtures.of_rivals(np.where(there[:, None], self.rival, -1)))

    def beside(self, other: _Nodes, n: int) -> _Nodes:
        """These and others of other times, of n densities each."""
        names = ("base", "offset", "weight")
        base, offset, weight = (np.concatenate([getattr(self, name), getattr(other, name)]) for name in names)
        order = np.argsort(base // n, kind="stable")
        rival, of_law = np.maximum(self.rival, other.rival), self.of_law + other.of_law
        return _Nodes(base[order], offset[order], weight[order], rival, of_law)


def _integrals(mixtures: Mixtures) -> tuple[Float[np.ndarray, "t 2"], _Nodes]:
    """Σ_i KL(p_i ‖ mean of all p_j), and Σ_i KL(p_i ‖ mean of the p_j with j ≠ i), at each time; 0 of less than two densities."""
    some = mixtures.at(mixtures.count > 1)
    found, done, nodes = _on_grids(some)
    left = some.at(~done)
    if (left.count > 0).any():
        others, more = _on_panels(left)
        found, nodes = found + others, nodes.beside(more, mixtures.n)
    return found, nodes


def _on_grids(mixtures: Mixtures) -> tuple[Float[np.ndarray, "t 2"], Bool[np.ndarray, " t"], _Nodes]:
    """The integrals by trapezoid sums at the times at which one grid serves, and which these are."""
    first, parts = (mixtures.sigma > 0).argmax(axis=1), []
    for t in np.flatnonzero(mixtures.count):
        there, place, rest = mixtures.sigma[t] > 0, mixtures.place[t], mixtures.rest[t]
        # no sum of place and rest: the densities of one place may be far narrower than its last digit
        apart = (place - place[first[t]]) + (rest - rest[first[t]])
        points = _grid(apart[there], mixtures.sigma[t, there])
        if points is not None:
            base = np.full(points.size, t * mixtures.n + first[t])
            parts.append((base, points, np.full(points.size, points[1] - points[0])))
    nothing = np.zeros(0, dtype=int), np.zeros(0), np.zeros(0)
    base, offset, step = (np.concatenate(part) for part in zip(nothing, *parts, strict=True))
    time, size = base // mixtures.n, len(mixtures.rest)
    # log Σ_{j≠i} p_j bends where the nearest neighbour changes, and no grid may resolve that: a shifted one tells
    one, two = (
        sums_by(time, mixtures.integrands(base, offset + shift) * step[:, None], size) for shift in (0.0, step / 2)
    )
    # The other integrand is analytic, with poles where Σ p_j = 0: half the step squares what one grid is off by
    done = (np.abs(two - one) <= np.array([_SQUARED, _AGREEMENT]) * np.abs(one) + _RESOLUTION).all(axis=1)
    done &= (mixtures.count == 0) | (np.bincount(time, minlength=size) > 0)
    found = np.where(done[:, None], 0.5 * (one + two), 0.0)
    kept = done[time]
    none = np.full(mixtures.rest.shape, -1)
    return found, done, _Nodes(base[kept], offset[kept], step[kept], none, np.where(done[:, None], one, 0.0))


def _grid(mean: FloatArray, sigma: FloatArray) -> FloatArray | None:
    """A grid on which the mixture is resolved; None where the widths are too different for one."""
    low, high = float((mean - REACH * sigma).min()), float((mean + REACH * sigma).max())
    size = (high - low) / float(sigma.min()) * _STEPS_PER_SIGMA
    return np.linspace(low, high, max(int(np.ceil(size)), 64)) if size <= _LARGEST_GRID else None


def _on_panels(mixtures: Mixtures) -> tuple[Float[np.ndarray, "t 2"], _Nodes]:
    """The integrals over panels that are cut until eight Gauss-Legendre nodes agree with those of the parts, to 1e-12 of the whole or to
    the rounding of the places.
    """
    n, size, rival = mixtures.n, len(mixtures.rest), mixtures.rivals()
    apart = mixtures.of_rivals(rival)
    panels, done = panels_of(mixtures, (rival < 0) & (mixtures.sigma > 0)), []
    coarse = panels.sums(mixtures)
    total, of_law = apart.copy(), apart.copy()
    scale = np.abs(apart) + sums_by(panels.base // n, np.abs(coarse), size)
    for parts in (2, *[4] * _CUTS):
        cut = panels.cut(parts)
        fine = cut.sums(mixtures)
        both, time = fine.reshape(-1, parts, 2).sum(axis=1), panels.base // n
        differ = (np.abs(both - coarse) > _RESOLUTION * scale[time] + panels.noise[:, None] * np.abs(both)).any(axis=1)
        total += sums_by(time[~differ], both[~differ], size)
        of_law += sums_by(time[~differ], coarse[~differ], size)
        done.append(panels[~differ].nodes())
        panels, coarse = cut[differ.repeat(parts)], fine[differ.repeat(parts)]
        if not differ.any():
            break
    last = sums_by(panels.base // n, coarse, size)
    base, offset, weight = (np.concatenate(part) for part in zip(*done, panels.nodes(), strict=True))
    order = np.argsort(base // n, kind="stable")
    return total + last, _Nodes(base[order], offset[order], weight[order], rival, of_law + last)
