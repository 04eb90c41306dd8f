r"""Corrections of order 1/width of networks at the start: of both kernels, of the outputs' law, of the hierarchy of kernels.

L hidden layers of n units, one output, NTK parameterisation, θ ~ N(0, I). Given all but the readout the outputs are Gaussian with
kernel K̂, and Θ̂ = ∇z·∇z; as n → ∞ they become K and Θ. Every coefficient c here means q_n = q_∞ + c/n + O(1/n²).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import numpy as np

from dualib.core.arrays import positive, whole
from dualib.core.progress import counted, progress_bar
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, Float, FloatArray
from ntkinfo.activations import Activation
from ntkinfo.architectures import Architecture
from ntkinfo.finite_width.four_points import OF_COVARIANCES, Key, LayerMoments, covariances, hierarchy, moments, needed
from ntkinfo.finite_width.nodes import root
from ntkinfo.finite_width.refine import Refinement, refined_pairs, relative_change
from ntkinfo.finite_width.setup import check_memory, check_pair_memory, checked_setup
from ntkinfo.kernels import Kernels

PAIRS_AT_ONCE = 256


class Status(StrEnum):
    """How a quadrature ended; the value says which knob to turn.

    Examples
    --------
    >>> print(Status.CONVERGED)
    the nodes were doubled until nothing moved by more than the tolerance
    """

    CONVERGED = "the nodes were doubled until nothing moved by more than the tolerance"
    NODES = "the most nodes were reached before the tolerance: give a larger max_nodes, or accept the errors that are stated"


@dataclass(frozen=True, eq=False)
class Corrections(Result):
    r"""Coefficients of 1/width of a random network's kernels, on p = n + m points, training points first.

    Attributes
    ----------
    kernels : Kernels
        The limits Θ and K.
    nngp_bias, ntk_bias : array, shape (p, p)
        n (E K̂ - K) and n (E Θ̂ - Θ); both are 0 with one hidden layer, at every width.
    nngp_covariance : array, shape (p, p, p, p)
        n Cov(K̂_ab, K̂_cd).
    ntk_covariance, ntk_nngp_covariance : array, shape (p, p, p, p)
        n Cov(Θ̂_ab, Θ̂_cd) and n Cov(Θ̂_ab, K̂_cd).
    ntk_output : array, shape (p, p, p, p)
        n Cov(Θ̂_ab, z_c z_d).
    third, fourth : array, shape (p, p, p, p)
        n E (∇Θ̂_ab·∇z_c) z_d, and n E O_abcd with O_abcd = ∇(∇Θ̂_ab·∇z_c)·∇z_d: the next kernels of the hierarchy.
    errors : dict
        The largest change of each array at the last doubling of the nodes, over its largest entry. Of grids, the error is far below;
        of draws it is a standard error.
    coarse : dict
        The arrays of four points before that.
    status : Status
    settings : dict

    References
    ----------
    [yaida2020]_ (fourth cumulant), [roberts2022]_ chapters 4, 8 and 11, [huang2020]_ (hierarchy), [hanin2020]_, [dyer2020]_ (orders)

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> start = corrections(np.eye(2), hidden_layers=1, progress=False)
    >>> start.nngp_bias.shape, start.third.shape, start.status.name
    ((2, 2), (2, 2, 2, 2), 'CONVERGED')
    """

    kernels: Kernels
    nngp_bias: Float[np.ndarray, "p p"]
    ntk_bias: Float[np.ndarray, "p p"]
    nngp_covariance: Float[np.ndarray, "p p p p"]
    ntk_covariance: Float[np.ndarray, "p p p p"]
    ntk_nngp_covariance: Float[np.ndarray, "p p p p"]
    ntk_output: Float[np.ndarray, "p p p p"]
    third: Float[np.ndarray, "p p p p"]
    fourth: Float[np.ndarray, "p p p p"]
    errors: Mapping[str, float] = field(default_factory=dict)
    coarse: Mapping[str, FloatArray] = field(default_factory=dict)
    status: Status = Status.CONVERGED
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def fourth_cumulant(self) -> Float[np.ndarray, "p p p p"]:
        r"""The outputs' fourth cumulant, n cum(z_a, z_b, z_c, z_d) = n Σ Cov(K̂, K̂) over the three pairings [yaida2020]_."""
        return pairings(self.nngp_covariance)

    def full(self, name: Literal["ntk", "nngp"]) -> Float[np.ndarray, "p p"]:
        """A limit on training and test points together."""
        train, below, test = (getattr(self.kernels, name + suffix) for suffix in ("", "_test_train", "_test"))
        return np.asarray(train) if test is None else np.block([[train, below.T], [below, test]])


