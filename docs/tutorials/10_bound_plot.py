"""
A bound plot for a paper
========================

Figures are a column wide, 3.4 inches, with labels of 8 points; two columns are 7 inches. What is saved as PDF goes into a paper without scaling.
"""

import tempfile
from pathlib import Path

import ntkinfo
from dualib.core.figure import COLUMN

data = ntkinfo.gaussian_task(n_train=60, n_test=400, seed=0)
network = ntkinfo.mlp(hidden_layers=1, activation="erf", w_std=1.2, b_std=0.3)
kernels = ntkinfo.Kernels.compute(network.kernel_fn, data.x_train, data.x_test)
bounds = ntkinfo.generalisation_bounds(ntkinfo.Ensemble(kernels, data.y_train), y_test=data.y_test)
print(bounds.to_frame().iloc[:, :6].to_string())

# %%
# Every bound has its assumptions, and a flag where it says nothing.

print(bounds.describe())

# %%

ax = ntkinfo.plotting.plot_bounds(bounds)
path = Path(tempfile.mkdtemp()) / "bounds.pdf"
ax.figure.savefig(path)
print(ax.figure.get_size_inches()[0] == COLUMN, path.stat().st_size, "bytes")

# %%
# All functions that draw take ``ax=``: panels of your own figure, in your own size. Colours are those of Okabe and Ito, which the colour-blind can tell apart,
# and belong to the same thing everywhere.

from matplotlib.figure import Figure

figure = Figure(figsize=(7, 2.7), layout="constrained")
left, right = figure.subplots(1, 2)
ntkinfo.plotting.plot_bounds(bounds, ax=left)
timeline = ntkinfo.timeline(ntkinfo.Ensemble(kernels, data.y_train), y_test=data.y_test, progress=False)
ntkinfo.plotting.plot_loss(timeline, ax=right)
