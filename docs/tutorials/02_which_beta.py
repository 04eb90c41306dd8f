"""
Which β, and how many clusters?
===============================

The bottleneck changes at certain β only: there a cluster is born. Between two births the number of clusters stays what it is.
"""

import dualib

joint = dualib.examples.toy()  # of Piran, Shwartz-Ziv & Tishby (2020): five x, two y
problem = dualib.DualIB(joint)

# %%
# The textbook criterion, an eigenvalue, gives where the trivial solution stops being *locally* optimal. The true first transition comes no later, and
# is bracketed by proof:

print("local:", dualib.local_critical_beta(problem))
first = dualib.first_transition(problem)
print("proven:", first.lower, "≤ β ≤", first.upper)

# %%
# Later transitions are births of clusters that have no weight and stand at a distance: no eigenvalue shows them.

curve = dualib.information_curve(problem, progress=False)
for transition in curve.transitions:
    born = "a cluster without weight at a distance" if transition.birth else "a split"
    print(f"β = {transition.beta:.4f}: {transition.n_before} → {transition.n_after} clusters, {born}")

# %%
# The bifurcation diagram: p(y|t) of each cluster against β, its width the weight p(t).

ax = dualib.plot_bifurcation(curve)

# %%
# To ask for a rate or a relevance instead of a β is to solve for the β, which comes as an interval:

point = dualib.solve_at(problem, relevance=0.08)  # nats
print(point.describe())

# %%
# With hard clusters the same question has a finite answer: every number of clusters, and how far below the curve its best partition lies.

front = dualib.hard_front(joint)
print(front.to_frame().to_string())
