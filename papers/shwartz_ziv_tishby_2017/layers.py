"""What is kept of a run's layers and weights: separation of the labels, maps of a layer, paths of the weights."""

from __future__ import annotations

import numpy as np

import deepnets
from deepnets.estimators.clustering import clustering
from dualib.core.typing import Float
from dualib.core.units import NATS_PER_BIT
from papers.experiments.planes import SECOND
from papers.experiments.program import Arrays

LAST_HIDDEN = -2
MOVED = 0.5  # of a cell, by which the null moves the edges


def separations(run: deepnets.Run, replicas: range) -> Arrays:
    """P(a pair of equal label is nearer than one of different label), (R', 1 + L): inputs first, before and after training."""
    rows = run.task.p_y_given_x
    inputs = clustering(run.task.x, rows).separation
    found = [
        [[inputs, *(clustering(t, rows).separation for t in run.activations(s, r))] for r in replicas]
        for s in (0, len(run.epochs) - 1)
    ]
    return {"separation_before": np.array(found[0]), "separation": np.array(found[1])}


def information_maps(run: deepnets.Run, replicas: range, seed: int) -> Arrays:
    """The last hidden layer at the end, and its image under the invertible map t → sign(t) t⁴, in bits, (R', 2).

    own: the layer's estimate, binned and with noise. mapped: that of its image. null: the layer again, with edges that are
    moved by half a cell, and with other draws of the noise. distinct (R, 2): the number of different representations of the
    patterns, as computed, in the layer and in its image, whose log is I(X;T) where all are different.
    """
    rows, last = run.task.p_y_given_x, len(run.epochs) - 1
    cell = 2.0 / 29
    binned, moved = deepnets.Binning(), deepnets.Binning(31, -1.0 - MOVED * cell, 1.0 + MOVED * cell)
    found: dict[str, list[list[float]]] = {name: [] for name in ("own", "mapped", "null", "distinct")}
    for replica in replicas:
        hidden = run.activations(last, replica)[LAST_HIDDEN].astype(np.float64)
        image = np.sign(hidden) * hidden**4
        for name, layer, estimators, draw in (
            ("own", hidden, (binned, SECOND), seed),
            ("mapped", image, (binned, SECOND), seed),
            ("null", hidden, (moved, SECOND), seed + 1),
        ):
            found[name].append([e.layer(layer, rows, seed=draw).rate.value / NATS_PER_BIT for e in estimators])
        found["distinct"].append([float(len(np.unique(t, axis=0))) for t in (hidden, image)])
    return {f"map_{name}": np.array(values) for name, values in found.items()}


def final_weights(run: deepnets.Run) -> Arrays:
    """weights_l (R, in, out) of every layer at the end."""
    return {f"weights_{i}": layer["w"][-1] for i, layer in enumerate(run.params)}


def weight_path(run: deepnets.Run, rate: Float[np.ndarray, "n_replicas n_snapshots"]) -> Arrays:
    """The hidden weights from every replica's change of phase on: the snapshot at which I(X;T) of its outputs, `rate`, is largest.

    displacement (R, S), squared, from there to each snapshot, NaN up to it; increments_cosine (R, S): of the increments before and
    after each snapshot, NaN up to the change; elapsed (R, S) epochs.
    """
    flat = [layer["w"].reshape(len(run.epochs), run.n_replicas, -1) for layer in run.params[:-1]]
    weights = np.concatenate(flat, axis=2).swapaxes(0, 1).astype(np.float64)  # (R, S, P)
    start = rate.argmax(axis=1)
    later = np.arange(len(run.epochs)) > start[:, None]
    moved = ((weights - weights[np.arange(len(weights)), start][:, None]) ** 2).sum(axis=2)
    return {
        "elapsed": np.where(later, run.epochs - run.epochs[start][:, None], np.nan),
        "displacement": np.where(later, moved, np.nan),
        "increments_cosine": np.where(later, _turns(weights), np.nan),
    }


def _turns(
    weights: Float[np.ndarray, "n_replicas n_snapshots n_weights"],
) -> Float[np.ndarray, "n_replicas n_snapshots"]:
    """Cosine of the increments before and after each snapshot; NaN at the two ends."""
    steps = np.diff(weights, axis=1)
    norms = np.linalg.norm(steps, axis=2)
    inner = (steps[:, 1:] * steps[:, :-1]).sum(axis=2)
    cosine = np.divide(inner, norms[:, 1:] * norms[:, :-1], out=np.full_like(inner, np.nan), where=inner != 0)
    return np.pad(cosine, ((0, 0), (1, 1)), constant_values=np.nan)
