"""Decimal arithmetic: what floating point gives where that is exact enough, and what it loses where it is not."""

from decimal import Decimal, localcontext

import numpy as np

from papers.experiments.exact import lost_bits, tanh


def test_patterns_that_meet_in_floating_point_stay_apart_in_more_digits():
    x = np.array([[20.0], [21.0], [22.0], [22.0]])
    one, zero = [np.ones((1, 1))], [np.zeros(1)]
    assert len(np.unique(np.tanh(x))) == 1  # 1 − tanh(20) = 8e-18
    np.testing.assert_allclose(lost_bits(one * 3, zero * 3, x, 60), 0.5)  # the last two are the same
    np.testing.assert_allclose(lost_bits(one, zero, x, 10), 2.0)


def test_the_layers_are_those_of_the_network():
    rng = np.random.default_rng(0)
    w, b, x = rng.normal(size=(3, 2)), rng.normal(size=2), rng.normal(size=(5, 3))
    with localcontext() as context:
        context.prec = 40
        first = [[float(tanh(Decimal(float(v)))) for v in row] for row in x @ w + b]
    np.testing.assert_allclose(first, np.tanh(x @ w + b), rtol=1e-14)
    np.testing.assert_allclose(lost_bits([w], [b], x, 40), 0.0, atol=1e-12)
