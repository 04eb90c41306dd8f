"""Relaxation in the place of training's second phase ([shwartzziv2017]_, section 4): methods from one epoch on, by cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

import deepnets
from deepnets.relaxation import (
    BottleneckTargets,
    ContinueTraining,
    KickAndProject,
    Langevin,
    Metropolis,
    Relaxation,
    diffusion_start,
    relax,
)
from deepnets.relaxation.methods import Law, Method, Noise, Rows, TargetKind
from deepnets.training.presets import WIDTHS
from deepnets.training.settings import Optimiser
from dualib.core.typing import ArrayLike, FloatArray
from dualib.core.units import NATS_PER_BIT
from papers.experiments import program
from papers.experiments.planes import SECOND
from papers.experiments.program import Values

LAST_HIDDEN = -2
STABLE = 0.002  # of plain SGD: below 2/λ_max at the start, which is 200 to 500
FEW: dict[str, Method] = {
    "continued": ContinueTraining(),
    "metropolis": Metropolis(),
    "gibbs": Metropolis(Law.GIBBS),
    "targets": BottleneckTargets(),
    "class_means": BottleneckTargets(targets=TargetKind.CLASS_MEANS),
}
"""Of every regime."""
METHODS: dict[str, Method] = FEW | {
    "wide_prior": Metropolis(prior_factor=1 / 6),
    "narrow_prior": Metropolis(prior_factor=3.0),
    "greedy": Metropolis(Law.GREEDY),
    "langevin": Langevin(),
    "langevin_minibatch": Langevin(noise=Noise.MINIBATCH),
    "kick": KickAndProject(),
    "shuffled": BottleneckTargets(targets=TargetKind.SHUFFLED),
    "sgd": ContinueTraining(Optimiser.SGD, STABLE),
}


class Settings(program.Settings, frozen=True):
    """Replicas, the epoch from which they are relaxed, the budget in forward passes, and the sharpness of noisy labels."""

    replicas: int
    start_epoch: int
    budget: float
    gamma: float


def main(settings: Settings, seed: int, work: Path) -> Values:
    """80 % of the patterns, labels without noise: every method."""
    return _regime(settings, seed, work / "main", deepnets.icosahedral_task(), 0.8, METHODS)


def small(settings: Settings, seed: int, work: Path) -> Values:
    """30 % of the patterns."""
    return _regime(settings, seed, work / "small", deepnets.icosahedral_task(), 0.3, FEW)


def noisy(settings: Settings, seed: int, work: Path) -> Values:
    """80 % of the patterns, labels drawn from the law at γ: training on may learn the noise, and p(y|x) is known to targets."""
    methods = FEW | {"law_targets": BottleneckTargets(rows=Rows.LAW)}
    return _regime(settings, seed, work / "noisy", deepnets.icosahedral_task(settings.gamma), 0.8, methods)


def _regime(
    settings: Settings, seed: int, work: Path, task: deepnets.Task, fraction: float, methods: Mapping[str, Method]
) -> Values:
    """What every method leaves of replicas of one training, names with the method's in front: see :func:`_left`."""
    run = deepnets.train(
        deepnets.Network(WIDTHS),
        task,
        replicas=settings.replicas,
        epochs=settings.start_epoch,
        learning_rate=4e-4,
        batch_size=256,
        train_fraction=fraction,
        snapshots=40,
        seed=seed,
        out=work / "run",
    )
    result: dict[str, ArrayLike] = {"methods": np.array(list(methods)), "diffusion_start": diffusion_start(run)}
    result["start_noise"] = _with_noise(run)
    for name, method in methods.items():
        found = relax(run, method, snapshot=-1, budget=settings.budget, seed=seed, out=work / name)
        result |= {f"{name}_{key}": value for key, value in _left(found).items()}
    return result


def _left(found: Relaxation) -> Values:
    """Of S records and R replicas: losses in nats, informations of the last hidden layer in bits.

    cost (S,); scores, norm, input, label (S, R); noise (R,), I(X;T) at the end by the second estimator; trace_cost (T,) and
    the traces (R, T); acceptance (R, L) of Metropolis.
    """
    plane = deepnets.information_plane(found)
    result: dict[str, ArrayLike] = {
        "cost": found.cost,
        **{name: found.scores[name] for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy")},
        "norm": np.sqrt((found.norms**2).sum(axis=2)),
        "input": plane.rate.value[:, :, LAST_HIDDEN].T / NATS_PER_BIT,
        "label": plane.relevance.value[:, :, LAST_HIDDEN].T / NATS_PER_BIT,
        "noise": _with_noise(found),
        "trace_cost": found.trace_cost,
        **{f"trace_{name}": found.trace[name] for name in ("train_loss", "test_loss")},
    }
    if found.acceptance is not None:
        result["acceptance"] = found.acceptance
    return result


def _with_noise(run: deepnets.Run) -> FloatArray:
    """I(X;T) of the last hidden layer at the last snapshot by the second estimator, bits, (R,)."""
    last, rows = len(run.epochs) - 1, run.task.p_y_given_x
    layers = (run.activations(last, r)[LAST_HIDDEN] for r in range(run.n_replicas))
    return np.array([SECOND.layer(t, rows).rate.value / NATS_PER_BIT for t in layers])


EXPERIMENTS = {"main": main, "small": small, "noisy": noisy}