@dataclass(frozen=True, eq=False)
class PairCorrections(Result):
    """What of :class:`Corrections` concerns one pair of points at a time, in arrays of shape (p, p).

    Attributes
    ----------
    kernels : Kernels
    nngp_bias, ntk_bias : array, shape (p, p)
        n (E K̂_ab - K_ab) and n (E Θ̂_ab - Θ_ab).
    nngp_variance, ntk_variance, ntk_nngp_covariance : array, shape (p, p)
        n Var K̂_ab, n Var Θ̂_ab and n Cov(Θ̂_ab, K̂_ab).
    fourth_cumulant : array, shape (p, p)
        n cum(z_a, z_a, z_b, z_b).
    settings : dict

    Examples
    --------
    >>> import numpy as np
    >>> found = pair_corrections(np.eye(2), hidden_layers=1, progress=False)
    >>> bool((np.diag(found.nngp_variance) > 0).all())
    True
    """

    kernels: Kernels
    nngp_bias: Float[np.ndarray, "p p"]
    ntk_bias: Float[np.ndarray, "p p"]
    nngp_variance: Float[np.ndarray, "p p"]
    ntk_variance: Float[np.ndarray, "p p"]
    ntk_nngp_covariance: Float[np.ndarray, "p p"]
    fourth_cumulant: Float[np.ndarray, "p p"]
    settings: Mapping[str, object] = field(default_factory=dict)


def pairings(v: FloatArray) -> FloatArray:
    """The sum of v_{ab,cd} over the three pairings of its points."""
    total: FloatArray = v + v.swapaxes(-3, -2) + np.moveaxis(v, -3, -1)
    return total


def corrections(
    x_train: ArrayLike,
    x_test: ArrayLike | None = None,
    *,
    hidden_layers: int = 2,
    activation: str | Activation = "erf",
    w_std: float = 1.5,
    b_std: float = 0.1,
    width_ratios: Sequence[float] | None = None,
    tolerance: float = 2e-3,
    max_nodes: int = 2**18,
    memory_gib: float = 4.0,
    seed: int = 0,
    progress: bool | None = None,
) -> Corrections:
    r"""All corrections of order 1/width of a fully connected network at the start, from one four-point function.

    Gaussian expectations are sums over nodes: a grid where the points' kernel has at most three directions, else scrambled draws.
    Nodes are doubled until nothing moves by more than `tolerance`. Time grows as L p⁴ (two erf layers: half a second for p = 3 points,
    7 s for 8), memory as p⁴; for many points there is :func:`pair_corrections`.

    Parameters
    ----------
    x_train, x_test : array, shapes (n, d) and (m, d)
    hidden_layers, activation, w_std, b_std :
        As for :func:`ntkinfo.kernels.dense`; at least one hidden layer, and φ with five derivatives.
    width_ratios : sequence of float or None
        Each hidden layer's width over n, the width in which the coefficients are counted; None for layers of one width.
    tolerance : float
        The largest change at a doubling of the nodes, relative to the largest entry of each array.
    max_nodes : int
        Nodes at most; they are doubled once in any case.
    memory_gib : float
        What may be taken.
    seed : int
        Of the draws.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    Corrections

    Raises
    ------
    ValueError
        If φ has a kink, a parameter is out of range, or the arrays would not fit in `memory_gib`, before any work; if the expectations
        over pairs of points do not converge (w_std is too large).

    Examples
    --------
    >>> import numpy as np
    >>> from ntkinfo.finite_width import corrections
    >>> found = corrections(np.array([[1.0, 0.5], [-0.2, 0.8]]), hidden_layers=1, b_std=0.3, progress=False)
    >>> round(float(found.ntk_covariance[0, 1, 0, 1]), 3), found.nngp_bias.ravel()  # one hidden layer has no bias
    (1.387, array([0., 0., 0., 0.]))

    References
    ----------
    derived here; [yaida2020]_, [roberts2022]_, [huang2020]_
    """
    setup = checked_setup(x_train, x_test, hidden_layers, activation, w_std, b_std, width_ratios)
    p = len(setup.below[0].nngp)
    check_memory(p, len(setup.below), positive(memory_gib, "memory_gib"))
    positive(tolerance, "tolerance")
    whole(max_nodes, "max_nodes", 1)
    pairs, bias, pair_error, _ = refined_pairs(setup)
    four = [Refinement(layer.nngp, setup.derivatives, max_nodes, [seed, i]) for i, layer in enumerate(setup.below)]

    def assembled(chosen: list[dict[Key, FloatArray]]) -> dict[str, FloatArray]:
        parts = zip(setup.below, pairs, chosen, setup.ratios, strict=True)
        at = [LayerMoments(k.ntk, of_pairs, of_fours, ratio) for k, of_pairs, of_fours, ratio in parts]
        return covariances(at, setup.w_std) | hierarchy(at, setup.w_std)

    target = tolerance
    while True:
        for each in counted(four, "layers", progress):
            each.refine(target)
        fine, coarse = (assembled([getattr(each, name) for each in four]) for name in ("fine", "coarse"))
        errors = {name: relative_change(fine[name], coarse[name]) for name in fine}
        ended = max(errors.values()) <= tolerance
        if ended or all(each.at_limit for each in four):
            break
        target = 0.5 * max(each.change for each in four if not each.at_limit)
    status = Status.CONVERGED if ended else Status.NODES
    errors |= dict.fromkeys(("nngp_bias", "ntk_bias"), pair_error)
    settings = {**setup.settings, "tolerance": tolerance, "max_nodes": max_nodes, "seed": seed}
    return Corrections(
        setup.limit, bias.nngp, bias.ntk, **fine, errors=errors, coarse=coarse, status=status, settings=settings
    )


