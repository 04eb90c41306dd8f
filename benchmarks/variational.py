"""Variational fits: time of ten seeds × seven β on the digits, and how near eight starts come to the proven optimum.

    python benchmarks/variational.py [--steps 800] [--seeds 10] [--skip-gap]

CPU seconds count all threads, so that they say what an idle machine with one core would take; wall seconds only say something
where nothing else runs.
"""

import argparse
import os
import time
from functools import partial

import deepnets
from deepnets.commands.variational import LAW
from deepnets.variational import CEB, VIB, Exact, VariationalDualIB, fit_variational
from dualib.examples import icosahedron

BETAS = [0.3, 1, 3, 10, 30, 100, 300]


def timed(label, work):
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    print(f"| {label} | {time.process_time() - cpu:.1f} | {time.perf_counter() - wall:.1f} |", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--skip-gap", action="store_true")
    args = parser.parse_args()
    task = deepnets.digits_task()
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {args.seeds} seeds × {len(BETAS)} β × {args.steps} steps\n"
    )
    print("| digits | CPU s | wall s |\n|---|---|---|")
    for objective in (VIB(), VariationalDualIB(), CEB()):
        settings = {"betas": BETAS, "seeds": args.seeds, "steps": args.steps, "progress": False}
        fit = timed(f"{objective}: fit", partial(fit_variational, objective, task, **settings))
        timed(f"{objective}: evaluation", partial(fit.evaluate, progress=False))
    if args.skip_gap:
        return
    law, settings = icosahedron(gamma=10), {**LAW, "betas": [4, 16], "progress": False}
    for objective in (VIB(Exact()), VariationalDualIB(Exact())):
        fit = timed(
            f"{objective}: icosahedral rule, 8 seeds × 2 β", partial(fit_variational, objective, law, **settings)
        )
        print("\n" + fit.gap(progress=False).describe("nats") + "\n")


if __name__ == "__main__":
    main()
