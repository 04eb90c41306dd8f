"""Activations: every entry of the list against quadrature, neural-tangents and sampled networks; how a new one is added."""

import mpmath
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import ntkinfo
from ntkinfo import architectures
from ntkinfo.activations import Activation, names, register, registry
from ntkinfo.kernels import neural_tangents

X, XT = np.random.default_rng(5).standard_normal((4, 3)), np.random.default_rng(6).standard_normal((3, 3))
SMOOTH = [name for name in names() if Activation.named(name).is_smooth]
KINKED = [name for name in names() if not Activation.named(name).is_smooth]
CASES = [(a, b, rho) for a, b in ((1.3, 1.3), (0.4, 2.5)) for rho in (-1.0, -0.6, 0.0, 0.3, 0.99, 1 - 1e-9, 1.0)]
BLOCKS = ("ntk", "nngp", "ntk_test_train", "nngp_test_train", "ntk_test", "nngp_test")


def arrays(*values):
    return [np.array([value]) for value in values]


@pytest.mark.parametrize("name", SMOOTH)
def test_expectations_of_smooth_activations_are_integrals(name):
    """The trapezoid rule over two independent normals converges spectrally."""
    activation = Activation.named(name)
    z = np.linspace(-10, 10, 401)
    weight = np.exp(-0.5 * z**2)
    weight /= weight.sum()
    for a, b, rho in CASES:
        u = np.sqrt(a) * z
        v = np.sqrt(b) * (rho * z[:, None] + np.sqrt(1 - rho**2) * z)
        found = activation.expectations(*arrays(a, b, rho * np.sqrt(a * b)))
        for value, f in zip(found, activation.derivatives[:3], strict=True):
            expected = weight @ ((f(u)[:, None] * f(v)) @ weight)
            size = np.sqrt((weight @ f(u) ** 2) * (weight @ f(np.sqrt(b) * z) ** 2))
            assert value[0] == pytest.approx(expected, rel=0, abs=2e-12 * max(size, 1e-3)), (a, b, rho)


@pytest.mark.parametrize("name", KINKED)
def test_expectations_of_kinked_activations_are_integrals_over_the_angle(name):
    """With u = √a r cos t and v = √b r cos(t - θ), θ = arccos ρ: E r² = 2, and r drops out of the slopes."""
    activation = Activation.named(name)
    phi, first = (lambda x, f=f: float(f(np.float64(x))) for f in activation.derivatives)
    for a, b, rho in CASES:
        angle = mpmath.acos(rho)
        kinks = sorted(
            {0.0, 2 * np.pi, *(float((c + s * mpmath.pi / 2) % (2 * mpmath.pi)) for c in (0, angle) for s in (1, -1))}
        )

        def mean(f, angle=angle, kinks=kinks):
            return mpmath.quad(lambda t: f(mpmath.cos(t)) * f(mpmath.cos(t - angle)), kinks) / (2 * mpmath.pi)

        q = rho * np.sqrt(a * b)
        product, slopes, density = (value[0] for value in activation.expectations(*arrays(a, b, q)))
        assert product == pytest.approx(float(2 * np.sqrt(a * b) * mean(phi)), abs=1e-11)
        assert slopes == pytest.approx(float(mean(first)), abs=1e-8 if abs(rho) == 1 - 1e-9 else 1e-12)
        if abs(rho) == 1:
            assert density == np.inf
        else:
            jump = first(1.0) - first(-1.0)
            expected = jump**2 * multivariate_normal([0, 0], [[a, q], [q, b]]).pdf([0, 0])
            assert density == pytest.approx(expected, rel=1e-6 if rho > 0.999 else 1e-12)


def test_numpy_and_jax_give_the_same_numbers():
    import jax

    x = np.linspace(-4, 4, 40)  # without 0, the kink
    given = [np.array(column) for column in zip(*((a, b, r * np.sqrt(a * b)) for a, b, r in CASES[:5]), strict=True)]

    def everything(x, *given):
        entries = {name: Activation.named(name) for name in names()}
        return {n: ([f(x) for f in e.derivatives], e.expectations(*given)) for n, e in entries.items()}

    ours, theirs = everything(x, *given), jax.jit(everything)(x, *given)
    for name in names():
        for part in (0, 1):
            for a, b in zip(ours[name][part], theirs[name][part], strict=True):
                np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-15, err_msg=name)


_MPMATH = {
    "erf": mpmath.erf,
    "tanh": mpmath.tanh,
    "gelu": lambda x: x * mpmath.ncdf(x),
    "sin": mpmath.sin,
    "gaussian": lambda x: mpmath.exp(-(x**2) / 2),
    "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
}


