"""solve(problem, beta): one point of a bottleneck curve, with the proof of how good it is.

Column generation: alternating minimisation from many atoms → Newton → the maximum of G over the simplex either proves the
optimum or is the atom to add. The search for that maximum is first a cheap ascent, then, up to dimension `max_dimension`,
the rigorous one of :mod:`dualib.certificate`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .blahut_arimoto import Iterate, accelerate, evaluate, iterate
from .certificate import Ceiling, DualFunction, max_log_g, pairwise_log_ceiling
from .charts import Chart
from .measures import FloatArray, _check_distribution, _entropy, _kl_divergence
from .newton import MAX_UNKNOWNS, newton, newton_weights, splits
from .problems import Bottleneck

START_ATOMS = 512  # a cold start from more distinct rows takes a sample of them
ACCURACY = 1e-7  # residual of the accelerated alternation; the error of F is about its square over the least curvature
SEPARATE = 1e-2  # atoms nearer than this, in β times a squared Fisher distance, start as one


@dataclass(frozen=True)
class Certify:
    """How a solution is searched and proven.

    Attributes
    ----------
    tolerance : nats; the gap aimed at, and below which a solution counts as certified.
    max_dimension : intrinsic dimension up to which the rigorous search is tried (its cost grows exponentially).
    max_cells : the rigorous search stops there with a valid but looser bound.
    max_rounds : rounds of column generation.
    """

    tolerance: float = 1e-9
    max_dimension: int = 3
    max_cells: int = 4_000_000
    max_rounds: int = 40

    def __post_init__(self) -> None:
        if not 1e-14 <= self.tolerance < np.inf:
            raise ValueError(f"tolerance = {self.tolerance} nats must be at least 1e-14 (rounding) and finite")
        for name in ("max_dimension", "max_cells", "max_rounds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} = {getattr(self, name)} must not be negative")


@dataclass(frozen=True, eq=False)
class Solution:
    r"""The optimum of a bottleneck problem at one β, with a proven interval: lower_bound ≤ F(β) ≤ objective. Nats.

    Attributes
    ----------
    problem, beta : what was solved.
    p_t : p(t), shape (n_t,), descending.
    p_t_given_x : the encoder, shape (n_x, n_t), for every x of the problem's joint.
    p_y_given_t : the decoder r_t, shape (n_t, n_y); for the dual it is not the Markov decoder, see `markov_decoder`.
    objective : Φ = −Σ p(x) log z_x = I(X;T) + β E d at the optimal encoder for these p(t) and r_t.
    lower_bound : proven lower bound of F(β), from the rigorous maximum of G over the simplex where that was done.
    estimated_gap : log of the largest G that an ascent from many starts met; not a proof. 0 means none above 1.
    certified : whether objective − lower_bound ≤ the tolerance asked for.
    status : what happened and, where something fell short, which knob to turn.
    cells : cells examined for the proof.
    """

    problem: Bottleneck
    beta: float
    p_t: FloatArray
    p_t_given_x: FloatArray
    p_y_given_t: FloatArray
    objective: float
    lower_bound: float
    estimated_gap: float
    certified: bool
    status: str
    cells: int = 0
    residual: float = field(default=0.0, repr=False)

    @property
    def gap(self) -> float:
        """objective − lower_bound: a proven bound of how far the objective is above F(β), nats."""
        return self.objective - self.lower_bound

    @property
    def n_clusters(self) -> int:
        """Number of clusters t."""
        return len(self.p_t)

    @cached_property
    def rate(self) -> float:
        """I(X;T) = Σ_x p(x) D(q(·|x) ‖ p(t)), nats."""
        marginal = self.problem.p_x @ self.p_t_given_x
        return float(self.problem.p_x @ _kl_divergence(self.p_t_given_x, marginal))

    @cached_property
    def markov_decoder(self) -> FloatArray:
        """p(y|t) = Σ_x p(y|x) p(x|t), the Bayes decoder of the encoder, shape (n_t, n_y)."""
        joint = self.p_t_given_x.T * self.problem.p_x
        return joint @ self.problem.p_y_given_x / joint.sum(axis=1, keepdims=True)

    @cached_property
    def relevance(self) -> float:
        """I(T;Y) of the Markov decoder, nats."""
        return float(self.p_t @ _kl_divergence(self.markov_decoder, self.problem.joint.p_y))

    @cached_property
    def decoder_information(self) -> float:
        """Σ_t p(t) D(r_t ‖ Σ_t p(t) r_t), the information in the problem's own decoder (for IB: the relevance), nats."""
        return max(0.0, float(_entropy(self.p_t @ self.p_y_given_t) - self.p_t @ _entropy(self.p_y_given_t)))

    @cached_property
    def distortion(self) -> float:
        """E d(x, r_T) = F'(β), nats."""
        joint = self.p_t_given_x.T * self.problem.p_x
        return float((joint * self.problem.distortion(self.p_y_given_t)).sum())

    def encode(self, p_y_given_x: ArrayLike) -> FloatArray:
        """q(t|x) ∝ p(t) e^{−βd(x, r_t)} for new x given by their p(y|x).

        Parameters
        ----------
        p_y_given_x : shape (n_y,) or (n, n_y).

        Returns
        -------
        array, shape (n_t,) or (n, n_t).
        """
        rows = np.atleast_2d(_check_distribution(p_y_given_x, "p_y_given_x"))
        n_y = self.p_y_given_t.shape[1]
        if rows.shape[1] != n_y:
            raise ValueError(f"p_y_given_x has {rows.shape[1]} symbols y, the solution {n_y}")
        exponent = np.log(self.p_t) - self.beta * self.problem.distortion_of_rows(rows, self.p_y_given_t).T
        encoder = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        encoder /= encoder.sum(axis=1, keepdims=True)
        return encoder[0] if np.ndim(p_y_given_x) == 1 else encoder


