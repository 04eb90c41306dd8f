r"""How near a layer is to the information bottleneck: the β at which its encoder best satisfies the bottleneck equations.

A quantised layer is a deterministic encoder t(x), with p(t) and p(y|t) of its own. The bottleneck's self-consistent
encoder with these is

.. math:: p_\beta(t|x) = \frac{p(t)\,e^{-\beta D(x,t)}}{Z(x,\beta)}, \qquad D(x,t) = KL[p(y|x) \| p(y|t)]

and the layer's β is the one at which it comes nearest to its own encoder, [shwartzziv2017]_ section 3.6:

.. math:: \beta^* = \arg\min_\beta \sum_x p(x)\,KL[p(t|x)\|p_\beta(t|x)]
          = \arg\min_\beta \sum_x p(x)\left[-\log p(t_x) + \beta D(x,t_x) + \log Z(x,\beta)\right],

a convex function of β. That some β is best says little by itself, for it is fitted to each layer: the same β for all
layers, and an encoder that deals the same cells out to the patterns at random, are the controls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp

from deepnets.estimators.layer import row_sums, sums_by_code
from dualib import IB, DualIB, InformationCurve, Joint, first_transition, information_curve
from dualib.core.result import Result
from dualib.core.special import entropy_nats, mutual_information_nats
from dualib.core.typing import ArrayLike, FloatArray, IntArray

BETA_MAX = 1e4
"""β is searched in [0, BETA_MAX]; a layer whose cells hold one p(y|x) each has no finite best β and gets this one."""


@dataclass(frozen=True)
class BottleneckFit(Result):
    """One layer against the bottleneck equations. Informations in nats.

    Attributes
    ----------
    beta : float
        β*, at which the residual is least.
    residual : float
        E_x KL[p(t|x) ‖ p_β*(t|x)]; 0 where the bottleneck equations hold exactly.
    at_the_edge : bool
        Whether β* is :data:`BETA_MAX`, so that the best β is at least this.
    rate, relevance : float
        I(X;T) and I(T;Y) of the quantised layer.

    Examples
    --------
    >>> from dualib import Joint
    >>> joint = Joint([[0.2, 0.05], [0.18, 0.07], [0.06, 0.19], [0.05, 0.2]])
    >>> fit = fit_beta([0, 0, 1, 1], joint)
    >>> round(fit.relevance, 6), fit.at_the_edge
    (0.153953, True)
    """

    beta: float
    residual: float
    at_the_edge: bool
    rate: float
    relevance: float


class _Encoder:
    """A deterministic encoder's residual as a function of β. Patterns with equal p(y|x) share a row of D and of Z."""

    def __init__(self, codes: IntArray, joint: Joint) -> None:
        _, cell = np.unique(codes, return_inverse=True)
        merged = joint.merge_equal_rows()
        p_ty = sums_by_code(joint.p_x[:, None] * joint.p_y_given_x, cell)
        self.p_t = row_sums(p_ty)
        self.rate = float(entropy_nats(self.p_t))
        self.relevance = mutual_information_nats(p_ty)
        self.p_row = merged.joint.p_x
        self.divergence = _divergences(merged.joint.p_y_given_x, p_ty / self.p_t[:, None])
        seen = joint.p_x > 0
        self.own = float(joint.p_x[seen] @ self.divergence[merged.index[seen], cell[seen]])  # E D(x, t_x)

    def _log_terms(self, beta: float) -> FloatArray:
        distortion = beta * self.divergence if beta > 0 else np.zeros_like(self.divergence)
        return np.asarray(np.log(self.p_t) - distortion)

    def residual(self, beta: float) -> float:
        """E_x KL[p(t|x) ‖ p_β(t|x)]."""
        log_z = logsumexp(self._log_terms(beta), axis=1)
        return max(0.0, self.rate + beta * self.own + float(self.p_row @ log_z))

    def slope(self, beta: float) -> float:
        """The derivative d residual / dβ = E D(x, t_x) − E_x Σ_t p_β(t|x) D(x,t), increasing in β."""
        terms = self._log_terms(beta)
        encoder = np.exp(terms - logsumexp(terms, axis=1, keepdims=True))
        finite = np.where(encoder > 0, self.divergence, 0.0)
        return self.own - float(self.p_row @ (encoder * finite).sum(axis=1))

    def best_beta(self) -> float:
        """The β of the least residual."""
        return _root([self])


