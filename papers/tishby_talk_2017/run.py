"""What the talk and its listeners asked [shwartzziv2017]_: depth, the curve's transitions, training without descent, batches, noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import deepnets
import dualib
from deepnets.gradients import gradient_phases
from deepnets.training.presets import WIDTHS
from dualib.core.progress import counted
from dualib.core.typing import ArrayLike
from dualib.core.units import NATS_PER_BIT
from dualib.solvers.alternating import iterate
from papers.experiments.loops import follow
from papers.experiments.planes import PlaneSettings, plane_arrays, train
from papers.experiments.program import Values
from papers.experiments.rules import train_rules
from papers.experiments.sides import binned_arrays, changed, second_rate_at_the_end
from papers.experiments.starts import random_starts
from papers.tishby_talk_2017.second_order import natural_gradient
from papers.tishby_talk_2017.weights import kernel_weights

HIDDEN = ((10,), (10, 7), (10, 7, 5), (10, 7, 5, 4), (10, 7, 5, 4, 3), (12, 10, 7, 5, 4, 3))
"""The paper's six architectures; the layers of widths 5, 4 and 3 are the same ones in all that have them."""
GAMMAS = {"": 53.826, "smooth_": 10.0}
"""Sharpness of the stochastic rule by which the bottleneck's curve is finite: labels of 0.99 bits, and softer ones."""
WIDE = (12, *(4 * w for w in WIDTHS[1:-1]), 2)
KERNEL_WIDTHS = {"narrow": WIDTHS, "wide": (12, 64, 64, 2)}
BATCHES = (16, 64, 256, 1024, 3277)
BATCH_STEPS = (0.03, 0.1)
LAST_HIDDEN = -2
BRANCH = 100
"""The epoch at which noise is turned on: the outputs' I(X;T) has passed its peak, and the gradients change phase about then."""
NOISES: dict[str, tuple[float, ...]] = {"dropout": (0.0, 0.05, 0.1, 0.2), "noise_std": (0.0, 0.05, 0.1, 0.2)}


class Settings(PlaneSettings, frozen=True):
    """Also what the parts take beside the depths.

    path_snapshots: at how many snapshots layers are compared with the curve; kernel_epochs: epochs of the networks beside
    kernel solutions; newton_epochs: epochs of the second-order optimiser; few: replicas of both; batch_updates: updates at every batch
    size; noise_epochs: epochs with noise; n_joints, n_starts, n_steps, iteration_betas: of the iteration.
    """

    path_snapshots: int
    few: int
    kernel_epochs: int
    newton_epochs: int
    batch_updates: int
    noise_epochs: int
    n_joints: int
    n_starts: int
    n_steps: int
    iteration_betas: tuple[float, ...]


def depths(settings: Settings, seed: int, work: Path) -> Values:
    """Planes of networks with one to six hidden layers, under names that begin with their number."""
    found: dict[str, ArrayLike] = {}
    for count, hidden in enumerate(HIDDEN, 1):
        run = train(settings, seed, work, widths=(12, *hidden, 2))
        twice = count in (1, len(HIDDEN))  # by the second estimator as well
        found |= plane_arrays(run, settings, f"{count}_") if twice else binned_arrays(run, f"{count}_")
    return found


def rules(settings: Settings, seed: int, work: Path) -> Values:
    """The paper's network on random icosahedral rules, one a replica: input and label (R, S, L), bits."""
    training = deepnets.Training(
        epochs=settings.epochs, replicas=settings.replicas, snapshots=settings.snapshots, seed=seed
    )
    planes = [deepnets.information_plane(run) for run in train_rules(deepnets.Network(WIDTHS), training)]
    names = {"input": [plane.rate for plane in planes], "label": [plane.relevance for plane in planes]}
    arrays = {name: np.concatenate([e.value for e in parts]) / NATS_PER_BIT for name, parts in names.items()}
    return {"epochs": planes[0].epochs, **arrays}


def transitions(settings: Settings, seed: int, work: Path) -> Values:
    """The transitions of the task's IB curve, and along training the β at which each layer comes nearest to its equations.

    {γ}transitions (n,); {γ}beta (R, S', L), of the layers from the third on; epochs (S',).
    """
    run = train(settings, seed, work)
    times = np.unique(np.linspace(0, len(run.epochs) - 1, settings.path_snapshots).round().astype(int))
    found: dict[str, ArrayLike] = {"epochs": run.epochs[times]}
    for prefix, gamma in GAMMAS.items():
        joint = deepnets.icosahedral_task(gamma).joint
        places = dualib.find_transitions(dualib.IB(joint), deepnets.planes.bottleneck.BETA_MAX)
        found[f"{prefix}transitions"] = np.array([t.beta for t in places])
        beta = np.zeros((run.n_replicas, len(times), len(run.layers) - 2))
        for r in counted(range(run.n_replicas), "layers' β"):
            for s, snapshot in enumerate(times):
                for j, t in enumerate(run.activations(int(snapshot), r)[2:]):
                    codes = np.unique(deepnets.Binning().codes(t), axis=0, return_inverse=True)[1].ravel()
                    beta[r, s, j] = deepnets.planes.fit_beta(codes, joint).beta
        found[f"{prefix}beta"] = beta
    return found


def kernel(settings: Settings, seed: int, work: Path) -> Values:
    """Test accuracies at equal start, split and width, (R,): trained, of the network with computed weights, of the kernel's predictor."""
    found: dict[str, ArrayLike] = {}
    for name, widths in KERNEL_WIDTHS.items():
        run = train(_few(settings, settings.kernel_epochs), seed, work, widths=widths)
        arms = [kernel_weights(run, r) for r in counted(range(run.n_replicas), f"kernel weights, {name}")]
        found[f"{name}_trained"] = run.scores["test_accuracy"][-1]
        found |= {f"{name}_{arm}": np.array([one[arm] for one in arms]) for arm in ("network", "predictor", "start")}
    return found