@pytest.mark.parametrize("name", _MPMATH)
def test_derivatives_up_to_the_fifth(name):
    activation, x = Activation.named(name), np.array([-1.7, -0.2, 0.4, 2.3])
    with mpmath.workdps(40):
        for order in range(6):
            expected = [float(mpmath.diff(_MPMATH[name], mpmath.mpf(p), order)) for p in x]
            found = activation.derivative(order)(x)
            assert isinstance(found, np.ndarray)
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["erf", "sin", "cos", "gaussian", "gelu"])
def test_closed_forms_agree_with_hermite_series(name):
    activation, k = Activation.named(name), X @ X.T
    v = np.diagonal(k)
    series = Activation.smooth(activation.derivatives)
    for ours, theirs in zip(
        activation.expectations(v[:, None], v[None, :], k), series.expectations(v[:, None], v[None, :], k), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus"])
def test_the_pieces_of_a_series_are_the_whole_sum(name):
    """Rows of the smallest and the largest variance, which take other numbers of degrees, one by one and together."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((300, 3)) * np.geomspace(1e-3, 1, 300)[:, None]
    k = x @ x.T
    v = np.diagonal(k)
    expectations = Activation.named(name).expectations
    whole = expectations(v[:, None], v[None, :], k)
    for i in (0, 150, 299):
        scalar = [expectations(v[i], v[j], k[i, j]) for j in range(0, 300, 60)]
        for part in range(3):
            size = np.sqrt(np.diagonal(whole[part])[i] * np.diagonal(whole[part])[::60])
            gaps = np.array([s[part] for s in scalar]) - whole[part][i, ::60]
            assert (np.abs(gaps) <= 2e-12 * size).all()
            np.testing.assert_allclose(whole[part], whole[part].T, rtol=0, atol=1e-12 * np.abs(whole[part]).max())


def test_equal_points_whose_covariances_differ_by_rounding_have_correlation_one():
    slopes = Activation.named("relu").expectations(*arrays(1.0, 1.0, 1.0 - 2e-16))[1]
    assert slopes[0] == 0.5
    x = np.random.default_rng(1).standard_normal((6, 784))
    theta = ntkinfo.kernels.dense(np.r_[x, x[::-1]], activation="relu", hidden_layers=3).ntk
    np.testing.assert_allclose(theta[:6, 6:], theta[:6, :6][:, ::-1], rtol=1e-13)


def test_kinked_activations_have_no_third_kernel_and_say_so():
    for name in KINKED:
        activation = Activation.named(name)
        assert not activation.has_third_kernel
        with pytest.raises(ValueError, match=f"{name} has no third kernel: .* diverges where u = v"):
            activation.require_third_kernel()
        assert ntkinfo.kernels.dense(X, activation=name).omega is None
        with pytest.raises(ValueError, match=rf"{name} has a kink and no derivative of order 2.*gelu"):
            _ = activation.second
    assert all(Activation.named(name).has_third_kernel for name in SMOOTH)


def test_saturation_is_a_limit_at_both_ends():
    for name in names():
        activation = Activation.named(name)
        ends = [np.abs(activation.first(np.array([-x, x]))).max() for x in (50.0, 50.5, 51.0, 51.5)]
        assert activation.saturates == (max(ends) < 1e-12), name


def stax_layer(stax, name):
    return {
        "erf": stax.Erf,
        "relu": stax.Relu,
        "leaky_relu": lambda: stax.LeakyRelu(0.01),
        "gelu": stax.Gelu,
        "sin": stax.Sin,
        "cos": stax.Cos,
        "gaussian": lambda: stax.Gaussian(1, -0.5),
        "linear": stax.Identity,
    }[name]()


def test_layers_agree_with_those_of_neural_tangents():
    """Two hidden layers of each that it has; and between convolutions and pooling, on every pair of pixels."""
    import jax

    stax = neural_tangents.load().stax
    have = ["erf", "relu", "leaky_relu", "gelu", "sin", "cos", "gaussian", "linear"]

    def dense(layer):
        hidden = [stax.Dense(1, W_std=1.2, b_std=0.3), layer]
        return stax.serial(*hidden, *hidden, stax.Dense(1))[2]

    def pooled(layer):
        convolution = stax.Conv(1, (2, 2), padding="SAME", W_std=1.2, b_std=0.3)
        return stax.serial(convolution, layer, stax.GlobalAvgPool(), stax.Dense(1))[2]

    image = np.random.default_rng(0).standard_normal((2, 2, 2, 2))
    cases = [(dense, name, X, XT) for name in have] + [(pooled, "gelu", image[:1], image)]
    layers = {name: (architectures.elementwise(name), stax_layer(stax, name)) for name in have}
    kernels = [[build(layer) for layer in layers[name]] for build, name, _, _ in cases]
    found = jax.jit(
        lambda: [[k(a, b, ("nngp", "ntk")) for k in pair] for pair, (_, _, a, b) in zip(kernels, cases, strict=True)]
    )()
    for (ours, theirs), (_, name, _, _) in zip(found, cases, strict=True):
        np.testing.assert_allclose(ours.nngp, theirs.nngp, rtol=1e-10, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(ours.ntk, theirs.ntk, rtol=1e-10, atol=1e-12, err_msg=name)
    x = np.linspace(-3, 3, 7)
    for name, (ours, theirs) in layers.items():
        np.testing.assert_allclose(ours[1]((), x), theirs[1]((), x), rtol=1e-12, atol=1e-15, err_msg=name)


@pytest.mark.slow
def test_mlp_agrees_with_the_dense_recursion():
    import jax

    networks = {name: ntkinfo.mlp(2, name, 1.2, 0.3).kernel_fn for name in names()}
    found = jax.jit(lambda: {name: kernel_fn(XT, X, ("nngp", "ntk")) for name, kernel_fn in networks.items()})()
    for name, theirs in found.items():
        ours = ntkinfo.kernels.dense(X, XT, hidden_layers=2, activation=name, w_std=1.2, b_std=0.3)
        np.testing.assert_allclose(theirs.ntk, ours.ntk_test_train, rtol=1e-10, atol=1e-10, err_msg=name)
        np.testing.assert_allclose(theirs.nngp, ours.nngp_test_train, rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_both_architectures_agree_with_the_dense_recursion_in_all_blocks(name):
    """Convolutions of one pixel are dense layers."""
    ours = ntkinfo.kernels.dense(X, XT, hidden_layers=1, activation=name, w_std=1.2, b_std=0.3)
    flat = ntkinfo.Kernels.compute(ntkinfo.mlp(1, name, 1.2, 0.3).kernel_fn, X, XT)
    pixel = ntkinfo.cnn(1, name, 1.2, 0.3, filter_shape=(1, 1))
    image = ntkinfo.Kernels.compute(pixel.kernel_fn, X[:, None, None], XT[:, None, None])
    for block in BLOCKS:
        np.testing.assert_allclose(getattr(flat, block), getattr(ours, block), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(getattr(image, block), getattr(ours, block), rtol=1e-10, atol=1e-10)


def test_a_new_activation_is_one_entry(monkeypatch):
    """After it, the name stands in the architectures, the recursion with its third kernel, and finite networks."""
    import jax

    monkeypatch.setattr(registry, "_LIST", dict(registry._LIST))
    register(Activation.smooth(lambda x: x * jax.nn.sigmoid(x), name="swish"))

    assert "swish" in names()
    architecture = ntkinfo.mlp(1, "swish", 1.2, 0.3, width=64)
    nngp, ntk = jax.jit(lambda: architecture.kernel_fn(XT, X, ("nngp", "ntk")))()
    chaos = ntkinfo.kernels.dense(X, XT, hidden_layers=1, activation="swish", w_std=1.2, b_std=0.3)
    np.testing.assert_allclose(nngp, chaos.nngp_test_train, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(ntk, chaos.ntk_test_train, rtol=1e-10, atol=1e-10)
    assert np.linalg.eigvalsh(chaos.omega - chaos.ntk).min() >= -1e-12
    keys = jax.random.split(jax.random.PRNGKey(0), 200)
    network = jax.jit(jax.vmap(lambda key: architecture.apply_fn(architecture.init_fn(key, (-1, 3))[1], X)[:, 0]))
    outputs = network(keys)
    products = np.einsum("si,sj->sij", outputs, outputs)
    assert (np.abs(products.mean(axis=0) - chaos.nngp) < 4 * products.std(axis=0) / np.sqrt(200)).all()
    with pytest.raises(ValueError, match="there is an activation 'swish' already"):
        register(Activation.polynomial((0.0, 1.0), name="swish"))


def test_a_series_that_does_not_converge_is_refused_inside_jax_as_well():
    kernel_fn = ntkinfo.mlp(1, Activation.smooth(Activation.named("tanh").derivatives, max_degree=8)).kernel_fn
    with pytest.raises(Exception, match="has not converged at degree 8"):
        ntkinfo.Kernels.compute(kernel_fn, X)


def test_activations_without_slope_are_refused():
    with pytest.raises(ValueError, match="needs at least φ and φ', got 1"):
        Activation("step", (np.sign,), Activation.named("erf").expectations)


def test_tanh_at_a_variance_of_twenty_against_quadrature_in_two_dimensions():
    """Its poles are near there, and its series needs thousands of degrees."""
    a, b, q = 20.0, 16.0, 15.0
    s = np.arange(-9.0, 9.0, 0.015)
    weights = np.exp(-0.5 * s**2)
    weights /= weights.sum()
    u = np.sqrt(a) * s[:, None]
    v = q / np.sqrt(a) * s[:, None] + np.sqrt(b - q**2 / a) * s
    found = Activation.named("tanh").expectations(np.array([a]), np.array([b]), np.array([q]))
    tanh, slope = np.tanh, lambda x: 1 / np.cosh(x) ** 2
    for value, f in zip(found, (tanh, slope, lambda x: -2 * tanh(x) * slope(x)), strict=True):
        np.testing.assert_allclose(value[0], weights @ (f(u) * f(v)) @ weights, rtol=1e-9)
