"""
A noisy network
===============

With noise in its layers a network has an I(X;T) that is finite and can be estimated with a guarantee; without noise the true one is that of the input,
and what binning gives is a measure of clustering.
"""

import deepnets

task = deepnets.icosahedral_task()
noisy = deepnets.Network((12, 10, 7, 5, 4, 3, 2), activation="tanh", noise_std=0.1)
run = deepnets.train(noisy, task, replicas=2, epochs=60, snapshots=6, learning_rate=0.002, progress=False)
plane = deepnets.information_plane(run, passes=2, snapshots=[0, 2, 4, 5], progress=False)
columns = ["epoch", "layer", "rate_bits", "rate_low_bits", "rate_high_bits", "relevance_bits", "accuracy"]
print(plane.summary()[columns].to_string())

# %%
# The estimate of one layer has a value, an interval, and says what kind of promise that is. Given x, the first layer is a Gaussian around its noiseless
# activations: only the entropy of a mixture of 4096 Gaussians is estimated. Deeper layers need several passes, which widen their intervals.

noiseless = run.activations(-1, replica=0)[0]
layer = deepnets.SmoothedPlugin(0.1).layer(noiseless, task.p_y_given_x)
print(layer.rate.describe("bits"))

# %%

ax = deepnets.plotting.plot_plane(plane)
