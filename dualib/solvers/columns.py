"""Column generation: which atoms a solution needs, found by ascents of G and minimised over together.

Alternating minimisation from many atoms → Newton → where an ascent finds G > 1, an atom is missing: it is added, and so on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from dualib.bottleneck import Bottleneck, Rows
from dualib.certificate.dual_function import DualFunction
from dualib.core.special import TINY
from dualib.joint import Joint
from dualib.solvers.alternating import iterate
from dualib.solvers.ascents import ascended, log_at_rows
from dualib.solvers.atoms import (
    INSIDE,
    SEPARATE,
    add_atoms,
    check_size,
    coalesce,
    inside,
    merge_atoms,
    most_clusters,
    possible_gain,
    prune,
    start_from,
    too_many_rows,
    trivial,
)
from dualib.solvers.balance import balanced
from dualib.solvers.distances import away
from dualib.solvers.elimination import pairs_of
from dualib.solvers.iterate import Iterate, evaluate
from dualib.solvers.krylov import newton_cg
from dualib.solvers.mesh import between, meshed
from dualib.solvers.minimum import ACCURACY, NEIGHBOURS, minimise, to_last_digits
from dualib.solvers.newton import MAX_UNKNOWNS
from dualib.solvers.options import Certify
from dualib.solvers.stability import MANY_SYMBOLS, splits

SAMPLE = 2000  # rows whose optimum starts that of very many: Solution.left_out says so; with
MOST_SHARED = 0.25  # times as many clusters, T = X does
MOST_STARTS = 512  # ascents; from more rows than that, from those with the largest G
MOST_BESIDE = 2048  # the same beside atoms: those with the largest G
AMONG = 8  # times as many of the largest are looked at for some that are away from the atoms, and of the pairs of neighbours
FIRST_ROUNDS = 1  # of ascents from all starts, and
LAST_ROUNDS = 8  # from those that are not at an atom already
LITTLE = 1e-8  # log G up to which it is more likely the gradient that is left than an atom
STUCK = 3  # rounds from which on it is compared with T = X and with one cluster
ROUGH_STEPS = 5  # of Newton's method between two looks at G, as long as there are atoms to add
ROUGH_ROUNDS = 40
ROUGH_GAIN = 1e-7  # of Φ, by a round of these, up to which a minimum is near enough
ROUGH_SHARE = 1e-3  # of log G: what a last step may leave to gain before the next look
SETTLED = 10.0  # times the tolerance: where G is flat, its maximum is as large when Φ has all its digits
CHEAP = 1_600_000  # (t, x, y) up to which a solution that knows a G > 1 is always tried again from another start


class Found(NamedTuple):
    """What column generation returns.

    Attributes
    ----------
    iterate : Iterate
    estimate : float
        Log of the largest G met, at least 0.
    residual : float
        Norm of the gradient at which the minimisation stopped.
    gain : float
        What the atoms at which G exceeds 1 would take from Φ at the best share, nats: of the order of the square of `estimate`.
    """

    iterate: Iterate
    estimate: float
    residual: float
    gain: float = 0.0

    def worth_another(self, tolerance: float) -> bool:
        """Whether another start may pay: a G > 1 is left, and that is cheap, or there is something to be gained."""
        it = self.iterate
        cheap = it.atoms.size * len(it.log_z) <= CHEAP
        return self.estimate > SETTLED * tolerance and (cheap or self.gain > ACCURACY * abs(it.value))


def start(core: Bottleneck, beta: float) -> Iterate:
    """T = X, its clusters merged that all but coincide; of very many rows, the optimum of a sample of them."""
    rows = core.p_y_given_x
    if not too_many_rows(core):
        return merge_atoms(start_from(core, beta), SEPARATE)
    it = optimum_of_sample(core, beta)
    if it is None:
        check_size(len(rows), core, beta)
        return iterate(evaluate(core, beta, core.p_x, inside(rows, core)), 2)
    check_size(len(it.weights), core, beta)
    return iterate(evaluate(core, beta, it.weights, it.atoms), 2)


def optimum_of_sample(core: Bottleneck, beta: float) -> Iterate | None:
    """The optimum of SAMPLE rows; None where it has so many clusters that more rows would have more."""
    rows = core.p_y_given_x
    drawn = np.random.default_rng(0).permutation(len(rows))[:SAMPLE]
    keep = np.union1d(drawn, rows.argmax(axis=0))  # every y is seen
    joint = Joint.from_conditional(core.p_x[keep] / core.p_x[keep].sum(), rows[keep])
    few = replace(core, joint=joint).reduced
    it = generate_columns(merge_atoms(start_from(few, beta), SEPARATE), Certify(max_rounds=3), None).iterate
    return None if len(it.weights) > MOST_SHARED * len(keep) else it


def fits(core: Bottleneck, beta: float) -> bool:
    """Whether :func:`start` has no more clusters than fit; of so many rows that T = X does not, as a sample of them tells."""
    n_x, n_y = core.p_y_given_x.shape
    most = most_clusters(n_x, n_y)
    if n_x <= most or not too_many_rows(core):
        return True
    it = optimum_of_sample(core, beta)
    return it is not None and len(it.weights) <= most


def best_start(it: Iterate, options: Certify, rng: np.random.Generator | None) -> Found:
    """:func:`generate_columns`, and again from T = X or one cluster where it ends above these or knows a G > 1."""
    best = generate_columns(it, options, rng)
    for other in trivial(it.problem, it.beta):
        if other.value < best.iterate.value - 1e-12 or best.worth_another(options.tolerance):
            found = generate_columns(other, options, rng)
            best = min(best, found, Found(other, np.inf, np.inf, np.inf), key=lambda result: result.iterate.value)
    return best


def generate_columns(it: Iterate, options: Certify, rng: np.random.Generator | None) -> Found:
    """Alternate between minimising over the atoms and adding where an ascent finds G > 1."""
    it, residual = minimise(approached(it, options, rng))
    estimate = gain = 0.0
    for rounds in range(options.max_rounds):
        if rounds == STUCK:  # where all is flat, as at β = 1 with deterministic labels, it gets nowhere
            best = min(trivial(it.problem, it.beta), key=lambda one: one.value)
            it, residual = minimise(best) if best.value < it.value else (it, residual)
        it = balanced(it)
        g = it.dual
        found = ascend(g, it, rng)
        log_g = g.log_in_parts(found)
        if it.atoms.size * len(it.log_z) > CHEAP or log_g.max() <= 0.1 * options.tolerance:
            found = np.concatenate([found, ascended(g, beside(it), LAST_ROUNDS)])
            log_g = g.log_in_parts(found)
        estimate, gain = max(0.0, float(log_g.max())), 0.0
        if estimate <= 0.1 * options.tolerance:
            break
        if it.parts is not None:  # a last step takes long there
            gain = possible_gain(it, found, log_g)
            if gain <= ACCURACY * abs(it.value):
                break
        better, better_residual = it, residual
        if estimate > LITTLE:
            added = add_atoms(it, found, log_g, 0.1 * options.tolerance)
            better, better_residual = minimise(approached(added, options, rng))
        if not better.value < it.value - ACCURACY * abs(it.value):  # an atom is not quite where it belongs
            it, residual = to_last_digits(better if better.value <= it.value + it.noise else it)
            it = balanced(it)
            found = np.concatenate([ascend(it.dual, it, rng), ascended(it.dual, beside(it), LAST_ROUNDS)])
            log_g = it.dual.log_in_parts(found)
            estimate, gain = max(0.0, float(log_g.max())), possible_gain(it, found, log_g)
            if gain <= ACCURACY * abs(it.value):
                break
            better, better_residual = minimise(approached(add_atoms(it, found, log_g, 0.0), options, rng))
            if not better.value < it.value:
                break
        it, residual = better, better_residual
    return Found(prune(it), estimate, residual, gain)


def approached(it: Iterate, options: Certify, rng: np.random.Generator | None) -> Iterate:
    """The iterate nearer to the optimum, where there are so many unknowns and symbols y that a minimum takes long.

    A minimum over too few or too many atoms is none of the problem: after a few steps towards it, neighbours are merged and
    atoms added where an ascent finds G > 1, until none is found.
    """
    log_g = 0.0
    rough = options.max_rounds > 0 and it.atoms.shape[1] >= MANY_SYMBOLS
    for _ in range(ROUGH_ROUNDS if rough else 0):
        if it.atoms.size <= MAX_UNKNOWNS or pairs_of(it) is not None:
            break
        it, before = coalesce(iterate(it, 1), NEIGHBOURS), it.value
        accuracy = max(ROUGH_SHARE * log_g, ACCURACY * abs(it.value))
        it, _, done = newton_cg(it, accuracy, ROUGH_STEPS)
        if done and not log_g:  # no atom is missed so far: a minimum is near
            break
        found = ascend(it.dual, it, rng)
        at_found = it.dual.log_in_parts(found)
        log_g = max(float(at_found.max()), 0.0)
        if log_g <= 0.1 * options.tolerance or before - it.value < ROUGH_GAIN * abs(it.value):
            break
        it = meshed(add_atoms(it, found, at_found, 0.1 * options.tolerance))
    return it


def ascend(g: DualFunction, it: Iterate, rng: np.random.Generator | None) -> Rows:
    """Atoms where G is large: ascents from the rows, from pairs of atoms and (given rng) from random mixtures of rows.

    The largest G that they reach is at least that of every row.
    """
    core = it.problem
    rows = core.p_y_given_x
    if rows.shape[1] == 2:  # a segment: a grid in the angle of √r finds every peak, each about 1/√β wide
        low, high = np.arcsin(np.sqrt(np.array([rows[:, 0].min(), rows[:, 0].max()])))
        angles = np.linspace(low, high, int(np.clip(25 * (high - low) * np.sqrt(it.beta), 64, 4000)))
        grid = np.stack([np.sin(angles) ** 2, np.cos(angles) ** 2], axis=1)
        log_g = g.log_in_parts(grid)
        peak = np.flatnonzero(np.r_[True, log_g[1:] >= log_g[:-1]] & np.r_[log_g[:-1] >= log_g[1:], True])
        peak = peak[log_g[peak] > -0.05]
        at_rows = g.log_in_parts(rows)
        starts = np.concatenate([grid[peak], rows[[at_rows.argmax()]]])
        return g.ascend(starts, 6)
    at_rows, starts = log_at_rows(g), rows
    if len(rows) > MOST_STARTS:
        starts = rows[np.argsort(-at_rows, kind="stable")[: AMONG * MOST_STARTS]]
        starts = starts[away(starts, it.atoms, it.beta, 0.1)][:MOST_STARTS]
        starts = np.concatenate([starts, rows[[at_rows.argmax()]]])
    elif rng is not None and len(rows) * rows.shape[1] < 2000:
        n = min(4 * len(rows), 200)
        mixing = np.zeros((n, len(rows)))
        np.put_along_axis(mixing, rng.integers(0, len(rows), (n, 3)), rng.dirichlet(np.full(3, 0.5), n), axis=1)
        starts = np.concatenate([rows, core.decode(np.maximum(mixing, TINY))])
    else:  # those near an atom end there
        starts = rows[away(rows, it.atoms, it.beta, 0.1)]
        starts = np.concatenate([starts, rows[[at_rows.argmax()]]])
    moved = inside(starts, core)
    found = ascended(g, np.concatenate([starts, moved[(moved != starts).any(axis=1)]]), FIRST_ROUNDS)
    log_g = g.log_in_parts(found)
    # Those near an atom end there, where G = 1 already.
    elsewhere = np.flatnonzero((log_g > -1.0) & away(found, it.atoms, it.beta, 0.1))
    elsewhere = elsewhere[np.argsort(-log_g[elsewhere])][: 128 if rng is None else None]
    return np.concatenate([found[[log_g.argmax()]], ascended(g, found[elsewhere], LAST_ROUNDS)])


def beside(it: Iterate) -> Rows:
    """Atoms near those of an iterate: where a cluster would split, between two neighbours, and off the edge, on which one may have been kept."""
    moved = [inside(it.atoms, it.problem, share) for share in INSIDE]
    found = np.concatenate(
        [splits(it), between(it, AMONG * MOST_BESIDE), *(some[(some != it.atoms).any(axis=1)] for some in moved)]
    )
    if len(found) > MOST_BESIDE:
        found = found[np.argsort(-it.dual.log_in_parts(found), kind="stable")[:MOST_BESIDE]]
    return found
