"""Targets of a layer's activations: an iteration of the bottleneck on its cells, and the controls."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.special import logsumexp

from deepnets.backend import jax, jnp
from deepnets.estimators.binning import Binning
from deepnets.networks import Network
from deepnets.planes.bottleneck import fit_beta
from deepnets.recordings.run import Run
from deepnets.relaxation.energy import packing
from deepnets.relaxation.methods import OWN, BottleneckTargets, Rows, TargetKind
from deepnets.tasks.task import one_hot
from dualib import Joint
from dualib.core.arrays import row_codes
from dualib.core.special import kl_nats
from dualib.core.typing import Float, FloatArray, Int, IntArray

COUNT = 0.1  # added to the counts of a cell's labels
BINS = 30


def layer_indices(network: Network, layers: tuple[int, ...]) -> tuple[int, ...]:
    """Indices of hidden layers, from 0; negative ones count from the last.

    Raises
    ------
    ValueError
        If there is no such hidden layer.
    """
    hidden = network.hidden_layers
    for layer in layers:
        if not -hidden <= layer < hidden:
            raise ValueError(f"layers must lie in {-hidden}..{hidden - 1}, the {hidden} hidden layers, got {layer}")
    return tuple(sorted({layer % hidden for layer in layers}))


def bottleneck_encoder(
    p_t: Float[np.ndarray, " n_t"],
    p_y_given_t: Float[np.ndarray, "n_t n_y"],
    rows: Float[np.ndarray, "n_x n_y"],
    beta: float,
) -> Float[np.ndarray, "n_x n_t"]:
    """p_β(t|x) ∝ p(t) e^{−β D(p_x ‖ p(·|t))}, equation 16 of [tishby1999]_; p(y|t) > 0."""
    distortion = kl_nats(rows[:, None, :], p_y_given_t[None])
    log = np.log(p_t) - beta * distortion
    return np.asarray(np.exp(log - logsumexp(log, axis=1, keepdims=True)))


def targets_of(
    run: Run, vectors: FloatArray, layers: tuple[int, ...], method: BottleneckTargets, seed: int
) -> list[Float[np.ndarray, "R n width"]]:
    """The targets of all patterns of the task, of which the training patterns' count; a layer an array."""
    activations = _activations(run.network)(jnp.asarray(vectors), jnp.asarray(run.task.x, run.network.dtype))
    rows = one_hot(run.task.y, run.task.n_classes) if method.rows is Rows.LABELS else run.task.p_y_given_x
    found = []
    for layer in layers:
        t = np.asarray(activations[layer], np.float64)
        target = np.zeros(t.shape)
        for r, mine in enumerate(run.train_patterns):
            if np.isfinite(t[r]).all():
                target[r, mine] = layer_targets(
                    t[r, mine], rows[mine], run.task.y[mine], method, run.network.ends_at_one, seed + r
                )
        found.append(target)
    return found


def layer_targets(
    t: Float[np.ndarray, "n width"],
    rows: Float[np.ndarray, "n n_y"],
    y: Int[np.ndarray, " n"],
    method: BottleneckTargets,
    ends_at_one: bool,
    seed: int,
) -> Float[np.ndarray, "n width"]:
    """The targets of one layer's activations t, given p(y|x) and the labels y of the patterns."""
    if method.targets is TargetKind.CLASS_MEANS:
        return _means(t, y)[0][np.unique(y, return_inverse=True)[1]]
    binning = Binning(BINS) if ends_at_one else Binning.from_range(t, bins=BINS)
    codes = row_codes(binning.codes(t))[0]
    centroids, sizes = _means(t, codes)
    labels = np.zeros((len(sizes), rows.shape[1]))
    np.add.at(labels, codes, rows)
    if method.targets is TargetKind.SHUFFLED:
        labels = np.random.default_rng(seed).permutation(labels)
    p_y_given_t = (labels + COUNT) / (labels + COUNT).sum(axis=1, keepdims=True)
    beta = method.beta
    if beta == OWN:
        beta = fit_beta(codes, Joint.from_conditional(np.full(len(t), 1 / len(t)), rows)).beta
    distinct, index = np.unique(rows, axis=0, return_inverse=True)
    encoder = bottleneck_encoder(sizes / len(t), p_y_given_t, distinct, float(beta))
    return np.asarray((encoder @ centroids)[index.ravel()])


def _means(t: FloatArray, codes: IntArray) -> tuple[FloatArray, FloatArray]:
    """The mean of each group of rows, and the groups' sizes."""
    _, index = np.unique(codes, return_inverse=True)
    sizes = np.bincount(index).astype(np.float64)
    sums = np.stack([np.bincount(index, column) for column in t.T], axis=1)
    return sums / sizes[:, None], sizes


@lru_cache(maxsize=8)
def _activations(network: Network) -> Callable[[jax.Array, jax.Array], list[jax.Array]]:
    unravel = packing(network).unravel

    def of_replica(vector: jax.Array, x: jax.Array) -> list[jax.Array]:
        return [t.T for t in network.columns(unravel(vector), x.T)[:-1]]

    return jax.jit(jax.vmap(of_replica, (0, None)))
