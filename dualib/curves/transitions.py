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

from dualib.bottleneck import Bottleneck
from dualib.certificate.dual_function import DualFunction
from dualib.certificate.search import search_maximum
from dualib.core.arrays import positive, whole
from dualib.core.progress import counted
from dualib.core.typing import FloatArray
from dualib.curves.limits import MAX_TRANSITIONS
from dualib.curves.locate import (
    COARSE,
    RELATIVE_WIDTH,
    Transition,
    TransitionKind,
    bracketed,
    clusters,
    crossing,
    kind_of,
    locate,
    optimum,
    slack_of,
)
from dualib.problems import IB
from dualib.solvers.columns import ascend
from dualib.solvers.iterate import Iterate, evaluate
from dualib.solvers.options import Certify
from dualib.solvers.stability import instability


def local_critical_beta(problem: Bottleneck) -> float:
    r"""Compute the β above which the single cluster is no longer a local minimum; an upper bound of the first transition.

    It is 1/λ_max of E_x[(a_x − ā)(a_x − ā)ᵀ] relative to the curvature, a_x the slope of −d(x, ·) at r₀. For IB 1/ρ², ρ the
    maximal correlation; for dualIB 1/σ₁² of √p(x) · log(p_x/r₀), centred, · √r₀.

    Returns
    -------
    float
        inf where Y is independent of X.

    References
    ----------
    [zaslavsky2019]_, [piran2020]_

    Examples
    --------
    >>> from dualib import IB, Joint, local_critical_beta
    >>> round(local_critical_beta(IB(Joint([[0.4, 0.1], [0.1, 0.4]]))), 9)  # 1/ρ², ρ = 0.6
    2.777777778
    """
    core = problem.reduced
    largest = float(instability(core, 1.0, core.single_decoder, core.p_x[None])[0][0])
    return 1.0 / largest if largest > 1e-14 else float("inf")


def first_transition(problem: Bottleneck, *, certify: bool | Certify = True) -> Transition:
    """Find the β at which one cluster stops being optimal, with a bracket that is proven up to intrinsic dimension 3.

    Parameters
    ----------
    problem : Bottleneck
    certify : bool or Certify
        Whether to prove the bracket, and with which limits; False leaves it to ascents.

    Returns
    -------
    Transition
        With ``upper`` a β at which a second atom is shown to help (G > 1), ``lower`` one at which log max G ≤ 1e-12
        (rounding), and ``local_beta`` the local critical β.

    Raises
    ------
    ValueError
        If X and Y are independent: then there is no transition.

    Examples
    --------
    >>> from dualib import IB, Joint, first_transition
    >>> found = first_transition(IB(Joint([[0.4, 0.1], [0.1, 0.4]])))
    >>> bool(found.lower <= 1 / 0.6**2 <= found.upper * (1 + 1e-6))
    True
    """
    options = Certify.of(certify)
    core = problem.reduced
    local = local_critical_beta(problem)
    if not np.isfinite(local):
        raise ValueError("X and Y are independent: there is no transition at any beta")
    upper, atom = _lower_by_ascent(core, local)
    lower = upper * (1.0 - RELATIVE_WIDTH)
    proven = isinstance(core, IB) and lower <= 1.0  # by data processing, where G is flat if Y is a function of X
    if certify is not False and not proven and core.dimension <= options.max_dimension:
        for width in (RELATIVE_WIDTH, 1e-5, 1e-4, 1e-3):
            lower = upper * (1.0 - width)
            g = _single_dual(core, lower)
            atoms = np.concatenate([core.single_decoder, g.ascend(atom[None], 50)])
            slack = slack_of(g)
            ceiling = search_maximum(g, atoms, slack, options.max_cells)
            if ceiling.lower > slack:  # an atom the ascents had missed
                upper, atom = _lower_by_ascent(core, lower, ceiling.argmax)
                continue
            proven = bool(ceiling.upper <= slack)
            if proven:
                break
    beta = upper * (1.0 + 10 * RELATIVE_WIDTH)
    above = optimum(core, beta, evaluate(core, beta, np.array([0.99, 0.01]), np.stack([core.single_decoder[0], atom])))
    birth = upper < local * (1.0 - 10 * RELATIVE_WIDTH)
    n_after = max(2, clusters(above))
    return Transition(
        upper, lower, upper, kind_of(above.rate), birth, 1, n_after, proven, local, slack_of(_single_dual(core, lower))
    )


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
        candidates = np.flatnonzero(values > slack_of(g))  # what is less may be rounding, whose root is anywhere
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


