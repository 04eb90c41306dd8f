"""Clusters so light that Φ, whose rounding is absolute, hardly knows them: G does, and a proof needs it to be 1 there."""

import numpy as np
import pytest

from dualib import IB, Certify, Joint, information_curve, local_critical_beta, solve
from dualib.solvers.iterate import evaluate

# One x of next to no probability.
RARE = {
    "three labels": [
        [5.70746348e-09, 4.19824947e-09, 3.44178189e-09],
        [1.97091515e-03, 2.90513641e-01, 7.07515431e-01],
    ],
    "a label nearly without the x": [
        [1.81056214e-10, 1.01308894e-08, 4.98959328e-17],
        [9.00611466e-01, 4.65797079e-04, 9.89227270e-02],
    ],
}
# β just above a first-order transition, a little below the local one: (joint, β / local critical β).
FIRST_ORDER = {
    "three rows": (
        [
            [2.37767698e-07, 6.08834753e-04, 2.61676059e-04, 3.13624773e-01],
            [2.12064072e-01, 2.34716910e-02, 6.47728945e-07, 8.04248773e-02],
            [7.44592925e-05, 4.53502623e-02, 3.09353091e-01, 1.47653771e-02],
        ],
        1.1481488544217533,
    ),
    "with zeros": (
        [
            [7.44459959e-03, 4.53682975e-04, 1.03476407e-04, 6.04089853e-03],
            [0.0, 0.0, 7.86703680e-02, 3.66340903e-01],
            [2.18294370e-02, 6.62555711e-03, 9.14837175e-03, 1.83115356e-02],
            [4.85031170e-01, 0.0, 0.0, 0.0],
        ],
        1.0666770717704062,
    ),
}


@pytest.mark.parametrize("name", RARE)
def test_every_point_of_a_rare_x_is_proven(name):
    """Φ is 1e-7 nats, its rounding 1e-16 as ever: steps that it hides are taken, and G is 1 at the light cluster, too."""
    table = np.array(RARE[name])
    curve = information_curve(IB(Joint(table / table.sum())), progress=False)
    assert curve.certified.all()
    for solution in curve.solutions:
        it = evaluate(solution.problem.reduced, solution.beta, solution.p_t, solution.p_y_given_t)
        assert np.abs(it.dual.log(it.atoms)).max() < 3e-10


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_an_atom_that_takes_less_than_rounding_from_the_objective_is_added_for_the_proof(name):
    table, beta = FIRST_ORDER[name]
    problem = IB(Joint(np.array(table) / np.sum(table)))
    assert beta < local_critical_beta(problem)
    solution = solve(problem, beta)
    assert solution.n_clusters == 2
    assert 0.0 < solution.p_t[1] < 1e-6
    assert solution.certified
    assert solution.gap < 0.5 * Certify().tolerance
    one = solve(problem, beta, certify=False)
    assert abs(one.objective - solution.objective) < 1e-14
