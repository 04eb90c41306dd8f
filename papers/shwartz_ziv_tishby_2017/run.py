"""Opening the black box [shwartzziv2017]_: layers in the information plane, gradients, depth, width, sample size."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import deepnets
from deepnets.estimators.clustering import clustering
from deepnets.gradients import gradient_phases
from deepnets.training.presets import WIDTHS
from dualib.core.progress import counted
from dualib.core.typing import ArrayLike, FloatArray
from dualib.core.units import NATS_PER_BIT
from papers.experiments.planes import SECOND, PlaneSettings, plane_arrays, train
from papers.experiments.program import Values

LAST_HIDDEN = -2
FINER = 100  # edges of the bins, beside 30


class Settings(PlaneSettings, frozen=True):
    """Also the replicas and epochs of the runs beside the first."""

    few: int
    side_epochs: int


def main(settings: Settings, seed: int, work: Path) -> Values:
    """80% of the patterns: planes under three estimates, gradients, weights' paths, label separation."""
    run = train(settings, seed, work)
    finer = deepnets.information_plane(run, deepnets.Binning(FINER))
    phases = gradient_phases(run, seed=seed)
    return {
        **plane_arrays(run, settings),
        "finer_input": finer.rate.value / NATS_PER_BIT,
        "finer_label": finer.relevance.value / NATS_PER_BIT,
        "gradient_mean": phases.mean,
        "gradient_std": phases.std,
        "weight_norm": phases.weight_norm,
        "transition": phases.transition_epoch(),
        **_representations(run),
        **_weights(run, phases.transition_epoch()),
    }


def _representations(run: deepnets.Run) -> Values:
    """At the end: how far the labels are apart layer by layer, and what an invertible map does to two estimates, bits."""
    rows, last = run.task.p_y_given_x, len(run.epochs) - 1
    separation, changed = [], []
    for replica in range(run.n_replicas):
        layers = run.activations(last, replica)
        separation.append([clustering(t, rows).separation for t in layers])
        hidden = layers[LAST_HIDDEN]
        mapped = np.sign(hidden) * hidden**4
        pairs = ([e.layer(t, rows).rate.value for t in (hidden, mapped)] for e in (deepnets.Binning(), SECOND))
        changed.append([abs(b - a) / NATS_PER_BIT for a, b in pairs])
    return {"separation": np.array(separation), "changed_by_map": np.array(changed)}


def _weights(run: deepnets.Run, transition: FloatArray) -> Values:
    """Squared displacement of the hidden weights after the transition, and overlaps of the readouts of pairs of replicas."""
    flat = [layer["w"].reshape(len(run.epochs), run.n_replicas, -1) for layer in run.params[:-1]]
    weights = np.concatenate(flat, axis=2)
    when = np.nanmedian(np.where(np.isfinite(transition[:, -1]), transition[:, -1], np.nan))
    start = int(np.abs(run.epochs - when).argmin())
    first = run.params[0]["w"][-1].reshape(run.n_replicas, -1)
    unit = first / np.linalg.norm(first, axis=1, keepdims=True)
    return {
        "diffusion_epochs": run.epochs[start + 1 :] - run.epochs[start],
        "displacement": ((weights[start + 1 :] - weights[start]) ** 2).sum(axis=2).T,
        "similarity": np.abs((unit @ unit.T)[np.triu_indices(run.n_replicas, 1)]),
    }


def bottleneck(settings: Settings, seed: int, work: Path) -> Values:
    """The layers against the bottleneck equations under two binnings, with the controls; the exact curves. Nats.

    fits (R, L, 6): β*, residual with it, with the shared β and of a random encoder, I(X;T), I(T;Y); excess_rate (R, L):
    over the IB curve.
    """
    run = train(settings, seed, work)
    joint = deepnets.icosahedral_task(53.826).joint
    ib, dual = deepnets.planes.exact_curves(joint)
    result: dict[str, ArrayLike] = {
        "rate": ib.rate,
        "relevance": ib.relevance,
        "dual_rate": dual.rate,
        "dual_relevance": dual.relevance,
    }
    for prefix, binning in (("", deepnets.Binning()), ("finer_", deepnets.Binning(FINER))):
        rows, excess = [], []
        for replica in counted(range(min(run.n_replicas, settings.few)), "bottleneck equations"):
            layers = run.activations(len(run.epochs) - 1, replica)
            codes = [np.unique(binning.codes(t), axis=0, return_inverse=True)[1].ravel() for t in layers]
            own, shared = (
                [deepnets.planes.fit_beta(c, joint) for c in codes],
                deepnets.planes.fit_shared_beta(codes, joint),
            )
            random = [deepnets.planes.fit_random_encoder(c, joint, seed) for c in codes]
            arms = zip(own, shared, random, strict=True)
            rows.append([(o.beta, o.residual, s.residual, r.residual, o.rate, o.relevance) for o, s, r in arms])
            excess.append([deepnets.planes.excess_rate(o, ib) for o in own])
        result |= {f"{prefix}fits": np.array(rows), f"{prefix}excess_rate": np.array(excess)}
    return result


def fractions(settings: Settings, seed: int, work: Path) -> Values:
    """5, 45 and 85% of the patterns."""
    found: dict[str, ArrayLike] = {}
    for percent in (5, 45, 85):
        changes = {"replicas": settings.few, "epochs": settings.side_epochs}
        run = train(settings, seed, work, train_fraction=percent / 100, batch_size=min(256, percent * 40), **changes)
        found |= plane_arrays(run, settings, f"{percent}_")
        found[f"{percent}_gap"] = (run.scores["train_accuracy"] - run.scores["test_accuracy"]).T
        found[f"{percent}_n"] = run.train_patterns.shape[1]
    return found


def depth(settings: Settings, seed: int, work: Path) -> Values:
    """One hidden layer against six."""
    changes = {"replicas": settings.few, "epochs": settings.side_epochs}
    one = train(settings, seed, work, widths=(12, 10, 2), **changes)
    six = train(settings, seed, work, widths=(12, 12, *WIDTHS[1:]), **changes)
    return {**plane_arrays(one, settings, "one_"), **plane_arrays(six, settings, "six_")}


def width(settings: Settings, seed: int, work: Path) -> Values:
    """Hidden layers of twice the width."""
    run = train(settings, seed, work, widths=(12, 20, 14, 10, 8, 6, 2), replicas=settings.few)
    return plane_arrays(run, settings)


def batches(settings: Settings, seed: int, work: Path) -> Values:
    """The transition of the last layer's gradients, and their B_simple there, at three batch sizes."""
    sizes = (64, 256, 1024)
    found, noise = [], []
    for size in sizes:
        run = train(settings, seed, work, replicas=settings.few, epochs=settings.side_epochs, batch_size=size)
        phases = gradient_phases(run, seed=seed)
        found.append(phases.transition_epoch()[:, -1])
        noise.append(phases.simple_noise_scale[:, :, -1])
    epochs = run.epochs
    return {
        "batch_size": np.array(sizes),
        "transition": np.array(found).T,
        "noise_scale": np.array(noise),
        "epochs": epochs,
    }


def noise(settings: Settings, seed: int, work: Path) -> Values:
    """Dropout of 10%; without it: `main`."""
    return plane_arrays(train(settings, seed, work, dropout=0.1, replicas=settings.few), settings)


EXPERIMENTS = {
    "main": main,
    "bottleneck": bottleneck,
    "fractions": fractions,
    "depth": depth,
    "width": width,
    "batches": batches,
    "noise": noise,
}
