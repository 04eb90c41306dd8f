"""The third kernel: chaos degrees by polynomials in c, by derivatives in c, by sampled networks."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest
from numpy.polynomial import Polynomial

import ntkinfo
from ntkinfo.activations import Activation

X, XT = np.random.default_rng(5).standard_normal((4, 3)), np.random.default_rng(6).standard_normal((3, 3))
CASE = {"hidden_layers": 1, "w_std": 1.2, "b_std": 0.3}


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_omega_counts_the_squares_of_chaos_degrees(depth):
    """A quadratic activation makes K(c) = Σ c^q K_q a polynomial: its coefficients are the kernels of each degree."""
    w2, b2 = 1.44, 0.09
    phi = (0.3, -0.7, 0.5)
    found = ntkinfo.kernels.dense(X, hidden_layers=depth, activation=Activation.polynomial(phi), w_std=1.2, b_std=0.3)
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
        assert found.nngp[i, j] == pytest.approx(k.coef.sum(), rel=1e-12)
        assert found.ntk[i, j] == pytest.approx(degree @ k.coef, rel=1e-12)
        assert found.omega[i, j] == pytest.approx(degree**2 @ k.coef, rel=1e-12)


_COVARIANCES = {  # E φ(u)φ(v), for variances a, b and covariance q
    "erf": lambda a, b, q: 2 / mpmath.pi * mpmath.asin(2 * q / mpmath.sqrt((1 + 2 * a) * (1 + 2 * b))),
    "sin": lambda a, b, q: mpmath.exp(-(a + b) / 2) * mpmath.sinh(q),
    "cos": lambda a, b, q: mpmath.exp(-(a + b) / 2) * mpmath.cosh(q),
    "gaussian": lambda a, b, q: 1 / mpmath.sqrt((1 + a) * (1 + b) - q**2),
}


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("activation", _COVARIANCES)
def test_kernels_are_derivatives_in_the_correlation_of_the_parameters(activation, depth):
    """Θ = K'(1) and Ω = K'(1) + K''(1), by numerical differentiation in 40 digits of K(c) alone."""
    covariance, w2, b2 = _COVARIANCES[activation], mpmath.mpf("1.44"), mpmath.mpf("0.09")
    found = ntkinfo.kernels.dense(X, hidden_layers=depth, activation=activation, w_std=1.2, b_std=0.3)

    def k(i, j, c, depth=depth):
        if depth == 0:
            return c * (w2 * mpmath.fdot(X[i].tolist(), X[j].tolist()) / 3 + b2)
        own = [k(p, p, mpmath.mpf(1), depth - 1) for p in (i, j)]
        return c * (w2 * covariance(*own, k(i, j, c, depth - 1)) + b2)

    with mpmath.workdps(40):
        for i, j in ((0, 0), (0, 1), (2, 3)):
            first, second = (mpmath.diff(lambda c, i=i, j=j: k(i, j, c), 1, order) for order in (1, 2))
            assert found.nngp[i, j] == pytest.approx(float(k(i, j, mpmath.mpf(1))), rel=1e-11)
            assert found.ntk[i, j] == pytest.approx(float(first), rel=1e-11)
            assert found.omega[i, j] == pytest.approx(float(first + second), rel=1e-11)


_DERIVATIVES = {
    "sin": (np.sin, np.cos, lambda x: -np.sin(x)),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2, lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2)),
}


@pytest.mark.parametrize("activation", _DERIVATIVES)
def test_omega_is_the_covariance_of_the_operator_that_counts_degrees(activation):
    """(Δ_θ - θ·∇) z is -q times the chaos of degree q: with one hidden layer its covariance is Ω at any width, here 1."""
    phi, first, second = _DERIVATIVES[activation]
    rng = np.random.default_rng(3)
    n = 200_000
    u = 1.2 / np.sqrt(3) * rng.standard_normal((n, 3)) @ X.T + 0.3 * rng.standard_normal((n, 1))
    bias = 0.3 * rng.standard_normal((n, 1))
    squared_gradient = 1.44 * (X**2).sum(axis=1) / 3 + 0.09
    inside = second(u) * squared_gradient - first(u) * u - phi(u)
    counted = 1.2 * rng.standard_normal((n, 1)) * inside - bias
    products = np.einsum("si,sj->sij", counted, counted)
    omega = ntkinfo.kernels.dense(X, **CASE, activation=activation).omega
    assert (np.abs(products.mean(axis=0) - omega) < 4 * products.std(axis=0) / np.sqrt(n)).all()


def test_linear_networks_and_depth_zero_have_one_kernel_where_degrees_are_one():
    found = ntkinfo.kernels.dense(X, hidden_layers=0)
    np.testing.assert_array_equal(found.omega, found.ntk)
    np.testing.assert_array_equal(found.omega, found.nngp)
    deep = ntkinfo.kernels.dense(X, hidden_layers=2, activation="linear", b_std=0.0)  # three factors of θ: degree 3
    np.testing.assert_allclose(deep.ntk, 3 * deep.nngp, rtol=1e-12)
    np.testing.assert_allclose(deep.omega, 9 * deep.nngp, rtol=1e-12)


def test_each_expectation_of_tanh_is_the_derivative_of_the_one_before_in_the_covariance():
    expectations = Activation.named("tanh").expectations
    a, b = np.array([[0.8]]), np.array([[1.1]])

    def f(q, part):
        return float(expectations(a, b, np.array([[q]]))[part][0, 0])

    for part in (0, 1):
        slope = (f(0.4 + 1e-4, part) - f(0.4 - 1e-4, part)) / 2e-4
        assert f(0.4, part + 1) == pytest.approx(slope, rel=1e-6)


def test_an_activation_of_ones_own_by_automatic_differentiation_or_by_its_derivatives():
    import jax.numpy as jnp

    settings = {"hidden_layers": 2, "w_std": 1.2, "b_std": 0.3}
    exact = ntkinfo.kernels.dense(X, XT, activation="sin", **settings)
    cubic = ntkinfo.kernels.dense(X, XT, activation=Activation.polynomial((0.1, 1.0, 0.0, -0.1)), **settings)
    for expected, own in (
        (exact, Activation.smooth(jnp.sin)),
        (exact, Activation.smooth(_DERIVATIVES["sin"])),
        (cubic, Activation.smooth(lambda x: 0.1 + x - 0.1 * x**3)),
    ):
        found = ntkinfo.kernels.dense(X, XT, activation=own, **settings)
        for name in ("omega", "omega_test_train", "omega_test"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.ntk, expected.ntk, rtol=1e-9, atol=1e-9)


def test_activations_that_are_not_smooth_or_not_their_derivatives_are_refused():
    with pytest.raises(
        ValueError, match=r"function 1 is not the derivative of function 0: at .* it is .* differences give"
    ):
        Activation.smooth((np.sin, np.sin, np.cos))
    with pytest.raises(ValueError, match="function 2 is not the derivative of function 1"):
        Activation.smooth((np.sin, np.cos, np.sin))
    with pytest.raises(ValueError, match=r"give φ, φ' and φ''"):
        Activation.smooth((np.sin, np.cos))
    with pytest.raises(ValueError, match=r"write it in jax\.numpy"):
        Activation.smooth(lambda x: np.sin(np.asarray(x)))
    with pytest.raises(TypeError, match="float32"):
        Activation.smooth([lambda x, f=f: f(x).astype(np.float32) for f in _DERIVATIVES["sin"]])
    for kink in (0.0, 0.4):  # at 0 a symmetric grid integrates relu' without error
        relu = (lambda x, at=kink: np.maximum(x - at, 0), lambda x, at=kink: 1.0 * (x > at), np.zeros_like)
        with pytest.raises(ValueError, match="has a kink"):
            ntkinfo.kernels.dense(X, activation=Activation.smooth(relu))


@pytest.mark.parametrize("activation", ["erf", "sin", "gelu"])
def test_omega_exceeds_theta_exceeds_k(activation):
    found = ntkinfo.kernels.dense(X, XT, hidden_layers=2, activation=activation)
    for gap in (found.omega - found.ntk, found.ntk - found.nngp):
        assert np.linalg.eigvalsh(gap).min() >= -1e-12
    np.testing.assert_allclose(
        ntkinfo.kernels.dense(np.r_[X, XT], hidden_layers=2, activation=activation).omega[4:, :4],
        found.omega_test_train,
        rtol=1e-12,
    )


def test_third_kernels_that_do_not_belong_to_theta_are_refused():
    found = ntkinfo.kernels.dense(X, XT, **CASE)
    with pytest.raises(ValueError, match=r"omega_test - ntk.*smallest eigenvalue"):
        replace(found, omega_test=found.nngp_test)
    with pytest.raises(ValueError, match=r"omega_test_train has shape \(4, 3\).*\(3, 4\)"):
        replace(found, omega_test_train=found.omega_test_train.T)
    with pytest.raises(
        ValueError, match=r"3 test points: give all blocks of omega or none: omega_test_train, omega_test"
    ):
        replace(found, omega_test_train=None, omega_test=None)
    with pytest.raises(ValueError, match="0 test points"):
        ntkinfo.Kernels(found.ntk, found.nngp, omega=found.omega, omega_test=found.omega_test)
    with pytest.raises(ValueError, match="not symmetric"):
        replace(found, omega=np.triu(found.omega))
    with pytest.raises(ValueError, match="read-only"):
        found.omega[0, 0] = 1.0


def test_any_weight_scale_gives_kernels_of_one_network():
    for w_std in (1e-5, 1e-2, 10.0):
        found = ntkinfo.kernels.dense(X, XT, hidden_layers=3, activation="erf", w_std=w_std, b_std=0.3)
        assert np.isfinite(found.omega).all()
        assert (np.diagonal(found.omega - found.ntk) >= 0).all()
