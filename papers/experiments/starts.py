"""Random starts of the alternating iteration."""

from __future__ import annotations

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.solution import Solution
from dualib.solvers.atoms import start_from
from dualib.solvers.iterate import Iterate, evaluate


def random_starts(core: Bottleneck, proven: Solution, rng: np.random.Generator) -> dict[str, Iterate]:
    """One of each kind, with decoders and weights uniform on their simplices.

    "moving": as many decoders as x. "fixed": weights of the optimum's decoders; where these stay, the problem is convex.
    """
    n_x, n_y = core.p_y_given_x.shape
    atoms, weights = rng.dirichlet(np.ones(n_y), n_x), rng.dirichlet(np.ones(proven.n_clusters))
    return {
        "moving": start_from(core, proven.beta, atoms),
        "fixed": evaluate(core, proven.beta, weights, proven.p_y_given_t),
    }