def second_order(settings: Settings, seed: int, work: Path) -> Values:
    """Natural gradient on minibatches, and plain descent beside it: planes, SNR of the gradients (R, S, L), training loss (R, S)."""
    few, found = _few(settings, settings.newton_epochs), dict[str, ArrayLike]()
    runs = {
        "newton_": natural_gradient(
            deepnets.Training(few.newton_epochs, few.replicas, snapshots=few.snapshots, seed=seed)
        ),
        "descent_": train(_few(settings, settings.epochs), seed, work, optimiser="sgd", learning_rate=0.03),
    }
    for prefix, run in runs.items():
        phases = gradient_phases(run, batch_size=256, seed=seed)
        found |= binned_arrays(run, prefix)
        found[f"{prefix}snr"] = phases.snr
        found[f"{prefix}loss"] = run.scores["train_loss"].T
    return found


def batches(settings: Settings, seed: int, work: Path) -> Values:
    """Plain descent of equally many updates at several batch sizes and two steps: test loss and accuracy (steps, B, R), B_simple.

    noise_scale (steps, R): of the gradient on all weights, median over the later half of the snapshots at batches of 256.
    """
    loss, accuracy, scale = [], [], []
    for step in BATCH_STEPS:
        rows = []
        for size in BATCHES:
            n_train = deepnets.Training(1).n_train(4096)
            few = _few(settings, max(2, round(settings.batch_updates / -(-n_train // size))))
            batch = None if size == n_train else size
            run = train(few, seed, work, batch_size=batch, optimiser="sgd", learning_rate=step)
            rows.append((run.scores["test_loss"][-1], run.scores["test_accuracy"][-1]))
            if size == 256:
                phases = gradient_phases(run, seed=seed)
                mean, std = (((part * phases.weight_norm) ** 2).sum(axis=2) for part in (phases.mean, phases.std))
                scale.append(np.median((256 * std / mean)[:, len(run.epochs) // 2 :], axis=1))
        loss.append([row[0] for row in rows])
        accuracy.append([row[1] for row in rows])
    return {
        "batch_size": np.array(BATCHES),
        "steps": np.array(BATCH_STEPS),
        "test_loss": np.array(loss),
        "test_accuracy": np.array(accuracy),
        "noise_scale": np.array(scale),
    }


def noise(settings: Settings, seed: int, work: Path) -> Values:
    """From one epoch on with dropout, or noise in the hidden units, of several strengths: planes of the noiseless pass.

    All arms of a width go on from the same weights; names begin with the width, the kind and the strength. second_end (R',) is I(X;T) of
    the last hidden layer at the end by the second estimator.
    """
    found: dict[str, ArrayLike] = {}
    few = _few(settings, settings.noise_epochs)
    for width, widths in (("narrow", WIDTHS), ("wide", WIDE)):
        first = train(_few(settings, BRANCH), seed, work, widths=widths)
        start, training = (
            first.parameters(len(first.epochs) - 1),
            replace(first.training, epochs=few.epochs, snapshots=few.snapshots),
        )
        for kind, strengths in NOISES.items():
            for k, strength in enumerate(strengths):
                network = deepnets.Network(widths, **{kind: strength})  # type: ignore[arg-type]
                run = follow(network, first.task, training, first.train_patterns, start)
                silent, name = replace(run, network=first.network), f"{width}_{kind}_{k}_"
                found |= binned_arrays(silent, name)
                found[f"{name}second_end"] = second_rate_at_the_end(silent, LAST_HIDDEN, few.second_replicas)
    return found


def gibbs(settings: Settings, seed: int, work: Path) -> Values:
    """The iteration from random starts, on the toy joint and on random ones: excess over the proven optimum, nats.

    {joints} and {joints}_fixed (cases, starts), a case a joint and β: value after all steps less the proven upper end of the optimum, from
    random decoders, and from random weights of the optimum's decoders, which then stay.
    """
    rng = np.random.default_rng(seed)
    groups: dict[str, list[Callable[[], dualib.Joint]]] = {
        "toy": [dualib.examples.toy],
        "random": [lambda: _random_joint(rng)] * settings.n_joints,
    }
    found: dict[str, list[list[float]]] = {}
    for name, makers in groups.items():
        for make in counted(makers, f"iteration, {name}"):
            problem = dualib.IB(make())
            core, beta_1 = problem.reduced, dualib.first_transition(problem).beta
            for beta in (factor * beta_1 for factor in settings.iteration_betas):
                proven = dualib.solve(problem, beta)
                ends: dict[str, list[float]] = {"moving": [], "fixed": []}
                for _ in range(settings.n_starts):
                    for kind, start in random_starts(core, proven, rng).items():
                        value = iterate(start, settings.n_steps, kind == "fixed").value
                        ends[kind].append(float(value) - proven.objective)
                found.setdefault(name, []).append(ends["moving"])
                found.setdefault(f"{name}_fixed", []).append(ends["fixed"])
    return {name: np.array(values) for name, values in found.items()}


def _random_joint(rng: np.random.Generator) -> dualib.Joint:
    """Six x and three y, p(x) and p(y|x) uniform on their simplices."""
    return dualib.Joint.from_conditional(rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(3), 6))


def _few(settings: Settings, epochs: int) -> Settings:
    return changed(settings, replicas=settings.few, epochs=epochs)


EXPERIMENTS = {
    "depths": depths,
    "rules": rules,
    "transitions": transitions,
    "kernel": kernel,
    "second_order": second_order,
    "batches": batches,
    "noise": noise,
    "gibbs": gibbs,
}
