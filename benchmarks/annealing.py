"""The peer: reverse deterministic annealing in plain NumPy, as one would write it from the papers."""

import numpy as np
from scipy.special import xlogy


def reverse_annealing(p_x, rows, betas, kind="ib", tolerance=1e-12, max_iterations=50_000, time_limit=np.inf):
    """F at each β, from the largest down: T = X at first, iterate to convergence of F, drop dead clusters, lower β.

    Distortions as matrix products. Stops an iteration when F falls by less than `tolerance` (nats) in one step. Returns
    (F, seconds) for the β done within the time limit, largest β first.
    """
    from time import process_time

    begin, done = process_time(), []
    negative_entropy, log_rows = xlogy(rows, rows).sum(1), np.log(np.maximum(rows, 1e-300))
    encoder = np.eye(len(p_x)) * (1 - 1e-6) + 1e-6 / len(p_x)
    for beta in sorted(betas, reverse=True):
        value = np.inf
        for _ in range(max_iterations):
            p_t = p_x @ encoder
            encoder, p_t = encoder[:, p_t > 1e-12], p_t[p_t > 1e-12]
            weights = (encoder * p_x[:, None] / p_t).T
            if kind == "ib":
                r = weights @ rows
                distortion = negative_entropy[:, None] - rows @ np.log(np.maximum(r, 1e-300)).T
            else:
                log_r = weights @ log_rows
                r = np.exp(log_r - log_r.max(1, keepdims=True))
                r /= r.sum(1, keepdims=True)
                distortion = xlogy(r, r).sum(1) - log_rows @ r.T
            encoder = p_t * np.exp(-beta * distortion)
            z = encoder.sum(1)
            encoder /= z[:, None]
            value, last = -(p_x @ np.log(z)), value
            if last - value < tolerance or process_time() - begin > time_limit:
                break
        if process_time() - begin > time_limit:
            break
        done.append(value)
    return np.array(done), process_time() - begin
