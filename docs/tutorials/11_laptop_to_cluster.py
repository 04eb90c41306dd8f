"""
From a laptop to a cluster
==========================

Long work is kept as it comes, goes on after an interruption to the same bits, and is spread over whatever executor there is.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

import dualib

out = Path(tempfile.mkdtemp()) / "toy"
problem = dualib.IB(dualib.examples.toy())
betas = np.geomspace(3, 60, 12)

# %%
# The first points, as they come; then somebody presses Ctrl-C.

for solution in islice(dualib.curve_points(problem, betas, out=out), 3):
    print(f"β = {solution.beta:.2f}: {solution.n_clusters} clusters, gap {solution.gap:.0e}")

# %%
# The same call goes on with what is there. ``executor`` is any ``concurrent.futures.Executor``: processes of one machine, or a cluster's
# ``client.get_executor()`` of dask (``pip install "ntk-dualib[cluster]"``), MPI's ``MPIPoolExecutor``, …

with ThreadPoolExecutor(2) as pool:
    curve = dualib.information_curve(problem, betas, out=out, progress=False, executor=pool)
alone = dualib.information_curve(problem, betas, progress=False)
assert (curve.objective == alone.objective).all()
print("the same bits with and without the pool")

# %%
# A directory belongs to its settings. Others are refused, by name:

try:
    dualib.information_curve(dualib.IB(dualib.examples.hamming(0.3, 4)), betas, out=out, progress=False)
except ValueError as error:
    print(error)

# %%
# Networks are trained the same way, ``deepnets.train(…, out="runs/szt")``, and the replicas of one run go to several devices by themselves.
# A job script needs no more than the command: ``dualib curve joint.csv --out results/mine`` once more is all that a requeued job does.
