"""
My infinite network
===================

An ensemble of infinitely wide networks is a Gaussian process at every training time, and its informations follow from two kernels.
"""

import dualib
import ntkinfo

data = ntkinfo.gaussian_task(n_train=60, n_test=100, seed=0)
network = ntkinfo.mlp(hidden_layers=2, activation="erf", w_std=1.5, b_std=0.1)
kernels = ntkinfo.Kernels.compute(network.kernel_fn, data.x_train, data.x_test)
ensemble = ntkinfo.Ensemble(kernels, data.y_train)
timeline = ntkinfo.timeline(ensemble, y_test=data.y_test, entropy_y=data.entropy_y, progress=False)
print(timeline.table("inputs"))

# %%
# Each column says what it is: exact or which bound, of what, and under which assumption.

print(timeline.describe("inputs"))

# %%
# The longer it is trained, the more of its input an output holds: nothing is compressed here. How near it comes to the exact Gaussian bottleneck of the
# task is seen in the plane.


ax = dualib.plot_information_plane([timeline, data.gaussian_ib])

# %%
# The loss on the same times: stopping early is a choice of a point of that path.

losses = ntkinfo.plotting.plot_loss(timeline)

# %%
# The same as a command, for the data in ``my.npz``: ``ntkinfo timeline --task my.npz --depth 2 --activation erf --out results/ntk``.
