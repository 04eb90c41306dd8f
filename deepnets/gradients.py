r"""Gradients layer by layer: their mean, their noise, and the epoch at which the noise takes over.

At the parameters of a snapshot, the gradients g_b of an epoch's minibatches (weights only, no update in between) have

.. math:: \text{mean} = \|\bar g\|, \qquad \text{std} = \sqrt{\mathrm{tr}\,\mathrm{Cov}(g_b)}, \qquad
          \text{SNR} = \text{mean}/\text{std}, \qquad B_\text{simple} = B\,\mathrm{tr}\,\mathrm{Cov}(g_b)/\|g\|^2

each layer for itself, mean and std divided by the norm of its weights. ḡ is the gradient on all training patterns, so
that ‖ḡ‖ has no noise of its own. The batches of an epoch partition the patterns; their sum of squares about the mean, over
their number less 1, has the expectation tr S²/B of independent batches (S² the patterns' covariance, N - 1 in its
denominator): analysis of variance under a random partition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from deepnets.backend import jax, jnp
from deepnets.networks import Network, Params
from deepnets.recordings.run import EPOCH_GRADIENTS, Run
from deepnets.training.losses import LOSSES, trained_on
from dualib.core import statistics
from dualib.core.estimate import Estimates
from dualib.core.progress import progress_bar
from dualib.core.result import Result
from dualib.core.typing import Float, FloatArray, Int
from dualib.core.units import Unit

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class GradientPhases(Result):
    """Gradient statistics of R replicas at S snapshots, for each of the L weight layers.

    Attributes
    ----------
    epochs : int array, shape (S,)
    mean : array, shape (R, S, L)
        ‖ḡ‖ / ‖W‖.
    std : array, shape (R, S, L)
        √tr Cov(g_b) / ‖W‖ of minibatches drawn independently.
    weight_norm : array, shape (R, S, L)
        ‖W‖ (Frobenius).
    batch_size : int
        B of the minibatches.
    layers : tuple of str
        Names of the layers, by the sizes they connect.
    """

    epochs: Int[np.ndarray, " S"]
    mean: Float[np.ndarray, "R S L"]
    std: Float[np.ndarray, "R S L"]
    weight_norm: Float[np.ndarray, "R S L"]
    batch_size: int
    layers: tuple[str, ...]

    @property
    def snr(self) -> Float[np.ndarray, "R S L"]:
        """Signal-to-noise ratio mean/std."""
        return np.asarray(self.mean / self.std)

    @property
    def simple_noise_scale(self) -> Float[np.ndarray, "R S L"]:
        """B_simple = tr Cov(g of one pattern) / ‖g‖², in patterns: the batch size at which noise and signal are equal."""
        return np.asarray(self.batch_size * (self.std / self.mean) ** 2)

    def transition_epoch(self) -> Float[np.ndarray, "R L"]:
        """The epoch at which the SNR first falls below 1 after its maximum, for each replica and layer.

        Log-linear between snapshots; inf where it never falls below 1 after the maximum, 0 where it never was above,
        NaN for a replica that failed.
        """
        log_snr = np.log(self.snr)
        found = np.empty((log_snr.shape[0], log_snr.shape[2]))
        for r, j in np.ndindex(found.shape):
            found[r, j] = _crossing_after_maximum(np.log1p(self.epochs), log_snr[r, :, j])
        return found

    def transition(self) -> Estimates:
        """The median transition epoch over replicas with the interval between two order statistics, shape (L,).

        Few replicas do not reach a level of 95 %: the level says what their range does cover, and a warning with it.
        Replicas that failed are left out.

        Raises
        ------
        ValueError
            If every replica failed.
        """
        epochs = self.transition_epoch()
        epochs = epochs[~np.isnan(epochs).any(axis=1)]
        if len(epochs) == 0:
            raise ValueError("every replica failed: there is no transition epoch")
        return Estimates.of([statistics.median(column, Unit.EPOCHS) for column in epochs.T])

    def to_frame(self) -> pd.DataFrame:
        """One row a replica, snapshot and layer."""
        import pandas as pd

        r, s, j = np.indices(self.mean.shape).reshape(3, -1)
        values = {"mean": self.mean, "std": self.std, "snr": self.snr, "weight_norm": self.weight_norm}
        columns = {name: value.ravel() for name, value in values.items()}
        columns["simple_noise_scale_patterns"] = self.simple_noise_scale.ravel()
        return pd.DataFrame({"replica": r, "epoch": self.epochs[s], "layer": np.asarray(self.layers)[j], **columns})


def _crossing_after_maximum(time: FloatArray, height: FloatArray) -> float:
    """Where a curve first falls below 0 after its maximum, on the scale of exp(time) - 1; NaN where it is not all there."""
    if np.isnan(height).any():
        return float("nan")
    top = int(height.argmax())
    if height[top] < 0:
        return 0.0
    below = np.flatnonzero(height[top:] < 0)
    if below.size == 0:
        return float("inf")
    i = top + int(below[0]) - 1
    share = height[i] / (height[i] - height[i + 1])
    return float(np.expm1(time[i] + share * (time[i + 1] - time[i])))


def gradient_phases(
    run: Run,
    *,
    as_trained: bool = False,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> GradientPhases:
    r"""Gradient statistics of every replica at every snapshot of a run.

    Parameters
    ----------
    run : Run
        Trained replicas. A noisy network's gradients are those of its noisy loss.
    as_trained : bool
        Take the gradients that the epoch before each snapshot was trained with, as published, instead of an
        epoch's at the snapshot's parameters: the parameters move meanwhile, which is part of their mean and their spread.
        Without epoch 0. With n batches of sizes B_b, of N patterns in all, the covariance is

        .. math:: \mathrm{tr}\,\mathrm{Cov}(g_b) = \frac{N}{B(n-1)}
                  \sum_b \frac{B_b}{N}\|g_b - \bar g\|^2, \qquad \bar g = \sum_b \frac{B_b}{N} g_b

        whose expectation, at parameters that stand still, is that of independent batches.
    batch_size : int or None
        B; by default the run's. Only full batches are used: N div B of them, at least 2.
    seed : int
        Seed of the batches, and of the noise.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    GradientPhases

    Raises
    ------
    ValueError
        If a batch size leaves fewer than two batches an epoch, or, as trained, is not the run's.

    References
    ----------
    [shwartzziv2017]_ section 3.3; [mccandlish2018]_ (B_simple)
    """
    size = batch_size if batch_size is not None else run.settings["batch_size"]
    n_train = run.train_patterns.shape[1]
    if size is None or not (int(size) == size and 1 <= size <= n_train // 2):
        raise ValueError(
            f"batch_size must be a whole number between 1 and half of the {n_train} training patterns, got {size!r} (a run "
            "of full batches needs one)"
        )
    names = tuple(f"{a}→{b}" for a, b in zip(run.network.widths, run.network.widths[1:], strict=False))
    if as_trained:
        if size != run.settings["batch_size"]:
            raise ValueError(f"as_trained takes the run's batch_size = {run.settings['batch_size']}, got {size}")
        return _as_trained(run, int(size), names)
    count, layers = n_train // size, len(run.network.widths) - 1
    rng = np.random.default_rng(seed)
    order = np.stack([rng.permutation(row) for row in run.train_patterns])[:, : count * size]
    batches = order.reshape(run.n_replicas, count, size).astype(np.int32)
    gradients = _batch_gradients(run.network, run.loss)
    wanted = trained_on(run.task, run.loss, run.network.dtype)
    shape = (run.n_replicas, len(run.epochs), layers)
    square_mean, trace, norm = np.empty(shape), np.empty(shape), np.empty(shape)
    with progress_bar(len(run.epochs), "gradients", progress) as done:
        for s in range(len(run.epochs)):
            params = run.parameters(s)
            found = gradients(params, run.task.x, wanted, run.train_patterns, batches, seed + s)
            square_mean[:, s], trace[:, s] = (np.asarray(v, np.float64) for v in found)
            norm[:, s] = np.stack([np.linalg.norm(layer["w"], axis=(1, 2)) for layer in params], axis=1)
            done(1)
    return GradientPhases(run.epochs, np.sqrt(square_mean) / norm, np.sqrt(trace) / norm, norm, int(size), names)


def _as_trained(run: Run, size: int, names: tuple[str, ...]) -> GradientPhases:
    mean, square = (run.epoch_gradients[name][1:].swapaxes(0, 1) for name in EPOCH_GRADIENTS)
    n_train = run.train_patterns.shape[1]
    count = -(-n_train // size)
    trace = n_train / (size * (count - 1)) * np.maximum(square - mean, 0.0)
    norm = np.stack([np.linalg.norm(layer["w"][1:], axis=(2, 3)).T for layer in run.params], axis=-1)
    return GradientPhases(run.epochs[1:], np.sqrt(mean) / norm, np.sqrt(trace) / norm, norm, size, names)


@lru_cache(maxsize=8)
def _batch_gradients(network: Network, loss_name: str) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """‖ḡ‖² of all patterns, and tr Cov of the minibatch gradients, of each layer's weights: shape (R, L) each."""
    losses = LOSSES[loss_name]

    def loss(params: Params, x: jax.Array, y: jax.Array, key: jax.Array | None) -> jax.Array:
        return losses(network.columns(params, x.T, key)[-1], y).mean()

    def of_replica(
        params: Params, x: jax.Array, y: jax.Array, patterns: jax.Array, batches: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        def one(chosen: jax.Array, noise: jax.Array) -> list[jax.Array]:
            found = jax.grad(loss)(params, x[chosen], y[chosen], noise if network.noise_std else None)
            return [layer["w"] for layer in found]

        full_key, key = jax.random.split(key)
        squares = jnp.stack([(g**2).sum() for g in one(patterns, full_key)])
        each = jax.vmap(one)(batches, jax.random.split(key, len(batches)))
        traces = jnp.stack([((g - g.mean(axis=0)) ** 2).sum() / (len(batches) - 1) for g in each])
        return squares, traces

    def run(
        params: Params, x: jax.Array, y: jax.Array, patterns: jax.Array, batches: jax.Array, seed: int
    ) -> tuple[jax.Array, jax.Array]:
        keys = jax.random.split(jax.random.key(seed), len(batches))
        x = jnp.asarray(x, network.dtype)
        return jax.vmap(of_replica, (0, None, None, 0, 0, 0))(params, x, y, patterns, batches, keys)

    compiled: Callable[..., tuple[jax.Array, jax.Array]] = jax.jit(run)
    return compiled
