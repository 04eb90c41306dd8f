"""Column generation: which atoms a solution needs, found by ascents of G and minimised over together.

Alternating minimisation from many atoms → Newton → where an ascent finds G > 1, an atom is missing: it is added, and so on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dualib.blahut_arimoto import Iterate, accelerate, evaluate, iterate
from dualib.certificate import DualFunction
from dualib.core.arrays import distribution as _check_distribution
from dualib.core.typing import FloatArray
from dualib.newton import MAX_UNKNOWNS, newton, newton_weights, splits
from dualib.options import Certify
from dualib.problems import Bottleneck

START_ATOMS = 512  # up to as many atoms, Newton's method on the weights; up to as many rows, an ascent from each
LARGEST_START = 4000  # rows up to which a cold start takes every one for an atom: 16 million pairs, 128 MB an array
MOST_STARTS = 512  # ascents; from more rows than that, from those with the largest G
PAIRS = 1 << 22  # (t, x) at a time, 32 MiB
ACCURACY = 1e-7  # residual of the accelerated alternation; the error of F is about its square over the least curvature
SEPARATE = 1e-2  # atoms nearer than this, in β times a squared Fisher distance, start as one


def start_from(core: Bottleneck, beta: float, atoms: FloatArray | None = None) -> Iterate:
    """Uniform weights on given atoms, or T = X (a spread-out sample of the rows where there are very many)."""
    if atoms is not None:
        atoms = np.maximum(_check_distribution(atoms, "start"), 1e-200)
        it = evaluate(core, beta, np.full(len(atoms), 1.0 / len(atoms)), atoms)
        return iterate(it, 5)
    rows = core.p_y_given_x
    if (rows.shape[1] == 2 and len(rows) > START_ATOMS) or len(rows) > LARGEST_START:
        keep = _spread(rows, 64 if rows.shape[1] == 2 else START_ATOMS)
        it = iterate(evaluate(core, beta, np.full(len(keep), 1.0 / len(keep)), rows[keep]), 20, fixed_atoms=True)
    else:
        it = evaluate(core, beta, core.p_x, rows)
    return iterate(it, 40 if it.atoms.size * len(rows) < 1e5 else 10)


def best_start(it: Iterate, options: Certify, rng: np.random.Generator | None) -> tuple[Iterate, float, float]:
    """:func:`generate_columns`, and again from T = X or one cluster where it ends above these or knows a G > 1."""
    best = generate_columns(it, options, rng)
    for other in trivial(it.problem, it.beta):
        if other.value < best[0].value - 1e-12 or best[1] > options.tolerance:
            found = generate_columns(other, options, rng)
            best = min(best, found, (other, np.inf, np.inf), key=lambda result: result[0].value)
    return best


def trivial(core: Bottleneck, beta: float) -> list[Iterate]:
    """T = X, whose rate is H(X) and distortion 0 (unless there are too many x for it), and the single cluster."""
    single = evaluate(core, beta, np.ones(1), core.single_decoder)
    return [single] if len(core.p_x) > LARGEST_START else [evaluate(core, beta, core.p_x, core.p_y_given_x), single]


def generate_columns(it: Iterate, options: Certify, rng: np.random.Generator | None) -> tuple[Iterate, float, float]:
    """Alternate between minimising over the atoms and adding where an ascent finds G > 1.

    Returns the iterate, log of the largest G met (at least 0), and the residual of the minimisation.
    """
    it, residual = minimise(it)
    estimate = 0.0
    for _ in range(options.max_rounds):
        g = dual_function(it)
        found = ascend(g, it, rng)
        log_g = g.log(found)
        if log_g.max() <= 0.1 * options.tolerance and len(split := splits(it)):
            found = g.ascend(split, 2)
            log_g = g.log(found)
        estimate = max(0.0, float(log_g.max()))
        if estimate <= 0.1 * options.tolerance:
            break
        better, better_residual = minimise(add_atoms(it, found, log_g, 0.1 * options.tolerance))
        if not better.value < it.value - 1e-15:
            break
        it, residual = better, better_residual
    return _prune(it), estimate, residual


def _prune(it: Iterate) -> Iterate:
    """Without the clusters that carry nothing: weights below rounding, and atoms that coincide."""
    used = it.weights > 1e-12
    if not used.all():
        weights = it.weights[used]
        it = evaluate(it.problem, it.beta, weights / weights.sum(), it.atoms[used])
    return merge_atoms(it, 1e-10)


def minimise(it: Iterate, largest: int = MAX_UNKNOWNS) -> tuple[Iterate, float]:
    """To a local minimum over weights and atoms: Newton up to `largest` unknowns, accelerated alternation above."""
    residual = np.inf
    for _ in range(30):
        if it.atoms.size > largest:
            it, residual = accelerate(it, ACCURACY, 25)
            done = residual < ACCURACY
            if len(it.weights) <= START_ATOMS:  # small weights with G ≠ 1 hardly move by plain steps
                it = newton_weights(it, 3)
        else:
            it, residual = newton(it, max_steps=12)
            done = residual < 1e-11
        merged = merge_atoms(it, 3e-2)
        # Atoms on their way into each other get there slowly: take them there, where that does not raise Φ.
        if len(merged.weights) < len(it.weights) and merged.value <= it.value + 1e-13:
            it = merged
        elif done:
            break
    return it, residual


def dual_function(it: Iterate) -> DualFunction:
    """G of an iterate."""
    return DualFunction(it.problem, it.beta, it.log_dual_weights)


def ascend(g: DualFunction, it: Iterate, rng: np.random.Generator | None) -> FloatArray:
    """Atoms where G is large: ascents from the rows, from pairs of atoms and (given rng) from random mixtures of rows.

    The largest G that they reach is at least that of every row.
    """
    core = it.problem
    rows = core.p_y_given_x
    if rows.shape[1] == 2:  # a segment: a grid in the angle of √r finds every peak, each about 1/√β wide
        low, high = np.arcsin(np.sqrt(np.array([rows[:, 0].min(), rows[:, 0].max()])))
        angles = np.linspace(low, high, int(np.clip(25 * (high - low) * np.sqrt(it.beta), 64, 4000)))
        grid = np.stack([np.sin(angles) ** 2, np.cos(angles) ** 2], axis=1)
        log_g = _log_at(g, grid)
        peak = np.flatnonzero(np.r_[True, log_g[1:] >= log_g[:-1]] & np.r_[log_g[:-1] >= log_g[1:], True])
        peak = peak[log_g[peak] > -0.05]
        at_rows = _log_at(g, rows)
        starts = np.concatenate([grid[peak], rows[[at_rows.argmax()]]])
        return g.ascend(starts, 6)
    starts = rows
    if len(rows) > MOST_STARTS:
        at_rows = _log_at(g, rows)
        away = np.flatnonzero(separations(rows, it.atoms, it.beta).min(axis=1) > 0.1)
        away = away[np.argsort(-at_rows[away], kind="stable")[:MOST_STARTS]]
        starts = rows[np.append(away, at_rows.argmax())]
    elif rng is not None and len(rows) * rows.shape[1] < 2000:
        n = min(4 * len(rows), 200)
        mixing = np.zeros((n, len(rows)))
        np.put_along_axis(mixing, rng.integers(0, len(rows), (n, 3)), rng.dirichlet(np.full(3, 0.5), n), axis=1)
        starts = np.concatenate([rows, core.decode(np.maximum(mixing, 1e-300))])
    found = g.ascend(starts, 4)
    log_g = g.log(found)
    # Those near an atom end there, where G = 1 already.
    elsewhere = np.flatnonzero((log_g > -1.0) & (separations(found, it.atoms, it.beta).min(axis=1) > 0.1))
    elsewhere = elsewhere[np.argsort(-log_g[elsewhere])][: 128 if rng is None else None]
    return np.concatenate([found[[log_g.argmax()]], g.ascend(found[elsewhere], 20)])


def add_atoms(it: Iterate, found: FloatArray, log_g: FloatArray, threshold: float) -> Iterate:
    """The iterate with the separate atoms at which log G exceeds the threshold, each at a small weight."""
    floor = max(threshold, 0.1 * float(log_g.max()))
    order = np.flatnonzero(log_g >= floor)
    order = order[np.argsort(-log_g[order], kind="stable")]
    new = found[order[_separate(found[order], it.beta)]]
    share = min(1e-3, 0.1 / len(new))
    weights = np.concatenate([it.weights * (1 - share * len(new)), np.full(len(new), share)])
    start = evaluate(it.problem, it.beta, weights, np.concatenate([it.atoms, new]))
    return newton_weights(start) if len(weights) <= START_ATOMS else iterate(start, 4, fixed_atoms=True)


def merge_atoms(it: Iterate, distance: float) -> Iterate:
    """Atoms nearer than `distance` (β times a squared Fisher distance) replaced by their weighted mean."""
    order = np.argsort(-it.weights, kind="stable")
    weights, atoms = it.weights[order].copy(), it.atoms[order].copy()
    near = separations(atoms, atoms, it.beta) < distance
    np.fill_diagonal(near, True)
    if near.sum() == len(weights):
        return it
    alive = np.ones(len(weights), bool)
    for i in range(len(weights)):
        if alive[i]:
            group = np.flatnonzero(near[i] & alive)
            alive[group] = False
            alive[i] = True
            atoms[i] = weights[group] @ atoms[group] / weights[group].sum()
            weights[i] = weights[group].sum()
    return evaluate(it.problem, it.beta, weights[alive], atoms[alive])


def separations(r: FloatArray, other: FloatArray, beta: float) -> FloatArray:
    """2β Σ_y (√r − √r')², β times a squared Fisher distance, of every atom from every other one, (n, n')."""
    root, other_root = np.sqrt(r), np.sqrt(other)
    if beta > 1e9:  # the product of the roots has lost the digits that count
        return np.stack([2.0 * beta * ((root - one) ** 2).sum(axis=1) for one in other_root], axis=1)
    centre = other_root[0]
    root, other_root = root - centre, other_root - centre
    square = (root**2).sum(axis=1)[:, None] + (other_root**2).sum(axis=1) - 2.0 * root @ other_root.T
    return np.asarray(2.0 * beta * np.maximum(square, 0.0))


def _separate(atoms: FloatArray, beta: float) -> NDArray[np.intp]:
    """Indices of atoms more than SEPARATE from each other, the earlier ones first."""
    left, chosen = np.arange(len(atoms)), []
    while len(left):
        chosen.append(left[0])
        left = left[separations(atoms[left], atoms[left[:1]], beta)[:, 0] > SEPARATE]
    return np.array(chosen, dtype=np.intp)


def largest_at_rows(g: DualFunction) -> float:
    """The largest log G at the rows p(y|x), all of them."""
    return float(_log_at(g, g.problem.p_y_given_x).max())


def _log_at(g: DualFunction, atoms: FloatArray) -> FloatArray:
    """log G at any number of atoms, in pieces that fit in memory."""
    size = max(1, PAIRS // len(g.log_weights))
    return np.concatenate([g.log(atoms[i : i + size]) for i in range(0, len(atoms), size)])


def _spread(rows: FloatArray, n: int) -> np.ndarray:
    """Indices of n rows that are spread out: each next one farthest from those taken, in Hellinger distance."""
    root = np.sqrt(rows)
    taken = [int(np.argmax(((root - root.mean(axis=0)) ** 2).sum(axis=1)))]
    distance = ((root - root[taken[0]]) ** 2).sum(axis=1)
    for _ in range(min(n, len(rows)) - 1):
        taken.append(int(distance.argmax()))
        distance = np.minimum(distance, ((root - root[taken[-1]]) ** 2).sum(axis=1))
    return np.array(taken)
