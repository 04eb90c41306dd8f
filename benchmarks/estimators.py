"""Estimators of layer information against plain NumPy, in one run, one thread: time, ratio, agreement, floor; and coverage.

    uv run python benchmarks/estimators.py [--coverage SEEDS [--seed S] [--part NAME ...]] [--repeats K]

Activations: 4096 patterns of 12 binary inputs through random tanh layers 10-7-5-4-3-2, float32, two labels. The peers are
written plainly from the papers: binned informations by numpy.digitize and numpy.unique of rows, pairwise (kernel density) bounds by
exponentials of all squared distances, for all patterns and for those of each label. Times are the best of K runs, ours and
the peer's in turn. A floor is a pass over the same data that does nothing else: reading the activations and sorting one word a
pattern; one matrix product and one exponential for every pair (half of them for the bounds, as the kernel is symmetric).

With --coverage: how often 95 % intervals hold the truth of quadrature, 24 mixtures in 1 and 2 dimensions and 12 populations that are
sampled, with the standard error of the rate; and those of means and medians of 2 to 8 replicas. Other cases and draws by --seed.
"""

import argparse
import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

import dualib
from deepnets.estimators import Binning, ConditionalPlugin, PairwiseBounds, Quadrature, SmoothedPlugin
from dualib import statistics
from dualib.core.units import Unit

TARGET = 0.93
"""Least coverage of a 95 % interval, in any of the cases."""

WIDTHS = (10, 7, 5, 4, 3, 2)


def network_layers(seed=0, gain=2.0):
    """Activations of all patterns, one array a layer, and one-hot labels."""
    rng = np.random.default_rng(seed)
    x = ((np.arange(4096)[:, None] >> np.arange(11, -1, -1)) & 1).astype(np.float32)
    labels = (x.sum(axis=1) + rng.normal(size=4096) > 6).astype(int)
    layers, t = [], 2 * x - 1
    for width in WIDTHS:
        t = np.tanh(t @ (gain * rng.normal(size=(t.shape[1], width)) / math.sqrt(t.shape[1])).astype(np.float32))
        layers.append(t)
    return layers, np.eye(2)[labels]


# --- plain peers ---


def plain_entropy(p):
    return -(p * np.log(p)).sum()


def plain_binned(t, labels, edges):
    """I(X;T), I(T;Y), nats."""
    codes = np.digitize(t.astype(np.float64), edges) - 1

    def of_rows(rows):
        return plain_entropy(np.unique(rows, axis=0, return_counts=True)[1] / len(rows))

    within = sum((labels == y).mean() * of_rows(codes[labels == y]) for y in (0, 1))
    return of_rows(codes), of_rows(codes) - within


def plain_pairwise(t, labels, sigma):
    """Upper and lower bound of h(T) - h(Z) from Kullback-Leibler and Bhattacharyya distances, and I(T;Y) from the upper ones."""

    def bound(points, scale):
        norms = (points**2).sum(axis=1)
        square = norms[:, None] + norms - 2 * points @ points.T
        return -np.log(np.exp(-square / (scale * sigma**2)).mean(axis=1)).mean()

    def both(points):
        return np.array([bound(points, 2), bound(points, 8)])

    t = t.astype(np.float64)
    whole = both(t)
    return whole, whole - sum((labels == y).mean() * both(t[labels == y]) for y in (0, 1))


# --- times ---


def best(functions, repeats, in_a_row=1):
    """Best time of each function in ms: in turn, `in_a_row` runs each time after one that warms the caches."""
    times = np.full(len(functions), np.inf)
    for _ in range(repeats):
        for k, function in enumerate(functions):
            function()
            for _ in range(in_a_row):
                begin = time.perf_counter()
                function()
                times[k] = min(times[k], time.perf_counter() - begin)
    return times * 1e3


def pair_floor(t, rows=32):
    """One matrix product and one exponential a pair, into the same tile."""
    left = np.column_stack([t, np.ones((len(t), 2))]).astype(np.float64) * 0.1
    right, tile = np.ascontiguousarray(left.T), np.empty((rows, len(t)))
    for start in range(0, len(t), rows):
        np.exp(np.matmul(left[start : start + rows], right, out=tile), out=tile)


