"""Opening the black box [shwartzziv2017]_: layers in the information plane, gradients, depth, width, sample size, noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import deepnets
from deepnets.gradients import gradient_phases
from deepnets.training.presets import WIDTHS
from dualib.core.progress import counted
from dualib.core.typing import ArrayLike
from dualib.core.units import NATS_PER_BIT
from papers.experiments.planes import PlaneSettings, plane_arrays, train
from papers.experiments.program import Arrays, Values
from papers.experiments.rules import train_rules
from papers.experiments.sides import binned_arrays, changed
from papers.shwartz_ziv_tishby_2017.layers import final_weights, information_maps, separations, weight_path

FINER = 100  # edges of the bins, beside 30
SGD = {"optimiser": "sgd", "learning_rate": 0.03}
"""Plain descent, at the step with which the outputs' I(X;T) and the loss rise and fall over the epochs as with Adam at 4e-4."""
PERCENT = {3: False, 5: True, 10: False, 20: True, 45: False, 85: True}
"""Sample sizes, and whether the second estimator, which takes longer than the training, is asked as well."""
SIX = (12, 12, *WIDTHS[1:])
SEVEN = (12, *WIDTHS, 2)
"""The other reading: all of 12-10-7-5-4-3-2 are hidden layers, between twelve inputs and two outputs."""
TWICE, FOUR_TIMES = ((12, *(k * w for w in WIDTHS[1:-1]), 2) for k in (2, 4))
DROPOUT = {0.0: True, 0.05: False, 0.1: True, 0.2: False}  # as for the sample sizes
TRANSITION_BATCHES = (16, 64, 256)  # with larger ones the mean of plain descent's gradients stays above their noise
RACE_BATCHES, RACE_STEPS = (32, 128, 512, 2048), (0.03, 0.1, 0.3)


class Settings(PlaneSettings, frozen=True):
    """Also the size of the runs beside the first.

    few, side_epochs, side_second: their replicas and epochs, and how many of the replicas the second estimator sees;
    layer_replicas: replicas of the first run whose layers are compared with the bottleneck's equations; transition_epochs: epochs
    of the runs at several batch sizes; race_updates: updates of those that race to a loss; noise_epochs: epochs with dropout.
    """

    few: int
    side_epochs: int
    side_second: int
    layer_replicas: int
    transition_epochs: int
    race_updates: int
    noise_epochs: int


def _side(settings: Settings, epochs: int | None = None) -> Settings:
    """The settings of a run beside the first."""
    return changed(
        settings, replicas=settings.few, epochs=epochs or settings.side_epochs, second_replicas=settings.side_second
    )


def main(settings: Settings, seed: int, work: Path) -> Values:
    """80% of the patterns: planes under three estimates, gradients, weights, label separation, maps of a layer."""
    run = train(settings, seed, work)
    finer = deepnets.information_plane(run, deepnets.Binning(FINER))
    plane, few = plane_arrays(run, settings), range(min(run.n_replicas, settings.few))
    return {
        **plane,
        "finer_input": finer.rate.value / NATS_PER_BIT,
        "finer_label": finer.relevance.value / NATS_PER_BIT,
        **_gradients(run, seed),
        **weight_path(run, plane["input"][:, :, -1]),
        **final_weights(run),
        **separations(run, few),
        **information_maps(run, few, seed),
    }


def sgd(settings: Settings, seed: int, work: Path) -> Values:
    """The same by plain stochastic gradient descent, as the paper says."""
    side = _side(settings)
    run = train(side, seed, work, **SGD)
    plane = plane_arrays(run, side)
    return {**plane, **_gradients(run, seed), **weight_path(run, plane["input"][:, :, -1])}


def _gradients(run: deepnets.Run, seed: int) -> Arrays:
    phases = gradient_phases(run, seed=seed)
    return {
        "gradient_mean": phases.mean,
        "gradient_std": phases.std,
        "weight_norm": phases.weight_norm,
        "transition": phases.transition_epoch(),
    }


def rules(settings: Settings, seed: int, work: Path) -> Values:
    """A replica on each of several random icosahedral rules: input and label (R, S, L) in bits, and the accuracy."""
    training = deepnets.Training(
        epochs=settings.side_epochs, replicas=settings.few, snapshots=settings.snapshots, seed=seed
    )
    runs = train_rules(deepnets.Network(WIDTHS), training)
    planes = [deepnets.information_plane(run) for run in runs]
    return {
        "epochs": runs[0].epochs,
        "input": np.concatenate([plane.rate.value for plane in planes]) / NATS_PER_BIT,
        "label": np.concatenate([plane.relevance.value for plane in planes]) / NATS_PER_BIT,
        "accuracy": np.concatenate([plane.accuracy for plane in planes]),
        "entropy": np.array([run.task.joint.mutual_information() for run in runs]) / NATS_PER_BIT,
    }


def reading(settings: Settings, seed: int, work: Path) -> Values:
    """Seven hidden layers 12-10-7-5-4-3-2."""
    return binned_arrays(train(_side(settings), seed, work, widths=SEVEN))


