"""Predicted corrections of order 1/width against random and trained networks: z values, in one run.

    python benchmarks/finite_width.py start [--case NAME] [--networks R] [--widths 64 128 256]
    python benchmarks/finite_width.py training [--case NAME] [--pairs R] [--widths 32 64 128] [--tau T]

At the start, n times (moment less its limit) is measured at every width and fitted by c + d/n; c is set beside the prediction. Networks
are drawn by deepnets.widths.start with what their kernels have of pure fluctuation, of exactly zero mean, which is subtracted
before the biases are taken. Trained networks are averaged with their mirror images in the same way. Inputs are x_1 = (1, .5, -.3),
x_2 = (-.2, .8, 1.1), and x_3 = (.6, .2, .5) for testing, labels (1, -.7); entries of one case are correlated. Single precision.
"""

import argparse
import time
from typing import Any

import numpy as np

import deepnets
from deepnets.networks import Parameterisation
from deepnets.widths.exponents import deviations_of, kernel_fluctuation
from deepnets.widths.flow import gradient_flow
from deepnets.widths.start import start_law_sample, start_sample
from ntkinfo import finite_width
from ntkinfo.activations import Activation
from ntkinfo.kernels.recursion import layers

Rows = dict[str, tuple[float, list[float], list[float], list[float]]]

X = np.array([[1.0, 0.5, -0.3], [-0.2, 0.8, 1.1], [0.6, 0.2, 0.5]])
Y = np.array([1.0, -0.7])
CASES = {
    "erf1": (1, "erf", 1.5, 0.3),
    "erf2": (2, "erf", 1.5, 0.3),
    "erf3": (3, "erf", 1.5, 0.3),
    "tanh2": (2, "tanh", 1.2, 0.5),
    "gelu1": (1, "gelu", 1.4, 0.2),
    "gelu2": (2, "gelu", 1.4, 0.2),
    "gelu3": (3, "gelu", 1.4, 0.2),
}


def network(case, width):
    depth, activation, w_std, b_std = CASES[case]
    return deepnets.Network(
        (3, *[width] * depth, 1), activation, parameterisation=Parameterisation.NTK, w_std=w_std, b_std=b_std
    )


def predicted(case):
    depth, activation, w_std, b_std = CASES[case]
    return finite_width.corrections(
        X[:2], X[2:], hidden_layers=depth, activation=activation, w_std=w_std, b_std=b_std, progress=False
    )


def line(widths, values, errors):
    """Value and error at 1/width = 0 of a straight line through the values; of two widths and more."""
    design = np.stack([np.ones(len(widths)), 1 / np.asarray(widths, float)], axis=1) / np.asarray(errors)[:, None]
    covariance = np.linalg.inv(design.T @ design)
    return (covariance @ design.T @ (np.asarray(values) / errors))[0], np.sqrt(covariance[0, 0])


def report(rows):
    """rows: name → (prediction, widths, values, errors)."""
    worst = 0.0
    for name, (prediction, widths, values, errors) in rows.items():
        value, error = line(widths, values, errors)
        z = (value - prediction) / error
        worst = max(worst, abs(z))
        measured = " ".join(f"{v:.4g}±{e:.2g}" for v, e in zip(values, errors, strict=True))
        print(f"  {name:22s} predicted {prediction:9.5f}  found {value:9.5f} ± {error:.2g}  z {z:5.2f}   [{measured}]")
    print(f"  {len(rows)} values, largest |z| {worst:.2f}", flush=True)


def mean(values):
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


def bent(case, sample):
    """E K̂² - K² = F(K¹ + d) - F(K¹) given K̂¹ = K¹ + d, to second order in d; the first has mean zero, the third is of order 1/width²."""
    step = 0.1
    _, activation, w_std, b_std = CASES[case]
    first, k = (
        layer.nngp
        for layer in list(layers(X[:2], hidden_layers=2, activation=activation, w_std=w_std, b_std=b_std))[1:]
    )
    d = sample.grams[:, 0] - first

    def mapped(kernel):
        v = np.diagonal(kernel, axis1=-2, axis2=-1)
        return (
            w_std**2 * np.asarray(Activation.named(activation).expectations(v[:, :, None], v[:, None, :], kernel)[0])
            + b_std**2
        )

    return (mapped(first + step * d) + mapped(first - step * d) - 2 * k) / (2 * step**2)


