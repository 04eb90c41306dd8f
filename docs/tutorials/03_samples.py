"""
My samples: what do they support?
=================================

A curve computed from samples is that of the empirical joint, whose information is too high. Two questions follow: how uncertain is the curve, and up to
which β do the data support it?
"""

import numpy as np

import dualib

rng = np.random.default_rng(0)
truth = dualib.examples.toy()
flat = rng.choice(truth.p_xy.size, size=400, p=truth.p_xy.ravel())
x, y = np.unravel_index(flat, truth.p_xy.shape)
joint = dualib.Joint.from_samples(x, y)
print(joint, "against", truth.mutual_information(), "nats in truth")

# %%
# The bootstrap gives bands for the whole curve, and the bias that is taken off.

betas = np.geomspace(2, 60, 20)
sampled = dualib.bootstrap_curve(joint, betas, n_bootstrap=40, progress=False)
held_out = dualib.held_out_relevance(joint, betas, progress=False)
ax = dualib.plotting.plot_samples(sampled, held_out)

# %%
# Encoders learnt on four fifths of the samples are judged on the last fifth. Beyond ``best_beta`` more bits of rate no longer predict better; the
# simplest choice within one standard error of it is what one would report.

print("best β:", held_out.best_beta)
print(
    "simplest within a standard error: β",
    held_out.one_standard_error_beta,
    "with",
    held_out.one_standard_error_clusters,
    "clusters",
)
