"""THE default grid of β, and the check of a given one."""

from __future__ import annotations

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.core.arrays import positive, whole
from dualib.core.typing import ArrayLike, Float, FloatArray
from dualib.curves.limits import LARGEST_GRID
from dualib.curves.transitions import first_transition, local_critical_beta
from dualib.solvers.columns import fits


def default_betas(problem: Bottleneck, n: int = 50) -> Float[np.ndarray, " n"]:
    """Give the grid that is used where none is given: 0.8 of the first transition, then n − 1 geometric β from that transition to 20 times the local one.

    The first transition is the true one (:func:`dualib.first_transition`), which may lie far below the local critical β.

    Parameters
    ----------
    problem : Bottleneck
    n : int
        Number of β, at least 3.

    Raises
    ------
    ValueError
        If n is below 3, or X and Y are independent.

    Examples
    --------
    >>> from dualib import IB, Joint, default_betas, local_critical_beta
    >>> problem = IB(Joint([[0.4, 0.1], [0.1, 0.4]]))
    >>> bool(default_betas(problem)[0] < local_critical_beta(problem))
    True
    """
    whole(n, "n", 3)
    local = local_critical_beta(problem)
    if not np.isfinite(local):
        raise ValueError("X and Y are independent: the curve is the single point (0, 0)")
    first = first_transition(problem)
    return np.append(0.8 * first.beta, np.geomspace(first.beta, 20.0 * local, n - 1))


def fitting(problem: Bottleneck, betas: FloatArray) -> FloatArray:
    """The first of ascending β, those whose solutions have no more clusters than fit; all but for more than some 60 000 distinct rows.

    Raises
    ------
    ValueError
        If none has; the message names a β that does.
    """
    core = problem.reduced
    if fits(core, float(betas[-1])):
        return betas
    low, high = -1, len(betas) - 1  # the last that is known to fit, the first known not to
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(core, float(betas[middle])) else (low, middle)
    if low < 0:
        raise ValueError(
            f"beta = {betas[0]:g} needs more clusters than fit for {len(core.p_x)} distinct rows p(y|x): take {_below(core, float(betas[0]))}, "
            "or fewer rows (group rows that are nearly equal)"
        )
    return betas[: low + 1]


def _below(core: Bottleneck, beta: float) -> str:
    """A smaller β that fits, in words."""
    for smaller in np.geomspace(beta, local_critical_beta(core), 6)[1:]:
        if smaller < beta and fits(core, float(smaller)):
            return f"beta = {smaller:.3g}"
    return "smaller beta"


def left_out(betas: FloatArray, kept: FloatArray) -> str:
    """Which of the β were left out, and why; empty where none was."""
    if len(kept) == len(betas):
        return ""
    return (
        f"{len(betas) - len(kept)} of {len(betas)} beta are left out, from {betas[len(kept)]:.4g} on, where more clusters are needed than "
        f"fit; the largest that fits is {kept[-1]:.4g}"
    )


def ascending(betas: ArrayLike) -> FloatArray:
    """The β in ascending order, each once, checked before any work.

    Raises
    ------
    ValueError
        If there is none, more than :data:`dualib.curves.limits.LARGEST_GRID`, or one that is not positive and finite.
    """
    given = np.atleast_1d(np.asarray(betas)).ravel()
    if not given.size:
        raise ValueError("betas is empty")
    if given.size > LARGEST_GRID:
        raise ValueError(f"betas has {given.size} values; a curve has up to {LARGEST_GRID}")
    return np.unique([positive(beta, "beta") for beta in given])