def check_beta(beta: Any) -> float:
    """β as a float, or a ValueError that says what is wrong with it."""
    try:
        value = float(beta)
    except (TypeError, ValueError):
        raise ValueError(f"beta = {beta!r} is not a number") from None
    if not 0.0 < value < np.inf:
        raise ValueError(f"beta = {value} must be positive and finite (F(0) = 0: everything is one cluster)")
    return value


def solve(
    problem: Bottleneck,
    beta: float,
    *,
    certify: bool = True,
    options: Certify | None = None,
    start: FloatArray | None = None,
    seed: int = 0,
) -> Solution:
    r"""Solve a bottleneck problem at one β to a proven optimum.

    .. math:: F(\beta) = \min I(X;T) + \beta\, E\, d(x, r_T)

    Parameters
    ----------
    problem : IB(joint), DualIB(joint) or AlphaIB(joint, alpha).
    beta : trade-off, > 0.
    certify : False skips the rigorous search; the solution is then as good as many ascents can tell.
    options : tolerances and limits.
    start : atoms (n, n_y) to start from, for example another solution's p_y_given_t; the rows p(y|x) otherwise.
    seed : of the random mixtures among the starts of the ascents.

    Returns
    -------
    Solution; nothing is raised when the proof falls short: see `certified` and `status`.

    Examples
    --------
    >>> from dualib import IB, Joint, solve
    >>> solution = solve(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), beta=4.0)
    >>> solution.certified
    True
    """
    beta = check_beta(beta)
    options = options or Certify()
    core = problem.reduced
    it = start_from(core, beta, start)
    it, estimate, residual = generate_columns(merge_atoms(it, SEPARATE), options, np.random.default_rng(seed))
    ceiling = None
    if certify and core.dimension <= options.max_dimension:
        it, ceiling, residual = prove(it, core.chart(), options, residual)
        estimate = max(0.0, ceiling.lower)
    return finish(problem, it, estimate, ceiling, options, residual)


