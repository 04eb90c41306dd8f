"""Random joints of every kind the solver meets."""

import numpy as np

import dualib

PROBLEMS = {
    "ib": dualib.IB,
    "dual": dualib.DualIB,
    "alpha": lambda joint: dualib.AlphaIB(joint, 0.4),
}


def random_joint(seed, n_x, n_y, concentration=1.0, rank=None, log_rank=None):
    """Rows Dirichlet(concentration); or of affine rank `rank`; or with log-rows of affine rank `log_rank`."""
    rng = np.random.default_rng(seed)
    p_x = rng.dirichlet(np.full(n_x, 3.0))
    if log_rank is not None:
        log_p = rng.normal(size=(n_x, log_rank)) @ rng.normal(size=(log_rank, n_y)) + rng.normal(size=n_y)
        rows = np.exp(log_p - log_p.max(axis=1, keepdims=True))
        rows /= rows.sum(axis=1, keepdims=True)
    elif rank is not None:
        rows = rng.dirichlet(np.ones(rank + 1), n_x) @ rng.dirichlet(np.ones(n_y), rank + 1)
    else:
        rows = np.maximum(rng.dirichlet(np.full(n_y, concentration), n_x), 1e-6)
        rows /= rows.sum(axis=1, keepdims=True)
    return dualib.Joint.from_conditional(p_x, rows)
