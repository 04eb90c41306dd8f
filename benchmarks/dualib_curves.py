"""Whole 50-β curves against plain reverse annealing, in one run, one thread: time, objective, certification, floor.

    uv run python benchmarks/dualib_curves.py [--quick | --ratios] [--colour-naming JOINT.npz] [--limit SECONDS] [--sizes N ...]

Seconds are those of the processor, which another job on the machine changes less than those of the clock.

The annealing runs at two stopping rules: ΔF < 1e-9 in one step, and ΔF < 1e-12, with which its objectives come nearer to
ours. Ratios are of times measured side by side. "worse by" is the largest (our F − its F) over β, "better by" the largest
(its F − ours). Where the annealing does not finish within the limit, its time is extrapolated (~): seconds per β done × 50.
The colour-naming joint, not included, is that of [zaslavsky2018]_. --sizes measures time and memory of N rows × 10 alone,
against the floor and the annealing at ΔF < 1e-9: Dirichlet rows, and counts of documents of 50 topics. --ratios measures
16×4, 256×16, a Gaussian on a grid and colour naming alone, at the looser rule, without proofs.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
from annealing import reverse_annealing

import dualib
from dualib.solvers.cost import expected_cost

TARGETS = {"16x4": 3, "256x16": 2, "4096x2 icosahedron": 1000, "4096x2 random points": 100, "330x330 colour naming": 10}


def random_joint(n_x, n_y, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.ones(n_y), n_x)
    return dualib.Joint.from_conditional(rng.dirichlet(np.full(n_x, 3.0)), rows)


def random_points_rule(gamma=53.826, seed=0):
    """The icosahedral rule with twelve random points of the sphere as vertices: 4096 patterns, no symmetry, no equal rows."""
    vertices = np.random.default_rng(seed).normal(size=(12, 3))
    vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    patterns = (np.arange(4096)[:, None] >> np.arange(11, -1, -1)) & 1
    score = patterns.sum(axis=1) + np.linalg.norm(patterns @ vertices, axis=1)
    p = 1.0 / (1.0 + np.exp(-np.clip(gamma * (score - np.median(score)), -30.0, 30.0)))
    return dualib.Joint.from_conditional(np.full(4096, 1 / 4096), np.stack([1 - p, p], axis=1))


def gaussian(n=50, rho=0.8):
    """A Gaussian on a grid, the joint that one tries first: its clusters overlap along a curve."""
    x = np.linspace(-3.0, 3.0, n)
    p = np.exp(-(x[:, None] ** 2 - 2 * rho * x[:, None] * x + x**2) / (2 * (1 - rho**2)))
    return dualib.Joint(p / p.sum())


def compare(name, joint, kinds, limit):
    for kind in kinds:
        make = dualib.IB if kind == "ib" else dualib.DualIB
        local = dualib.local_critical_beta(make(joint))
        betas = np.geomspace(0.5 * local, 20 * local, 50)
        ours = []
        for _ in range(3 if len(joint.p_x) * joint.n_y < 10_000 else 1):
            begin = time.process_time()
            curve = dualib.information_curve(make(joint), betas, certify=False)
            ours.append(time.process_time() - begin)
        seconds = min(ours)
        proof = "dimension > 3"
        if make(joint).reduced.dimension <= 3:
            proven = dualib.information_curve(make(joint), betas)
            proof = f"{proven.seconds_certifying:.2f} s, gap ≤ {proven.gap.max():.0e}"
        for tolerance in (1e-9, 1e-12):
            beside = against_annealing(make(joint), curve, seconds, tolerance, limit)
            print(
                f"| {name} {kind} | {seconds:.3f} | {beside[0]} | {tolerance:.0e} | {beside[1]} | {TARGETS[name]} "
                f"| {beside[2]} | {beside[3]} | {floor(make(joint).reduced, curve):.4f} | {proof} |",
                flush=True,
            )


def ratios(colour_naming, limit):
    """One row a case: ours and the annealing at ΔF < 1e-9 side by side, and how far above the floor ours is."""
    print("| case | ours s | annealing s | ratio | worse by | better by | target | floor s | ours/floor |")
    print("|---" * 9 + "|", flush=True)
    cases = [(f"{n}x{m}", random_joint(n, m), kind) for n, m in ((16, 4), (256, 16)) for kind in ("ib", "dual")]
    cases += [("50x50 Gaussian", gaussian(), kind) for kind in ("ib", "dual")]
    if colour_naming:
        cases.append(("330x330 colour naming", dualib.Joint.from_npz(colour_naming), "ib"))
    for name, joint, kind in cases:
        problem = dualib.IB(joint) if kind == "ib" else dualib.DualIB(joint)
        local, seconds = dualib.local_critical_beta(problem), np.inf
        for _ in range(5 if len(joint.p_x) < 100 else 2 if len(joint.p_x) < 300 else 1):
            begin = time.process_time()
            curve = dualib.information_curve(problem, np.geomspace(0.5, 20, 50) * local, certify=False)
            seconds = min(seconds, time.process_time() - begin)
        beside = against_annealing(problem, curve, seconds, 1e-9, limit)
        least = floor(problem.reduced, curve)
        print(
            f"| {name} {kind} | {seconds:.3f} | {' | '.join(beside)} | {TARGETS.get(name, '–')} | {least:.4f} | {seconds / least:.0f} |",
            flush=True,
        )
    print("\nfloor: one evaluation of e^{−βd} at the atoms of each point")


def against_annealing(problem, curve, seconds, tolerance, limit):
    """Cells of a table: its seconds, the ratio, by how much our objective is worse at most, and better."""
    joint, n = problem.joint, len(curve.beta)
    values, peer = reverse_annealing(
        joint.p_x, joint.p_y_given_x, curve.beta, problem.name, tolerance, time_limit=limit
    )
    done = len(values)
    if not done:
        return f"none of {n} β in {peer:.0f} s", f"> {peer / seconds:.1f}", "–", "–"
    difference = curve.objective[::-1][:done] - values
    bound = "" if done == n else f"~ (did {done} of {n} β in {peer:.0f} s) "
    whole = peer / done * n
    return (
        f"{bound}{whole:.2f}",
        f"{bound[:1]}{whole / seconds:.1f}",
        f"{max(difference.max(), 0):.0e}",
        f"{max(-difference.min(), 0):.0e}",
    )


def floor(core, curve):
    """Seconds of one evaluation of e^{−βd} at the atoms of each point: nothing that looks at every (x, t) can be faster."""
    begin = time.process_time()
    for beta, atoms in zip(curve.beta, curve.decoders, strict=True):
        exponents = core.exponents(beta, atoms)
        np.exp(exponents, out=exponents)
    return time.process_time() - begin


def topics(n, seed=0):
    """Counts of ten words in n documents, each of one of fifty topics."""
    rng = np.random.default_rng(seed)
    rows, topic = rng.dirichlet(np.full(10, 0.3), 50), rng.integers(0, 50, n)
    return dualib.Joint.from_counts(
        [rng.multinomial(m, rows[t]) for m, t in zip(rng.poisson(60, n) + 1, topic, strict=True)]
    )


def dirichlet(n, seed=0):
    return dualib.Joint.from_conditional(np.full(n, 1 / n), np.random.default_rng(seed).dirichlet(np.ones(10), n))


def sizes(numbers, highest, n_betas, limit):
    print(
        "| joint | distinct rows | expected | s | annealing s | ratio | worse by | better by | floor s | clusters "
        "| largest gap that ascents know | peak MB |"
    )
    print("|---" * 12 + "|", flush=True)
    for n in numbers:
        for draw in (dirichlet, topics):
            problem = dualib.IB(draw(n))
            local = dualib.local_critical_beta(problem)
            begin = time.process_time()
            curve = dualib.information_curve(problem, np.geomspace(0.5, highest, n_betas) * local, certify=False)
            seconds = time.process_time() - begin
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            beside = against_annealing(problem, curve, seconds, 1e-9, limit)
            print(
                f"| {draw.__name__} {n} x 10 | {len(problem.reduced.p_x)} | {expected_cost(problem, n_betas).describe()} "
                f"| {seconds:.1f} | {' | '.join(beside)} | {floor(problem.reduced, curve):.2f} | up to {curve.n_clusters.max()} "
                f"| {curve.estimated_gap.max():.0e} | {peak:.0f} |",
                flush=True,
            )


def import_seconds():
    code = "import time; t = time.perf_counter(); import dualib; print(time.perf_counter() - t)"
    runs = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) for _ in range(3)
    ]
    return min(runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the two small random joints only")
    parser.add_argument(
        "--colour-naming", metavar="NPZ", help="p_xy (330, 330) of the colour-naming joint, not included"
    )
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for each annealing run")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="N", help="time and memory of N rows alone")
    parser.add_argument("--highest", type=float, default=20.0, help="with --sizes: largest β, in local critical β")
    parser.add_argument("--betas", type=int, default=50, help="with --sizes: how many β")
    parser.add_argument("--ratios", action="store_true", help="16x4, 256x16 and colour naming against the annealing")
    args = parser.parse_args()
    if args.ratios:
        ratios(args.colour_naming, args.limit)
        return
    if args.sizes:
        sizes(args.sizes, args.highest, args.betas, args.limit)
        return
    print(f"import dualib: {import_seconds():.2f} s (target 1 s)\n")
    print("| case | ours s | annealing s | its ΔF | ratio | target | worse by | better by | floor s | certification |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    compare("16x4", random_joint(16, 4), ("ib", "dual"), args.limit)
    compare("256x16", random_joint(256, 16), ("ib", "dual"), args.limit)
    if args.quick:
        return
    compare("4096x2 icosahedron", dualib.examples.icosahedron(), ("ib", "dual"), args.limit)
    compare("4096x2 random points", random_points_rule(), ("ib", "dual"), args.limit)
    if args.colour_naming:
        compare("330x330 colour naming", dualib.Joint.from_npz(args.colour_naming), ("ib",), args.limit)
    else:
        print("colour naming left out: give --colour-naming JOINT.npz")


if __name__ == "__main__":
    main()
