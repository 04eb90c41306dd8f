"""embo and dit, each in its own environment, on the cases of dualib_curves.py: time of 50 β, distance below our curve.

    python benchmarks/peers.py [--limit SECONDS] [--colour-naming NPZ]    (needs uv; environments go to benchmarks/.envs)

Their β are not compared: conventions differ (bits in the exponent move β by ln 2). A point (rate, relevance) is set against
the relevance of our curve at its own rate, which needs no β.
"""

import argparse
import json
import subprocess
import time
from pathlib import Path

import numpy as np
from dualib_curves import random_joint, random_points_rule

import dualib

ENVIRONMENTS = Path(__file__).with_name(".envs")

EMBO = """
import json, sys, time, numpy as np
from embo import InformationBottleneck
p = np.array(json.load(sys.stdin))
begin = time.perf_counter()
ib = InformationBottleneck(pxy=p, numbeta=50, maxbeta=20, processes=1)
x, y = ib.get_ix(), ib.get_iy()
print(json.dumps([time.perf_counter() - begin, list(map(float, x)), list(map(float, y))]))
"""

DIT = """
import json, sys, time, numpy as np, dit
from dit.rate_distortion import IBCurve
p = np.array(json.load(sys.stdin))
joint = dit.Distribution([(i, j) for i in range(p.shape[0]) for j in range(p.shape[1])], p.ravel())
begin = time.perf_counter()
curve = IBCurve(joint, rvs=[[0], [1]], beta_max=20.0, beta_num=50, method="ba")
print(json.dumps([time.perf_counter() - begin, list(map(float, curve.complexities)), list(map(float, curve.relevances))]))
"""


def python_of(name):
    """The interpreter of an environment with one package, made where it is missing."""
    python = ENVIRONMENTS / name / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "-q", "--python", "3.11", ENVIRONMENTS / name], check=True)
        subprocess.run(["uv", "pip", "install", "-q", "--python", python, name, "setuptools<81"], check=True)
    return python


def run(name, program, joint, limit):
    """(seconds, rates, relevances) in nats, or a line that says why there are none."""
    try:
        done = subprocess.run(
            [python_of(name), "-c", program],
            input=json.dumps(joint.p_xy.tolist()),
            capture_output=True,
            text=True,
            timeout=limit,
            env={"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
        )
    except subprocess.TimeoutExpired:
        return f"did not finish in {limit:.0f} s"
    if done.returncode:
        return "failed: " + (done.stderr.strip().splitlines() or ["no message"])[-1]
    seconds, rate, relevance = json.loads(done.stdout.splitlines()[-1])
    return seconds, np.array(rate) * np.log(2), np.array(relevance) * np.log(2)


def compare(case, joint, limit):
    problem = dualib.IB(joint)
    local = dualib.local_critical_beta(problem)
    begin = time.perf_counter()
    curve = dualib.information_curve(problem, np.geomspace(0.5 * local, 20 * local, 50), certify=False)
    ours = time.perf_counter() - begin
    for name, program in (("embo", EMBO), ("dit", DIT)):
        result = run(name, program, joint, limit)
        if isinstance(result, str):
            print(f"| {case} | {ours:.3f} | {name} | {result} | | | |", flush=True)
            continue
        seconds, rate, relevance = result
        inside = rate <= curve.rate.max()
        below = [curve.at_rate(r).relevance - v for r, v in zip(rate[inside], relevance[inside], strict=True)]
        points = f"{inside.sum()} of {len(rate)}"
        print(
            f"| {case} | {ours:.3f} | {name} | {seconds:.2f} | {seconds / ours:.0f} | {points} | {max(below):.1e} |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for each package and case")
    parser.add_argument(
        "--colour-naming", metavar="NPZ", help="p_xy (330, 330) of the colour-naming joint, not included"
    )
    args = parser.parse_args()
    print("| case | dualib s | package | its s | ratio | points | largest relevance below our curve, nats |")
    print("|---|---|---|---|---|---|---|")
    compare("16x4", random_joint(16, 4), args.limit)
    compare("256x16", random_joint(256, 16), args.limit)
    compare("4096x2 icosahedron", dualib.examples.icosahedron(), args.limit)
    compare("4096x2 random points", random_points_rule(), args.limit)
    if args.colour_naming:
        compare("330x330 colour naming", dualib.Joint.from_npz(args.colour_naming), args.limit)


if __name__ == "__main__":
    main()