def bottleneck(settings: Settings, seed: int, work: Path) -> Values:
    """The layers against the bottleneck equations under two binnings, with the controls; the exact curves. Nats.

    fits (R, L, 6): β*, residual with it, with the shared β and of a random encoder, I(X;T), I(T;Y); excess_rate (R, L):
    over the IB curve; start_excess_rate (R, L): the same before training.
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
        rows, excess, start = [], [], []
        for replica in counted(range(min(run.n_replicas, settings.layer_replicas)), "bottleneck equations"):
            before, codes = (
                [
                    np.unique(binning.codes(t), axis=0, return_inverse=True)[1].ravel()
                    for t in run.activations(s, replica)
                ]
                for s in (0, len(run.epochs) - 1)
            )
            own = [deepnets.planes.fit_beta(c, joint) for c in codes]
            shared = deepnets.planes.fit_shared_beta(codes, joint)
            random = [deepnets.planes.fit_random_encoder(c, joint, seed) for c in codes]
            arms = zip(own, shared, random, strict=True)
            rows.append([(o.beta, o.residual, s.residual, r.residual, o.rate, o.relevance) for o, s, r in arms])
            excess.append([deepnets.planes.excess_rate(o, ib) for o in own])
            start.append([deepnets.planes.excess_rate(deepnets.planes.fit_beta(c, joint, 1.0), ib) for c in before])
        result |= {
            f"{prefix}fits": np.array(rows),
            f"{prefix}excess_rate": np.array(excess),
            f"{prefix}start_excess_rate": np.array(start),
        }
    return result


def fractions(settings: Settings, seed: int, work: Path) -> Values:
    """From 3 to 85% of the patterns."""
    side, found = _side(settings), dict[str, ArrayLike]()
    for percent, twice in PERCENT.items():
        run = train(side, seed, work, train_fraction=percent / 100, batch_size=min(256, percent * 40))
        found |= plane_arrays(run, side, f"{percent}_") if twice else binned_arrays(run, f"{percent}_")
        found[f"{percent}_gap"] = (run.scores["train_accuracy"] - run.scores["test_accuracy"]).T
        found[f"{percent}_n"] = run.train_patterns.shape[1]
    return found


def depth(settings: Settings, seed: int, work: Path) -> Values:
    """One hidden layer against six, by Adam and by plain descent."""
    side, found = _side(settings), dict[str, ArrayLike]()
    for name, widths in (("one_", (12, 10, 2)), ("six_", SIX)):
        found |= plane_arrays(train(side, seed, work, widths=widths), side, name)
        found |= binned_arrays(train(side, seed, work, widths=widths, **SGD), f"sgd_{name}")
    return found


def width(settings: Settings, seed: int, work: Path) -> Values:
    """Hidden layers of twice and of four times the width."""
    side = _side(settings)
    twice = plane_arrays(train(side, seed, work, widths=TWICE), side)
    return {**twice, **binned_arrays(train(side, seed, work, widths=FOUR_TIMES), "four_")}


def batches(settings: Settings, seed: int, work: Path) -> Values:
    """The last layer's gradients over the epochs at three batch sizes: snr (B, R, S) and transition (R, B).

    Of the middle size, its SNR tells what smaller or larger batches would show on the very same path.
    """
    snr, transition, epochs = [], [], np.empty(0)
    for size in TRANSITION_BATCHES:
        side = _side(settings, settings.transition_epochs)
        run = train(side, seed, work, batch_size=size, **SGD)
        phases, epochs = gradient_phases(run, seed=seed), run.epochs
        snr.append(phases.snr[:, :, -1])
        transition.append(phases.transition_epoch()[:, -1])
    return {
        "batch_size": np.array(TRANSITION_BATCHES),
        "epochs": epochs,
        "snr": np.array(snr),
        "transition": np.array(transition).T,
    }


def race(settings: Settings, seed: int, work: Path) -> Values:
    """Training losses of batch sizes and steps over equally many updates, by plain descent.

    {B}_epochs (S,), {B}_loss (steps, R, S), and of the gradients on all weights {B}_noise_scale (R, S), B_simple, at the
    middle step.
    """
    found: dict[str, ArrayLike] = {}
    for size in RACE_BATCHES:
        n_train = deepnets.Training(1).n_train(4096)
        side, losses = _side(settings, max(2, round(settings.race_updates / -(-n_train // size)))), []
        for step in RACE_STEPS:
            run = train(side, seed, work, batch_size=size, optimiser="sgd", learning_rate=step)
            losses.append(run.scores["train_loss"].T)
            if step == RACE_STEPS[1]:
                phases = gradient_phases(run, batch_size=256, seed=seed)
                squares = [((part * phases.weight_norm) ** 2).sum(axis=2) for part in (phases.mean, phases.std)]
                found[f"{size}_noise_scale"] = 256 * squares[1] / squares[0]
                found[f"{size}_epochs"] = run.epochs
        found[f"{size}_loss"] = np.array(losses)
    return found | {"batch_size": np.array(RACE_BATCHES), "n_train": n_train}


def noise(settings: Settings, seed: int, work: Path) -> Values:
    """Dropout at several rates, in the paper's network and in one of four times the width."""
    found: dict[str, ArrayLike] = {}
    side = _side(settings, settings.noise_epochs)
    for prefix, widths in (("", WIDTHS), ("wide_", FOUR_TIMES)):
        for rate, twice in DROPOUT.items():
            run, name = train(side, seed, work, widths=widths, dropout=rate), f"{prefix}{rate}_"
            found |= plane_arrays(run, side, name) if twice else binned_arrays(run, name)
    return found


EXPERIMENTS = {
    "main": main,
    "sgd": sgd,
    "rules": rules,
    "reading": reading,
    "bottleneck": bottleneck,
    "fractions": fractions,
    "depth": depth,
    "width": width,
    "batches": batches,
    "race": race,
    "noise": noise,
}
