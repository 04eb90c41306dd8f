r"""Where clusters appear: local critical β, the true first transition, and all later ones.

The local value, at which the single cluster stops being a local minimum, is only an upper bound of the first transition:

.. math:: \beta_1 = \inf\{\beta : \max_r G_\beta(r) > 1\}, \qquad
          G_\beta(r) = \sum_x p(x) e^{-\beta [d(x,r) - d(x,r_0)]},

r₀ the decoder of all x together. For every r, log G_β(r) is convex in β and starts at 0 with slope ≤ 0, so the set of β is an
interval. Below β_1 one cluster is optimal. For IB, 1/β_1 is the contraction coefficient η_KL of the channel from X to Y.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from dualib.certificate.simplex import DualFunction
from dualib.measures import FloatArray, _kl_divergence
from dualib.problems import Bottleneck
from dualib.solution import check_beta, prove, search_maximum
from dualib.solvers.alternating import Iterate, evaluate
from dualib.solvers.columns import ascend, dual_function, generate_columns, minimise, start_from
from dualib.solvers.newton import instability
from dualib.solvers.options import Certify

RELATIVE_WIDTH = 1e-6  # of the bracket of a transition
COARSE = 1e-4  # relative distance of the two solutions between which it is then located
COUNTED = 1e-9  # weight below which an atom is not counted as a cluster
UNSTABLE = 1e-7  # excess of β λ_max over 1 from which a cluster splits, whatever that gains
JUMP = 1e-3  # nats of rate across that bracket, beyond which a transition is first-order


@dataclass(frozen=True)
class Transition:
    """A β at which the optimal number of clusters changes.

    It is located as the β at which the solution with the fewer clusters stops being optimal: max G > 1 for it, or one of its
    clusters is unstable (of a split, G shows the gain only further on).

    Attributes
    ----------
    beta : the transition; an estimate, within [lower, upper] as far as that is proven.
    lower, upper : β on both sides. Where `proven`, the fewer clusters are proven optimal to within `resolution` at one of them
        and an atom that improves on them is known at the other; otherwise both are estimates, as good as ascents can tell.
    kind : "continuous" (rate and relevance are continuous) or "first-order" (they jump; the curve is straight between).
    birth : whether the new cluster appears at a distance from the others, with zero weight, rather than by a split.
    n_before, n_after : number of clusters below and above.
    proven : whether the bracket is, up to intrinsic dimension 3. Between two solved points transitions that undo each other
        are not seen, and clusters of a weight below 1e-9 are not counted.
    local_beta : for the first transition, the local critical β beside it, otherwise nan.
    resolution : nats; what G gains on the fewer clusters is not told from 0 below that.
    """

    beta: float
    lower: float
    upper: float
    kind: str
    birth: bool
    n_before: int
    n_after: int
    proven: bool = False
    local_beta: float = float("nan")
    resolution: float = 1e-12


def local_critical_beta(problem: Bottleneck) -> float:
    r"""The β above which the single cluster is no longer a local minimum; an upper bound of the first transition.

    It is 1/λ_max of E_x[(a_x − ā)(a_x − ā)ᵀ] relative to the curvature, a_x the slope of −d(x, ·) at r₀. For IB 1/ρ², ρ the
    maximal correlation; for dualIB 1/σ₁² of √p(x) · log(p_x/r₀), centred, · √r₀.

    Returns
    -------
    float; inf where Y is independent of X.

    References
    ----------
    [zaslavsky2019]_, [piran2020]_
    """
    core = problem.reduced
    largest = float(instability(core, 1.0, core.single_decoder, core.p_x[None])[0][0])
    return 1.0 / largest if largest > 1e-14 else float("inf")


def first_transition(problem: Bottleneck, options: Certify | None = None) -> Transition:
    """The β at which one cluster stops being optimal, with a bracket; proven up to intrinsic dimension 3.

    Returns
    -------
    Transition with ``upper`` a β at which a second atom is shown to help (G > 1), ``lower`` one at which
    log max G ≤ 1e-12 (rounding), and ``local_beta`` the local critical β.
    """
    options = options or Certify()
    core = problem.reduced
    local = local_critical_beta(problem)
    if not np.isfinite(local):
        raise ValueError("X and Y are independent: there is no transition at any beta")
    upper, atom = _lower_by_ascent(core, local)
    lower, proven = upper * (1.0 - RELATIVE_WIDTH), False
    if core.dimension <= options.max_dimension:
        for width in (RELATIVE_WIDTH, 1e-5, 1e-4, 1e-3):
            lower = upper * (1.0 - width)
            g = _single_dual(core, lower)
            atoms = np.concatenate([core.single_decoder, g.ascend(atom[None], 50)])
            slack = _slack(g)
            ceiling = search_maximum(g, atoms, slack, options.max_cells)
            if ceiling.lower > slack:  # an atom the ascents had missed
                upper, atom = _lower_by_ascent(core, lower, ceiling.argmax)
                continue
            proven = bool(ceiling.upper <= slack)
            if proven:
                break
    beta = upper * (1.0 + 10 * RELATIVE_WIDTH)
    above = optimum(core, beta, evaluate(core, beta, np.array([0.99, 0.01]), np.stack([core.single_decoder[0], atom])))
    jump = _rate(above)
    birth = upper < local * (1.0 - 10 * RELATIVE_WIDTH)
    kind = "first-order" if jump > JUMP else "continuous"
    n_after = max(2, clusters(above))
    return Transition(upper, lower, upper, kind, birth, 1, n_after, proven, local, _slack(_single_dual(core, lower)))


def _slack(g: DualFunction) -> float:
    """The log G, nats, up to which it counts as 0."""
    return max(1e-12, 4.0 * g.rounding())


def _single_dual(core: Bottleneck, beta: float) -> DualFunction:
    return DualFunction(core, beta, np.log(core.p_x) + beta * core.distortion(core.single_decoder)[0])


def _lower_by_ascent(core: Bottleneck, beta: float, atom: FloatArray | None = None) -> tuple[float, FloatArray]:
    """Lower β to the root of log G_β(r) at the best r, ascend there, and again until no r gains."""
    rng = np.random.default_rng(0)
    single = evaluate(core, beta, np.ones(1), core.single_decoder)
    best = core.single_decoder[0] if atom is None else atom
    gain0 = core.distortion(core.single_decoder)[0]
    for _ in range(60):
        g = _single_dual(core, beta)
        found = np.concatenate([g.ascend(best[None], 60), ascend(g, replace(single, beta=beta), rng)])
        found = g.ascend(found, 20)
        gain = gain0 - core.distortion(found)  # log G_β(r) = log Σ p e^{β gain}
        values = g.log(found)
        candidates = np.flatnonzero(values > _slack(g))  # what is less may be rounding, whose root is anywhere
        if not len(candidates):
            break
        roots = [_root(core.p_x, gain[i], beta) for i in candidates]
        i = int(np.argmin(roots))
        if roots[i] >= beta * (1.0 - 1e-13):
            break
        beta, best = roots[i], found[candidates[i]]
    return beta, best


def _root(p_x: FloatArray, gain: FloatArray, beta: float) -> float:
    """The positive root of the convex function log Σ p e^{β gain}, at most β, by Newton from above."""
    for _ in range(60):
        terms = p_x * np.exp(beta * (gain - gain.max()))
        value = np.log(terms.sum()) + beta * gain.max()
        slope = terms @ gain / terms.sum()
        if value <= 0.0 or slope <= 0.0:
            break
        new = beta - value / slope
        if not 0.0 < new < beta * (1.0 - 1e-15):
            break
        beta = float(new)
    return beta


def find_transitions(problem: Bottleneck, beta_max: float, n_grid: int = 40) -> tuple[Transition, ...]:
    """Every transition up to beta_max that a sweep of n_grid solutions and bisection between them shows.

    The first is bracketed by :func:`first_transition`. Later ones are where the number of clusters of the optimum changes,
    splits as well as births of a zero-weight atom at a distance, which no eigenvalue shows. What their brackets prove, and what
    goes unseen, is said by :class:`Transition`.
    """
    beta_max = check_beta(beta_max)
    first = first_transition(problem)
    if first.beta >= beta_max:
        return ()
    betas = np.geomspace(first.beta * (1.0 + 1e-3), beta_max, n_grid)
    core = problem.reduced
    points: list[Iterate] = []
    for beta in betas[::-1]:
        points.append(optimum(core, float(beta), points[-1] if points else None))
    return join_first(first, transitions_between(points[::-1]))


def join_first(first: Transition, later: list[Transition]) -> tuple[Transition, ...]:
    """The first transition with the later ones; those that show it again, from one cluster, only add to its n_after."""
    again = [t for t in later if t.n_before == 1 and t.beta <= first.beta * (1.0 + 1e-2)]
    n_after = max([first.n_after, *(t.n_after for t in again)]) if first.kind == "first-order" else first.n_after
    return (replace(first, n_after=n_after), *(t for t in later if t not in again))


def transitions_between(points: list[Iterate]) -> list[Transition]:
    """Transitions between solved points at ascending β."""
    found: list[Transition] = []
    for low, high in itertools.pairwise(points):
        found += _bisect(low, high)
    return found


def clusters(it: Iterate) -> int:
    """Number of atoms that carry more than 1e-9."""
    return int((it.weights > COUNTED).sum())


def _bisect(low: Iterate, high: Iterate) -> list[Transition]:
    if clusters(low) == clusters(high):
        return []
    if high.beta - low.beta <= COARSE * high.beta:
        return [_locate(low, high)]
    beta = float(np.sqrt(low.beta * high.beta))
    middle = optimum(low.problem, beta, high)
    return _bisect(low, middle) + _bisect(middle, high)


def _locate(low: Iterate, high: Iterate) -> Transition:
    """The transition between two solutions near by: the β at which the fewer clusters stop being optimal.

    Of a birth or a split the first gain is the product of two small numbers, and solutions show it only where it exceeds
    rounding; max G > 1 shows it where it begins, which may be on the other side of the solution with the fewer clusters.
    """
    few, many = (low, high) if clusters(low) < clusters(high) else (high, low)
    counted = few.weights > COUNTED
    few = evaluate(few.problem, few.beta, few.weights[counted] / few.weights[counted].sum(), few.atoms[counted])
    small = 1 <= few.problem.dimension <= Certify().max_dimension
    atoms, proven, slack = many.atoms, False, _resolution(few, dual_function(few))
    bracket = few.beta, many.beta
    for _ in range(4):
        found = _bracket(few, atoms, bracket, RELATIVE_WIDTH if small else 10 * RELATIVE_WIDTH)
        if found is None:
            break
        bracket = found
        if not small:
            break
        followed = _follow(few, bracket[0])
        g = dual_function(followed)
        slack = _resolution(followed, g)
        ceiling = search_maximum(g, np.concatenate([followed.atoms, atoms]), slack, Certify().max_cells)
        if ceiling.lower <= slack:
            proven = ceiling.upper <= 2.0 * slack
            break
        atoms = np.concatenate([atoms, ceiling.argmax[None]])
    lower, upper = sorted(map(float, bracket))
    kind = "first-order" if abs(_rate(high) - _rate(low)) > JUMP else "continuous"
    counts = clusters(low), clusters(high)
    beta = 0.5 * (lower + upper)
    return Transition(beta, lower, upper, kind, _is_birth(low, high), *counts, bool(proven), resolution=slack)


def _bracket(few: Iterate, atoms: FloatArray, start: tuple[float, float], width: float) -> tuple[float, float] | None:
    """β at which ascents from the atoms do not improve on the fewer clusters, and β at which they do; None if not found."""
    inner, outer = start
    step = COARSE * (1.0 if outer > inner else -1.0)
    for factor in 2.0 ** np.arange(12):
        inner_improved, outer_improved = _improved(few, atoms, inner), _improved(few, atoms, outer)
        if outer_improved and not inner_improved:
            break
        if inner_improved:
            inner, outer = inner * (1.0 - factor * step), inner
        else:  # the two solutions differ by clusters that gain nothing yet
            inner, outer = outer, outer * (1.0 + factor * step)
    else:
        return None
    while abs(outer - inner) > width * outer:
        middle = 0.5 * (inner + outer)
        inner, outer = (inner, middle) if _improved(few, atoms, middle) else (middle, outer)
    return inner, outer


def _follow(few: Iterate, beta: float) -> Iterate:
    """The fewer clusters, minimised over at another β without adding any."""
    return minimise(evaluate(few.problem, beta, few.weights, few.atoms))[0]


def _improved(few: Iterate, atoms: FloatArray, beta: float) -> bool:
    """Whether a split of the fewer clusters, or an atom ascended to from those given or the rows, improves on them at β."""
    it = _follow(few, beta)
    posterior = it.ratio * it.problem.p_x
    posterior /= posterior.sum(axis=1, keepdims=True)
    if instability(it.problem, beta, it.atoms, posterior)[0].max() > 1.0 + UNSTABLE:
        return True
    g = dual_function(it)
    slack = _resolution(it, g)
    if it.problem.dimension == 1:
        return search_maximum(g, it.atoms, slack, Certify().max_cells).lower > slack
    # An ascent is slow where two atoms are about to part.
    found = np.concatenate([g.ascend(atoms, 300), g.ascend(it.problem.p_y_given_x, 30)])
    return bool(g.log(found).max() > slack)


def _resolution(it: Iterate, g: DualFunction) -> float:
    """The log G, nats, up to which it counts as 0: rounding, and what is left of it at the atoms themselves."""
    return max(_slack(g), 2.0 * float(np.abs(g.log(it.atoms)).max()))


def optimum(core: Bottleneck, beta: float, start: Iterate | None = None) -> Iterate:
    """The optimum at β, from a solved iterate near by: proven in dimension 1, elsewhere as far as ascents can tell."""
    small = core.dimension <= Certify().max_dimension
    options = Certify(tolerance=1e-12) if small else Certify()
    rng = np.random.default_rng(0) if small or start is None else None
    it = start_from(core, beta) if start is None else evaluate(core, beta, start.weights, start.atoms)
    it, _, residual = generate_columns(it, options, rng)
    return prove(it, options, residual)[0] if core.dimension == 1 else it


def _rate(it: Iterate) -> float:
    encoder = it.encoder.T
    return float(it.problem.p_x @ _kl_divergence(encoder, it.problem.p_x @ encoder))


def _is_birth(low: Iterate, high: Iterate) -> bool:
    """Whether some atom above the transition is far, on the scale 1/√β, from every atom below it."""
    distance = 4.0 * high.beta * (1.0 - np.sqrt(high.atoms) @ np.sqrt(low.atoms).T)
    return bool(distance.min(axis=1).max() > 0.05)


__all__ = ["Transition", "find_transitions", "first_transition", "local_critical_beta"]
