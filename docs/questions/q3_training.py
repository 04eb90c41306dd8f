"""
Batch size, diffusion, and weights without descent
==================================================
"""

# %%
# How do I choose the batch size?
# -------------------------------
# By the noise of the gradient: B_simple = tr Cov(g) / ‖E g‖², the batch at which noise and mean are equally large. Batches far below it buy little progress a step,
# batches far above it waste patterns. Once the first fit is over it grows, as the mean gradient falls:

import numpy as np

import deepnets

task = deepnets.icosahedral_task()
network = deepnets.Network((12, 10, 7, 5, 4, 3, 2), activation="tanh")
run = deepnets.train(network, task, replicas=4, epochs=120, snapshots=6, learning_rate=0.002, progress=False)
phases = deepnets.gradient_phases(run, progress=False)
last = phases.simple_noise_scale[:, :, -1]
for epoch, sizes in zip(phases.epochs, last.T, strict=True):
    print(f"epoch {epoch:3d}: B_simple of the last layer {np.median(sizes):9.1f} patterns")

# %%
# The slope of the log of the updates after which gradients pass from drift to diffusion in the log of the batch size; and how much of it is more than what the gradient noise of one
# and the same path, rescaled to the batch size, would give:

import ledger

ledger.show("shwartz_ziv_tishby_2017", "transition_against_batch", "slope, in epochs")
ledger.show("shwartz_ziv_tishby_2017", "transition_over_null", "more than by one path")
assert all(found.low < 0 < found.high for found in ledger.measured("shwartz_ziv_tishby_2017", "transition_over_null"))

# %%
# Is the diffusion phase there with full batches, and with dropout?
# ------------------------------------------------------------------
# With full batches there is no gradient noise, hence no diffusion; the binned compression is there all the same, and not smaller:

ledger.show("saxe_2018", "compression_full_batch", "compression of the last hidden layer")
ledger.show("saxe_2018", "full_batch_share", "as a share of that with minibatches")
assert all(found.low > 1 for found in ledger.measured("saxe_2018", "full_batch_share"))

# %%
# Dropout injects noise from the start, and compresses the last hidden layer less, not more:

ledger.show("shwartz_ziv_tishby_2017", "more_by_dropout_0_1", "more compression by dropout of 10 %")
ledger.show("shwartz_ziv_tishby_2017", "more_by_dropout_0_1_noise", "the same, estimated with added noise")
assert all(found.high < 0 for found in ledger.measured("shwartz_ziv_tishby_2017", "more_by_dropout_0_1"))

# %%
# And with second-order methods?
# ------------------------------
# What is called diffusion is a ratio, ‖mean of the minibatch gradients‖ to their standard deviation, that falls below one. It is a property of the loss at the weights,
# and whatever method comes near a minimum finds it, since the mean vanishes there and the spread over patterns does not. Here is a network trained by natural gradient
# (Gauss-Newton, damped), recorded as any training loop can be:

import tempfile

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

network = deepnets.Network((12, 6, 4, 2), activation="tanh", dtype="float64")
params = network.init(jax.random.key(0))
flat, unravel = ravel_pytree(params)
x, y, rng = np.asarray(task.x), np.asarray(task.y), np.random.default_rng(0)


def loss(theta, x, y):
    """Mean cross-entropy."""
    return -jnp.take_along_axis(jax.nn.log_softmax(network.apply(unravel(theta), x)), y[:, None], axis=1).mean()


@jax.jit
def step(theta, x, y, damping=1e-2):
    """One damped step, θ − (F + λ)⁻¹ g, and its gradient."""
    p = jax.nn.softmax(network.apply(unravel(theta), x))
    j = jax.jacobian(lambda t: network.apply(unravel(t), x))(theta)
    scaled = jnp.sqrt(p)[:, :, None] * (j - (p[:, :, None] * j).sum(axis=1, keepdims=True))
    fisher = jnp.einsum("nkp,nkq->pq", scaled, scaled) / len(x)
    g = jax.grad(loss)(theta, x, y)
    return theta - 0.3 * jnp.linalg.solve(fisher + damping * jnp.eye(len(theta)), g), g


recorder = deepnets.Recorder(tempfile.mkdtemp() + "/natural", task)
for epoch in range(1, 41):
    for batch in rng.permutation(4096).reshape(8, 512):
        flat, g = step(flat, x[batch], y[batch])
        recorder.batch(epoch, {f"w{i}": layer["w"] for i, layer in enumerate(unravel(g))}, 512)
    if epoch in (1, 2, 3, 5, 10, 20, 40):
        weights = {f"w{i}": layer["w"] for i, layer in enumerate(unravel(flat))}
        hidden = {f"hidden{i}": t for i, t in enumerate(network.hidden(unravel(flat), x), 1)}
        recorder.add(epoch, hidden | {"output": network.outputs_probability(unravel(flat), x)}, weights=weights)
natural = deepnets.gradient_phases(recorder.recorded())
for epoch, snr in zip(natural.epochs, natural.snr[0], strict=True):
    print(
        f"epoch {epoch:2d}: mean / deviation of the gradients, by layer: " + ", ".join(f"{value:.2f}" for value in snr)
    )
assert (natural.snr[0, 0] > natural.snr[0, -1]).all()

# %%
# Can weights be had without descent?
# -----------------------------------
# Of infinitely wide networks, yes: the law of the trained function is a formula, and no step is taken. Of finite ones, a random search finds them, at a price. After a short training, with the
# same number of forward passes, continued descent against Metropolis proposals at fixed loss:

from deepnets.relaxation import ContinueTraining, Metropolis, compare_relaxations, relax

start = deepnets.train(
    deepnets.Network((12, 5, 4, 2)), task, epochs=40, replicas=4, snapshots=[40], learning_rate=0.003, progress=False
)
found = [relax(start, method, snapshot=-1, budget=120, progress=False) for method in (ContinueTraining(), Metropolis())]
print(compare_relaxations(found).describe())
