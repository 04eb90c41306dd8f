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
from papers.experiments.exact import lost_bits
from papers.experiments.planes import TrainSettings, train
from papers.experiments.program import Values

LAST = -2  # the last hidden layer, before the outputs
CLUSTERS = ("distance within classes", "within over between", "scatter within classes, share", "H(Bin(T)) in bits")
NOISES = (0.1, 0.05, 0.02, 0.01)
VECTOR_NOISE = 0.5
BLOCKING = 0.1  # of the step towards orthonormal weights
COMPARED = 512  # patterns whose pairs are compared between networks
NEURONS = ((0.1, 0.0), (0.5, 0.0), (1.0, -2.0), (3.0, -6.0), (20.0, -40.0))


class Settings(TrainSettings, frozen=True):
    """Also how many snapshots are estimated from how many passes at which noise, the sizes and draws of the neuron's samples,
    dimensions, sizes and draws of the samples of its vector, and how many patterns of how many networks are computed exactly.
    """

    estimated: int
    passes: int
    sigma: float
    sizes: tuple[int, ...]
    draws: int
    dimensions: tuple[int, ...]
    vector_sizes: tuple[int, ...]
    vector_draws: int
    exact_networks: int
    exact_patterns: int
    digits: int


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
        "truth_gaussian": _gaussian_information(0.1),
        "noises": np.array(NOISES),
        "against_noise": np.array([_gaussian_information(sigma) for sigma in NOISES]),
        "against_noise_discrete": np.array([_patterns_information(x, sigma) for sigma in NOISES]),
        "weights": scan,
        "against_weight": np.array([[information(w, b * w) for w in scan] for b in (0.0, -2.0)]),
        "sizes": np.array(settings.sizes),
        "estimates": np.array(errors),
        "share": np.array(share),
    }


def _gaussian_information(sigma: float, points: int = 4000) -> float:
    """I(X;T) of tanh(X) + noise, X ~ N(0, 1) put on the middles of `points` equal shares: by quadrature, nats."""
    shares = (np.arange(points) + 0.5) / points
    return _patterns_information(np.array([NormalDist().inv_cdf(p) for p in shares]), sigma)


def _patterns_information(x: FloatArray, sigma: float) -> float:
    """I(X;T) of tanh(X) + noise, X uniform on the given points: by quadrature, nats."""
    one = np.eye(2)[np.zeros(len(x), int)]
    return deepnets.Quadrature(sigma).layer(np.tanh(x)[:, None], one).rate.value


def dimension(settings: Settings, seed: int, work: Path) -> Values:
    """The plug-in of I(X;T), T = tanh(X) + noise in d dimensions, from samples of X ~ N(0, I): estimates (D, sizes, draws).

    The coordinates are independent, so that the truth is d times that of one, which quadrature gives.
    """
    rng, plugin = np.random.default_rng(seed), deepnets.SmoothedPlugin(VECTOR_NOISE)
    found = np.zeros((len(settings.dimensions), len(settings.vector_sizes), settings.vector_draws))
    for i, k, draw in counted(list(np.ndindex(*found.shape)), "samples in many dimensions"):
        size = settings.vector_sizes[k]
        t = np.tanh(rng.normal(size=(size, settings.dimensions[i])))
        found[i, k, draw] = plugin.layer(t, np.eye(2)[np.zeros(size, int)], seed=seed + draw).rate.value
    dimensions = np.array(settings.dimensions)
    truth = dimensions * _gaussian_information(VECTOR_NOISE)
    return {"dimensions": dimensions, "sizes": np.array(settings.vector_sizes), "estimates": found, "truth": truth}


