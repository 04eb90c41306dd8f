"""The whole table against one eigh of Θ, and the law alone against neural-tangents' predict, side by side in one run.

    python benchmarks/ntkinfo_curve.py [--n 2000] [--n-test 200] [--times 100]

Seconds are of processor time, on one thread. Every repetition times all of them one after the other, so that a busy machine slows
them alike; ratios are of medians. The default table is that of the default times; the full one has the third kernel, too.
The floor is the products that no direct method avoids: those of the test covariances with V^T K V, at every time.
"""

import argparse
import os
import resource
import time
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np

import ntkinfo
from ntkinfo.kernels import neural_tangents

TARGETS = {"table": "target <= 3", "law": "target >= 3", "memory": "target <= 8"}


def timed(function):
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def peak_gib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def predict_per_time(kernels, y, taus, count):
    """Seconds of neural-tangents' mean and covariance on the test points at all times, from `count` of them; the last."""
    import jax.numpy as jnp

    nt = neural_tangents.load()
    blocks = [name + suffix for name in ("ntk", "nngp") for suffix in ("", "_test_train", "_test")]
    arrays = {name: jnp.asarray(getattr(kernels, name)) for name in blocks}

    class Pair:
        def __init__(self, ntk, nngp):
            self.ntk, self.nngp = ntk, nngp

        def _asdict(self):
            return {"ntk": self.ntk, "nngp": self.nngp}

    def kernel_fn(x1, x2, get):
        suffix = "_test_train" if x2 is not None else ("_test" if len(x1) != len(y) else "")
        chosen = {name: arrays[name + suffix] for name in ("ntk", "nngp")}
        return chosen[get] if isinstance(get, str) else Pair(**chosen)

    predict = nt.predict.gradient_descent_mse_ensemble(kernel_fn, jnp.zeros((len(y), 1)), jnp.asarray(y))
    x_test = jnp.ones((kernels.n_test, 1))

    def law(tau):
        t = float(ntkinfo.learning.neural_tangents_from_tau(tau, len(y)))
        return predict(t=t, x_test=x_test, get=("ntk",), compute_cov=True).ntk.covariance.block_until_ready()

    law(taus[0])  # its own eigendecomposition and compilation are not counted
    chosen = taus[np.linspace(0, len(taus) - 1, count).astype(int)]
    seconds, last = timed(lambda: [law(tau) for tau in chosen][-1])
    return seconds / count * len(taus), np.asarray(last)


def floor(ensemble, taus):
    """The per-time products alone, as one general matrix product each: (m × n)(n × n)."""
    rows, square = ensemble.test_modes[0].copy(), np.array(ensemble.nngp_modes)
    return timed(lambda: [rows @ square for _ in taus])[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--n-test", type=int, default=200)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--repetitions", type=int, default=3)
    a = parser.parse_args()
    data = ntkinfo.gaussian_task(a.n, a.n_test)
    with_omega = ntkinfo.kernels.dense(data.x_train, data.x_test)
    kernels = replace(with_omega, omega=None, omega_test_train=None, omega_test=None)
    taus = np.geomspace(1e-6, 1e12, a.times)
    before = peak_gib()
    rows: list[tuple[float, ...]] = []
    for _ in range(a.repetitions):
        eigh, _ = timed(lambda: np.linalg.eigh(kernels.ntk))
        fresh = ntkinfo.Ensemble(kernels, data.y_train)
        table, curve = timed(lambda e=fresh: ntkinfo.timeline(e, taus, y_test=data.y_test, progress=False))
        if not rows:
            memory = (peak_gib() - before) * 2**30 / (8 * a.n**2)
        default, few = timed(
            lambda: ntkinfo.timeline(ntkinfo.Ensemble(kernels, data.y_train), y_test=data.y_test, progress=False)
        )
        whole, all_columns = timed(
            lambda: ntkinfo.timeline(
                ntkinfo.Ensemble(with_omega, data.y_train), taus, y_test=data.y_test, progress=False
            )
        )
        law, _ = timed(lambda e=fresh: e.marginals(taus))
        full, _ = timed(lambda e=fresh: [batch for _, batch in e.laws(taus)])
        rows.append((eigh, table, default, whole, law, full, floor(fresh, taus)))
    eigh, table, default, whole, law, full, products = np.median(rows, axis=0)
    predict, last = predict_per_time(kernels, data.y_train, taus, 5)
    error = np.abs(last - fresh.law(taus[-1]).covariance).max()
    print(
        f"n = {a.n}, test points = {a.n_test}, times = {a.times}, medians of {a.repetitions}, {len(curve.columns)} columns"
    )
    print(f"one eigh of Θ                        {eigh:8.2f} s")
    print(f"per-time products (floor)            {products:8.2f} s   {products / eigh:6.2f} x eigh")
    print(f"whole table, with its eigh           {table:8.2f} s   {table / eigh:6.2f} x eigh   {TARGETS['table']}")
    print(
        f"default table, {few.tau.size:3d} times            {default:8.2f} s   {default / eigh:6.2f} x eigh   {TARGETS['table']}"
    )
    print(f"full table, {len(all_columns.columns)} columns           {whole:8.2f} s   {whole / eigh:6.2f} x eigh")
    print(f"law, variances, all times            {law:8.2f} s")
    print(f"law, full covariances, all times     {full:8.2f} s")
    print(f"neural-tangents predict, each time   {predict:8.2f} s   {predict / full:6.2f} x ours   {TARGETS['law']}")
    print(f"memory of the table, over the kernels {memory:7.2f} n² doubles   {TARGETS['memory']}")
    print(f"largest difference of the last covariance from neural-tangents': {error:.1e}")


if __name__ == "__main__":
    main()
