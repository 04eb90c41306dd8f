"""
My torch network in the information plane
=========================================

Two lines in the training loop record a network of any framework; beside it they take ``pip install ".[plot]"`` alone, no JAX. Without torch this page says so, and shows the same two lines around a network that is
trained in numpy.
"""

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np

import deepnets

task = deepnets.two_gaussians_task(300, x_dim=4, seed=0)
folder = Path(tempfile.mkdtemp()) / "run"
recorder = deepnets.Recorder(folder, task)
EPOCHS, SNAPSHOTS = 40, (1, 2, 4, 8, 16, 25, 40)

try:
    import torch
except ImportError:
    torch = None
    print("torch is not installed: what follows was recorded by the numpy loop below")

# %%
# In torch, ``follow_torch`` finds the layers and is called once at every epoch that is to be seen:


def train_in_torch(replica):
    """Cross-entropy, Adam, minibatches of 50."""
    torch.manual_seed(replica)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2)
    )
    x, y = torch.tensor(task.x, dtype=torch.float32), torch.tensor(task.y)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    follow = deepnets.recordings.follow_torch(recorder, model, x, replica=replica)  # the first line
    for epoch in range(1, EPOCHS + 1):
        for batch in torch.randperm(300).split(50):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimiser.step()
        if epoch in SNAPSHOTS:
            follow(epoch)  # the second line


# %%
# Anything else hands over its activations, as arrays:


def train_in_numpy(replica):
    """The same network by hand: full-batch gradient descent."""
    rng = np.random.default_rng(replica)
    sizes = (4, 6, 3, 2)
    weights = [rng.normal(0, a**-0.5, (a, b)) for a, b in pairwise(sizes)]
    for epoch in range(1, EPOCHS + 1):
        for _ in range(6):
            h1 = np.tanh(task.x @ weights[0])
            h2 = np.tanh(h1 @ weights[1])
            p = np.exp(h2 @ weights[2])
            p /= p.sum(axis=1, keepdims=True)
            d3 = (p - np.eye(2)[task.y]) / len(p)
            d2 = (d3 @ weights[2].T) * (1 - h2**2)
            d1 = (d2 @ weights[1].T) * (1 - h1**2)
            for w, below, delta in zip(weights, (task.x, h1, h2), (d1, d2, d3), strict=True):
                w -= 0.5 * below.T @ delta
        if epoch in SNAPSHOTS:
            recorder.add(epoch, {"hidden1": h1, "hidden2": h2, "output": p}, replica=replica)


for replica in range(4):
    train_in_torch(replica) if torch else train_in_numpy(replica)

# %%
# What was recorded is read like any run of ``deepnets``. The patterns are a sample, so that intervals cover that, too; and the plane says what its estimates
# do not measure.

recorded = deepnets.Recorded.load(folder)
plane = deepnets.information_plane(recorded, deepnets.Binning(6, sampled=True), progress=False)
columns = ["epoch", "layer", "rate_bits", "rate_low_bits", "rate_high_bits", "relevance_bits"]
print(plane.summary()[columns].to_string())
for warning in plane.warnings:
    print("-", warning)

# %%

ax = deepnets.plotting.plot_plane(plane)