def start_from(core: Bottleneck, beta: float, atoms: FloatArray | None = None) -> Iterate:
    """Uniform weights on given atoms, or T = X (a spread-out sample of the rows where there are very many)."""
    if atoms is not None:
        atoms = np.maximum(_check_distribution(atoms, "start"), 1e-200)
        it = evaluate(core, beta, np.full(len(atoms), 1.0 / len(atoms)), atoms)
        return iterate(it, 5)
    rows = core.p_y_given_x
    if len(rows) > START_ATOMS:
        keep = _spread(rows, 64 if rows.shape[1] == 2 else START_ATOMS)
        it = iterate(evaluate(core, beta, np.full(len(keep), 1.0 / len(keep)), rows[keep]), 20, fixed_atoms=True)
    else:
        it = evaluate(core, beta, core.p_x, rows)
    return iterate(it, 40 if it.atoms.size * len(rows) < 1e5 else 10)


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
    """Atoms where G is large: ascents from the rows, from pairs of atoms and (given rng) from random mixtures of rows."""
    core = it.problem
    rows = core.p_y_given_x
    if rows.shape[1] == 2:  # a segment: a grid in the angle of √r finds every peak, each about 1/√β wide
        low, high = np.arcsin(np.sqrt(np.array([rows[:, 0].min(), rows[:, 0].max()])))
        angles = np.linspace(low, high, int(np.clip(25 * (high - low) * np.sqrt(it.beta), 64, 4000)))
        grid = np.stack([np.sin(angles) ** 2, np.cos(angles) ** 2], axis=1)
        log_g = g.log(grid)
        peak = np.flatnonzero(np.r_[True, log_g[1:] >= log_g[:-1]] & np.r_[log_g[:-1] >= log_g[1:], True])
        peak = peak[log_g[peak] > -0.05]
        return g.ascend(grid[peak], 6) if len(peak) else it.atoms
    starts = [rows if len(rows) <= START_ATOMS else rows[_spread(rows, START_ATOMS)]]
    if rng is not None and len(rows) * rows.shape[1] < 2000:
        n = min(4 * len(rows), 200)
        mixing = np.zeros((n, len(rows)))
        np.put_along_axis(mixing, rng.integers(0, len(rows), (n, 3)), rng.dirichlet(np.full(3, 0.5), n), axis=1)
        starts.append(core.decode(np.maximum(mixing, 1e-300)))
    start = np.concatenate(starts)
    found = g.ascend(start, 4)
    log_g = g.log(found)
    # Those near an atom end there, where G = 1 already.
    elsewhere = np.flatnonzero((log_g > -1.0) & (_nearest(found, it.atoms, it.beta) > 0.1))
    elsewhere = elsewhere[np.argsort(-log_g[elsewhere])][: 128 if rng is None else None]
    return np.concatenate([found[[log_g.argmax()]], g.ascend(found[elsewhere], 20)])


def add_atoms(it: Iterate, found: FloatArray, log_g: FloatArray, threshold: float, most: int = 8) -> Iterate:
    """The iterate with the best separate atoms at which log G exceeds the threshold, each at a small weight."""
    chosen: list[FloatArray] = []
    floor = max(threshold, 0.1 * float(log_g.max()))
    for i in np.argsort(-log_g):
        if log_g[i] < floor or len(chosen) == most:
            break
        if all(_separation(found[i], other, it.beta) > SEPARATE for other in chosen):
            chosen.append(found[i])
    share = 1e-3
    weights = np.concatenate([it.weights * (1 - share * len(chosen)), np.full(len(chosen), share)])
    start = evaluate(it.problem, it.beta, weights, np.concatenate([it.atoms, np.array(chosen)]))
    return newton_weights(start) if len(weights) <= START_ATOMS else iterate(start, 4, fixed_atoms=True)


def merge_atoms(it: Iterate, distance: float) -> Iterate:
    """Atoms nearer than `distance` (β times a squared Fisher distance) replaced by their weighted mean."""
    order = np.argsort(-it.weights, kind="stable")
    weights, atoms = it.weights[order].copy(), it.atoms[order].copy()
    root = np.sqrt(atoms)
    near = 4.0 * it.beta * (1.0 - root @ root.T) < distance
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


