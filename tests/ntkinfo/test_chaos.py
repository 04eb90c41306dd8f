"""The third kernel: chaos degrees counted by hand, by polynomials in c, by finite networks; the information it gives."""

import numpy as np
import pytest
from numpy.polynomial import Polynomial
from scipy.integrate import quad

import ntkinfo
from ntkinfo.chaos import activation_expectations, infinite_width_terms, parameter_kl_infinite_width

X, XT = np.random.default_rng(5).standard_normal((4, 3)), np.random.default_rng(6).standard_normal((3, 3))
Y = np.array([0.8, -0.5, 0.3, -1.0])
CASE = {"hidden_layers": 1, "w_std": 1.2, "b_std": 0.3}


@pytest.mark.parametrize("activation", ["erf", "sin", "linear", "gelu"])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_theta_and_k_are_those_of_neural_tangents(activation, depth):
    theirs = ntkinfo.Kernels.compute(ntkinfo.mlp(depth, activation, 1.2, 0.3).kernel_fn, X, XT)
    ours = ntkinfo.chaos_kernels(X, XT, hidden_layers=depth, activation=activation, w_std=1.2, b_std=0.3).kernels
    for name in ("ntk", "nngp", "ntk_test_train", "nngp_test_train", "ntk_test", "nngp_test"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_omega_counts_the_squares_of_chaos_degrees(depth):
    """A quadratic activation makes K(c) = Σ c^q K_q a polynomial: its coefficients are the kernels of each degree."""
    w2, b2 = 1.44, 0.09
    phi = (0.3, -0.7, 0.5)
    found = ntkinfo.chaos_kernels(X, hidden_layers=depth, activation=ntkinfo.polynomial(phi), w_std=1.2, b_std=0.3)
    for i, j in ((0, 0), (0, 1), (2, 3)):
        variance = np.array([w2 * X[p] @ X[p] / 3 + b2 for p in (i, j)])
        k = Polynomial([0.0, w2 * X[i] @ X[j] / 3 + b2])
        for _ in range(depth):
            # E φ(u)φ(v) of φ = c0 + c1 x + c2 x²: c0² + c0c2(a + b) + c1²q + c2²(ab + 2q²)
            def covariance(q, v=variance):
                constant = phi[0] ** 2 + phi[0] * phi[2] * v.sum() + phi[2] ** 2 * v.prod()
                return constant + phi[1] ** 2 * q + 2 * phi[2] ** 2 * q**2

            def own(v):
                return phi[0] ** 2 + (2 * phi[0] * phi[2] + phi[1] ** 2) * v + 3 * phi[2] ** 2 * v**2

            k, variance = Polynomial([0, 1]) * (w2 * covariance(k) + b2), w2 * own(variance) + b2
        degree = np.arange(len(k.coef))
        assert found.kernels.nngp[i, j] == pytest.approx(k.coef.sum(), rel=1e-12)
        assert found.kernels.ntk[i, j] == pytest.approx(degree @ k.coef, rel=1e-12)
        assert found.omega[i, j] == pytest.approx(degree**2 @ k.coef, rel=1e-12)


def test_linear_networks_and_depth_zero_have_one_kernel_where_degrees_are_one():
    found = ntkinfo.chaos_kernels(X, hidden_layers=0)
    np.testing.assert_array_equal(found.omega, found.kernels.ntk)
    np.testing.assert_array_equal(found.omega, found.kernels.nngp)
    deep = ntkinfo.chaos_kernels(X, hidden_layers=2, activation="linear", b_std=0.0)  # three factors of θ: degree 3
    np.testing.assert_allclose(deep.kernels.ntk, 3 * deep.kernels.nngp, rtol=1e-12)
    np.testing.assert_allclose(deep.omega, 9 * deep.kernels.nngp, rtol=1e-12)


@pytest.mark.parametrize("activation", ["erf", "sin", "cos", "gaussian"])
def test_closed_forms_agree_with_quadrature_of_the_derivatives(activation):
    from scipy.special import erf

    root = 2 / np.sqrt(np.pi)
    derivatives = {
        "erf": (erf, lambda x: root * np.exp(-(x**2)), lambda x: -2 * root * x * np.exp(-(x**2))),
        "sin": (np.sin, np.cos, lambda x: -np.sin(x)),
        "cos": (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x)),
        "gaussian": (
            lambda x: np.exp(-(x**2) / 2),
            lambda x: -x * np.exp(-(x**2) / 2),
            lambda x: (x**2 - 1) * np.exp(-(x**2) / 2),
        ),
    }[activation]
    k = X @ X.T
    v = np.diagonal(k)
    numeric = ntkinfo.smooth(derivatives, order=160)(v[:, None], v[None, :], k)
    for ours, theirs in zip(activation_expectations(activation)(v[:, None], v[None, :], k), numeric, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_tanh_by_quadrature_is_the_derivative_in_the_covariance():
    expectations = activation_expectations("tanh")
    a, b = np.array([[0.8]]), np.array([[1.1]])

    def f(q, part):
        return float(expectations(a, b, np.array([[q]]))[part][0, 0])

    for part in (0, 1):
        slope = (f(0.4 + 1e-4, part) - f(0.4 - 1e-4, part)) / 2e-4
        assert f(0.4, part + 1) == pytest.approx(slope, rel=1e-6)


def test_omega_exceeds_theta_exceeds_k():
    found = ntkinfo.chaos_kernels(X, XT, hidden_layers=2, activation="erf")
    for gap in (found.omega - found.kernels.ntk, found.kernels.ntk - found.kernels.nngp):
        assert np.linalg.eigvalsh(gap).min() >= -1e-12
    np.testing.assert_allclose(
        ntkinfo.chaos_kernels(np.r_[X, XT], hidden_layers=2).omega[4:, :4], found.omega_test_train, rtol=1e-12
    )


def test_the_noted_case_has_its_three_values():
    found = ntkinfo.chaos_kernels(X, **CASE)
    ensemble = ntkinfo.Ensemble(found.kernels, Y)
    assert ntkinfo.parameter_information(ensemble, 1.5, "infinite-width", found.omega) == pytest.approx(9.687, abs=5e-4)
    assert ntkinfo.parameter_information(ensemble, 1.5) == pytest.approx(8.093, abs=5e-4)
    assert ntkinfo.parameter_information(ensemble, 1.5, "published") == pytest.approx(11.970, abs=5e-4)


@pytest.mark.parametrize("tau", [1e-6, 1e-3, 0.1, 1.5, 40.0])
@pytest.mark.parametrize("outputs", [1, 2])
def test_closed_form_is_the_integral(tau, outputs):
    found = ntkinfo.chaos_kernels(np.r_[X, X[:1]], **CASE)  # a duplicate input: Θ is singular
    y = np.random.default_rng(0).normal(size=(5, outputs))
    y[4] = y[0]
    theta, k = found.kernels.ntk, found.kernels.nngp
    values, v = np.linalg.eigh(theta)
    values = np.maximum(values, 0)
    m = v.T @ (outputs * k + y @ y.T) @ v
    omega = v.T @ found.omega @ v

    def rate(s):
        e = np.exp(-s * values)
        a = np.where(values > 1e-12, -np.expm1(-s * values) / np.where(values > 1e-12, values, 1), s)
        return outputs * (values * (1 - e)).sum() + np.einsum("ij,j,jk,k->ki", m, e, omega, a).trace()

    expected = quad(rate, 0, tau, epsabs=0, epsrel=1e-10, limit=200)[0]
    ensemble = ntkinfo.Ensemble(found.kernels, y)
    assert parameter_kl_infinite_width(ensemble, tau, found.omega) == pytest.approx(expected, rel=1e-8)


def test_omega_equal_to_theta_gives_the_linear_formula_at_all_times():
    ensemble = ntkinfo.Ensemble(ntkinfo.chaos_kernels(X, **CASE).kernels, np.c_[Y, Y**2])
    taus = np.r_[0, np.geomspace(1e-6, 1e12, 37), np.inf]
    found = parameter_kl_infinite_width(ensemble, taus, ensemble.kernels.ntk)
    np.testing.assert_allclose(found[:-1], ntkinfo.parameter_kl(ensemble, taus[:-1]), rtol=1e-10, atol=0)
    assert found[-1] == np.inf


def test_terms_are_positive_smooth_and_right_where_branches_meet():
    for x, y in ((0.0, 0.0), (0.3, 0.69), (0.3, 0.71), (1e-9, 5.0), (5.0, 1e-9), (700.0, 800.0), (0.0, 3.0)):
        integrals, _ = infinite_width_terms(np.array([x, y]), 1.0)
        expected = quad(
            lambda s, x=x, y=y: np.exp(-s * x) * (-np.expm1(-s * y) / y if y else s), 0, 1, points=[0.01, 0.1]
        )[0]
        assert integrals[0, 1] == pytest.approx(expected, rel=1e-9)


def test_it_rises_with_time():
    found = ntkinfo.chaos_kernels(X, hidden_layers=2)
    kl = parameter_kl_infinite_width(ntkinfo.Ensemble(found.kernels, Y), np.geomspace(1e-6, 1e12, 60), found.omega)
    assert (np.diff(kl) > 0).all()
    assert np.isfinite(kl).all()


def test_quantities_without_a_formula_are_refused_with_the_reason():
    found = ntkinfo.chaos_kernels(X, **CASE)
    with pytest.raises(ValueError, match="diverges where u = v"):
        ntkinfo.chaos_kernels(X, activation="relu")
    with pytest.raises(ValueError, match="unknown activation"):
        ntkinfo.chaos_kernels(X, activation="swish")
    with pytest.raises(ValueError, match=r"\(4, 2\).*\(4, 3\)"):
        ntkinfo.chaos_kernels(X, X[:, :2])
    for settings in (
        {"ridge": 0.1},
        {"mode": "nngp"},
        {"centred": True},
        {"learning_rule": ntkinfo.GradientDescent(0.01)},
    ):
        with pytest.raises(ValueError, match=next(iter(settings))):
            parameter_kl_infinite_width(ntkinfo.Ensemble(found.kernels, Y, **settings), 1.0, found.omega)
    ensemble = ntkinfo.Ensemble(found.kernels, Y)
    with pytest.raises(ValueError, match="not of one network"):
        parameter_kl_infinite_width(ensemble, 1.0, found.kernels.nngp)
    with pytest.raises(ValueError, match="needs omega"):
        ntkinfo.parameter_information(ensemble, 1.0, "infinite-width")
    with pytest.raises(ValueError, match="leave omega out"):
        ntkinfo.parameter_information(ensemble, 1.0, omega=found.omega)
    with pytest.raises(ValueError, match="model must be"):
        ntkinfo.parameter_information(ensemble, 1.0, "exact")