def pair_corrections(
    x_train: ArrayLike,
    x_test: ArrayLike | None = None,
    *,
    hidden_layers: int = 2,
    activation: str | Activation = "erf",
    w_std: float = 1.5,
    b_std: float = 0.1,
    width_ratios: Sequence[float] | None = None,
    memory_gib: float = 4.0,
    progress: bool | None = None,
) -> PairCorrections:
    """The biases of both kernels and what else concerns one pair of points, for many points: arrays (p, p), and time p².

    Parameters are those of :func:`corrections`. Expectations are grids in two dimensions, doubled until the biases do not move; then
    they are exact to about 1e-8.

    Returns
    -------
    PairCorrections

    Raises
    ------
    ValueError
        As :func:`corrections`.

    Examples
    --------
    >>> import numpy as np
    >>> found = pair_corrections(np.eye(2), hidden_layers=1, progress=False)
    >>> found.ntk_variance.shape
    (2, 2)
    """
    setup = checked_setup(x_train, x_test, hidden_layers, activation, w_std, b_std, width_ratios)
    check_pair_memory(len(setup.below[0].nngp), len(setup.below), positive(memory_gib, "memory_gib"))
    pairs, bias, _, nodes = refined_pairs(setup)
    p = len(bias.ntk)
    ends = np.stack(np.triu_indices(p), axis=1)
    keys, found = needed(OF_COVARIANCES), np.empty((4, p, p))
    with progress_bar(len(ends), "pairs of points", progress) as done:
        for first in range(0, len(ends), PAIRS_AT_ONCE):
            some = ends[first : first + PAIRS_AT_ONCE]
            chosen = (..., some[:, :, None], some[:, None, :])
            at = [
                LayerMoments(
                    k.ntk[chosen],
                    of_layer.of(some),
                    moments(keys, root(k.nngp[chosen]), setup.derivatives, nodes),
                    ratio,
                )
                for k, of_layer, ratio in zip(setup.below, pairs, setup.ratios, strict=True)
            ]
            four = covariances(at, setup.w_std)
            names = ("nngp_covariance", "ntk_covariance", "ntk_nngp_covariance")
            values = [*(four[name][:, 0, 1, 0, 1] for name in names), pairings(four[names[0]])[:, 0, 0, 1, 1]]
            i, j = some.T
            found[:, i, j] = found[:, j, i] = values
            done(len(some))
    k, theta, both, fourth = found
    return PairCorrections(setup.limit, bias.nngp, bias.ntk, k, theta, both, fourth, setup.settings)


def of_architecture(
    architecture: Architecture, x_train: ArrayLike, x_test: ArrayLike | None = None, **options: Any
) -> Corrections:
    """:func:`corrections` of a network that :func:`ntkinfo.mlp` made.

    Parameters
    ----------
    architecture : Architecture
    x_train, x_test : array, shapes (n, d) and (m, d)
    **options
        The further options of :func:`corrections`.

    Returns
    -------
    Corrections

    Raises
    ------
    ValueError
        If the architecture is another one, and as :func:`corrections`.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> network = ntkinfo.mlp(hidden_layers=1)
    >>> of_architecture(network, np.eye(2), progress=False).nngp_covariance.shape
    (2, 2, 2, 2)
    """
    made = architecture.settings
    if made.get("architecture") != "mlp":
        raise ValueError(
            f"corrections of finite width are known for ntkinfo.mlp only, got {made.get('architecture', 'a network without settings')!r}"
        )
    scales = {name: made[name] for name in ("hidden_layers", "activation", "w_std", "b_std")}
    return corrections(x_train, x_test, **scales, **options)
