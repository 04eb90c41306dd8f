"""
Random layers, and covers of hypothesis classes
===============================================
"""

# %%
# Why do the first layers of a random network hold the most information about label and input?
# --------------------------------------------------------------------------------------------
# Because every layer is computed from the one before, and information can only be lost: I(X;T) and I(T;Y) fall along the layers of *any* network, before training most
# visibly, since nothing has been done about it. A random first layer of ten units still tells nearly all 4096 patterns apart, and with them their labels; the last
# layers have two or three units in which many patterns share a cell:

import numpy as np

import deepnets

task = deepnets.icosahedral_task()
network = deepnets.Network((12, 10, 7, 5, 4, 3, 2), activation="tanh")
run = deepnets.train(network, task, replicas=8, epochs=1, snapshots=[0, 1], progress=False)
plane = deepnets.information_plane(run, snapshots=[0], progress=False)
print(plane.summary()[["layer", "rate_bits", "relevance_bits"]].to_string())
rate, relevance = plane.medians("bits")
assert (np.diff(rate[0]) <= 0).all()
assert (np.diff(relevance[0]) <= 0).all()

# %%

ax = deepnets.plotting.plot_plane(plane)

# %%
# The ledger finds both rates falling along the layers in this share of the networks, before training:

import ledger

ledger.show("shwartz_ziv_tishby_2017", "path_rate", "I(X;T) falls layer by layer")
ledger.show("shwartz_ziv_tishby_2017", "path_relevance", "I(T;Y) falls layer by layer")

# %%
# What is the ε-cover of a hypothesis class, and what takes its place?
# --------------------------------------------------------------------
# The classical bound on the gap between training and test error counts hypotheses: a class H is replaced by a finite set that comes within ε of each of its members, its
# ε-cover, and the gap is at most √((log|H_ε| + log 1/δ) / 2m) with probability 1 − δ. A class of d parameters has a cover of about (1/ε)^d members, which says nothing for
# networks with more parameters than samples. The proposal of Shwartz-Ziv & Tishby is to count what the representation tells apart: all labellings of its
# 2^I(X;T) typical cells, log|H| ≈ 2^I(X;T), so that k bits of compression are worth 2^k times the samples.
#
# For cells that are fixed *before* the sample that is a theorem (``finite_cells``). For learnt ones it is a heuristic, since they have seen the sample (``input_compression``):

from ntkinfo import bounds

m = 3276  # 80 % of the patterns
for bits in (2, 4, 6, 8, 10):
    heuristic = bounds.input_compression(bits * np.log(2), m)
    theorem = bounds.finite_cells(2**bits, m)
    print(f"I(X;T) = {bits:2d} bits: heuristic {heuristic.value:.3f}, cells fixed beforehand {theorem.value:.3f}")

# %%
# Against the measured gaps of trained networks, the squared gap stays within the bound in this share of the cases (the interval is over networks and layers):

ledger.show("shwartz_ziv_tishby_2017", "gap_within_bound", "gap within the bound")
