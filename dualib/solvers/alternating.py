r"""The alternating minimisation at fixed β, with fixed or moving atoms.

A measure ν = Σ_t ν_t δ(r_t) has the value Φ(ν) = −Σ_x p(x) log Σ_t ν_t e^{−βd(x, r_t)} ≥ F(β). One iteration is

.. math:: q(t|x) = \nu_t e^{-\beta d(x,r_t)} / z_x, \qquad \nu_t = \sum_x p(x) q(t|x), \qquad r_t = \text{decoder of } p(x|t)

and never raises Φ. With the atoms held fixed Φ is convex in ν and the iteration reaches its global minimum from any start
with full support ([blahut1972]_, [csiszar1974]_, [tishby1999]_ eqs. 28-30).
"""

from __future__ import annotations

import numpy as np

from dualib.bottleneck import Atoms
from dualib.core.typing import Bool, Float
from dualib.solvers.iterate import Iterate

LIGHT = 1e-4  # of the largest weight: a cluster that a step may drop


def step(it: Iterate, fixed_atoms: bool = False) -> tuple[Float[np.ndarray, " n_t"], Atoms]:
    """One alternating step: new weights and, unless fixed, new atoms; clusters nobody uses are dropped."""
    weights = it.weights * it.gain
    if fixed_atoms:
        return weights, it.atoms
    kept = used(it)
    sums = it.sums if kept.all() else it.sums[kept]
    weights = weights[kept]
    return weights / weights.sum(), it.problem.decode_sums(sums)


def used(it: Iterate) -> Bool[np.ndarray, " n_t"]:
    """Which clusters a step keeps."""
    return np.asarray(it.weights * it.gain > 1e-14)


def heavy(it: Iterate) -> Bool[np.ndarray, " n_t"]:
    """Which clusters weigh too much to be dropped by a step of Newton's method."""
    return np.asarray(it.weights > LIGHT * it.weights.max())


def iterate(it: Iterate, steps: int, fixed_atoms: bool = False) -> Iterate:
    """The iterate after a number of alternating steps."""
    for _ in range(steps):
        it = it.moved(*step(it, fixed_atoms), None if fixed_atoms else used(it))
    return it