def find_transitions(
    problem: Bottleneck,
    beta_max: float,
    *,
    n_grid: int = 40,
    max_transitions: int = MAX_TRANSITIONS,
    progress: bool | None = None,
) -> tuple[Transition, ...]:
    """Find every transition up to beta_max that a sweep of n_grid solutions and bisection between them shows.

    The first is bracketed by :func:`first_transition`. Later ones are where the number of clusters of the optimum changes,
    splits as well as births of a zero-weight atom at a distance, which no eigenvalue shows. What their brackets prove, and what
    goes unseen, is said by :class:`Transition`.

    Parameters
    ----------
    problem : Bottleneck
    beta_max : float
        Largest β looked at, positive.
    n_grid : int
        Number of solutions of the sweep.
    max_transitions : int
        So many are located, by ascending β; of the others ``kind`` says that they are not.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    tuple of Transition
        By ascending β.

    Examples
    --------
    >>> from dualib import IB, Joint, find_transitions
    >>> len(find_transitions(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), beta_max=4.0))
    1
    """
    beta_max = positive(beta_max, "beta_max")
    first = first_transition(problem)
    if first.beta >= beta_max:
        return ()
    betas = np.geomspace(first.beta * (1.0 + 1e-3), beta_max, n_grid)
    core = problem.reduced
    points: list[Iterate] = []
    for beta in counted(betas[::-1], f"{problem.name}: sweep", progress):
        points.append(optimum(core, float(beta), points[-1] if points else None))
    above = optimum(core, first.beta * (1.0 + 10 * RELATIVE_WIDTH), points[-1])
    if (
        kind_of(above.rate) is TransitionKind.FIRST_ORDER
    ):  # started from one cluster, the other end of a jump may not be found
        first = replace(first, kind=TransitionKind.FIRST_ORDER)
    later = transitions_between(points[::-1], problem.name, max_transitions=max_transitions, progress=progress)
    return join_first(first, later)


def join_first(first: Transition, later: list[Transition]) -> tuple[Transition, ...]:
    """The first transition with the later ones; those that show it again, from one cluster, only add to its n_after."""
    again = [t for t in later if t.n_before == 1 and t.beta <= first.beta * (1.0 + 1e-2)]
    n_after = (
        max([first.n_after, *(t.n_after for t in again)]) if first.kind is TransitionKind.FIRST_ORDER else first.n_after
    )
    return (replace(first, n_after=n_after), *(t for t in later if t not in again))


def transitions_between(
    points: list[Iterate], name: str, *, max_transitions: int = MAX_TRANSITIONS, progress: bool | None = None
) -> list[Transition]:
    """Transitions between solved points at ascending β; beyond `max_transitions` only with the points as their bracket."""
    search = _Search(whole(max_transitions, "max_transitions", 0))
    pairs = [pair for pair in itertools.pairwise(points) if clusters(pair[0]) != clusters(pair[1])]
    found: list[Transition] = []
    for some in counted(map(search.between, pairs), f"{name}: transitions", progress, total=len(pairs), note=_last_of):
        found += some
    return sorted(found, key=lambda transition: transition.beta)


def _last_of(some: list[Transition]) -> str:
    return f"β = {some[-1].beta:.4g}, {some[-1].n_after} clusters" if some else ""


@dataclass
class _Search:
    """Bisection between solved points, as long as there are transitions left to locate."""

    left: int

    def between(
        self, pair: tuple[Iterate, Iterate], guess: float | None = None, guessing: bool = True
    ) -> list[Transition]:
        """Those between two points: about a guess of the first, or in both halves where the last guess was of no use."""
        low, high = pair
        if clusters(low) == clusters(high):
            return []
        if self.left == 0:
            return [bracketed(low, high)]
        if guess is None and guessing:
            guess = crossing(low, high)
        if high.beta - low.beta <= COARSE * high.beta:
            self.left -= 1
            return [locate(low, high, guess)]
        parts = list(itertools.pairwise([low, *_solved(low, high, guess), high]))
        about = [guess is not None and a.beta <= guess <= b.beta and clusters(a) != clusters(b) for a, b in parts]
        guessing = guess is None or any(about)
        return [
            t
            for part, at in zip(parts, about, strict=True)
            for t in self.between(part, guess if at else None, guessing)
        ]


def _solved(low: Iterate, high: Iterate, guess: float | None) -> list[Iterate]:
    """Points between two, ascending in β: on both sides of a guess, or in the middle."""
    ends = low.beta * (1.0 + 0.1 * COARSE), high.beta * (1.0 - 0.1 * COARSE)
    sides = [] if guess is None else [guess * (1.0 - 0.4 * COARSE), guess * (1.0 + 0.4 * COARSE)]
    found = [high]
    for beta in [b for b in sides[::-1] if ends[0] < b < ends[1]] or [float(np.sqrt(low.beta * high.beta))]:
        found.append(optimum(low.problem, beta, found[-1]))
    return found[:0:-1]
