"""The atoms of a solution: where it starts, and how atoms are added, merged and dropped."""

from __future__ import annotations

import numpy as np

from dualib.bottleneck import Bottleneck, Rows
from dualib.certificate.dual_function import PAIRS
from dualib.core.arrays import distribution
from dualib.core.special import EPS
from dualib.core.typing import ArrayLike, Float, FloatArray, IntArray
from dualib.solvers.alternating import iterate
from dualib.solvers.distances import close_pairs, partners, separations
from dualib.solvers.iterate import Iterate, evaluate
from dualib.solvers.newton import newton_weights
from dualib.solvers.parts import LARGEST_EXPONENT, MOST_SYMBOLS, PART

START_ATOMS = 512  # rows up to which all are taken as a start for |Y| = 2, and as many where there are too many
MAX_WEIGHTS_WORK = 3e7  # multiplications of a Newton step on the weights, 30 ms for all; beyond, the common steps do it
LARGEST_TABLE = 1e8  # pairs of cluster and x: 0.8 GB a table in double precision
LARGEST_PARTS = 4e9  # the same where they are looked at part by part
LARGEST_START = 4000  # rows up to which a cold start takes every one for an atom: 16 million pairs, 128 MB an array
EDGE = 1e-9  # times p(y): a decoder with less of a y never gets it back by alternating steps, so that a start
INSIDE = (1e-3, 1e-5)  # has at least about this share of p(y); a cluster is tried with each
PARTS = (0.5, 0.2, 0.05)  # of its weight, that a cluster gives to an atom beside it
LEAST_LEFT = 0.1  # of a symbol, in what is left of it
SEPARATE = 1e-2  # atoms nearer than this, in β times a squared Fisher distance, start as one


def start_from(core: Bottleneck, beta: float, atoms: ArrayLike | None = None) -> Iterate:
    """Uniform weights on given atoms, or T = X (a spread-out sample of the rows where there are very many)."""
    if atoms is not None:
        atoms = np.maximum(distribution(atoms, "start"), 1e-200)
        return iterate(_uniform(core, beta, atoms), 5)
    rows = core.p_y_given_x
    if (rows.shape[1] == 2 and len(rows) > START_ATOMS) or len(rows) > LARGEST_START:
        keep = _spread(rows, 64 if rows.shape[1] == 2 else START_ATOMS)
        it = iterate(_uniform(core, beta, inside(rows[keep], core)), 20, fixed_atoms=True)
    else:
        it = evaluate(core, beta, core.p_x, inside(rows, core))
    return iterate(it, 40 if it.atoms.size * len(rows) < 1e5 else 10)


def inside(rows: Rows, problem: Bottleneck, share: float = INSIDE[0]) -> Rows:
    """The rows, those with a y that is 0 moved off the edge of the simplex by a share of p(y)."""
    p_y = problem.joint.p_y
    at_edge = (rows < EDGE * p_y).any(axis=1, keepdims=True)
    return np.where(at_edge, (1.0 - share) * rows + share * p_y, rows)


def too_many_rows(core: Bottleneck) -> bool:
    """Whether a cold start takes some of the rows only; with |Y| = 2 a spread-out few, which miss nothing."""
    n_x, n_y = core.p_y_given_x.shape
    return bool(n_x > LARGEST_START and n_y > 2)


def _uniform(core: Bottleneck, beta: float, atoms: FloatArray) -> Iterate:
    return evaluate(core, beta, np.full(len(atoms), 1.0 / len(atoms)), atoms)


def trivial(core: Bottleneck, beta: float) -> list[Iterate]:
    """T = X, whose rate is H(X) and distortion 0 (unless there are too many x for it), and the single cluster."""
    single = evaluate(core, beta, np.ones(1), core.single_decoder)
    return [single] if len(core.p_x) > LARGEST_START else [evaluate(core, beta, core.p_x, core.p_y_given_x), single]


def add_atoms(it: Iterate, found: Rows, log_g: Float[np.ndarray, " n"], threshold: float) -> Iterate:
    """The iterate with the separate atoms at which log G exceeds the threshold, as many as fit, at the share that lowers Φ most."""
    room = most_clusters(*it.problem.p_y_given_x.shape) - len(it.weights)
    if room < 1:
        return it
    split = part_clusters(it, found[np.argsort(-log_g, kind="stable")[: min(room, int((log_g > threshold).sum()))]])
    if split is not it:
        room += len(it.weights) - len(split.weights)
        it, left = split, (separations(found, split.atoms, it.beta).min(axis=1) > SEPARATE) & (log_g > threshold)
        if not left.any() or room < 1:
            return it
        found, log_g = found[left], it.dual.log(found[left])
        if not log_g.max() > threshold:
            return it
    most = np.argsort(-log_g, kind="stable")[:room]
    new, mixture, excess = _mixture(it, found[most], log_g[most], threshold)
    share = _best_share(excess, it.problem.p_x)
    weights = np.concatenate([it.weights * (1.0 - share), share * mixture])
    start = evaluate(it.problem, it.beta, weights, np.concatenate([it.atoms, new]), it.log_z)
    return newton_weights(start) if len(weights) ** 2 * len(it.problem.p_x) <= MAX_WEIGHTS_WORK else start


