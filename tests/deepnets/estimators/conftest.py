"""Gaussian mixtures whose informations quadrature knows."""

import numpy as np
import pytest


def make_mixture(index):
    """Centres (n, d), label rows, weights and σ: 1 and 2 dimensions, 2 to 40 centres, near and far, sharp and soft labels."""
    rng = np.random.default_rng(1000 + index)
    n, d = (2, 3, 5, 8, 16, 40)[index % 6], 1 + index % 2
    centres = rng.normal(size=(n, d)) * (0.5, 1.0, 2.0, 4.0)[index % 4]
    weights = rng.dirichlet(np.ones(n)) if index % 3 else np.full(n, 1 / n)
    rows = rng.dirichlet(np.full(3, 0.3), n) if index % 5 else np.eye(2)[rng.integers(0, 2, n)]
    return centres, rows, weights, (0.3, 0.6, 1.0)[index % 3]


@pytest.fixture(params=range(24), scope="session")
def mixture(request):
    return make_mixture(request.param)


@pytest.fixture(scope="session")
def mixtures():
    return [make_mixture(index) for index in range(24)]


@pytest.fixture(scope="session")
def layer():
    """300 patterns, 4 units, labels that depend on the first."""
    rng = np.random.default_rng(7)
    t = np.tanh(1.5 * rng.normal(size=(300, 4)))
    p = 1.0 / (1.0 + np.exp(-3.0 * t[:, 0]))
    return t, np.column_stack([1 - p, p])
