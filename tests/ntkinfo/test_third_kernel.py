"""The information in the parameters at infinite width: noted values, quadrature, limits, the linear case."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

import ntkinfo
from ntkinfo import quantities
from ntkinfo.quantities.third_kernel import infinite_width_terms, parameter_kl_infinite_width

X, XT = np.random.default_rng(5).standard_normal((4, 3)), np.random.default_rng(6).standard_normal((3, 3))
Y = np.array([0.8, -0.5, 0.3, -1.0])
SETTINGS_WITHOUT_A_FORMULA = (
    {"ridge": 0.1},
    {"mode": "nngp"},
    {"centred": True},
    {"learning_rule": ntkinfo.GradientDescent(0.01)},
)


def kernels_of(x, x_test=None, hidden_layers=1, w_std=1.2, b_std=0.3):
    """Kernels of an erf network, with their Ω."""
    return ntkinfo.kernels.dense(x, x_test, hidden_layers=hidden_layers, w_std=w_std, b_std=b_std)


def test_the_noted_case_has_its_three_values():
    ensemble = ntkinfo.Ensemble(kernels_of(X), Y)
    assert quantities.parameter_kl_infinite_width(ensemble, 1.5) == pytest.approx(9.687, abs=5e-4)
    assert quantities.parameter_kl(ensemble, 1.5) == pytest.approx(8.093, abs=5e-4)
    assert quantities.parameter_kl_published(ensemble, 1.5) == pytest.approx(11.970, abs=5e-4)


@pytest.mark.parametrize("tau", [1e-6, 1e-3, 0.1, 1.5, 40.0])
@pytest.mark.parametrize("outputs", [1, 2])
def test_closed_form_is_the_integral(tau, outputs):
    found = kernels_of(np.r_[X, X[:1]])  # a duplicate input: Θ is singular
    y = np.random.default_rng(0).normal(size=(5, outputs))
    y[4] = y[0]
    theta, k = found.ntk, found.nngp
    values, v = np.linalg.eigh(theta)
    values = np.maximum(values, 0)
    m = v.T @ (outputs * k + y @ y.T) @ v
    omega = v.T @ found.omega @ v

    def rate(s):
        e = np.exp(-s * values)
        a = np.where(values > 1e-12, -np.expm1(-s * values) / np.where(values > 1e-12, values, 1), s)
        return outputs * (values * (1 - e)).sum() + np.einsum("ij,j,jk,k->ki", m, e, omega, a).trace()

    expected = quad(rate, 0, tau, epsabs=0, epsrel=1e-10, limit=200)[0]
    ensemble = ntkinfo.Ensemble(found, y)
    assert parameter_kl_infinite_width(ensemble, tau) == pytest.approx(expected, rel=1e-8)


def test_omega_equal_to_theta_gives_the_linear_formula_at_all_times():
    kernels = kernels_of(X)
    ensemble = ntkinfo.Ensemble(replace(kernels, omega=kernels.ntk), np.c_[Y, Y**2])
    taus = np.r_[0, np.geomspace(1e-6, 1e12, 37), np.inf]
    found = parameter_kl_infinite_width(ensemble, taus)
    np.testing.assert_allclose(found[:-1], quantities.parameter_kl(ensemble, taus[:-1]), rtol=1e-10, atol=0)
    assert found[-1] == np.inf


def test_terms_are_positive_smooth_and_right_where_branches_meet():
    for x, y in ((0.0, 0.0), (0.3, 0.69), (0.3, 0.71), (1e-9, 5.0), (5.0, 1e-9), (700.0, 800.0), (0.0, 3.0)):
        integrals, _ = infinite_width_terms(np.array([x, y]), 1.0)
        expected = quad(
            lambda s, x=x, y=y: np.exp(-s * x) * (-np.expm1(-s * y) / y if y else s), 0, 1, points=[0.01, 0.1]
        )[0]
        assert integrals[0, 1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("tau", [1e-4, 0.3, 5.0])
def test_rate_is_the_derivative(tau):
    found = kernels_of(np.r_[X, X[:1]])  # a duplicate input: Θ is singular
    ensemble = ntkinfo.Ensemble(found, np.c_[np.r_[Y, Y[0]], np.r_[Y, Y[0]] ** 2])
    step = 1e-3 * tau
    values = parameter_kl_infinite_width(ensemble, [tau - step, tau + step])
    rate = quantities.parameter_kl_infinite_width_rate(ensemble, tau)
    assert rate == pytest.approx(np.diff(values)[0] / (2 * step), rel=1e-5)
    linear_kernels = ntkinfo.Ensemble(replace(found, omega=found.ntk), ensemble.y_train)
    linear = quantities.parameter_kl_infinite_width_rate(linear_kernels, tau)
    assert linear == pytest.approx(float(quantities.parameter_kl_rate(ensemble, tau)), rel=1e-10)
    last = quantities.parameter_kl_infinite_width_rate(ensemble, np.inf)
    assert last == pytest.approx(2 * np.trace(found.ntk), rel=1e-12)


def test_the_timeline_has_its_columns_where_a_third_kernel_is_given_and_the_formula_holds():
    kernels, taus = kernels_of(X, XT), np.array([0.1, 1.5])
    ensemble = ntkinfo.Ensemble(kernels, Y)
    found = ntkinfo.timeline(ensemble, taus)
    columns = ("parameter_kl_infinite_width", "parameter_kl_infinite_width_rate")
    for name in columns:
        np.testing.assert_array_equal(found[name], getattr(quantities, name)(ensemble, taus))
    assert "parameter_kl_infinite_width_bits" in found.to_frame()
    without = ntkinfo.timeline(
        ntkinfo.Ensemble(replace(kernels, omega=None, omega_test_train=None, omega_test=None), Y), taus
    )
    assert set(found.values) - set(without.values) == set(columns)
    for settings in SETTINGS_WITHOUT_A_FORMULA:
        assert not set(columns) & set(ntkinfo.timeline(ntkinfo.Ensemble(kernels, Y, **settings), [0.0, 1.0]).values)


def test_it_rises_with_time():
    ensemble = ntkinfo.Ensemble(kernels_of(X, hidden_layers=2), Y)
    kl = parameter_kl_infinite_width(ensemble, np.geomspace(1e-6, 1e12, 60))
    assert (np.diff(kl) > 0).all()
    assert np.isfinite(kl).all()


def test_it_is_refused_where_it_is_not_known_with_the_reason():
    kernels = kernels_of(X)
    reasons = ("there is a ridge", "last layer alone", "centred", "not gradient flow")
    for settings, reason in zip(SETTINGS_WITHOUT_A_FORMULA, reasons, strict=True):
        with pytest.raises(ValueError, match=reason):
            parameter_kl_infinite_width(ntkinfo.Ensemble(kernels, Y, **settings), 1.0)
    with pytest.raises(ValueError, match="without Ω"):
        parameter_kl_infinite_width(
            ntkinfo.Ensemble(replace(kernels, omega=None, omega_test_train=None, omega_test=None), Y), 1.0
        )