def start(case, widths, networks, seed):
    found: Any = predicted(case)
    rows: Rows = {}
    for width in widths:
        net = network(case, width)
        sample = start_law_sample(net, X[:2], replicas=networks, seed=seed)
        limit, leading = kernel_fluctuation(net, X[:2], sample)
        dk, dt, left = (
            sample.grams[:, -1] - found.full("nngp")[:2, :2],
            sample.kernel - limit,
            sample.kernel - limit - leading,
        )
        pairs = [(a, b) for a, b in ((0, 0), (0, 1), (1, 1))]
        values = {f"M_{a + 1}{b + 1}": (found.ntk_bias[a, b], left[:, a, b]) for a, b in pairs if CASES[case][0] > 1}
        if CASES[case][0] == 2:
            values |= {
                f"MK_{a + 1}{b + 1}": (found.nngp_bias[a, b], bend[:, a, b])
                for bend in [bent(case, sample)]
                for a, b in pairs
            }
        for name, tensor, p, q in (
            ("VK", found.nngp_covariance, dk, dk),
            ("TK", found.ntk_nngp_covariance, dt, dk),
            ("CT", found.ntk_covariance, dt, dt),
        ):
            for i, j in ((pairs[0], pairs[0]), (pairs[1], pairs[1]), (pairs[0], pairs[2])):
                of_means = (p[:, *i] - p[:, *i].mean()) * (q[:, *j] - q[:, *j].mean())
                values[f"{name}_{i[0] + 1}{i[1] + 1},{j[0] + 1}{j[1] + 1}"] = (tensor[*i, *j], of_means)
        for name, (prediction, each) in values.items():
            row = rows.setdefault(name, (prediction, [], [], []))
            value, error = mean(width * each)
            for column, entry in zip(row[1:], (width, value, error), strict=True):
                column.append(entry)
    report(rows)


def training(case, widths, pairs, seed, tau):
    after: Any = finite_width.trained(predicted(case), Y, tau)
    limit: Any = after.limit("train")
    rows: Rows = {}
    for width in widths:
        net = network(case, width)
        step = 0.05 / float(np.linalg.eigvalsh(after.start.kernels.ntk)[-1])
        both = [gradient_flow(net, X, Y, (tau,), step, replicas=pairs, seed=seed, mirrored=m) for m in (False, True)]
        at_start = start_sample(net, X, replicas=pairs, seed=seed)
        kernels = start_law_sample(net, X[:2], replicas=100, seed=seed)
        deviations = deviations_of(net, X, Y, (tau,), step, both[0], both[1], at_start, kernels)
        outputs, averaged = both[0].outputs[:, 0], (both[0].outputs[:, 0] + both[1].outputs[:, 0]) / 2
        left = np.asarray(deviations.pair_outputs)
        values = {f"mean_{a + 1}": (after.mean[a], left[:, a]) for a in range(3)}
        for a, b in ((0, 0), (0, 1), (1, 1)):
            centred = outputs[:, [a, b]] - outputs[:, [a, b]].mean(axis=0)
            values[f"Cov_{a + 1}{b + 1}"] = (after.covariance[a, b], centred.prod(axis=1) - limit.covariance[a, b])
        for a, b in ((0, 0), (0, 1), (1, 1), (2, 2)):
            centred = averaged[:, [a, b]] - averaged[:, [a, b]].mean(axis=0)
            values[f"mirrored Cov_{a + 1}{b + 1}"] = (after.mirrored_covariance[a, b], centred.prod(axis=1))
        drift = after.ntk - after.start.ntk_bias
        moved = (both[0].fisher_trace + both[1].fisher_trace)[:, 0] / 2 - both[0].kernel.trace(axis1=1, axis2=2)
        values["tr(Θ_τ - Θ_0), train"] = (drift[:2, :2].trace(), moved)
        for name, (prediction, each) in values.items():
            row = rows.setdefault(name, (prediction, [], [], []))
            value, error = mean(width * each)
            for column, entry in zip(row[1:], (width, value, error), strict=True):
                column.append(entry)
    report(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("start", "training"))
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--networks", type=int, default=40_000)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--widths", type=int, nargs="+", default=None)
    parser.add_argument("--tau", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for case in given.case or (list(CASES) if given.what == "start" else ["erf1", "gelu1"]):
        begun = time.perf_counter()
        print(f"{case}, {given.what}" + (f", τ = {given.tau:g}" if given.what == "training" else ""), flush=True)
        if given.what == "start":
            start(case, given.widths or (64, 128, 256), given.networks, given.seed)
        else:
            training(case, given.widths or (32, 64, 128), given.pairs, given.seed, given.tau)
        print(f"  {time.perf_counter() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
