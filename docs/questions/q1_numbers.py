"""
Units, bins, infinities, and which KL
=====================================
"""

# %%
# Is β in bits or in nats?
# ------------------------
# β has no unit: it multiplies an information and is compared with one, F = I(X;T) + β E d. That holds as long as both are in the same unit. Where a program
# computes one of them in bits and the other in nats, its β is off by ln 2 = 0.693, and its clusters are those of another β:

import numpy as np

import dualib

problem = dualib.IB(dualib.examples.toy())
for beta in (30.0, 30.0 * np.log(2)):
    point = dualib.solve(problem, beta)
    print(
        f"β = {beta:.2f}: {point.n_clusters} clusters, I(X;T) = {point.rate:.4f} nats, I(T;Y) = {point.relevance:.5f} nats"
    )

# %%
# Is I(X;T) of my network infinite?
# ---------------------------------
# Of a deterministic network with a continuous X it is, and with a discrete X it is H(X), whatever was learnt, as long as no two patterns have exactly equal activations.
# What binning estimates is the entropy of the cells, which measures how much the activations cluster, and grows with the number of cells up to H(X). One untrained layer,
# three tanh units, 4096 patterns of 12 bits:

import deepnets

task = deepnets.icosahedral_task()
t = np.tanh(task.x @ np.random.default_rng(0).normal(0, 12**-0.5, (12, 3)))
for bins in (5, 10, 30, 100, 1000, 100_000):
    rate = deepnets.Binning(bins).layer(t, task.p_y_given_x).rate
    print(f"{bins:6d} edges: {rate.to(dualib.core.units.Unit.BITS).value:.3f} bits")
print("patterns that can be told apart:", len(np.unique(t, axis=0)), "of 4096")

# %%
# Which binning is right?
# -----------------------
# None: the estimate depends on the cells, and on invertible maps of the layer, which leave the information where it is. The ledger measures in trained
# networks, in bits, how much more a map changes the estimate than other cells, or other noise, do: nothing that is seen beside the edges, and clearly where noise is added:

import ledger

ledger.show("shwartz_ziv_tishby_2017", "changed_by_map", "changed by an invertible map, less by moved edges")
ledger.show("shwartz_ziv_tishby_2017", "changed_by_map_noise", "with noise added, less by other noise")

# %%
# What is invariant, finite and can be estimated with a guarantee is I(X;T) of a network with noise: see the tutorial of the noisy network.
#
# Which KL divergence?
# --------------------
# IB measures the distortion by D(p(y|x) ‖ r), dualIB by D(r ‖ p(y|x)). The best decoder of a cluster is the arithmetic mean of its rows in the first case, and
# the geometric one, normalised, in the second. The dual is infinite where p(y|x) = 0, and is refused there with that remedy:

rows = np.array([[0.9, 0.1], [0.5, 0.5]])
geometric = np.sqrt(rows[0] * rows[1])
print("arithmetic:", rows.mean(axis=0), "geometric:", geometric / geometric.sum())
try:
    dualib.DualIB(dualib.Joint([[0.5, 0.0], [0.1, 0.4]]))
except ValueError as error:
    print(error)

# %%
# In the plane the two hardly differ: of the toy joint of Piran et al. the dual lies at most this far below IB, with I(X;Y) = 0.177 bits.

ledger.show("piran_2020", "gap_largest", "largest gap")

# %%
# Does the Gibbs form reach the bound?
# ------------------------------------
# An encoder q(t|x) ∝ p(t) exp(−β d(x, r_t)) with decoders that fit it is a *stationary point*. Being one does not make it the optimum. On the symmetric channel of four
# symbols, no clusters at all solve the equations exactly, at a β where the optimum is far from that:

problem = dualib.IB(dualib.examples.hamming(0.5, 4))
one_cluster = np.ones((4, 1))
judged = dualib.verify(problem, 8.955, one_cluster)
print(judged.describe("nats"))
assert judged.refuted

# %%
# On random joints the alternating iteration ends above the optimum in this share of the cases:

ledger.show("piran_2020", "stuck_moving", "share that is stuck")
