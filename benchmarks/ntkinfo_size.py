"""Digits with ten classes, n training points: time and peak memory of kernels, eigenmodes and table, stage by stage.

    python benchmarks/ntkinfo_size.py --n 3000
    python benchmarks/ntkinfo_size.py --n 20000 --n-test 1000      # 16 GiB; about an hour on two free cores

The digits are drawn with replacement, with noise on every pixel. Memory is the process's largest resident set less that before the
kernels, in units of n² doubles; --third-kernel adds Ω, --on-disk keeps Θ and K (and Ω) in files that are mapped.
"""

import argparse
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import ntkinfo
from ntkinfo.datasets import digits
from ntkinfo.resources import needs

TARGET = 6.0


def anonymous_gib():
    """Memory that is not of mapped files, now."""
    status = Path("/proc/self/status").read_text()
    return float(status.split("RssAnon:")[1].split()[0]) / 2**20


def peak_gib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def enlarged(n, n_test):
    """n and n_test digits with noise, of ten classes."""
    data, rng = digits(1200, 597, labels="classes"), np.random.default_rng(0)
    train, test = (rng.integers(size, size=count) for size, count in ((1200, n), (597, n_test)))

    def noisy(x):
        return x + 0.1 * rng.standard_normal(x.shape)

    x_train, x_test = noisy(data.x_train[train]), noisy(data.x_test[test])
    return replace(data, x_train=x_train, y_train=data.y_train[train], x_test=x_test, y_test=data.y_test[test])


def mapped(kernels, folder):
    """The kernels on training points as memory maps of files."""
    arrays = {}
    for name in ("ntk", "nngp") if kernels.omega is None else ("ntk", "nngp", "omega"):
        path = Path(folder) / f"{name}.npy"
        np.save(path, getattr(kernels, name))
        arrays[name] = np.load(path, mmap_mode="r")
    return replace(kernels, **arrays)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=3000)
    parser.add_argument("--n-test", type=int, default=1000)
    parser.add_argument("--third-kernel", action="store_true")
    parser.add_argument("--on-disk", action="store_true")
    a = parser.parse_args()
    said = needs(a.n, a.n_test, third_kernel=a.third_kernel)
    print(f"expected: {said.describe()}, {said.matrices:g} n² doubles", flush=True)
    said.check()
    data = enlarged(a.n, a.n_test)
    small = ntkinfo.kernels.dense(data.x_train[:50], data.x_test[:5])
    ntkinfo.timeline(ntkinfo.Ensemble(small, data.y_train[:50]), [1.0], y_test=data.y_test[:5])  # imports what it needs
    before = peak_gib()
    held, started = anonymous_gib(), time.perf_counter()

    def told(stage):
        square = 8 * a.n**2 / 2**30
        peak = (peak_gib() - before) / square
        print(
            f"{stage:12s} {time.perf_counter() - started:8.1f} s   peak {peak:5.2f} n² doubles   "
            f"now, files apart, {(anonymous_gib() - held) / square:5.2f}",
            flush=True,
        )
        return peak

    with tempfile.TemporaryDirectory() as folder:
        kernels = ntkinfo.kernels.dense(data.x_train, data.x_test, third_kernel=a.third_kernel)
        told("kernels")
        if a.on_disk:
            kernels = mapped(kernels, folder)
            told("on disk")
        ensemble = ntkinfo.Ensemble(kernels, data.y_train)
        told("ensemble")
        ensemble.prepare()
        told("eigenmodes")
        timeline = ntkinfo.timeline(ensemble, y_test=data.y_test)
        peak = told("table")
    print(timeline.table())
    print(
        f"n = {a.n}: peak {peak:.2f} n² doubles (target <= {TARGET:g}), {peak_gib():.2f} GiB in all; "
        f"expected {said.memory / 2**30:.2f} GiB"
    )


if __name__ == "__main__":
    main()
