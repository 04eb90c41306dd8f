"""Opening the black box [shwartzziv2017]_: layers in the information plane, gradients, depth, width, sample size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import deepnets
from deepnets.estimators.clustering import clustering
from deepnets.gradients import gradient_phases
from deepnets.training.presets import WIDTHS
from papers.experiments import counted
from papers.planes import BITS, SECOND, plane_arrays, train

LAST_HIDDEN = -2
FINER = 100  # edges of the bins, beside 30


def main(settings: Mapping[str, Any], seed: int, work: Path) -> dict[str, Any]:
    """80% of the patterns: planes under three estimates, gradients, weights' paths, label separation."""
    run = train(settings, seed, work)
    finer = deepnets.information_plane(run, deepnets.Binning(FINER))
    phases = gradient_phases(run, seed=seed)
    return {
        **plane_arrays(run, settings),
        "finer_input": finer.input * BITS,
        "finer_label": finer.label * BITS,
        "gradient_mean": phases.mean,
        "gradient_std": phases.std,
        "weight_norm": phases.weight_norm,
        "transition": phases.transition_epoch(),
        **_representations(run),
        **_weights(run, phases.transition_epoch()),
    }


def _representations(run: deepnets.Run) -> dict[str, Any]:
    """At the end: how far the labels are apart layer by layer, and what an invertible map does to two estimates, bits."""
    rows, last = run.task.p_y_given_x, len(run.epochs) - 1
    separation, changed = [], []
    for replica in range(run.n_replicas):
        layers = run.activations(last, replica)
        separation.append([clustering(t, rows).separation for t in layers])
        hidden = layers[LAST_HIDDEN]
        mapped = np.sign(hidden) * hidden**4
        pairs = ([e.layer(t, rows).input.value for t in (hidden, mapped)] for e in (deepnets.Binning(), SECOND))
        changed.append([abs(b - a) * BITS for a, b in pairs])
    return {"separation": np.array(separation), "changed_by_map": np.array(changed)}


def _weights(run: deepnets.Run, transition: np.ndarray) -> dict[str, Any]:
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


def bottleneck(settings: Mapping[str, Any], seed: int, work: Path) -> dict[str, Any]:
    """The layers against the bottleneck equations under two binnings, with the controls; the exact curves. Nats.

    fits (R, L, 6): β*, residual with it, with the shared β and of a random encoder, I(X;T), I(T;Y); excess_rate (R, L): over the IB curve.
    """
    run = train(settings, seed, work)
    joint = deepnets.icosahedral_task(53.826).joint
    ib, dual = deepnets.exact_curves(joint)
    result: dict[str, Any] = {
        "rate": ib.rate, "relevance": ib.relevance, "dual_rate": dual.rate, "dual_relevance": dual.relevance,
    }  # fmt: skip
    for prefix, binning in (("", deepnets.Binning()), ("finer_", deepnets.Binning(FINER))):
        rows, excess = [], []
        for replica in counted(range(min(run.n_replicas, settings["few"])), "bottleneck equations"):
            layers = run.activations(len(run.epochs) - 1, replica)
            codes = [np.unique(binning.codes(t), axis=0, return_inverse=True)[1].ravel() for t in layers]
            own, shared = [deepnets.fit_beta(c, joint) for c in codes], deepnets.fit_shared_beta(codes, joint)
            random = [deepnets.fit_random_encoder(c, joint, seed) for c in codes]
            rows.append([(o.beta, o.residual, s.residual, r.residual, o.rate, o.relevance)
                         for o, s, r in zip(own, shared, random, strict=True)])  # fmt: skip
            excess.append([deepnets.excess_rate(o, ib) for o in own])
        result |= {f"{prefix}fits": np.array(rows), f"{prefix}excess_rate": np.array(excess)}
    return result


def fractions(settings: Mapping[str, Any], seed: int, work: Path) -> dict[str, Any]:
    """5, 45 and 85% of the patterns."""
    found: dict[str, Any] = {}
    for percent in (5, 45, 85):
        changes = {"replicas": settings["few"], "epochs": settings["side_epochs"]}
        run = train(settings, seed, work, train_fraction=percent / 100, batch_size=min(256, percent * 40), **changes)
        found |= plane_arrays(run, settings, f"{percent}_")
        found[f"{percent}_gap"] = (run.scores["train_accuracy"] - run.scores["test_accuracy"]).T
        found[f"{percent}_n"] = run.train_patterns.shape[1]
    return found


def depth(settings: Mapping[str, Any], seed: int, work: Path) -> dict[str, Any]:
    """One hidden layer against six."""
    changes = {"replicas": settings["few"], "epochs": settings["side_epochs"]}
    one = train(settings, seed, work, widths=(12, 10, 2), **changes)
    six = train(settings, seed, work, widths=(12, 12, *WIDTHS[1:]), **changes)
    return {**plane_arrays(one, settings, "one_"), **plane_arrays(six, settings, "six_")}


def width(settings: Mapping[str, Any], seed: int, work: Path) -> dict[str, Any]:
    """Hidden layers of twice the width."""
    run = train(settings, seed, work, widths=(12, 20, 14, 10, 8, 6, 2), replicas=settings["few"])
    return plane_arrays(run, settings)


def batches(settings: Mapping[str, Any], seed: int, work: Path) -> dict[str, Any]:
    """The transition of the last layer's gradients, and their B_simple there, at three batch sizes."""
    sizes = (64, 256, 1024)
    found, noise = [], []
    for size in sizes:
        run = train(settings, seed, work, replicas=settings["few"], epochs=settings["side_epochs"], batch_size=size)
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


def noise(settings: Mapping[str, Any], seed: int, work: Path) -> dict[str, Any]:
    """Dropout of 10%; without it: `main`."""
    return plane_arrays(train(settings, seed, work, dropout=0.1, replicas=settings["few"]), settings)


EXPERIMENTS = {
    "main": main, "bottleneck": bottleneck, "fractions": fractions, "depth": depth, "width": width, "batches": batches,
    "noise": noise,
}  # fmt: skip
