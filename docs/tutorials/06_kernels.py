"""
My kernels
==========

Kernels that were computed elsewhere, by whatever program, are all that is needed: two matrices on the training points, and two blocks for test points.
No JAX is loaded.
"""

import numpy as np

import ntkinfo

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-2, 2, 30))
x_test = np.linspace(-2, 2, 50)


def gaussian(a, b):
    """A kernel as good as any: features of a random Fourier series."""
    return np.exp(-0.5 * np.subtract.outer(a, b) ** 2 / 0.3**2)


nngp, nngp_cross, nngp_test = gaussian(x, x), gaussian(x_test, x), gaussian(x_test, x_test)
kernels = ntkinfo.Kernels(  # a linear model: the tangent kernel is the covariance of the start
    ntk=nngp, nngp=nngp,
    ntk_test_train=nngp_cross, nngp_test_train=nngp_cross,
    ntk_test=nngp_test, nngp_test=nngp_test,
)  # fmt: skip
y = np.sin(3 * x) + 0.1 * rng.standard_normal(30)
ensemble = ntkinfo.Ensemble(kernels, y)

# %%
# The law of the outputs at any time; τ belongs to the loss ½‖f − y‖², a sum over points.

mean, covariance = ensemble.law(tau=10.0)
print(mean.shape, covariance.shape)

# %%
# What of the table needs test labels is left out until they are given.

timeline = ntkinfo.timeline(ensemble, y_test=np.sin(3 * x_test), label_noise=0.01, progress=False)
print(timeline.table("data"))

# %%
# Which eigenmode of the kernel contributes what, at one time:

modes = ntkinfo.mode_table(ensemble, 10.0)
figure = ntkinfo.plotting.plot_mode_table(modes)

# %%
# For a linear model the information in the parameters is exact, and no more than the labels can fill: it is bounded by what each mode has learnt.

print(ntkinfo.quantities.parameter_kl(ensemble, 10.0), "nats")
