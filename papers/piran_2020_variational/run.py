"""The variational dualIB [piran2020]_ beside the variational IB [alemi2017]_: images at equal rate, and the exact controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import deepnets
import dualib
from deepnets.commands.variational import LAW
from deepnets.tasks import Task, mnist_task
from deepnets.variational import (
    CEB,
    VIB,
    Confusion,
    Exact,
    Smoothed,
    Teacher,
    VariationalDualIB,
    fit_gaussian,
    fit_variational,
)
from deepnets.variational.equal_rate import scores_at_rate
from deepnets.variational.objectives import Objective
from deepnets.variational.settings import MarginalKind
from dualib.core.typing import ArrayLike
from papers.experiments import program
from papers.experiments.program import Values

RATES = (3.5, 5.0)
"""Nats, at which fits are compared."""
AXES = ("rate_mixture", "rate_bound")
GAUSSIAN = (1.5, 2.0, 4.0, 10.0, 40.0)  # β of the IB; the dual's are less by one
OBJECTIVES: dict[str, Objective] = {
    "vib": VIB(),
    "ceb": CEB(),
    "vib_01": VIB(Smoothed(0.01)),
    "vib_10": VIB(Smoothed(0.1)),
    "vib_confusion": VIB(Confusion()),
    "vib_teacher": VIB(Teacher()),
    "dual_01": VariationalDualIB(Smoothed(0.01)),
    "dual_10": VariationalDualIB(Smoothed(0.1)),
    "dual_confusion": VariationalDualIB(Confusion()),
    "dual_teacher": VariationalDualIB(Teacher()),
}
# Three β around either rate, so near one another that neighbouring rates differ by less than half a nat, across which scores are
# interpolated, and some below: for the figure, and where D(e ‖ m) is equal. Found by fits of another seed.
DIGITS: dict[str, tuple[float, ...]] = {
    "vib": (7.5, 10.5, 14.5, 19, 26, 38, 85, 110, 140),
    "ceb": (2, 18, 25, 36, 88, 113, 140),
    "vib_01": (6, 18, 26, 38, 75, 100, 130),
    "vib_10": (6, 13, 19, 27, 55, 68, 85),
    "vib_confusion": (6, 15, 21, 30, 60, 75, 93),
    "vib_teacher": (6, 13, 18, 24, 40, 48, 58),
    "dual_01": (3, 4.3, 6, 8.5, 12, 17, 38, 50, 65),
    "dual_10": (7, 9.5, 13, 19, 26, 57, 73, 92),
    "dual_confusion": (6, 14, 19, 27, 56, 71, 90),
    "dual_teacher": (5, 11, 15, 20, 36, 46, 56),
}
STANDARD: dict[str, tuple[float, ...]] = {
    "vib": (22, 29, 37, 85, 107, 135),
    "vib_10": (23, 30, 38, 72, 84, 98),
    "dual_10": (18, 23, 30, 60, 72, 85),
}
MNIST: dict[str, tuple[float, ...]] = {
    "vib": (3, 10, 16, 25, 68, 92, 125),
    "ceb": (3, 9, 15, 23, 68, 90, 120),
    "vib_10": (3, 9, 12, 17, 35, 43, 53),
    "dual_10": (6, 9, 13, 19, 43, 54, 67),
}


class Settings(program.Settings, frozen=True):
    """Seeds of the fits to digits, of those with N(0, I) as marginal and of those to MNIST's images (0: none); steps."""

    seeds: int
    standard_seeds: int
    mnist_seeds: int
    steps: int
    gaussian_steps: int


def digits(settings: Settings, seed: int, work: Path) -> Values:
    """1797 digits: every objective and every source of labels."""
    if settings.mnist_seeds:
        mnist_task()  # so that a missing extra `images` is named before the long work
    changes = {"seeds": settings.seeds, "steps": settings.steps, "seed": seed}
    return _scores(deepnets.digits_task(), DIGITS, work / "digits", **changes)


def standard(settings: Settings, seed: int, work: Path) -> Values:
    """The digits with N(0, I) in place of a mixture as marginal."""
    changes = {"seeds": settings.standard_seeds, "steps": settings.steps, "seed": seed}
    return _scores(deepnets.digits_task(), STANDARD, work / "standard", marginal=MarginalKind.STANDARD, **changes)


def mnist(settings: Settings, seed: int, work: Path) -> Values:
    """5000 images of MNIST: labels, labels smoothed by 0.1, CEB."""
    if not settings.mnist_seeds:
        return {}
    changes = {"seeds": settings.mnist_seeds, "steps": settings.steps, "seed": seed}
    return _scores(mnist_task(), MNIST, work / "mnist", **changes)


def _scores(task: Task, grids: Mapping[str, Sequence[float]], work: Path, **changes: Any) -> Values:
    """Of every objective all scores over seeds and β, (S, B), and at the rates, (S,), NaN where a seed has them not; nats.

    Names: objective_score, objective_score_at_rate; with "bound_" in front where D(e ‖ m) was equal and not the mixture's rate.
    """
    result: dict[str, ArrayLike] = {"objectives": np.array(list(grids))}
    for name, betas in grids.items():
        fit = fit_variational(OBJECTIVES[name], task, betas=betas, out=work / name, **changes)
        found = fit.evaluate()
        result |= {f"{name}_{key}": values for key, (values, _) in found.quantities().items()}
        result |= {f"{name}_betas": found.betas, "entropy_y": found.entropy_y}
        for rate in RATES:
            for axis, start in zip(AXES, ("", "bound_"), strict=True):
                scores = scores_at_rate(found, rate, axis=axis)
                result |= {f"{start}{name}_{key}_at_{rate:g}": values for key, values in scores.items()}
    return result


def gaussian(settings: Settings, seed: int, work: Path) -> Values:
    """Linear codes of a random Gaussian law, 6 → 4 dimensions, y of 3: I(Z;Y) of the best of 8 starts of either, nats, (B,)."""
    rng = np.random.default_rng(seed)
    root, slope = rng.standard_normal((6, 6)), 0.8 * rng.standard_normal((3, 6))
    cov_x = root @ root.T / 6 + 0.3 * np.eye(6)
    problem = dualib.GaussianIB(cov_x, slope @ cov_x @ slope.T + np.eye(3), cov_x @ slope.T)
    betas = np.array(GAUSSIAN)
    result: dict[str, ArrayLike] = {"betas": betas}
    for objective, at in ((VIB(), betas), (VariationalDualIB(), betas - 1)):
        gap = fit_gaussian(objective, problem, betas=at, steps=settings.gaussian_steps, seed=seed).gap()
        best = gap.total.value.argmin(axis=0), np.arange(len(betas))
        result |= {f"{objective.name}_relevance": gap.relevance[best], f"{objective.name}_gap": gap.total.value[best]}
    return result


def icosahedral(settings: Settings, seed: int, work: Path) -> Values:
    """VIB and dual of the icosahedral law, γ = 10: (value, low, high, n) of L − F(4), the best of 8 starts, nats."""
    law = dualib.examples.icosahedron(gamma=10)
    result: dict[str, ArrayLike] = {}
    for objective in (VIB(Exact()), VariationalDualIB(Exact())):
        fit = fit_variational(objective, law, betas=[4.0], seed=seed, out=work / f"icosahedral_{objective.name}", **LAW)
        (best,) = fit.gap().best()
        result[f"{objective.name}_gap"] = np.array([best.value, best.low, best.high, best.n])
    return result


EXPERIMENTS = {
    "digits": digits,
    "gaussian": gaussian,
    "icosahedral": icosahedral,
    "standard": standard,
    "mnist": mnist,
}