def _divergences(rows: FloatArray, decoders: FloatArray) -> FloatArray:
    """KL[row ‖ decoder] of every pair, shape (rows, decoders); +inf where a decoder excludes what a row allows."""
    with np.errstate(divide="ignore"):
        log_decoder = np.log(decoders)
        log_rows = np.log(rows)
    own = np.where(rows > 0, rows * np.where(rows > 0, log_rows, 0.0), 0.0).sum(axis=1)
    cross = np.zeros((len(rows), len(decoders)))
    for y in range(rows.shape[1]):
        present = rows[:, y] > 0
        cross[present] += rows[present, y, None] * log_decoder[None, :, y]
    return np.asarray(np.maximum(own[:, None] - cross, 0.0))


def _root(encoders: Sequence[_Encoder]) -> float:
    """The β at which the sum of the residuals is least: the zero of its slope, or an end of the range."""

    def slope(beta: float) -> float:
        return sum(e.slope(beta) for e in encoders)

    if slope(1e-6) >= 0:
        return 0.0
    if slope(BETA_MAX) <= 0:
        return BETA_MAX
    return float(np.exp(brentq(lambda log_beta: slope(np.exp(log_beta)), np.log(1e-6), np.log(BETA_MAX), xtol=1e-10)))


def _checked(codes: ArrayLike, joint: Joint) -> IntArray:
    array = np.asarray(codes)
    if array.shape != (joint.n_x,):
        raise ValueError(f"codes have shape {array.shape}; the joint has {joint.n_x} patterns, so give ({joint.n_x},)")
    return array


def fit_beta(codes: ArrayLike, joint: Joint, beta: float | None = None) -> BottleneckFit:
    """The β at which a quantised layer best satisfies the bottleneck equations, and how well.

    Parameters
    ----------
    codes : array, shape (n_x,)
        The cell of every pattern, any labels.
    joint : Joint
        Of patterns and labels; noisy labels, p(y|x) > 0, make the test one of the encoder everywhere.
    beta : float or None
        Take this β instead of the best.

    Returns
    -------
    BottleneckFit

    Raises
    ------
    ValueError
        If the codes do not match the joint (both shapes are printed), or β is negative.

    References
    ----------
    [shwartzziv2017]_ section 3.6

    Examples
    --------
    >>> from dualib import Joint
    >>> joint = Joint([[0.2, 0.05], [0.18, 0.07], [0.06, 0.19], [0.05, 0.2]])
    >>> fit = fit_beta([0, 0, 1, 1], joint)
    >>> round(fit.rate, 6), fit.residual < 0.1  # log 2
    (0.693147, True)
    """
    if beta is not None and not 0 <= beta < np.inf:
        raise ValueError(f"beta = {beta} must be finite and >= 0")
    encoder = _Encoder(_checked(codes, joint), joint)
    best = encoder.best_beta() if beta is None else float(beta)
    return BottleneckFit(
        best, encoder.residual(best), beta is None and best == BETA_MAX, encoder.rate, encoder.relevance
    )


