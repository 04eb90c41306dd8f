"""Searches whose maxima lie next to a face of the simplex, at large β: a floor of their tangents, and boxes beside simplices."""

import numpy as np
import pytest

from dualib import DualIB, Joint, solve
from dualib.certificate.search import search_maximum
from dualib.solvers.iterate import evaluate

NEAR_A_FACE = [
    [1.3466799689695509e-02, 7.1343665206777670e-03, 6.7199098370672894e-02],
    [2.8423059646589883e-02, 2.3610398969286275e-15, 2.7250143203889167e-04],
    [1.1619971506565790e-01, 5.7130718697076942e-02, 4.1394420242321851e-02],
    [2.7808412564509674e-06, 1.9128437681918912e-06, 6.5182347685550346e-01],
    [4.6837800578932237e-08, 1.0004446382435407e-06, 1.6950102512299146e-02],
]
ROWS_NEAR_FACES = [
    [1.25321909e-12, 1.53602260e-03, 8.91846053e-01, 1.06617924e-01],
    [1.41022578e-12, 2.74547997e-02, 6.29375456e-01, 3.43169745e-01],
    [1.73556509e-01, 4.21708286e-16, 4.81466135e-02, 7.78296878e-01],
    [2.53516812e-11, 1.00000000e00, 1.59576217e-12, 1.61724083e-12],
    [2.56459715e-01, 2.38127728e-01, 1.44952410e-11, 5.05412557e-01],
    [3.30212986e-04, 6.98214527e-02, 4.77473724e-01, 4.52374610e-01],
]


@pytest.mark.parametrize("beta", [50.0, 462.4, 1428.4, 2e4])
def test_tangents_stand_where_the_atoms_are(beta):
    """A cluster has r = 8e-14: a tangent at 1e-12 would leave β 1e-12 nats however small the cell, at any number of cells."""
    table = np.array(NEAR_A_FACE)
    solution = solve(DualIB(Joint(table / table.sum())), beta, certify=False)
    assert solution.p_y_given_t.min() < 1e-13
    it = evaluate(solution.problem.reduced, beta, solution.p_t, solution.p_y_given_t)
    found = search_maximum(it.dual, it.atoms, 3e-10, 5000)
    assert found.complete
    assert found.upper < 1e-10


def test_simplices_are_tried_before_boxes_have_spent_all_their_work():
    """With four labels boxes come first; here they leave a gap after 1e8 entries that simplices close with 3e4 cells."""
    rows = np.array(ROWS_NEAR_FACES)
    joint = Joint.from_conditional(np.full(6, 1 / 6), rows / rows.sum(axis=1, keepdims=True))
    solution = solve(DualIB(joint), 1000.0)
    assert solution.certified
    assert solution.work < 1e7
