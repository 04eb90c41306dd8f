"""How good predicted probabilities are: negative log-likelihood, accuracy and calibration, before and after one temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from dualib.core.result import Result
from dualib.core.typing import Float, FloatArray, Int, IntArray

BINS = 15  # of confidence, equally wide
INVERSE_TEMPERATURES = (-6.0, 6.0)  # natural logarithms, between which the best one is sought
HALVINGS = 18  # after which a is known to 5e-5 of itself


@dataclass(frozen=True, eq=False)
class Scores(Result):
    """Of predictions of labels; arrays over what was predicted by.

    Attributes
    ----------
    nll : array
        Mean −log p(y), nats.
    accuracy : array
        Share of labels that are the most probable ones.
    ece : array
        Expected calibration error: mean |accuracy − confidence| over 15 equally wide bins of confidence, by their shares.
    """

    nll: FloatArray
    accuracy: FloatArray
    ece: FloatArray

    @classmethod
    def stacked(cls, scores: list[Scores], shape: tuple[int, ...]) -> Scores:
        """Single scores in an array of `shape`."""
        arrays = (np.array([getattr(s, name) for s in scores]).reshape(shape) for name in ("nll", "accuracy", "ece"))
        return cls(*arrays)


def scores_of(log_p: Float[np.ndarray, "*draws n k"], y: Int[np.ndarray, " n"]) -> Scores:
    """Scores of log probabilities, means over all draws; numbers as arrays without axes."""
    flat = log_p.reshape(-1, log_p.shape[-1])
    labels = np.tile(y, len(flat) // len(y))
    confidence, hit = np.exp(flat.max(axis=1)), flat.argmax(axis=1) == labels
    cell = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    excess = np.bincount(cell, weights=hit - confidence, minlength=BINS)
    nll = -flat[np.arange(len(flat)), labels].mean()
    return Scores(np.asarray(nll), np.asarray(hit.mean()), np.asarray(np.abs(excess).sum() / len(flat)))


def tempered(log_p: Float[np.ndarray, "*draws n k"], y: Int[np.ndarray, " n"], half: IntArray) -> FloatArray:
    """Log probabilities after one temperature, for each half of the patterns fitted to the other.

    Parameters
    ----------
    log_p : array, shape (..., n, k)
    y : array of int, shape (n,)
    half : array of int, shape (n,)
        0 or 1.
    """
    found = np.empty_like(log_p)
    for this in (0, 1):
        at, other = half == this, half != this
        scaled = inverse_temperature(log_p[..., other, :], y[other]) * log_p[..., at, :]
        found[..., at, :] = scaled - logsumexp(scaled, axis=-1, keepdims=True)
    return found


def inverse_temperature(log_p: Float[np.ndarray, "*draws n k"], y: Int[np.ndarray, " n"]) -> float:
    """The a > 0 that minimises the mean −log of p^a/Σp^a at the labels, which is convex in a: by bisection of its slope."""
    at_label = log_p[..., np.arange(len(y)), y].mean()
    low, high = INVERSE_TEMPERATURES
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        scaled = np.exp(middle) * log_p
        powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        expected = ((powers * log_p).sum(axis=-1) / powers.sum(axis=-1)).mean()
        low, high = (low, middle) if expected > at_label else (middle, high)
    return float(np.exp(0.5 * (low + high)))