def part_clusters(it: Iterate, found: Rows) -> Iterate:
    """The iterate with clusters split in two wherever that alone lowers Φ: one part at an atom found beside it, the other opposite.

    The atom that takes most from Φ beside a cluster takes one of PARTS of its weight, and what is left moves so that their mean
    does not. Of an atom so near to others a first step of any method gives it a small share, that grows slowly.
    """
    found = found[: max(1, PAIRS // len(it.log_z))]
    parent, order = np.unique(separations(found, it.atoms, it.beta).argmin(axis=1), return_index=True)
    if not len(order):
        return it
    new, weights, atoms = found[order], it.weights[parent], it.atoms[parent]
    own = weights[:, None] * it.shares(parent)
    best = np.full(len(parent), 16.0 * EPS * abs(it.value))
    tried: dict[int, tuple[float, FloatArray]] = {}
    for part in PARTS:
        rest = np.maximum((atoms - part * new) / (1.0 - part), LEAST_LEFT * atoms)
        rest /= rest.sum(axis=1, keepdims=True)
        both = it.problem.exponents(it.beta, np.concatenate([new, rest]), -it.log_z)
        np.exp(np.minimum(both, LARGEST_EXPONENT, out=both), out=both)
        change = weights[:, None] * (part * both[: len(new)] + (1.0 - part) * both[len(new) :]) - own
        gain = np.log1p(np.maximum(change, 0.5 * EPS - 1.0)) @ it.problem.p_x
        for i in np.flatnonzero(gain > best).tolist():
            best[i], tried[i] = gain[i], (part, rest[i])
    chosen = sorted(tried, key=lambda i: -best[i])
    while chosen:
        kept = np.ones(len(it.weights), bool)
        kept[parent[chosen]] = False
        parts = np.array([tried[i][0] for i in chosen])
        split = evaluate(
            it.problem,
            it.beta,
            np.concatenate([it.weights[kept], weights[chosen] * parts, weights[chosen] * (1.0 - parts)]),
            np.concatenate([it.atoms[kept], new[chosen], np.array([tried[i][1] for i in chosen])]),
            it.log_z,
        )
        if split.value < it.value:
            return split
        chosen = chosen[: len(chosen) // 2]
    return it


def possible_gain(it: Iterate, found: Rows, log_g: Float[np.ndarray, " n"]) -> float:
    """What the atoms at which G exceeds 1 take from Φ at their best share, nats, before they and the others move."""
    if not log_g.max(initial=0.0) > 0.0:
        return 0.0
    _, _, excess = _mixture(it, found, log_g, 0.0)
    return float(np.log1p(_best_share(excess, it.problem.p_x) * excess) @ it.problem.p_x)


def _mixture(
    it: Iterate, found: Rows, log_g: Float[np.ndarray, " n"], threshold: float
) -> tuple[Float[np.ndarray, "m n_y"], Float[np.ndarray, " m"], Float[np.ndarray, " n_x"]]:
    """The separate atoms at which log G exceeds the threshold, their shares, and by how much the mixture raises z_x, over z_x."""
    floor = max(threshold, 0.1 * float(log_g.max()))
    order = np.flatnonzero(log_g >= floor)
    order = order[np.argsort(-log_g[order], kind="stable")]
    order = order[_separate(found[order], it.beta)][: max(1, PAIRS // len(it.log_z))]
    new, mixture = found[order], np.minimum(log_g[order], 1.0) / np.minimum(log_g[order], 1.0).sum()
    exponents = it.problem.exponents(it.beta, new, -it.log_z)
    return new, mixture, mixture @ np.expm1(np.minimum(exponents, LARGEST_EXPONENT))


def most_clusters(n_x: int, n_y: int) -> int:
    """How many fit: LARGEST_PARTS or, where the tables of all pairs of cluster and x are needed, LARGEST_TABLE pairs."""
    return int(LARGEST_PARTS if n_y <= MOST_SYMBOLS else LARGEST_TABLE) // n_x


def check_size(n_t: int, problem: Bottleneck, beta: float) -> None:
    """Refuse to start with more clusters than fit.

    Raises
    ------
    ValueError
        If there are more than :func:`most_clusters`.
    """
    n_x, n_y = problem.p_y_given_x.shape
    most = most_clusters(n_x, n_y)
    if n_t > most:
        why = "of whose pairs each look takes half a minute"
        if n_y > MOST_SYMBOLS:
            why = "whose tables do not fit in 2 GB"
        raise ValueError(
            f"at beta = {beta:g} more than {most} clusters are needed for {n_x} distinct rows p(y|x), {why}: take smaller beta, "
            "or fewer rows (group rows that are nearly equal)"
        )


def _best_share(excess: Float[np.ndarray, " n_x"], p_x: Float[np.ndarray, " n_x"]) -> float:
    """The share λ in [0, 1/2] that minimises the convex −Σ p log(1 + λ excess_x), whose slope at 0 is negative."""
    share, low, high = 0.0, 0.0, 0.5
    for _ in range(50):
        part = excess / (1.0 + share * excess)
        slope = -float(p_x @ part)
        low, high = (share, high) if slope < 0.0 else (low, share)
        new = share - slope / float(p_x @ part**2)
        new = new if low < new < high else 0.5 * (low + high)
        if abs(new - share) <= 1e-6 * new:
            break
        share = new
    return share


def merge_atoms(it: Iterate, distance: float) -> Iterate:
    """Atoms nearer than `distance` (β times a squared Fisher distance) replaced by their weighted mean."""
    order = np.argsort(-it.weights, kind="stable")
    weights, atoms = it.weights[order].copy(), it.atoms[order].copy()
    pairs = close_pairs(atoms, it.beta, distance)
    if not len(pairs):
        return it
    near: dict[int, list[int]] = {}
    for i, j in np.sort(pairs, axis=1).tolist():
        near.setdefault(i, [i]).append(j)
    alive = np.ones(len(weights), bool)
    for i in sorted(near):
        if alive[i]:
            group = np.array([j for j in near[i] if alive[j]])
            alive[group] = False
            alive[i] = True
            atoms[i] = weights[group] @ atoms[group] / weights[group].sum()
            weights[i] = weights[group].sum()
    return evaluate(it.problem, it.beta, weights[alive], atoms[alive])


def coalesce(it: Iterate, distance: float) -> Iterate:
    """The iterate with neighbouring clusters taken for one wherever that alone lowers Φ; Φ never rises.

    Each two that are each other's nearest, within `distance`, are tried at the decoder of their union. Clusters that are on
    their way into each other get there slowly by steps of any method.
    """
    while len(it.weights) > 1:
        first, second = partners(it.atoms, it.beta, distance)
        if not len(first):
            break
        both = it.weights[first, None] * it.sums[first] + it.weights[second, None] * it.sums[second]
        weights, atoms = it.weights[first] + it.weights[second], it.problem.decode_sums(both)
        gain, size = np.empty(len(first)), max(1, PART // len(it.log_z))
        for i in range(0, len(first), size):
            some = slice(i, i + size)
            exponents = it.problem.exponents(it.beta, atoms[some], -it.log_z)
            change = weights[some, None] * np.exp(np.minimum(exponents, LARGEST_EXPONENT))
            for one in (first[some], second[some]):
                change -= it.weights[one, None] * it.shares(one)
            gain[some] = np.log1p(np.maximum(change, 0.5 * EPS - 1.0)) @ it.problem.p_x
        order = np.argsort(-gain, kind="stable")[: int((gain > it.noise).sum())]
        new = it
        while len(order):
            keep = np.ones(len(it.weights), bool)
            keep[first[order]] = keep[second[order]] = False
            new = it.joined(
                np.concatenate([it.weights[keep], weights[order]]),
                np.concatenate([it.atoms[keep], atoms[order]]),
                keep,
                first[order],
                second[order],
            )
            if new.value <= it.value:
                break
            order = order[: len(order) // 2]
        if not len(order):
            break
        it = new
    return it


def _separate(atoms: FloatArray, beta: float) -> IntArray:
    """Indices of atoms more than SEPARATE from each other, the earlier ones first."""
    left, chosen = np.arange(len(atoms)), []
    while len(left):
        chosen.append(left[0])
        left = left[separations(atoms[left], atoms[left[:1]], beta)[:, 0] > SEPARATE]
    return np.array(chosen, dtype=np.int64)


def prune(it: Iterate) -> Iterate:
    """Without the clusters that carry nothing: weights below rounding, and atoms that coincide."""
    used = it.weights > 1e-12
    if not used.all():
        weights = it.weights[used]
        it = evaluate(it.problem, it.beta, weights / weights.sum(), it.atoms[used])
    return merge_atoms(it, 1e-10)


def _spread(rows: FloatArray, n: int) -> IntArray:
    """Indices of n rows that are spread out: each next one farthest from those taken, in Hellinger distance."""
    root = np.sqrt(rows)
    taken = [int(np.argmax(((root - root.mean(axis=0)) ** 2).sum(axis=1)))]
    distance = ((root - root[taken[0]]) ** 2).sum(axis=1)
    for _ in range(min(n, len(rows)) - 1):
        taken.append(int(distance.argmax()))
        distance = np.minimum(distance, ((root - root[taken[-1]]) ** 2).sum(axis=1))
    return np.array(taken)