def flow(settings: Settings, seed: int, work: Path) -> Values:
    """The noisy network and its deterministic twin at some snapshots: informations in bits, distances, accuracies.

    first, deep (R, S, 3): I(X;T) of the first and the last hidden layer, value, low, high; distinct and
    distinct_double (R, S, L): entropy of the twin's activations as they are, evaluated in single and in double precision;
    clusters_noisy, clusters_twin (R, S, 4): of the last hidden layer, without its noise, the columns of CLUSTERS.
    deep_blocked, clusters_blocked: the same of noisy networks whose hidden weights are drawn towards orthonormality;
    likeness, likeness_others (R,): of the noisy network's representation to its twin's, and of the twin's to another twin's.
    """
    sigma = settings.sigma
    noisy, twin = train(settings, seed, work, noise_std=sigma), train(settings, seed, work)
    blocked = train(settings, seed, work, noise_std=sigma, orthonormality=BLOCKING)
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
        first = deepnets.SmoothedPlugin(sigma).layer(clean[0], rows, seed=seed + snapshot).rate
        keep(
            first=np.array([first.value, first.low, first.high]) / NATS_PER_BIT,
            deep=_deep(noisy, settings, seed, snapshot, replica),
            deep_blocked=_deep(blocked, settings, seed, snapshot, replica),
            clusters_noisy=_clusters(clean[LAST], rows),
            clusters_blocked=_clusters(blocked.activations(snapshot, replica)[LAST], rows),
            clusters_twin=_clusters(layers[LAST], rows),
            distinct=[_distinct(t) / NATS_PER_BIT for t in layers[:-1]],
            distinct_double=[_distinct(t) / NATS_PER_BIT for t in double.activations(snapshot, replica)[:-1]],
        )
    last = int(chosen[-1])
    replicas = range(noisy.n_replicas)
    own, twins = ([_pairs(run.activations(last, r)[LAST]) for r in replicas] for run in (noisy, twin))
    return {
        "likeness": np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(own, twins, strict=True)]),
        "likeness_others": np.array(
            [np.corrcoef(a, b)[0, 1] for a, b in zip(twins, twins[1:] + twins[:1], strict=True)]
        ),
        "blocked_accuracy": blocked.accuracy[-1],
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


def exact(settings: Settings, seed: int, work: Path) -> Values:
    """Bits that the twin's layers lose at the end, (networks, layers): in many digits, and in single and double precision."""
    twin = train(settings, seed, work)
    double = replace(twin, network=replace(twin.network, dtype="float64"))
    x, last = twin.task.x, len(twin.epochs) - 1
    chosen = np.random.default_rng(seed).permutation(len(x))[: settings.exact_patterns]
    found: dict[str, list[FloatArray]] = {"exact": [], "single": [], "double": []}
    for replica in counted(range(settings.exact_networks), "exact layers"):
        hidden = [{name: layer[name][last, replica] for name in ("w", "b")} for layer in twin.params[:-1]]
        weights, biases = ([layer[name] for layer in hidden] for name in ("w", "b"))
        found["exact"].append(lost_bits(weights, biases, x[chosen], settings.digits))
        for name, run in (("single", twin), ("double", double)):
            layers = run.activations(last, replica)[:-1]
            found[name].append(np.log2(len(chosen)) - np.array([_distinct(t[chosen]) for t in layers]) / NATS_PER_BIT)
    return {name: np.array(values) for name, values in found.items()} | {"digits": settings.digits, "n": len(chosen)}


def _deep(run: deepnets.Run, settings: Settings, seed: int, snapshot: int, replica: int) -> FloatArray:
    """I(X;T) of the last hidden layer, value, low, high, in bits."""
    centres = run.passes(snapshot, replica, settings.passes, seed + snapshot)[-1]
    found = deepnets.ConditionalPlugin(settings.sigma).layer(centres, run.task.p_y_given_x, seed=seed + snapshot).rate
    return np.array([found.value, found.low, found.high]) / NATS_PER_BIT


def _pairs(t: FloatArray) -> FloatArray:
    """Cosines between the representations of pairs of patterns."""
    some = t[:: max(len(t) // COMPARED, 1)]
    unit = some / np.linalg.norm(some, axis=1, keepdims=True)
    return np.asarray((unit @ unit.T)[np.triu_indices(len(unit), 1)])


def _clusters(t: FloatArray, rows: FloatArray) -> list[float]:
    found = clustering(t, rows)
    within = (found.within_mean, found.within_mean / found.between_mean, 1 - found.scatter_ratio)
    return [*within, deepnets.Binning().layer(t, rows).rate.value / NATS_PER_BIT]


def _distinct(t: FloatArray) -> float:
    """Entropy of the activations as they are: H(X) as long as no two patterns meet. Nats."""
    counts = np.unique(t, axis=0, return_counts=True)[1]
    return float(dualib.entropy(counts / counts.sum()))


EXPERIMENTS = {"neuron": neuron, "dimension": dimension, "flow": flow, "exact": exact}
