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

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deepnets.recordings.recorded import Recorded
from deepnets.recordings.records import place_of
from dualib.core import statistics
from dualib.core.estimate import Estimates
from dualib.core.progress import progress_bar
from dualib.core.result import Result
from dualib.core.typing import Float, FloatArray, Int, IntArray
from dualib.core.units import Unit

if TYPE_CHECKING:
    import pandas as pd

    from deepnets.recordings.run import Run


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

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 2, 1))  # replica, snapshot, layer
    >>> phases = GradientPhases(np.array([1, 10]), one, 2 * one, one, batch_size=16, layers=("hidden",))
    >>> phases.snr.ravel()
    array([0.5, 0.5])
    """

    epochs: Int[np.ndarray, " S"]
    mean: Float[np.ndarray, "R S L"]
    std: Float[np.ndarray, "R S L"]
    weight_norm: Float[np.ndarray, "R S L"]
    batch_size: int
    layers: tuple[str, ...]

    @property
    def snr(self) -> Float[np.ndarray, "R S L"]:
        """Signal-to-noise ratio mean/std; NaN where gradients vanish, or the replica failed."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.mean / self.std)

    @property
    def simple_noise_scale(self) -> Float[np.ndarray, "R S L"]:
        """B_simple = tr Cov(g of one pattern) / ‖g‖², in patterns: the batch size at which noise and signal are equal."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.batch_size * (self.std / self.mean) ** 2)

    def transition_epoch(self) -> Float[np.ndarray, "R L"]:
        """The epoch at which the SNR first falls below 1 after its maximum, for each replica and layer.

        Log-linear between snapshots; inf where it never falls below 1 after the maximum, 0 where it never was above,
        NaN for a replica that failed, or whose gradients vanish.
        """
        with np.errstate(divide="ignore"):
            log_snr = np.log(self.snr)
        found = np.empty((log_snr.shape[0], log_snr.shape[2]))
        for r, j in np.ndindex(found.shape):
            found[r, j] = _crossing_after_maximum(np.log1p(self.epochs), log_snr[r, :, j])
        return found

    def transition(self) -> Estimates:
        """The median transition epoch over replicas with the interval between two order statistics, shape (L,).

        Few replicas do not reach a level of 95 %: the level says what their range does cover, and a warning with it.
        Replicas that failed, or whose gradients vanish at a snapshot, are left out.

        Raises
        ------
        ValueError
            If no replica is left.
        """
        epochs = self.transition_epoch()
        epochs = epochs[~np.isnan(epochs).any(axis=1)]
        if len(epochs) == 0:
            raise ValueError("every replica failed, or its gradients vanish: there is no transition epoch")
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
    recording: Run | Recorded,
    *,
    as_trained: bool = False,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> GradientPhases:
    r"""Gradient statistics of every replica at every snapshot of a training.

    Parameters
    ----------
    recording : Run or Recorded
        Trained replicas. A noisy network's gradients are those of its noisy loss. Of a :class:`deepnets.Recorded` they are
        those that were recorded, at the epochs at which they were.
    as_trained : bool
        Take the gradients that the epoch before each snapshot was trained with, as published, instead of an
        epoch's at the snapshot's parameters: the parameters move meanwhile, which is part of their mean and their spread.
        Without epoch 0. With n batches of sizes B_b, of N patterns in all, the covariance is

        .. math:: \mathrm{tr}\,\mathrm{Cov}(g_b) = \frac{N}{B(n-1)}
                  \sum_b \frac{B_b}{N}\|g_b - \bar g\|^2, \qquad \bar g = \sum_b \frac{B_b}{N} g_b

        whose expectation, at parameters that stand still, is that of independent batches. Recorded gradients are taken so,
        whichever they are.
    batch_size : int or None
        B; by default the run's. Only full batches are used: N div B of them, at least 2. Recorded ones have theirs.
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
        If a batch size leaves fewer than two batches an epoch, or, as trained or recorded, is not that of the training; if no
        gradients were recorded, or not of the same layers everywhere.

    References
    ----------
    [shwartzziv2017]_ section 3.3; [mccandlish2018]_ (B_simple)

    Examples
    --------
    >>> import numpy as np
    >>> import tempfile
    >>> import deepnets
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     recorder = deepnets.Recorder(f"{folder}/run", labels=[0, 1])
    ...     for g in (np.ones((3, 2)), 0.5 * np.ones((3, 2))):  # gradients of two batches of one pattern each
    ...         recorder.batch(1, {"hidden": g}, 1)
    ...     recorder.add(1, {"hidden": np.zeros((2, 2))}, weights={"hidden": np.ones((3, 2))})
    ...     phases = gradient_phases(recorder.recorded())
    >>> phases.mean.shape, phases.snr.round(3)
    ((1, 1, 1), array([[[2.121]]]))
    """
    if isinstance(recording, Recorded):
        return _as_recorded(recording, batch_size)
    run, n_train = recording, recording.train_patterns.shape[1]
    size = batch_size if batch_size is not None else run.settings["batch_size"]
    if size is None or not (int(size) == size and 1 <= size <= n_train // 2):
        raise ValueError(
            f"batch_size must be a whole number between 1 and half of the {n_train} training patterns, got {size!r} (a run "
            "of full batches needs one)"
        )
    names = tuple(f"{a}→{b}" for a, b in zip(run.network.widths, run.network.widths[1:], strict=False))
    if as_trained:
        if size != run.settings["batch_size"]:
            raise ValueError(f"as_trained takes the run's batch_size = {run.settings['batch_size']}, got {size}")
        from deepnets.recordings.run import EPOCH_GRADIENTS  # which needs JAX, as the run does

        mean, square = (run.epoch_gradients[name][1:].swapaxes(0, 1) for name in EPOCH_GRADIENTS)
        trace = _trace(mean, square, n_train, -(-n_train // size), int(size))
        norm = np.stack([np.linalg.norm(np.float64(layer["w"][1:]), axis=(2, 3)).T for layer in run.params], axis=-1)
        return _phases(run.epochs[1:], mean, trace, norm, int(size), names)
    return _measured(run, int(size), names, seed, progress)


def _measured(run: Run, size: int, names: tuple[str, ...], seed: int, progress: bool | None) -> GradientPhases:
    """At the parameters of every snapshot."""
    from deepnets.batch_gradients import batch_gradients  # which needs JAX
    from deepnets.training.losses import trained_on

    count = run.train_patterns.shape[1] // size
    rng = np.random.default_rng(seed)
    order = np.stack([rng.permutation(row) for row in run.train_patterns])[:, : count * size]
    batches = order.reshape(run.n_replicas, count, size).astype(np.int32)
    gradients = batch_gradients(run.network, run.loss)
    wanted = trained_on(run.task, run.loss, run.network.dtype)
    shape = (run.n_replicas, len(run.epochs), len(names))
    square_mean, trace, norm = np.empty(shape), np.empty(shape), np.empty(shape)
    with progress_bar(len(run.epochs), "gradients", progress) as done:
        for s in range(len(run.epochs)):
            params = run.parameters(s)
            found = gradients(params, run.task.x, wanted, run.train_patterns, batches, seed + s)
            square_mean[:, s], trace[:, s] = (np.asarray(v, np.float64) for v in found)
            norm[:, s] = np.stack([np.linalg.norm(np.float64(layer["w"]), axis=(1, 2)) for layer in params], axis=1)
            done(1)
    return _phases(run.epochs, square_mean, trace, norm, size, names)


def _as_recorded(recorded: Recorded, batch_size: int | None) -> GradientPhases:
    """Of the records of those epochs at which every replica has gradients."""
    found = [[recorded.records[e, r].gradients for r in recorded.replica_numbers] for e in recorded.epochs.tolist()]
    table = {e: [g for g in row if g] for e, row in zip(recorded.epochs.tolist(), found, strict=True) if all(row)}
    if not table:
        raise ValueError(
            f"{recorded.path} has no gradients of all replicas: record them by Recorder.batch(epoch, gradients, size), or "
            "gradients= of Recorder.add, with the weights"
        )
    first = next(iter(table.values()))[0]
    for epoch, row in table.items():
        for replica, one in zip(recorded.replica_numbers, row, strict=True):
            if (one.layers, one.batch_size) != (first.layers, first.batch_size):
                raise ValueError(
                    f"{recorded.path / place_of(epoch, replica)} has gradients of {one.layers} in batches of {one.batch_size}, others "
                    f"of {first.layers} in batches of {first.batch_size}: they have to be alike"
                )
    if batch_size not in (None, first.batch_size):
        raise ValueError(f"the gradients were recorded in batches of {first.batch_size}, got batch_size = {batch_size}")

    def gathered(name: str) -> FloatArray:  # (R, S, …)
        return np.array([[getattr(one, name) for one in row] for row in table.values()]).swapaxes(0, 1)

    mean, square, norm = (gathered(name) for name in ("mean_square", "square_mean", "weight_norm"))
    patterns, batches = (gathered(name)[:, :, None] for name in ("patterns", "batches"))
    trace = _trace(mean, square, patterns, batches, first.batch_size)
    return _phases(np.array(list(table)), mean, trace, norm, first.batch_size, first.layers)


def _trace(
    mean: FloatArray, square: FloatArray, patterns: int | FloatArray, batches: int | FloatArray, size: int
) -> FloatArray:
    """The trace tr Cov(g_b) of independent batches from ‖mean g_b‖² and mean ‖g_b‖²."""
    return np.asarray(patterns / (size * (batches - 1)) * np.maximum(square - mean, 0.0))


def _phases(
    epochs: IntArray, mean_square: FloatArray, trace: FloatArray, norm: FloatArray, size: int, names: tuple[str, ...]
) -> GradientPhases:
    return GradientPhases(epochs, np.sqrt(mean_square) / norm, np.sqrt(trace) / norm, norm, size, names)
