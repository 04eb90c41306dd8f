"""
Reading a certificate
=====================

A solution carries an interval and a status. The interval is proven, the status says what came of the proof and which knob to turn.
"""

import numpy as np

import dualib

joint = dualib.examples.hamming(0.5, 4)  # 4 symbols, each kept with probability one half: the curve has jumps
problem = dualib.IB(joint)
solution = dualib.solve(problem, beta=8.955)
print(solution.lower_bound, "≤ F ≤", solution.objective, "nats")
print(solution.status)

# %%
# Where does it come from? With the partition sums z of *any* solution, G(r) = Σ p(x) e^{−βd(x,r)} / z_x over all decoders r bounds how much better another
# could be: objective − log max G ≤ F ≤ objective. Branch and bound finds a maximum of G that is proven; ``cells`` counts its cells.

print("cells:", solution.cells, "gap:", solution.gap)

# %%
# The proof judges anybody's encoder. Annealing, the usual algorithm, follows one solution through β and can be left behind at a jump. Here it starts at small β
# and goes up with the alternating equations alone:

p_x, rows = joint.p_x, joint.p_y_given_x
q = np.full((joint.n_x, joint.n_x), 1 / joint.n_x) + 1e-3 * np.random.default_rng(0).random((joint.n_x, joint.n_x))
for beta in np.linspace(1, 8.955, 100):
    for _ in range(50):
        q /= q.sum(axis=1, keepdims=True)
        p_t = p_x @ q
        decoder = (q * p_x[:, None]).T @ rows / p_t[:, None]
        divergence = (rows[:, None, :] * np.log(rows[:, None, :] / decoder)).sum(axis=-1)
        q = p_t * np.exp(-beta * divergence)
q /= q.sum(axis=1, keepdims=True)
judged = dualib.verify(problem, 8.955, q)
print(judged.describe("nats"))

# %%
# When a proof falls short, the point is still the best that was found, the lower bound is still proven, and the status says why. With a limit of ten cells:

short = dualib.solve(problem, beta=8.955, certify=dualib.Certify(max_cells=10))
print(short.gap, "|", short.status)
assert short.lower_bound <= solution.objective