def fit_shared_beta(layers: Sequence[ArrayLike], joint: Joint) -> tuple[BottleneckFit, ...]:
    """As :func:`fit_beta`, with one β for all layers: the control without a parameter per layer.

    Examples
    --------
    >>> from dualib import Joint
    >>> joint = Joint([[0.2, 0.05], [0.18, 0.07], [0.06, 0.19], [0.05, 0.2]])
    >>> fits = fit_shared_beta([[0, 1, 2, 3], [0, 0, 1, 1]], joint)
    >>> fits[0].beta == fits[1].beta
    True
    """
    if not layers:
        raise ValueError("give at least one layer")
    encoders = [_Encoder(_checked(codes, joint), joint) for codes in layers]
    beta = _root(encoders)
    return tuple(BottleneckFit(beta, e.residual(beta), beta == BETA_MAX, e.rate, e.relevance) for e in encoders)


def fit_random_encoder(codes: ArrayLike, joint: Joint, seed: int) -> BottleneckFit:
    """As :func:`fit_beta`, for the same cells dealt out to the patterns at random: the control without an encoder.

    For equally likely patterns the control has the layer's p(t), and its I(X;T).

    Examples
    --------
    >>> from dualib import Joint
    >>> joint = Joint([[0.2, 0.05], [0.18, 0.07], [0.06, 0.19], [0.05, 0.2]])
    >>> fit_random_encoder([0, 0, 1, 1], joint, seed=1).relevance <= fit_beta([0, 0, 1, 1], joint).relevance
    True
    """
    return fit_beta(np.random.default_rng(seed).permutation(_checked(codes, joint)), joint)


def with_noisy_labels(joint: Joint, noise: float) -> Joint:
    """The joint with a share `noise` of the labels drawn anew, all classes equally likely; itself where every p(y|x) > 0.

    Certain labels make the bottleneck trivial, and the dual, whose KL divergences are then infinite, impossible.

    Raises
    ------
    ValueError
        If a share is not within (0, 1).

    Examples
    --------
    >>> from dualib import Joint
    >>> with_noisy_labels(Joint([[0.5, 0.0], [0.0, 0.5]]), 0.1).p_y_given_x.round(3)
    array([[0.95, 0.05],
           [0.05, 0.95]])
    """
    if not 0 < noise < 1:
        raise ValueError(f"the share of labels drawn anew must lie within (0, 1), got {noise}")
    if (joint.p_y_given_x > 0).all():
        return joint
    rows = (1 - noise) * joint.p_y_given_x + noise / joint.n_y
    return Joint.from_conditional(joint.p_x, rows, joint.x_labels, joint.y_labels)


def exact_curves(joint: Joint, n_betas: int = 60) -> tuple[InformationCurve, InformationCurve]:
    """The proven IB and dualIB curves of a task, each from its first transition to a thousand times that β.

    The dual needs p(y|x) > 0; where labels are nearly certain its transitions lie at small β and its curve far below IB's.

    Examples
    --------
    >>> from dualib import Joint
    >>> ib, dual = exact_curves(Joint([[0.4, 0.1], [0.1, 0.4]]), n_betas=2)
    >>> bool(ib.certified.all()), dual.problem
    (True, 'dual')
    """
    found = []
    for problem in (IB(joint), DualIB(joint)):
        first = first_transition(problem).upper
        found.append(information_curve(problem, np.geomspace(first / 1.5, 1e3 * first, n_betas)))
    return found[0], found[1]


def excess_rate(fit: BottleneckFit, curve: InformationCurve) -> float:
    """I(X;T) of a layer less the least rate on a curve at the layer's I(T;Y), nats.

    A layer of more relevance than the curve's largest computed point is compared with that point. Below zero only against
    dualIB, whose curve is not the upper boundary of the information plane.

    Examples
    --------
    >>> import numpy as np
    >>> from dualib import IB, Joint, information_curve
    >>> joint = Joint([[0.2, 0.05], [0.18, 0.07], [0.06, 0.19], [0.05, 0.2]])
    >>> curve = information_curve(IB(joint), np.geomspace(2, 200, 12), progress=False)
    >>> round(excess_rate(fit_beta([0, 1, 0, 1], joint), curve), 4)  # nats above the optimum
    0.6862
    """
    return fit.rate - curve.at_relevance(min(fit.relevance, float(curve.relevance.max()))).rate
