"""The dual information bottleneck [piran2020]_: curves, the iteration, families, small samples."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

import dualib
from dualib.core.progress import counted
from dualib.core.typing import ArrayLike, FloatArray
from dualib.curves.gap import gap_at_equal_rate
from dualib.solvers.alternating import iterate
from papers.experiments import program
from papers.experiments.curves import curve_arrays
from papers.experiments.program import Values
from papers.experiments.starts import random_starts

PROBLEMS = {"ib": dualib.IB, "dual": dualib.DualIB}


class Settings(program.Settings, frozen=True):
    """Grids of β, numbers of joints, starts, steps, families, sample sizes and batches of samples."""

    beta_low: float
    beta_high: float
    n_betas: int
    n_joints: int
    iteration_betas: tuple[float, ...]
    n_starts: int
    n_steps: int
    family_betas: tuple[float, ...]
    n_families: int
    sample_sizes: tuple[int, ...]
    sample_beta: float
    n_batches: int


def curves(settings: Settings, seed: int, work: Path) -> Values:
    """Both curves of the toy joint on one grid of β, the largest gap at equal rate, and the transitions' brackets."""
    joint = dualib.examples.toy()
    betas = np.geomspace(settings.beta_low, settings.beta_high, settings.n_betas)
    found = {name: dualib.information_curve(problem(joint), betas) for name, problem in PROBLEMS.items()}
    rate, gap = gap_at_equal_rate(found["ib"], found["dual"])
    result: dict[str, ArrayLike] = {
        "gap_rate": rate,
        "gap": gap,
        "mutual_information": found["ib"].mutual_information(),
    }
    for name, curve in found.items():
        result |= curve_arrays(curve, f"{name}_curve_")
        result[f"{name}_proven_gap"] = curve.gap
        result[f"{name}_transitions"] = np.array([[t.lower, t.beta, t.upper] for t in curve.transitions])
    return result


def random_joints(settings: Settings, seed: int, work: Path) -> Values:
    """Proven brackets of the first transition of IB and dualIB, (n_joints, 2) each, on random joints of 4 x and 2 y.

    p(x) and the rows p(y|x) are uniform on their simplices, away from its faces by 1e-4.
    """
    rng = np.random.default_rng(seed)
    brackets: dict[str, list[tuple[float, float]]] = {name: [] for name in PROBLEMS}
    for _ in counted(range(settings.n_joints), "random joints"):
        rows = rng.dirichlet(np.ones(2), 4) + 1e-4
        joint = dualib.Joint.from_conditional(rng.dirichlet(np.ones(4)), rows / rows.sum(axis=1, keepdims=True))
        for name, problem in PROBLEMS.items():
            first = dualib.first_transition(problem(joint))
            brackets[name].append((first.lower, first.upper))
    return {name: np.array(values) for name, values in brackets.items()}


def iteration(settings: Settings, seed: int, work: Path) -> Values:
    """Alternating steps against the proven interval of F: (β, value before the last step, value, lower, upper) a start.

    "moving": random atoms that move; "fixed": the optimum's atoms held fixed, from random weights, a convex problem.
    """
    rng = np.random.default_rng(seed)
    joints = {"toy": dualib.examples.toy(), "hamming": dualib.examples.hamming(0.1)}
    result: dict[str, ArrayLike] = {}
    for (where, joint), (name, problem) in itertools.product(joints.items(), PROBLEMS.items()):
        core = problem(joint).reduced
        rows: dict[str, list[list[float]]] = {"moving": [], "fixed": []}
        for beta in counted(settings.iteration_betas, f"{where}, {name}"):
            proven = dualib.solve(problem(joint), beta)
            for _ in range(settings.n_starts):
                for kind, start in random_starts(core, proven, rng).items():
                    before = iterate(start, settings.n_steps, kind == "fixed")
                    last = iterate(before, 1, kind == "fixed")
                    rows[kind].append([beta, before.value, last.value, proven.lower_bound, proven.objective])
        result |= {f"{where}_{name}_{kind}": np.array(values) for kind, values in rows.items()}
    return result


def family(settings: Settings, seed: int, work: Path) -> Values:
    """Singular values of the log-decoders of IB and dualIB of random families with d = 2 statistics and six y."""
    rng = np.random.default_rng(seed)
    shape = (settings.n_families, len(settings.family_betas))
    values = {name: np.zeros((*shape, 6)) for name in ("family", *PROBLEMS)}
    clusters = np.zeros(shape, int)
    for i in counted(range(shape[0]), "families"):
        statistics, natural = rng.normal(size=(12, 2)), rng.normal(size=(2, 6))
        rows = dualib.exponential.ExponentialFamily(statistics, natural).p_y_given_x
        joint = dualib.Joint.from_conditional(np.full(12, 1 / 12), rows)
        for k, beta in enumerate(settings.family_betas):
            values["family"][i, k] = _singular_values(rows)
            for name, problem in PROBLEMS.items():
                solution = dualib.solve(problem(joint), beta, certify=False)
                values[name][i, k] = _singular_values(solution.p_y_given_t)
            clusters[i, k] = solution.n_clusters
    return {**values, "dual_clusters": clusters}


def _singular_values(decoder: FloatArray) -> FloatArray:
    """Of log p(y|t) without its means over t and over y; the rank of a family with d statistics is at most d."""
    log = np.log(decoder)
    log = log - log.mean(axis=1, keepdims=True)
    found = np.linalg.svd(log - log.mean(axis=0), compute_uv=False)
    return np.pad(found, (0, max(0, 6 - len(found))))[:6]


def samples(settings: Settings, seed: int, work: Path) -> Values:
    """Errors of prediction learned from N samples, (n_batches, n_arms, n_sizes); arms of one batch share the samples."""
    seeds = np.random.SeedSequence(seed).generate_state(settings.n_batches)
    runs = [
        dualib.exponential.sample_size_experiment(
            list(settings.sample_sizes), settings.sample_beta, n_seeds=2, seed=int(one)
        )
        for one in counted(seeds, "batches of samples")
    ]
    return {
        "arms": np.array(runs[0].arms),
        "sizes": np.array(runs[0].sample_sizes),
        "error": np.array([run.mean for run in runs]),
    }


EXPERIMENTS = {
    "curves": curves,
    "random_joints": random_joints,
    "iteration": iteration,
    "family": family,
    "samples": samples,
}