def _separation(r: FloatArray, other: FloatArray, beta: float) -> float:
    return float(2.0 * beta * ((np.sqrt(r) - np.sqrt(other)) ** 2).sum())


def _nearest(points: FloatArray, atoms: FloatArray, beta: float) -> FloatArray:
    """Separation of every point from the nearest atom, shape (n,)."""
    return 4.0 * beta * (1.0 - np.sqrt(points) @ np.sqrt(atoms).T).min(axis=1)


def _spread(rows: FloatArray, n: int) -> np.ndarray:
    """Indices of n rows that are spread out: each next one farthest from those taken, in Hellinger distance."""
    root = np.sqrt(rows)
    taken = [int(np.argmax(((root - root.mean(axis=0)) ** 2).sum(axis=1)))]
    distance = ((root - root[taken[0]]) ** 2).sum(axis=1)
    for _ in range(min(n, len(rows)) - 1):
        taken.append(int(distance.argmax()))
        distance = np.minimum(distance, ((root - root[taken[-1]]) ** 2).sum(axis=1))
    return np.array(taken)


def prove(it: Iterate, chart: Chart, options: Certify, residual: float) -> tuple[Iterate, Ceiling, float]:
    """Rigorous maximum of G; where it shows an atom that is missing, add it and go on."""
    ceiling = None
    if it.atoms.size > MAX_UNKNOWNS:
        it, residual = minimise(it, 3 * MAX_UNKNOWNS)
    for _ in range(options.max_rounds):
        ceiling = max_log_g(dual_function(it), chart, it.atoms, 0.3 * options.tolerance, options.max_cells)
        if ceiling.lower <= 0.5 * options.tolerance:
            break
        better, _ = minimise(add_atoms(it, ceiling.argmax[None], np.array([ceiling.lower]), 0.0), 3 * MAX_UNKNOWNS)
        if not better.value < it.value:
            break
        it, _, residual = generate_columns(better, options, None)
    assert ceiling is not None
    return it, ceiling, residual


def finish(
    problem: Bottleneck, it: Iterate, estimate: float, ceiling: Ceiling | None, options: Certify, residual: float
) -> Solution:
    """The solution of the original problem from an iterate on merged rows and what is proven of its G."""
    g = dual_function(it)
    proven = ceiling.upper if ceiling is not None else np.inf
    if not proven <= options.tolerance:
        proven = min(proven, pairwise_log_ceiling(g))
    lower = max(0.0, it.value - max(proven, 0.0) - g.rounding())
    certified = it.value - lower <= options.tolerance
    order = np.argsort(-it.weights, kind="stable")
    return Solution(
        problem=problem,
        beta=it.beta,
        p_t=it.weights[order],
        p_t_given_x=problem.merged.expand(it.encoder[order].T),
        p_y_given_t=it.atoms[order],
        objective=it.value,
        lower_bound=min(lower, it.value),
        estimated_gap=estimate,
        certified=bool(certified),
        status=_status(problem, certified, ceiling, estimate, options),
        cells=0 if ceiling is None else ceiling.cells,
        residual=residual,
    )


def _status(problem: Bottleneck, certified: bool, ceiling: Ceiling | None, estimate: float, options: Certify) -> str:
    if certified:
        return "certified: the interval is proven"
    dimension = problem.reduced.dimension
    if ceiling is None and dimension > options.max_dimension:
        return (
            f"not certified: the search for the maximum of G has dimension {dimension}, above max_dimension = "
            f"{options.max_dimension}; the gap is estimated at {estimate:.1e} nats by ascents from many starts"
        )
    if ceiling is None:
        return f"not certified: certify=False; the gap is estimated at {estimate:.1e} nats by ascents from many starts"
    if not ceiling.complete:
        return (
            f"not certified: the proof stopped after {ceiling.cells} cells; raise max_cells (now {options.max_cells})"
        )
    if ceiling.lower > options.tolerance:
        return f"not certified: G exceeds 1 by {ceiling.lower:.1e}; raise max_rounds (now {options.max_rounds})"
    return f"not certified: rounding alone exceeds the tolerance {options.tolerance:g}; raise it"
