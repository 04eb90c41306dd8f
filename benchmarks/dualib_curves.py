"""Whole 50-β curves against plain reverse annealing, in one run, one thread: time, objective, certification, floor.

    uv run python benchmarks/dualib_curves.py [--quick] [--colour-naming JOINT.npz] [--limit SECONDS]

The annealing runs at two stopping rules: ΔF < 1e-9 in one step, and ΔF < 1e-12, with which its objectives come nearer to
ours. Ratios are of times measured side by side. "worse by" is the largest (our F − its F) over β, "better by" the largest
(its F − ours). Where the annealing does not finish within the limit, its time is extrapolated (~): seconds per β done × 50.
The colour-naming joint, not included, is that of [zaslavsky2018]_.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import subprocess
import sys
import time

import numpy as np
from annealing import reverse_annealing

import dualib

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


def compare(name, joint, kinds, limit):
    for kind in kinds:
        make = dualib.IB if kind == "ib" else dualib.DualIB
        local = dualib.local_critical_beta(make(joint))
        betas = np.geomspace(0.5 * local, 20 * local, 50)
        ours = []
        for _ in range(3 if len(joint.p_x) * joint.n_y < 10_000 else 1):
            begin = time.perf_counter()
            curve = dualib.information_curve(make(joint), betas, certify=False)
            ours.append(time.perf_counter() - begin)
        seconds = min(ours)
        proof = "dimension > 3"
        if make(joint).reduced.dimension <= 3:
            proven = dualib.information_curve(make(joint), betas)
            proof = f"{proven.seconds_certifying:.2f} s, gap ≤ {proven.gap.max():.0e}"
        for tolerance in (1e-9, 1e-12):
            values, peer = reverse_annealing(joint.p_x, joint.p_y_given_x, betas, kind, tolerance, time_limit=limit)
            done = len(values)
            difference = curve.objective[::-1][:done] - values
            whole = peer if done == 50 else peer / max(done, 1) * 50
            bound = "" if done == 50 else f"~ (did {done} of 50 β in {peer:.0f} s) "
            worse = f"{max(difference.max(), 0):.0e}" if done else "–"
            better = f"{max(-difference.min(), 0):.0e}" if done else "–"
            print(
                f"| {name} {kind} | {seconds:.3f} | {bound}{whole:.2f} | {tolerance:.0e} | {bound[:1]}{whole / seconds:.1f} "
                f"| {TARGETS[name]} | {worse} | {better} | {floor(make(joint).reduced, curve):.4f} | {proof} |",
                flush=True,
            )


def floor(core, curve):
    """Seconds of one evaluation of e^{−βd} at the atoms of each point: nothing that looks at every (x, t) can be faster."""
    begin = time.perf_counter()
    for beta, atoms in zip(curve.beta, curve.decoders, strict=True):
        np.exp(-beta * core.distortion(atoms))
    return time.perf_counter() - begin


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
    args = parser.parse_args()
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