def binning_floor(layers):
    """One read of every activation, one sort of a word a pattern."""
    for t in layers:
        t.sum()
        np.sort(np.arange(len(t), dtype=np.uint64)[::-1].copy())


def compare_binning(layers, rows, repeats):
    labels, estimator = rows.argmax(axis=1), Binning()
    edges = np.linspace(-1, 1, 30)
    ours, peer, floor = best(
        [
            lambda: [estimator.layer(t, rows) for t in layers],
            lambda: [plain_binned(t, labels, edges) for t in layers],
            lambda: binning_floor(layers),
        ],
        repeats,
        in_a_row=5,
    )
    error = 0.0
    for t in layers:
        found, plain = estimator.layer(t, rows), plain_binned(t, labels, edges)
        error = max(error, abs(found.rate.value - plain[0]), abs(found.relevance.value - plain[1]))
    size = sum(t.nbytes for t in layers)
    print(
        f"| binning, six layers | {ours:.2f} (target 6) | {peer:.1f} | {peer / ours:.1f} | | {floor:.2f}: {size / 1e3:.0f} kB read, "
        f"{len(layers)} sorts | {error:.0e} |"
    )


def compare_pairwise(t, rows, sigma, repeats):
    labels, d = rows.argmax(axis=1), t.shape[1]
    estimator, smoothed = PairwiseBounds(sigma), SmoothedPlugin(sigma)
    ours, peer, plug_in, floor = best(
        [
            lambda: estimator.layer(t, rows),
            lambda: plain_pairwise(t, labels, sigma),
            lambda: smoothed.layer(t, rows),
            lambda: pair_floor(t),
        ],
        repeats,
    )
    whole, _ = plain_pairwise(t, labels, sigma)
    kl = estimator.layer(t, rows).rate.high
    error = f"{abs(kl - whole[0]):.0e}" if kl > whole[0] - 1e-6 else f"tighter by {whole[0] - kl:.2f}"
    flops = 2 * len(t) ** 2 * (d + 2)
    draw = (plug_in - ours) / smoothed.n_mc  # what remains are the bounds that cut the interval
    work = f"{flops / 1e9:.2f} GFLOP, {len(t) ** 2 / 1e6:.0f} M exp"
    print(
        f"| bounds, d = {d}, σ = {sigma} | {ours:.0f} | {peer:.0f} | {peer / ours:.1f} | 5 | {floor / 2:.0f}: half of {work} | {error} |"
    )
    print(
        f"| one draw of the plug-in, d = {d}, σ = {sigma} | {draw:.0f} | | {draw / ours:.2f} passes of bounds | at most 2 "
        f"| {floor:.0f}: {work} | |"
    )


def conditional_time(repeats):
    rng = np.random.default_rng(0)
    centres, rows = np.tanh(rng.normal(size=(1024, 8, 5))), np.eye(2)[rng.integers(0, 2, 1024)]
    (ours,) = best([lambda: ConditionalPlugin(0.3).layer(centres, rows)], repeats)
    print(f"| conditional plug-in, 1024 patterns, 8 passes, d = 5 | {ours:.0f} | | | | | |")


# --- coverage ---


def enumerated_cases(base):
    for index in range(24):
        rng = np.random.default_rng([1000 + index, base])
        n, d = (2, 3, 5, 8, 16, 40)[index % 6], 1 + index % 2
        centres = rng.normal(size=(n, d)) * (0.5, 1.0, 2.0, 4.0)[index % 4]
        weights = rng.dirichlet(np.ones(n)) if index % 3 else np.full(n, 1 / n)
        rows = rng.dirichlet(np.full(3, 0.3), n) if index % 5 else np.eye(2)[rng.integers(0, 2, n)]
        yield centres, rows, weights, (0.3, 0.6, 1.0)[index % 3]


def enumerated_coverage(seeds, base=0):
    """Rates (24, 2) of I(X;T), I(T;Y) in the interval; every sandwich is checked."""
    rates = []
    for centres, rows, weights, sigma in enumerated_cases(base):
        exact = Quadrature(sigma).layer(centres, rows, weights)
        truth = exact.rate.value, exact.relevance.value
        bounds = PairwiseBounds(sigma).layer(centres, rows, weights)
        for bound, value in zip((bounds.rate, bounds.relevance), truth, strict=True):
            if not bound.low <= value + 1e-12 <= bound.high + 2e-12:
                raise ArithmeticError(f"{value} lies outside its proven bounds [{bound.low}, {bound.high}]")
        rates.append(
            coverage(
                lambda seed, c=centres, r=rows, w=weights, s=sigma: SmoothedPlugin(s).layer(c, r, w, seed=seed),
                truth,
                seeds,
            )
        )
    return np.array(rates)


