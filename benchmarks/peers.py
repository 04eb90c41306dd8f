"""embo and dit on the random 16×4 joint, each in its own environment: time of 50 β, and how far below the curve they lie.

    python benchmarks/peers.py        (needs uv on the path; environments go to benchmarks/.envs)

Their β are not compared: conventions differ (bits in the exponent move β by ln 2). A point (rate, relevance) is set against
the proven upper bound of the relevance at its own rate, which needs no β.
"""

import json
import subprocess
import time
from pathlib import Path

import numpy as np
from dualib_curves import random_joint

import dualib

ENVIRONMENTS = Path(__file__).with_name(".envs")
LIMIT = 120  # seconds

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


def run(name, program, joint):
    """(seconds, rates, relevances) in nats, or a line that says why there are none."""
    try:
        done = subprocess.run(
            [python_of(name), "-c", program],
            input=json.dumps(joint.p_xy.tolist()),
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env={"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
        )
    except subprocess.TimeoutExpired:
        return f"did not finish in {LIMIT} s"
    if done.returncode:
        return "failed: " + (done.stderr.strip().splitlines() or ["no message"])[-1]
    seconds, rate, relevance = json.loads(done.stdout.splitlines()[-1])
    return seconds, np.array(rate) * np.log(2), np.array(relevance) * np.log(2)


def main():
    joint = random_joint(16, 4)
    problem = dualib.IB(joint)
    local = dualib.local_critical_beta(problem)
    betas = np.geomspace(0.5 * local, 20 * local, 50)
    begin = time.perf_counter()
    dualib.information_curve(problem, betas, certify=False)
    ours = time.perf_counter() - begin
    fine = dualib.information_curve(problem, np.geomspace(0.8 * local, 200 * local, 200))
    print(f"dualib: {ours:.3f} s for 50 β; proven bounds from 200 β\n")
    print("| package | seconds | ratio | points | largest relevance below the bound, nats |")
    print("|---|---|---|---|---|")
    for name, program in (("embo", EMBO), ("dit", DIT)):
        result = run(name, program, joint)
        if isinstance(result, str):
            print(f"| {name} | {result} | | | |")
            continue
        seconds, rate, relevance = result
        inside = rate <= fine.rate.max()
        below = [fine.at_rate(r).relevance_bound - v for r, v in zip(rate[inside], relevance[inside], strict=True)]
        print(f"| {name} | {seconds:.2f} | {seconds / ours:.0f} | {inside.sum()} of {len(rate)} | {max(below):.1e} |")


if __name__ == "__main__":
    main()
