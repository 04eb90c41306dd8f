"""Products of test rows with K among the modes, of few times, against those of every time; the law at many times against each alone."""

import numpy as np
import pytest

import ntkinfo
from ntkinfo import half_products as module
from ntkinfo.half_products import half_products


@pytest.mark.parametrize("n", [module._LEAST, module._LEAST + 1, 300])
@pytest.mark.parametrize("n_times", [1, 7, 60])
def test_products_are_those_of_every_time_alone(n, n_times):
    rng = np.random.default_rng(n + n_times)
    matrix, rows, rates = rng.standard_normal((n, n)), rng.standard_normal((5, n)), np.geomspace(1e-6, 1e3, n)
    matrix = matrix @ matrix.T
    times = np.geomspace(1e-4, 1e7, n_times)
    responses = -np.expm1(-times[:, None] * rates) / rates
    half = np.triu(matrix) - 0.5 * np.diag(np.diagonal(matrix))
    for where, found in half_products(rows, matrix, responses):
        expected = (rows[where] * responses[:, None]) @ half
        size = np.linalg.norm(expected, axis=-1, keepdims=True)
        assert np.abs(found - expected).max() <= 1e-13 * size.max()
        assert (np.abs(found - expected) <= 1e-12 * size).all()


@pytest.mark.parametrize("most", [1, 20, 10**6])
def test_groups_of_any_number_of_modes_give_the_same(monkeypatch, most):
    rng = np.random.default_rng(3)
    matrix, rows, rates = rng.standard_normal((300, 300)), rng.standard_normal((5, 300)), np.geomspace(1e-6, 1e3, 300)
    matrix = matrix @ matrix.T
    responses = -np.expm1(-np.geomspace(1e-4, 1e7, 40)[:, None] * rates) / rates
    monkeypatch.setattr(module, "batch_size", lambda n: 10**9)  # all rows at once
    ((_, expected),) = half_products(rows, matrix, responses)
    size = np.linalg.norm(expected, axis=-1).max()
    monkeypatch.setattr(module, "_MOST", most)
    monkeypatch.setattr(module, "_LEAST", min(module._LEAST, most))
    groups = module._groups(responses, np.ones(300))
    assert max(group.modes.stop - group.modes.start for group in groups) <= most
    ((_, found),) = half_products(rows, matrix, responses)
    assert np.abs(found - expected).max() <= 1e-13 * size


def test_many_times_take_the_products_of_a_few():
    rates, n_times = np.geomspace(1e-3, 1e3, 512), 400
    responses = -np.expm1(-np.geomspace(1e-5, 1e5, n_times)[:, None] * rates) / rates
    groups = module._groups(responses, rates)
    assert all(len(group.pivots) < 0.1 * n_times for group in groups)


def test_times_at_which_nothing_moves_and_rows_in_pieces(monkeypatch):
    rng = np.random.default_rng(0)
    rows, matrix = rng.standard_normal((4, 6)), np.eye(6)
    responses = np.vstack([np.zeros(6), np.ones(6)])
    monkeypatch.setattr(module, "batch_size", lambda n: 1)
    parts = list(half_products(rows, matrix, responses))
    assert [where for where, _ in parts] == [slice(i, i + 1) for i in range(4)]
    for where, found in parts:
        np.testing.assert_allclose(found, np.stack([0 * rows[where], 0.5 * rows[where]]).reshape(found.shape))


def test_laws_of_many_times_are_those_of_each_alone_to_the_last_digits():
    data = ntkinfo.gaussian_task(150, 12, x_dim=4)
    ensemble = ntkinfo.Ensemble(ntkinfo.kernels.dense(data.x_train, data.x_test), data.y_train)
    taus = np.geomspace(1e-4, 1e8, 80)
    mean, variance = (np.empty((80, 12)) for _ in range(2))
    for where, law in ensemble.laws(taus):
        mean[where], variance[where] = law.mean[..., 0], law.variance
    for t in range(0, 80, 9):
        alone = ensemble.law(taus[t])
        assert alone.rounding is not None
        assert (np.abs(mean[t] - alone.mean[:, 0]) <= alone.rounding.mean[:, 0]).all()
        assert (np.abs(variance[t] - alone.variance) <= alone.rounding.variance).all()
    np.testing.assert_allclose(ensemble.marginals(taus).variance, variance, rtol=1e-9)
