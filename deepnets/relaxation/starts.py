r"""Where a relaxation begins, and the numbers of that point that its methods take: temperature and curvature."""

from __future__ import annotations

import numpy as np

from deepnets.backend import jnp
from deepnets.gradients import GradientPhases, gradient_phases
from deepnets.recordings.run import Run
from deepnets.relaxation.energy import gradient_variance, hessian_product, packed, packing, training_patterns
from dualib.core.arrays import positive, whole
from dualib.core.typing import Float

EARLIEST = 500
"""The epoch before which nothing is relaxed by default: then all layers of the networks of the literature diffuse."""


def diffusion_start(
    run: Run, *, stays: int = 5, seed: int = 0, progress: bool | None = None
) -> Float[np.ndarray, " R"]:
    """The epoch from which gradient noise prevails.

    The first snapshot at which the median over layers of a replica's gradient SNR is below 1, and is so at the next `stays` − 1
    snapshots as well.

    Parameters
    ----------
    run : Run
    stays : int
        Snapshots in a row, at least 1.
    seed : int
        Seed of the batches.
    progress : bool or None

    Returns
    -------
    array, shape (R,)
        Epochs; inf where noise never prevails.

    Examples
    --------
    >>> diffusion_start(run)  # doctest: +SKIP
    """
    return start_of_diffusion(gradient_phases(run, seed=seed, progress=progress), stays)


def start_of_diffusion(phases: GradientPhases, stays: int = 5) -> Float[np.ndarray, " R"]:
    """As :func:`diffusion_start`, from gradients that are measured already."""
    whole(stays, "stays", 1)
    below = np.median(phases.snr, axis=2) < 1
    last = below.shape[1] - stays
    found = np.full(len(below), np.inf)
    for r, row in enumerate(below):
        starts = [s for s in range(last + 1) if row[s : s + stays].all()]
        if starts:
            found[r] = phases.epochs[starts[0]]
    return found


def default_snapshot(run: Run, seed: int = 0) -> int:
    """The first snapshot at which the last layer's gradients are past their transition in the median replica, at least epoch 500.

    Raises
    ------
    ValueError
        If the run has no such snapshot, or no replica with gradients.
    """
    epochs = gradient_phases(run, seed=seed).transition_epoch()[:, -1]
    if np.isnan(epochs).all():
        raise ValueError("every replica failed, or its gradients vanish: train with a lower learning rate")
    when = np.nanmedian(epochs)
    later = np.flatnonzero(run.epochs >= max(EARLIEST, when))
    if later.size == 0:
        raise ValueError(
            f"the run ends at epoch {run.epochs[-1]}; relaxation begins by default at epoch {EARLIEST}, when the last layer's "
            f"gradients are past their transition (here {when:.4g}): train longer, or give a snapshot"
        )
    return int(later[0])


def sgd_temperature(run: Run, snapshot: int, learning_rate: float = 0.1) -> Float[np.ndarray, " R"]:
    r"""The temperature of isotropic noise with the trace of that of SGD, T = η tr C_B/(2P).

    A step of SGD, −η g_B, has the covariance η² C_B with C_B = S/B, S the covariance of one pattern's gradient; one of Langevin's
    equation with h = η has 2ηT in each of P directions.

    Parameters
    ----------
    run : Run
    snapshot : int
        An index into ``run.epochs``.
    learning_rate : float
        η of the SGD that is matched.

    Returns
    -------
    array, shape (R,)

    Raises
    ------
    ValueError
        If the run was trained by full batches, whose gradients have no noise.

    Examples
    --------
    >>> sgd_temperature(run, snapshot=-1, learning_rate=0.1)  # doctest: +SKIP
    """
    size = run.training.batch_size
    if size is None:
        raise ValueError(
            "a run of full batches has no noise of SGD: give Langevin's temperature as a number, without minibatches"
        )
    patterns = training_patterns(run)
    trace = np.asarray(gradient_variance(run.network, run.loss)(jnp.asarray(packed(run, snapshot)), patterns))
    return positive(learning_rate, "learning_rate") * trace / size / (2 * run.network.n_parameters)


def largest_curvature(run: Run, snapshot: int) -> Float[np.ndarray, " R"]:
    """λ_max of the Hessian of each replica's training loss, by Lanczos's iteration to three digits.

    Gradient steps of 2/λ_max or more leave a minimum.

    Examples
    --------
    >>> largest_curvature(run, snapshot=-1)  # doctest: +SKIP
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    product, patterns = hessian_product(run.network, run.loss), training_patterns(run)
    size, found = len(packing(run.network).layer), []
    for r, vector in enumerate(packed(run, snapshot)):

        def along(direction: np.ndarray, r: int = r, vector: np.ndarray = vector) -> np.ndarray:
            turned = direction.ravel().astype(vector.dtype)
            return np.asarray(product(vector, patterns.x[r], patterns.y[r], turned), np.float64)

        hessian = LinearOperator((size, size), matvec=along, dtype=np.float64)
        start = np.random.default_rng(r).standard_normal(size)
        found.append(float(eigsh(hessian, k=1, which="LA", tol=1e-3, v0=start, return_eigenvectors=False)[0]))
    return np.array(found)
