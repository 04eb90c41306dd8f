"""Estimating information flow in deep neural networks [goldfeld2019]_: noise, estimators, clustering."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np

import deepnets
import dualib
from deepnets.estimators.clustering import clustering
from dualib.core.progress import counted
from dualib.core.typing import ArrayLike, FloatArray
from dualib.core.units import NATS_PER_BIT
from papers.experiments.planes import TrainSettings, train
from papers.experiments.program import Values

LAST = -2  # the last hidden layer, before the outputs
CLUSTERS = ("distance within classes", "within over between", "scatter within classes, share", "H(Bin(T)) in bits")
NEURONS = ((0.1, 0.0), (0.5, 0.0), (1.0, -2.0), (3.0, -6.0), (20.0, -40.0))


class Settings(TrainSettings, frozen=True):
    """Also how many snapshots are estimated from how many passes at which noise, and the sizes and draws of the neuron's samples."""

    estimated: int
    passes: int
    sigma: float
    sizes: tuple[int, ...]
    draws: int


def neuron(settings: Settings, seed: int, work: Path) -> Values:
    """One noisy neuron, X uniform on {-3, -1, 1, 3}: I(X;T) by quadrature, and by the plug-in from samples of X."""
    x, label = np.array([-3.0, -1.0, 1.0, 3.0]), np.eye(2)[[0, 0, 0, 1]]
    scan = np.geomspace(0.05, 30, 60)
    quadrature = deepnets.Quadrature(0.1)

    def information(w: float, b: float) -> float:
        return quadrature.layer(np.tanh(w * x + b)[:, None], label).rate.value

    rng = np.random.default_rng(seed)
    plugin = deepnets.SmoothedPlugin(0.1)
    errors, share = [], []
    for size in counted(map(int, settings.sizes), "samples of the neuron"):
        values = []
        for draw in range(settings.draws):
            t = np.tanh(rng.normal(size=(size, 1)))
            estimate = plugin.layer(t, np.eye(2)[np.zeros(size, int)], seed=seed + draw)
            values.append(estimate.rate.value)
            share.append(estimate.rate.std_error / plugin.standard_error_bound(t))
        errors.append(values)
    return {
        "truth": np.array([information(w, b) for w, b in NEURONS]),
        "truth_gaussian": _gaussian_information(),
        "weights": scan,
        "against_weight": np.array([[information(w, b * w) for w in scan] for b in (0.0, -2.0)]),
        "sizes": np.array(settings.sizes),
        "estimates": np.array(errors),
        "share": np.array(share),
    }


def _gaussian_information(points: int = 4000) -> float:
    """I(X;T) of tanh(X) + noise of std 0.1, X ~ N(0, 1) put on the middles of `points` equal shares: by quadrature, nats."""
    shares = (np.arange(points) + 0.5) / points
    x = np.array([NormalDist().inv_cdf(p) for p in shares])
    return deepnets.Quadrature(0.1).layer(np.tanh(x)[:, None], np.eye(2)[np.zeros(points, int)]).rate.value


def flow(settings: Settings, seed: int, work: Path) -> Values:
    """The noisy network and its deterministic twin at some snapshots: informations in bits, distances, accuracies.

    first, deep (R, S, 3): I(X;T) of the first and the last hidden layer, value, low, high; distinct and
    distinct_double (R, S, L): entropy of the twin's activations as they are, evaluated in single and in double precision;
    clusters_noisy, clusters_twin (R, S, 4): of the last hidden layer, without its noise, the columns of CLUSTERS.
    """
    sigma = settings.sigma
    noisy, twin = train(settings, seed, work, noise_std=sigma), train(settings, seed, work)
    chosen = np.unique(np.linspace(0, len(noisy.epochs) - 1, settings.estimated).round().astype(int))
    double = replace(twin, network=replace(twin.network, dtype="float64"))
    rows = noisy.task.p_y_given_x
    found: dict[str, list[FloatArray]] = {}

    def keep(**values: ArrayLike) -> None:
        for name, value in values.items():
            found.setdefault(name, []).append(np.asarray(value, dtype=np.float64))

    shape = (noisy.n_replicas, len(chosen))
    for replica, index in counted(np.ndindex(*shape), "noisy layers"):
        snapshot = int(chosen[index])
        clean, layers = noisy.activations(snapshot, replica), twin.activations(snapshot, replica)
        centres = noisy.passes(snapshot, replica, settings.passes, seed + snapshot)[-1]
        first = deepnets.SmoothedPlugin(sigma).layer(clean[0], rows, seed=seed + snapshot).rate
        deep = deepnets.ConditionalPlugin(sigma).layer(centres, rows, seed=seed + snapshot).rate
        keep(
            first=np.array([first.value, first.low, first.high]) / NATS_PER_BIT,
            deep=np.array([deep.value, deep.low, deep.high]) / NATS_PER_BIT,
            clusters_noisy=_clusters(clean[LAST], rows),
            clusters_twin=_clusters(layers[LAST], rows),
            distinct=[_distinct(t) / NATS_PER_BIT for t in layers[:-1]],
            distinct_double=[_distinct(t) / NATS_PER_BIT for t in double.activations(snapshot, replica)[:-1]],
        )
    last = int(chosen[-1])
    return {
        **{name: np.reshape(values, (*shape, *values[0].shape)) for name, values in found.items()},
        "epochs": noisy.epochs[chosen],
        "clusters": np.array(CLUSTERS),
        "accuracy": noisy.accuracy[-1],
        "twin_accuracy": twin.accuracy[-1],
        "pattern_labels": noisy.task.y,
        "layers_noisy": noisy.activations(last, 0)[LAST],
        "layers_start": noisy.activations(0, 0)[LAST],
        "layers_twin": twin.activations(last, 0)[LAST],
    }


def _clusters(t: FloatArray, rows: FloatArray) -> list[float]:
    found = clustering(t, rows)
    within = (found.within_mean, found.within_mean / found.between_mean, 1 - found.scatter_ratio)
    return [*within, deepnets.Binning().layer(t, rows).rate.value / NATS_PER_BIT]


def _distinct(t: FloatArray) -> float:
    """Entropy of the activations as they are: H(X) as long as no two patterns meet. Nats."""
    counts = np.unique(t, axis=0, return_counts=True)[1]
    return float(dualib.entropy(counts / counts.sum()))


EXPERIMENTS = {"neuron": neuron, "flow": flow}
