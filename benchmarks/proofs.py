"""How far the proofs of optimality come, on random joints: share of β with a gap within 1e-6 nats, gaps, CPU seconds, in one run, one thread.

    uv run python benchmarks/proofs.py [--cases 64x10 …] [--factors 1.3 2 …] [--seeds N] [--max-work N]

Rows p(y|x) are Dirichlet(1) ("even"), Dirichlet(0.2) ("sparse"), 30 counts of such rows smoothed by 1/2 ("counts"), or one label each
but for a tenth ("nearly deterministic"); the case "digits" is the smoothed joint of dualib's example.
β is a multiple of the local critical one. "pairs" is the gap that distances between pairs
of x alone would leave.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import time

import numpy as np

import dualib
from dualib.certificate import pairwise_log_ceiling
from dualib.solvers.iterate import evaluate

CASES = ["4x5", "16x5", "64x5", "64x10", "256x8", "digits", "20x100", "50x1000"]
FACTORS = [0.7, 1.05, 1.3, 2.0, 4.0, 8.0, 16.0]


def rows_of(kind, n_x, n_y, rng):
    if kind == "even":
        rows = rng.dirichlet(np.ones(n_y), n_x)
    elif kind == "sparse":
        rows = np.maximum(rng.dirichlet(np.full(n_y, 0.2), n_x), 1e-6)
    elif kind == "counts":
        rows = np.array([rng.multinomial(30, p) for p in rng.dirichlet(np.full(n_y, 0.3), n_x)]) + 0.5
    else:
        rows = 0.9 * np.eye(n_y)[rng.integers(0, n_y, n_x)] + 0.1 * rng.dirichlet(np.ones(n_y), n_x)
    return rows / rows.sum(axis=1, keepdims=True)


def joint_of(case, kind, seed):
    if case == "digits":
        return dualib.examples.digits(seed=seed).smoothed(pseudocount=0.1)
    n_x, n_y = map(int, case.split("x"))
    rng = np.random.default_rng(seed)
    return dualib.Joint.from_conditional(rng.dirichlet(np.full(n_x, 2.0)), rows_of(kind, n_x, n_y, rng))


def measured(problem, beta, certify):
    begin = time.process_time()
    solution = dualib.solve(problem, beta, certify=certify)
    seconds = time.process_time() - begin
    core = problem.reduced
    it = evaluate(core, beta, solution.p_t, solution.p_y_given_t)
    pairs = solution.objective - max(0.0, it.value - max(pairwise_log_ceiling(it.dual), 0.0))
    return solution.gap, pairs, seconds, solution.method


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=CASES)
    parser.add_argument("--factors", nargs="+", type=float, default=FACTORS)
    parser.add_argument("--kinds", nargs="+", default=["even", "sparse", "counts", "nearly deterministic"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--max-work", type=int, default=dualib.Certify().max_work)
    args = parser.parse_args()
    print(
        "| joint | rows | problem | within 1e-6 | median gap | worst gap | median with pairs | seconds a point | bounds |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for case in args.cases:
        for kind in ["counts"] if case == "digits" else args.kinds:
            for make in (dualib.IB, dualib.DualIB):
                found = []
                for seed in range(args.seeds):
                    problem = make(joint_of(case, kind, seed))
                    local = dualib.local_critical_beta(problem)
                    certify = dualib.Certify(max_work=args.max_work)
                    found += [measured(problem, factor * local, certify) for factor in args.factors]
                gaps, pairs, seconds, methods = zip(*found, strict=True)
                print(
                    f"| {case} | {kind} | {make.name} | {np.mean(np.array(gaps) <= 1e-6):.0%} | {np.median(gaps):.1e} | {max(gaps):.1e} "
                    f"| {np.median(pairs):.1e} | {np.mean(seconds):.1f} | {', '.join(sorted(set(methods)))} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
