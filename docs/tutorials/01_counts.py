"""
The IB and dualIB curve of my counts
====================================

A table of counts becomes a joint distribution, the joint a curve, each point of the curve an interval that is proven to hold the optimum.
"""

import dualib

counts = [  # hair (rows) and eye colour of 592 students: Snee (1974), The American Statistician 28
    [68, 20, 15, 5],  # black
    [119, 84, 54, 29],  # brown
    [26, 17, 14, 14],  # red
    [7, 94, 10, 16],  # blond
]
joint = dualib.Joint.from_counts(counts, ["black", "brown", "red", "blond"], ["brown", "blue", "hazel", "green"])
print(joint)

# %%
# ``Joint.from_csv`` reads such a table from a file, ``Joint.from_samples`` counts pairs, and the command ``dualib curve table.csv`` does the rest
# of this page. Both bottlenecks minimise a rate plus β times a distortion; they differ in the order of the arguments of one KL divergence:
#
# .. math:: F(β) = \min I(X;T) + β \, E \, d(x, r_T), \qquad d_{IB} = D(p_x ‖ r), \quad d_{dual} = D(r ‖ p_x).
#
# β is in nats per nat, and everything that is printed or drawn is in bits unless ``units="nats"`` says otherwise.

ib = dualib.information_curve(dualib.IB(joint), progress=False)
dual = dualib.information_curve(dualib.DualIB(joint), progress=False)
print(ib.to_frame().iloc[::30, :8].to_string())

# %%
# In the information plane the dual's curve lies under that of IB: IB's is the frontier. The inset has the distance between the two.

ax = dualib.plot_information_plane([ib, dual])

# %%
# How good is a point? ``gap`` is the proven width, in nats: the optimum lies between ``objective - gap`` and ``objective``.

print("largest gap of IB:", ib.gap.max(), "nats; of the dual:", dual.gap.max(), "nats")
assert max(ib.gap.max(), dual.gap.max()) < 1e-8

# %%
# Between the computed points the curve is known by bounds as well. Of all codes of 0.05 bits, how much do the best ones know of the eyes?

bits = 0.6931471805599453  # nats
point = ib.at_rate(0.05 * bits)
print(f"between {point.relevance / bits:.6f} and {point.relevance_bound / bits:.6f} bits")
