"""Random joints of every kind the solver meets."""

import mpmath as mp
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


def smooth_joint(n_x=9, n_y=4, weak=False, seed=0):
    """Rows Dirichlet(2), or, where `weak`, of one law within a fifth."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(n_y, 2.0), n_x)
    if weak:
        rows = rng.dirichlet(np.full(n_y, 2.0)) * (1 + 0.2 * rng.uniform(-1, 1, (n_x, n_y)))
        rows /= rows.sum(axis=1, keepdims=True)
    return dualib.Joint.from_conditional(rng.dirichlet(np.full(n_x, 3.0)), rows)


NEARLY = "nearly equal"  # five to ten labels, rows that differ by 1e-7 to 1e-1, and β up to 100 over the square of that
KINDS = ["generic", "weak", "rare", "zeros", "tiny", "cold", "hot", NEARLY]


def channel(kind, rng):
    """log w (n,), rows (n, K) and β of a random problem of some kind."""
    n, k = int(rng.integers(2, 9)), int(rng.integers(2, 6))
    rows, beta = rng.dirichlet(np.full(k, rng.choice([0.3, 1.0, 3.0])), n), float(rng.uniform(0.5, 20.0))
    log_weights = np.log(rng.dirichlet(np.ones(n))) + rng.uniform(-1, 1, n)
    if kind == "weak":
        rows = np.full(k, 1.0 / k) * (1 + 1e-3 * rng.uniform(-1, 1, (n, k)))
        beta = 1e6 * rng.uniform(0.1, 3)
    elif kind == "rare":
        log_weights[0] -= 20.0
    elif kind == "zeros":
        rows[rng.random((n, k)) < 0.4] = 0.0
        rows[:, 0] += 0.05
    elif kind == "tiny":
        rows[rng.random((n, k)) < 0.4] = 10.0 ** -rng.uniform(5, 15)
        rows[:, 0] += 0.05
    elif kind == "cold":
        beta *= 200.0
    elif kind == "hot":
        beta = 0.3
    elif kind == NEARLY:
        n, k, size = int(rng.integers(3, 12)), int(rng.integers(5, 11)), 10.0 ** rng.uniform(-7, -1)
        rows = np.maximum(rng.dirichlet(np.full(k, 2.0)), 1e-3) * (1 + size * rng.uniform(-1, 1, (n, k)))
        rows[-1] = rows[0] * (1 + rng.choice([0.0, 1e-6, 1e-3]) * size * rng.uniform(-1, 1, k))
        log_weights, beta = (
            np.log(rng.dirichlet(np.ones(n))) + rng.uniform(-1, 1, n),
            10.0 ** rng.uniform(0, 2) / size**2,
        )
        log_weights[0] -= rng.choice([0.0, 20.0])
    rows /= rows.sum(axis=1, keepdims=True)
    return log_weights, rows[:, rows.max(axis=0) > 0], beta


def normalised(rows):
    """Rows of sum 1, to 50 digits: of β = 1e14, the rounding of a sum is a hundredth."""
    with mp.workdps(50):
        rows = [[mp.mpf(float(p)) for p in row] for row in rows]
        return [[p / mp.fsum(row) for p in row] for row in rows]


def exact_f(log_weights, rows, beta, q):
    """H(q) + ⟨q, log w⟩ − β Σ q D(p_x‖p_q), to 50 digits."""
    with mp.workdps(50):
        rows, (q,) = normalised(rows), normalised([q])
        mixture = [mp.fsum(a * b for a, b in zip(q, column, strict=True)) for column in zip(*rows, strict=True)]
        total = mp.mpf(0)
        for weight, log_w, row in zip(q, log_weights, rows, strict=True):
            if weight == 0:
                continue
            terms = [a * mp.log(a / m) for a, m in zip(row, mixture, strict=True) if a > 0]
            total += weight * (mp.mpf(log_w) - mp.log(weight) - mp.mpf(beta) * mp.fsum(terms))
        return total


def exact_log_g(log_weights, rows, beta, r):
    """log G(r), to 50 digits."""
    with mp.workdps(50):
        (r,), terms = normalised([r]), []
        for log_w, row in zip(log_weights, normalised(rows), strict=True):
            divergence = mp.fsum(a * mp.log(a / b) for a, b in zip(row, r, strict=True) if a > 0)
            terms.append(mp.mpf(log_w) - mp.mpf(beta) * divergence)
        return mp.log(mp.fsum(mp.exp(t) for t in terms))