def sampled_coverage(seeds, base=0, sizes=(200, 600)):
    """Rates (12, 2): samples of one or the other size, patterns drawn from mixtures of Gaussians of width τ; T is then a mixture of width √(τ² + σ²)."""
    rates = []
    for index in range(12):
        rng = np.random.default_rng([2000 + index, base])
        d, k = 1 + index % 2, (2, 3, 5)[index % 3]
        means, weights, rows = (
            2 * rng.normal(size=(k, d)),
            rng.dirichlet(np.full(k, 3.0)),
            rng.dirichlet(np.full(2, 0.5), k),
        )
        tau, sigma, n = (0.3, 0.8)[index % 2], (0.5, 1.0)[index // 2 % 2], sizes[index // 3 % 2]
        exact = Quadrature(math.hypot(tau, sigma)).layer(means, rows, weights)
        truth = exact.rate.value + 0.5 * d * math.log1p(tau**2 / sigma**2), exact.relevance.value

        def found(seed, means=means, weights=weights, rows=rows, tau=tau, sigma=sigma, n=n):
            draw = np.random.default_rng([seed, 1])
            component = draw.choice(len(means), n, p=weights)
            y = (draw.random(n) < rows[component, 1]).astype(int)
            s = means[component] + tau * draw.normal(size=(n, means.shape[1]))
            return SmoothedPlugin(sigma, sampled=True).layer(s, np.eye(2)[y], seed=seed)

        rates.append(coverage(found, truth, seeds))
    return np.array(rates)


def binned_coverage(seeds, base=0):
    """Rates (24, 2): 10 to 100 samples of laws of 3 to 12 cells, from even to very uneven."""
    rates = []
    for index in range(24):
        rng = np.random.default_rng([4000 + index, base])
        k, n = (3, 5, 8, 12)[index % 4], (10, 30, 100)[index % 3]
        law = rng.dirichlet(np.full(k, (0.3, 1.0, 3.0, 30.0)[index // 6]))
        given = rng.dirichlet(np.full(2, 0.5), k)
        estimator = Binning(edges=tuple(np.linspace(0, 1, k + 1)), sampled=True)
        truth = dualib.entropy(law), dualib.mutual_information(law[:, None] * given)

        def found(seed, law=law, given=given, n=n, k=k, estimator=estimator):
            draw = np.random.default_rng([seed, 2])
            cell = draw.choice(k, n, p=law)
            y = (draw.random(n) < given[cell, 1]).astype(int)
            return estimator.layer(((cell + 0.5) / k)[:, None], np.eye(2)[y])

        rates.append(coverage(found, truth, seeds))
    return np.array(rates)


def conditional_coverage(seeds, base=0):
    """Rates (12, 2): chains T_2 = b(aX + Z_1) + Z_2, Gaussian given x; the last four of 8 patterns with 2 passes."""
    rates = []
    for index in range(12):
        rng = np.random.default_rng([3000 + index, base])
        n, m, b, sigma = (3, 6)[index % 2], (4, 16)[index // 2 % 2], rng.uniform(0.5, 1.5), rng.uniform(0.3, 1.0)
        n, m = (n, m) if index < 8 else (8, 2)
        x, rows, weights = 1.5 * rng.normal(size=n), rng.dirichlet(np.ones(2), n), rng.dirichlet(np.full(n, 3.0))
        exact = Quadrature(sigma * math.sqrt(1 + b * b)).layer(b * x[:, None], rows, weights)

        def found(seed, x=x, rows=rows, weights=weights, b=b, sigma=sigma, m=m):
            noise = sigma * np.random.default_rng([seed, 1]).normal(size=(len(x), m))
            return ConditionalPlugin(sigma).layer((b * (x[:, None] + noise))[..., None], rows, weights, seed=seed)

        rates.append(coverage(found, (exact.rate.value, exact.relevance.value), seeds))
    return np.array(rates)


def coverage(estimate, truth, seeds):
    hits = np.zeros(2)
    for seed in seeds:
        found = estimate(seed)
        hits += [e.low <= v <= e.high for e, v in zip((found.rate, found.relevance), truth, strict=True)]
    return hits / len(seeds)


LAWS = {
    "normal": (lambda rng, shape: rng.normal(size=shape), 0.0, 0.0),
    "uniform": (lambda rng, shape: rng.random(shape), 0.5, 0.5),
    "exponential": (lambda rng, shape: rng.exponential(size=shape), 1.0, math.log(2)),
    "log-normal": (lambda rng, shape: np.exp(0.5 * rng.normal(size=shape)), math.exp(0.125), 1.0),
}
"""How repetitions are drawn, their mean, and their median."""


def replica_coverage(trials, base=0):
    """Rows of (name, coverage, trials, what is said): means and medians of few replicas."""
    rng = np.random.default_rng([6000, base])
    for law, (draw, mean, median) in LAWS.items():
        for n in (2, 3, 5, 8):
            for name, statistic, truth in (("mean", statistics.mean, mean), ("median", statistics.median, median)):
                found = [statistic(x, Unit.ONE) for x in draw(rng, (trials, n))]
                hits = sum(e.low <= truth <= e.high for e in found)
                yield f"{name} of {n} replicas, {law}", hits / trials, trials, found[0].level


def report_coverage(name, rates, seeds):
    """A line a quantity; cells below the target by name."""
    error = np.sqrt((rates * (1 - rates)).sum(axis=0) / seeds) / len(rates)
    for k, quantity in enumerate(("I(X;T)", "I(T;Y)")):
        least = rates[:, k].min()
        below = [f"{i}: {rates[i, k]:.3f}" for i in np.flatnonzero(rates[:, k] < TARGET)]
        print(
            f"| {name} | {quantity} | {rates[:, k].mean():.4f} ± {error[k]:.4f} | {least:.4f} ± {rate_error(least, seeds):.4f} "
            f"| {TARGET} | {', '.join(below) or 'none'} |",
            flush=True,
        )


def rate_error(rate, trials):
    """Standard error of a rate, that of one miss at least."""
    return math.sqrt(max(rate * (1 - rate), 1 / trials) / trials)


PARTS: dict[str, tuple[str, Callable[..., np.ndarray]]] = {
    "enumerated": ("24 mixtures, all patterns", enumerated_coverage),
    "sampled": ("12 populations, sampled", sampled_coverage),
    "thirty": ("12 populations, 30 samples", partial(sampled_coverage, sizes=(30, 30))),
    "binned": ("24 laws, binned samples", binned_coverage),
    "conditional": ("12 noisy chains, layer 2", conditional_coverage),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--coverage", type=int, default=0, metavar="SEEDS", help="seeds for each mixture; 400 takes two minutes"
    )
    parser.add_argument("--seed", type=int, default=0, help="of cases and draws (default: those that are published)")
    parser.add_argument("--part", choices=PARTS, nargs="+", default=list(PARTS), help="of the coverage (default: all)")
    parser.add_argument("--repeats", type=int, default=7, help="runs of which the best counts")
    args = parser.parse_args()
    layers, rows = network_layers()
    print("| what | ours ms | plain NumPy ms | ratio | target | floor ms | difference, nats |")
    print("|---|---|---|---|---|---|---|")
    with threadpool_limits(1):
        compare_binning(layers, rows, args.repeats)
        for t in (layers[0], layers[2]):
            for sigma in (0.1, 0.5):
                compare_pairwise(t, rows, sigma, args.repeats)
        conditional_time(args.repeats)
        if not args.coverage:
            return
        print("\n| intervals | quantity | coverage over cases and seeds | least of the cases | target | cases below |")
        print("|---|---|---|---|---|---|")
        seeds = range(10**6 * args.seed, 10**6 * args.seed + args.coverage)
        for part in args.part:
            name, of = PARTS[part]
            report_coverage(name, of(seeds, args.seed), args.coverage)
        print("\n| interval | coverage | level |\n|---|---|---|")
        for name, rate, trials, level in replica_coverage(10 * args.coverage, args.seed):
            print(f"| {name} | {rate:.4f} ± {rate_error(rate, trials):.4f} | {level:.4g} |")


if __name__ == "__main__":
    main()
