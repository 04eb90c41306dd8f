"""The dual information bottleneck [piran2020]_: its curve beside that of IB, its iteration, its exponential families."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

import dualib
from dualib import blahut_arimoto
from dualib.plotting import gap_at_equal_rate
from dualib.solve import start_from
from papers.frame import Measurement
from papers.intervals import exact, t_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe and Ito
PROBLEMS = {"ib": dualib.IB, "dual": dualib.DualIB}


def curves(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Both curves of the toy joint on one grid of β, the largest gap at equal rate, and the transitions' brackets."""
    joint = dualib.examples.toy()
    betas = np.geomspace(settings["beta_low"], settings["beta_high"], settings["n_betas"])
    found = {name: dualib.information_curve(problem(joint), betas) for name, problem in PROBLEMS.items()}
    rate, gap = gap_at_equal_rate(found["ib"], found["dual"])
    result = {"beta": betas, "gap_rate": rate, "gap": gap, "mutual_information": found["ib"].mutual_information}
    for name, curve in found.items():
        result[f"{name}_proven_gap"] = curve.gap
        result[f"{name}_transitions"] = np.array([[t.lower, t.beta, t.upper] for t in curve.transitions])
    return result


def iteration(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Alternating steps against the proven interval of F: (β, value before the last step, value, lower, upper) a start.

    "moving": random atoms that move; "fixed": the optimum's atoms held fixed, from random weights, a convex problem.
    """
    rng = np.random.default_rng(seed)
    joints = {"toy": dualib.examples.toy(), "hamming": dualib.examples.hamming(0.1)}
    result: dict[str, Any] = {}
    for (where, joint), (name, problem) in itertools.product(joints.items(), PROBLEMS.items()):
        core = problem(joint).reduced
        rows: dict[str, list[list[float]]] = {"moving": [], "fixed": []}
        for beta in settings["iteration_betas"]:
            proven = dualib.solve(problem(joint), beta)
            for _ in range(settings["n_starts"]):
                atoms = rng.dirichlet(np.ones(core.p_y_given_x.shape[1]), len(core.p_y_given_x))
                weights = rng.dirichlet(np.ones(proven.n_clusters))
                starts = {
                    "moving": start_from(core, beta, atoms),
                    "fixed": blahut_arimoto.evaluate(core, beta, weights, proven.p_y_given_t),
                }
                for kind, start in starts.items():
                    before = blahut_arimoto.iterate(start, settings["n_steps"], kind == "fixed")
                    last = blahut_arimoto.iterate(before, 1, kind == "fixed")
                    rows[kind].append([beta, before.value, last.value, proven.lower_bound, proven.objective])
        result |= {f"{where}_{name}_{kind}": np.array(values) for kind, values in rows.items()}
    return result


def family(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Singular values of the log-decoders of IB and dualIB of random families with d = 2 statistics and six y."""
    rng = np.random.default_rng(seed)
    shape = (settings["n_families"], len(settings["family_betas"]))
    values = {name: np.zeros((*shape, 6)) for name in ("family", *PROBLEMS)}
    clusters = np.zeros(shape, int)
    for i in range(shape[0]):
        statistics, natural = rng.normal(size=(12, 2)), rng.normal(size=(2, 6))
        rows = dualib.ExponentialFamily(statistics, natural).p_y_given_x
        joint = dualib.Joint.from_conditional(np.full(12, 1 / 12), rows)
        for k, beta in enumerate(settings["family_betas"]):
            values["family"][i, k] = _singular_values(rows)
            for name, problem in PROBLEMS.items():
                solution = dualib.solve(problem(joint), beta, certify=False)
                values[name][i, k] = _singular_values(solution.p_y_given_t)
            clusters[i, k] = solution.n_clusters
    return {**values, "dual_clusters": clusters}


def _singular_values(decoder: np.ndarray) -> np.ndarray:
    """Of log p(y|t) without its means over t and over y; the rank of a family with d statistics is at most d."""
    log = np.log(decoder)
    log = log - log.mean(axis=1, keepdims=True)
    found = np.linalg.svd(log - log.mean(axis=0), compute_uv=False)
    return np.pad(found, (0, max(0, 6 - len(found))))[:6]


def samples(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Errors of prediction learned from N samples, (n_batches, n_arms, n_sizes); arms of one batch share the samples."""
    seeds = np.random.SeedSequence(seed).generate_state(settings["n_batches"])
    runs = [
        dualib.sample_size_experiment(settings["sample_sizes"], settings["sample_beta"], n_seeds=2, seed=int(one))
        for one in seeds
    ]
    return {
        "arms": np.array(runs[0].arms),
        "sizes": np.array(runs[0].sample_sizes),
        "error": np.array([run.mean for run in runs]),
    }


EXPERIMENTS = {"curves": curves, "iteration": iteration, "family": family, "samples": samples}


def measure(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Measurement]:
    parts = {"curves": _curves, "iteration": _iteration, "family": _family, "samples": _samples}
    return {name: m for part, function in parts.items() for name, m in function(results[part]).items()}


def _curves(r: Mapping[str, Any]) -> dict[str, Measurement]:
    largest = int(r["gap"].argmax())
    gap, mutual_information = float(r["gap"][largest]), r["mutual_information"]
    ib, dual = r["ib_transitions"], r["dual_transitions"]
    k = min(len(ib), len(dual))
    latest = int((dual[:k, 1] / ib[:k, 1]).argmax())
    ratio = [dual[latest, i] / ib[latest, 2 - i] for i in (0, 1, 2)]
    found = {
        "gap_largest": exact(gap, "nats"),
        "gap_smallest": exact(float(r["gap"].min()), "nats"),
        "gap_relative": exact(gap / mutual_information, "1"),
        "gap_rate": exact(float(r["gap_rate"][largest]), "nats"),
        "proven_gap_largest": exact(float(max(r["ib_proven_gap"].max(), r["dual_proven_gap"].max())), "nats"),
        "transition_ratio_largest": Measurement(ratio[1], ratio[0], ratio[2], "1"),
        "transitions_compared": exact(k, "1"),
    }
    for name, brackets in (("ib", ib), ("dual", dual)):
        for i, (low, beta, high) in enumerate(brackets[:3], 1):
            found[f"{name}_transition_{i}"] = Measurement(beta, min(low, beta), max(high, beta), "1")
    return found


def _iteration(r: Mapping[str, Any]) -> dict[str, Measurement]:
    """Over all joints, problems, β and starts: the largest last step, the largest excess over F, the share stuck."""
    found = {}
    for kind in ("moving", "fixed"):
        rows = np.concatenate([values for name, values in r.items() if name.endswith(kind)])
        _, before, value, lower, upper = rows.T
        worst = int((value - upper).argmax())
        low, high = value[worst] - upper[worst], value[worst] - lower[worst]
        found[f"excess_{kind}"] = Measurement(low, low, high, "nats", len(rows))
        found[f"last_step_{kind}"] = exact(float((before - value).max()), "nats")
        found[f"stuck_{kind}"] = _share(value - upper > 1e-6)
    return found


def _share(hits: np.ndarray) -> Measurement:
    """A share with its exact binomial (Clopper-Pearson) 95 % interval."""
    interval = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci()
    return Measurement(float(hits.mean()), float(interval.low), float(interval.high), "1", len(hits))


def _family(r: Mapping[str, Any]) -> dict[str, Measurement]:
    """The third singular value over the first, largest over families and β: zero within a family of two statistics."""
    found = {"dual_clusters": exact(float(r["dual_clusters"].max()), "1")}
    for name in ("family", *PROBLEMS):
        split = r[name][r[name][..., 0] > 1e-6]  # with one cluster there is nothing to compare
        found[f"outside_{name}"] = exact(float((split[:, 2] / split[:, 0]).max()), "1")
    return found


def _samples(r: Mapping[str, Any]) -> dict[str, Measurement]:
    """Paired differences of the error at the fewest samples: positive where dualExpIB (or dualIB) predicts better."""
    arm = {str(name): r["error"][:, i, int(r["sizes"].argmin())] for i, name in enumerate(r["arms"])}
    return {
        "advantage_over_ib": t_interval(arm["IB"] - arm["dualExpIB"], "nats"),
        "advantage_over_same_family": t_interval(arm["MLE then IB"] - arm["dualExpIB"], "nats"),
        "advantage_without_family": t_interval(arm["IB"] - arm["dualIB"], "nats"),
    }


def figures(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Figure]:
    import matplotlib.pyplot as plt

    joint, betas = dualib.examples.toy(), results["curves"]["beta"]
    ib, dual = (dualib.information_curve(problem(joint), betas) for problem in PROBLEMS.values())
    plane, ax = plt.subplots(figsize=(6.5, 5), layout="constrained")
    dualib.plot_information_plane([ib, dual], ax=ax, units="bits")
    splits, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained", sharey=True)
    for panel, curve in zip(axes, (ib, dual), strict=True):
        dualib.plot_bifurcation(curve, ax=panel)
    return {"plane": plane, "bifurcations": splits, "samples": _samples_figure(results["samples"])}


def _samples_figure(r: Mapping[str, Any]) -> Figure:
    """Error against the number of samples, with the standard error over the batches."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
    for i, (name, marker) in enumerate(zip(r["arms"], "os^v", strict=True)):
        error = r["error"][:, i]
        spread = error.std(axis=0, ddof=1) / np.sqrt(len(error))
        # Side by side, because two pairs of arms nearly coincide.
        at = r["sizes"] * 1.03 ** (2 * i - 3)
        ax.errorbar(at, error.mean(axis=0), spread, color=COLOURS[i], marker=marker, ms=5, lw=1, label=str(name))
    ax.set(xscale="log", yscale="log", xlabel="samples N", ylabel="error  E D(p(y|x) ‖ prediction)  [nats]")
    ax.set_title(f"mean ± standard error, {len(r['error'])} batches of 2 samples", fontsize=9)
    ax.legend()
    return figure
