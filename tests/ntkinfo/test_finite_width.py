"""Corrections of order 1/width at the start: against exact moments of networks of one unit, known numbers, networks and limits."""

import re
from functools import reduce
from pathlib import Path

import numpy as np
import pytest

import ntkinfo
from ntkinfo.activations import Activation
from ntkinfo.finite_width import (
    Corrections,
    PairCorrections,
    Status,
    corrections,
    of_architecture,
    pair_corrections,
)
from ntkinfo.finite_width.nodes import draws, grid, root
from ntkinfo.finite_width.ring import add, multiply

X = np.array([[1.0, 0.5, -0.3], [-0.2, 0.8, 1.1]])
FOURS = ("nngp_covariance", "ntk_covariance", "ntk_nngp_covariance", "ntk_output", "third", "fourth")
KNOWN = {
    ("erf", 1.5, 0.3, 1): (0, 0, 0, 0, 1.31883, 6.45206, 1.31895, 1.31881, 1.64543, 3.84790),
    ("erf", 1.5, 0.3, 2): (-0.10650, 0.02823, -0.12030, 0.08702, 2.18371, 46.0774, 4.89744, 3.08112, 5.72818, 21.1226),
    ("erf", 1.5, 0.3, 3): (-0.15353, 0.08314, 0.12329, 0.36929, 2.78251, 175.904, 10.6954, 4.92347, 12.7162, 65.8372),
    ("erf", 1.5, 0.3, 4): (-0.16914, 0.16142, 1.03068, 0.93337, 3.20030, 499.515, 18.5443, 6.66523, 22.8304, 156.209),
    ("tanh", 1.2, 0.5, 2): (-0.03445, 0.01410, -0.06569, 0.05415, 0.36246, 3.86524, 0.92527, 0.47312, 0.55232, 1.70358),
    ("gelu", 1.4, 0.2, 2): (0.22093, -0.14785, 0.65956, 0.05874, 1.47291, 36.5128, 2.60913, 2.05519, 3.11680, 8.47180),
}
"""Biases 11 and 12 of K and of Θ, Cov K 12,12, Cov Θ 11,11 and 12,12, Θ with outputs, third and fourth kernel 12,12: from an
independent program with Gauss and Hermite's nodes, up to 100 a dimension, itself compared with 40 000 networks a width."""


@pytest.fixture(scope="module")
def erf_two():
    return corrections(X, hidden_layers=2, activation="erf", w_std=1.5, b_std=0.3)


@pytest.mark.parametrize("case", KNOWN)
def test_known_numbers(case):
    name, w_std, b_std, depth = case
    c = corrections(X, hidden_layers=depth, activation=name, w_std=w_std, b_std=b_std)
    i = (0, 1, 0, 1)
    found = [*c.nngp_bias[0], *c.ntk_bias[0], c.nngp_covariance[i], c.ntk_covariance[0, 0, 0, 0], c.ntk_covariance[i]]
    found += [c.ntk_output[i], c.third[i], c.fourth[i]]
    np.testing.assert_allclose(found, KNOWN[case], rtol=1e-5, atol=6e-6)
    assert c.status is Status.CONVERGED
    assert max(c.errors.values()) <= 2e-3


def test_every_moment_of_networks_of_one_unit_is_exact():
    """With one hidden layer n times a covariance does not depend on n. At n = 1 all of them are integrals over four parameters.

    Kernels are nested gradients by JAX: nothing here knows of virtual points.
    """
    import jax
    import jax.numpy as jnp

    x, w_std, b_std = jnp.array([0.9, -0.4]), 1.3, 0.6

    def outputs(theta):
        hidden = jax.scipy.special.erf(w_std * theta[0] * x + b_std * theta[1])
        return w_std * theta[2] * hidden + b_std * theta[3]

    def along(tensor):
        """∇ of each entry times ∇z_c, c as a last axis."""
        return lambda theta: jax.jacfwd(tensor)(theta) @ jax.jacfwd(outputs)(theta).T

    ntk, third, fourth = along(outputs), along(along(outputs)), along(along(along(outputs)))

    def everything(theta):
        hidden = jax.scipy.special.erf(w_std * theta[0] * x + b_std * theta[1])
        kernel = w_std**2 * jnp.outer(hidden, hidden) + b_std**2
        return kernel, outputs(theta), ntk(theta), third(theta), fourth(theta)

    line, weight = np.polynomial.hermite_e.hermegauss(5)
    weight = weight / weight.sum()
    plane, of_plane = grid(2, 40)
    points = np.array([(*p, a, b) for p in plane for a in line for b in line])
    weights = np.einsum("i,j,k->ijk", of_plane, weight, weight).ravel()
    k, z, t, third, fourth = map(np.asarray, jax.jit(jax.vmap(everything))(points))
    zz = np.einsum("sa,sb->sab", z, z)

    def cov(f, g):
        return np.einsum("s,sab,scd->abcd", weights, f, g) - np.einsum("sab,s->ab", f, weights)[:, :, None, None] * (
            np.einsum("scd,s->cd", g, weights)
        )

    c = corrections(np.array(x)[:, None], hidden_layers=1, w_std=w_std, b_std=b_std)
    np.testing.assert_allclose(np.einsum("s,sab->ab", weights, t), c.kernels.ntk, atol=1e-9)
    for found, expected in (
        (c.nngp_covariance, cov(k, k)),
        (c.ntk_covariance, cov(t, t)),
        (c.ntk_nngp_covariance, cov(t, k)),
        (c.ntk_output, cov(t, zz)),
    ):
        np.testing.assert_allclose(found, expected, atol=2e-7)
    np.testing.assert_allclose(c.third, np.einsum("s,sabc,sd->abcd", weights, third, z), atol=2e-7)
    np.testing.assert_allclose(c.fourth, np.einsum("s,sabcd->abcd", weights, fourth), atol=2e-7)


def random_networks(rng, width, count, phi, slope, w_std, b_std):
    """K̂ and Θ̂ on X of `count` networks of two hidden layers, in the NTK parameterisation."""
    w0, w1, w2 = (rng.standard_normal((count, width, size)) for size in (3, width, 1))
    s0, s = w_std / np.sqrt(3), w_std / np.sqrt(width)
    k0 = s0**2 * X @ X.T + b_std**2
    h1 = s0 * w0 @ X.T + b_std * rng.standard_normal((count, width, 1))
    h2 = s * w1 @ phi(h1) + b_std * rng.standard_normal((count, width, 1))
    k1, k2 = (s**2 * np.swapaxes(phi(h), 1, 2) @ phi(h) + b_std**2 for h in (h1, h2))
    d2 = s * w2 * slope(h2)
    d1 = s * np.swapaxes(w1, 1, 2) @ d2 * slope(h1)
    return k2, k2 + np.swapaxes(d2, 1, 2) @ d2 * k1 + np.swapaxes(d1, 1, 2) @ d1 * k0


def test_random_networks_have_these_covariances_and_biases():
    """Lines in 1/n through two widths; 15 values, the largest of which exceeds 4 standard errors once in a thousand runs."""
    c = corrections(X, hidden_layers=2, activation="tanh", w_std=1.2, b_std=0.5)
    rng, widths = np.random.default_rng(3), (16, 48)
    values, errors = [], []
    for width in widths:
        k, t = random_networks(rng, width, 3000, np.tanh, lambda h: 1 / np.cosh(h) ** 2, 1.2, 0.5)
        k, t = (v[:, (0, 0, 1), (0, 1, 1)] for v in (k, t))
        limits = [a[(0, 0, 1), (0, 1, 1)] for a in (c.kernels.nngp, c.kernels.ntk)]
        dk, dt = k - k.mean(axis=0), t - t.mean(axis=0)
        each = width * np.concatenate([k - limits[0], t - limits[1], dk * dk, dt * dt, dt * dk], axis=1)
        values.append(each.mean(axis=0))
        errors.append(each.std(axis=0) / np.sqrt(len(each)))
    far, near = 1 / widths[0], 1 / widths[1]
    value = (far * values[1] - near * values[0]) / (far - near)
    error = np.hypot(far * errors[1], near * errors[0]) / (far - near)
    pairs = [(0, 0), (0, 1), (1, 1)]
    predicted = [b[p] for b in (c.nngp_bias, c.ntk_bias) for p in pairs]
    predicted += [v[*p, *p] for v in (c.nngp_covariance, c.ntk_covariance, c.ntk_nngp_covariance) for p in pairs]
    z = (value - predicted) / error
    assert np.abs(z).max() < 4, z
    assert (error[6:] < 0.25 * np.abs(predicted[6:])).sum() >= 5  # it says something


def test_deep_linear_networks_have_wishart_kernels():
    """Given the layer below, K̂ is a Wishart matrix: V⁺ = σ_w⁴ (K_ac K_bd + K_ad K_bc + V); means have no bias."""
    w_std, b_std = 1.3, 0.4
    c = corrections(X, hidden_layers=3, activation="linear", w_std=w_std, b_std=b_std)
    k = w_std**2 * X @ X.T / 3 + b_std**2
    v = np.zeros((2, 2, 2, 2))
    for _ in range(3):
        v = w_std**4 * (np.einsum("ac,bd->abcd", k, k) + np.einsum("ad,bc->abcd", k, k) + v)
        k = w_std**2 * k + b_std**2
    np.testing.assert_allclose(c.nngp_covariance, v, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose([c.nngp_bias, c.ntk_bias], np.zeros((2, 2, 2)), atol=1e-8)


def test_symmetries_and_the_cumulant(erf_two):
    for name in ("nngp_covariance", "ntk_covariance"):
        v = getattr(erf_two, name)
        np.testing.assert_allclose(v, v.transpose(2, 3, 0, 1), atol=1e-9 * v.max())
    for name in FOURS:
        v = getattr(erf_two, name)
        np.testing.assert_allclose(v, v.swapaxes(0, 1), atol=1e-9 * np.abs(v).max())
    kappa = erf_two.fourth_cumulant
    for axes in ((1, 0, 2, 3), (0, 2, 1, 3), (3, 1, 2, 0)):
        np.testing.assert_allclose(kappa, kappa.transpose(axes), atol=1e-12)
    assert kappa[0, 0, 0, 0] == pytest.approx(3 * erf_two.nngp_covariance[0, 0, 0, 0])
    for name in ("nngp_covariance", "ntk_covariance"):  # of all pairs of points they are covariance matrices
        assert np.linalg.eigvalsh(getattr(erf_two, name).reshape(4, 4)).min() > -1e-9


def test_points_that_are_equal_and_orders_of_points(erf_two):
    chosen = [1, 0, 1]
    c = corrections(X[chosen], hidden_layers=2, b_std=0.3)
    for name in (*FOURS, "nngp_bias", "ntk_bias"):
        whole = getattr(erf_two, name)
        expected = whole[np.ix_(*[chosen] * whole.ndim)]
        np.testing.assert_allclose(getattr(c, name), expected, atol=1e-8 * np.abs(expected).max(), err_msg=name)


def test_widths_that_differ(erf_two):
    """All layers twice as wide: half of everything. A first layer without limit: the second alone fluctuates, and nothing is biased."""
    half = corrections(X, hidden_layers=2, b_std=0.3, width_ratios=(2.0, 2.0))
    for name in (*FOURS, "nngp_bias", "ntk_bias"):
        np.testing.assert_allclose(getattr(half, name), getattr(erf_two, name) / 2, rtol=1e-10, atol=1e-13)
    parts = [corrections(X, hidden_layers=2, b_std=0.3, width_ratios=r) for r in ((1.0, 1e15), (1e15, 1.0))]
    for name in FOURS:
        np.testing.assert_allclose(sum(getattr(p, name) for p in parts), getattr(erf_two, name), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose([parts[1].nngp_bias, parts[1].ntk_bias], np.zeros((2, 2, 2)), atol=1e-10)


def test_pairs_by_themselves_are_the_same_numbers():
    x = np.vstack([X, [0.6, 0.2, 0.5]])
    whole, pairs = (f(x, hidden_layers=2, activation="gelu", w_std=1.4) for f in (corrections, pair_corrections))
    assert isinstance(pairs, PairCorrections)
    for name, index, found in (
        ("nngp_covariance", "abab->ab", pairs.nngp_variance),
        ("ntk_covariance", "abab->ab", pairs.ntk_variance),
        ("ntk_nngp_covariance", "abab->ab", pairs.ntk_nngp_covariance),
        ("fourth_cumulant", "aabb->ab", pairs.fourth_cumulant),
    ):
        expected = np.einsum(index, getattr(whole, name))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(pairs.ntk_bias, whole.ntk_bias)


def test_many_points_take_draws_whose_error_is_told():
    """Of four points two are those of the grid: draws agree with it within their stated errors, and say when they fall short."""
    x = np.vstack([X, np.random.default_rng(0).standard_normal((2, 3))])
    few = {"hidden_layers": 2, "b_std": 0.3, "max_nodes": 2**15}
    drawn, exact = corrections(x, tolerance=1e-4, **few), corrections(X, hidden_layers=2, b_std=0.3)
    assert drawn.status is Status.NODES
    assert "max_nodes" in drawn.status
    for name in FOURS:
        found, expected = getattr(drawn, name), getattr(exact, name)
        gap = np.abs(found[:2, :2, :2, :2] - expected).max() / np.abs(found).max()
        assert gap < 4 * drawn.errors[name] + 1e-9, name
        assert 1e-4 < drawn.errors[name] < 0.1, name
    np.testing.assert_allclose(drawn.ntk_bias[:2, :2], exact.ntk_bias, rtol=1e-9)
    again = corrections(x, tolerance=1e-4, **few)
    np.testing.assert_array_equal(again.fourth, drawn.fourth)
    loose = corrections(x, tolerance=0.5, **few)
    assert loose.status is Status.CONVERGED


def test_an_activation_of_ones_own_needs_five_derivatives_or_jax():
    import jax

    sine = Activation.named("sin")
    own = [Activation.smooth(sine.derivatives, name="own"), Activation.smooth(jax.numpy.sin, name="by jax")]
    expected = corrections(X, hidden_layers=1, activation=sine)
    for activation in own:
        found = corrections(X, hidden_layers=1, activation=activation)
        for name in (*FOURS, "ntk_bias"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-8, atol=1e-8)
    three = Activation.smooth([np.sin, np.cos, lambda x: -np.sin(x)], name="numpy")
    with pytest.raises(ValueError, match="JAX cannot differentiate this activation"):
        corrections(X, activation=three)


@pytest.mark.slow
def test_steep_activations_take_more_nodes():
    """Networks of φ(2x) with scales σ are those of φ with scales 2σ, of half the output; 768 nodes a dimension, of 1536 at most."""
    import jax

    steep = Activation.smooth(lambda x: jax.scipy.special.erf(2 * x), name="steep")
    doubled = pair_corrections(X, hidden_layers=2, activation="erf", w_std=4.0, b_std=0.4, progress=False)
    found = pair_corrections(X, hidden_layers=2, activation=steep, w_std=2.0, b_std=0.2, progress=False)
    for name, power in (("nngp_bias", 2), ("ntk_bias", 2), ("nngp_variance", 4), ("ntk_variance", 4)):
        np.testing.assert_allclose(getattr(found, name), getattr(doubled, name) / 2**power, rtol=1e-6)
    with pytest.raises(ValueError, match="with 1536 nodes a dimension, the most there are"):
        pair_corrections(X, hidden_layers=2, activation="erf", w_std=30.0, progress=False)


def test_what_is_out_of_reach_is_refused_before_any_work():
    with pytest.raises(
        ValueError, match=r"relu has a kink: .* five derivatives of φ. Use a smooth activation, such as gelu"
    ):
        corrections(X, activation="relu")
    with pytest.raises(
        ValueError, match=r"of 200 points take .* GiB, more than memory_gib = 4 .* at most 4\d points, or pair_corr"
    ):
        corrections(np.random.default_rng(0).standard_normal((200, 3)))
    with pytest.raises(ValueError, match="hidden_layers must be at least 1"):
        pair_corrections(X, hidden_layers=0)
    with pytest.raises(ValueError, match="width_ratios has 1 entries for 2 hidden layers"):
        corrections(X, width_ratios=[1.0])
    with pytest.raises(ValueError, match=r"still move by .* smaller w_std, or scale the inputs"):
        corrections(1e3 * X)
    with pytest.raises(ValueError, match=r"known for ntkinfo.mlp only, got 'cnn'"):
        of_architecture(ntkinfo.cnn(), X)


def test_the_memory_is_refused_beyond_its_limit_and_not_below():
    from ntkinfo.finite_width.setup import check_memory

    with pytest.raises(ValueError, match=r"at most (\d+) points") as refused:
        check_memory(1000, 2, 4.0)
    most = int(re.search(r"at most (\d+) points", str(refused.value))[1])
    check_memory(most, 2, 4.0)
    with pytest.raises(ValueError, match=f"at most {most} points"):
        check_memory(most + 1, 2, 4.0)
    with pytest.raises(ValueError, match=r"all pairs of 30 points take .* GiB, more than memory_gib = 0.001"):
        pair_corrections(np.zeros((30, 1)), memory_gib=1e-3)


def test_an_architecture_and_its_file(tmp_path, erf_two):
    found = of_architecture(ntkinfo.mlp(2, "erf", 1.5, 0.3), X[:1], X[1:])
    np.testing.assert_array_equal(found.fourth, erf_two.fourth)
    np.testing.assert_array_equal(found.full("ntk"), erf_two.full("ntk"))
    found.save(tmp_path / "found.npz")
    again = Corrections.load(tmp_path / "found.npz")
    np.testing.assert_array_equal(again.third, found.third)
    np.testing.assert_array_equal(again.coarse["third"], found.coarse["third"])
    assert again.status is found.status
    assert again.settings == found.settings


def test_infinitesimals_have_no_square():
    one, two = {0: 2.0, 1: 3.0}, {0: 5.0, 2: 7.0}
    assert multiply(one, one) == {0: 4.0, 1: 12.0}
    assert multiply(one, two) == {0: 10.0, 1: 15.0, 2: 14.0, 3: 21.0}
    assert add([one, two]) == {0: 7.0, 1: 3.0, 2: 7.0}


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_nodes_integrate_moments_and_bells(dimensions):
    points, weights = grid(dimensions, 40)
    assert weights.sum() == pytest.approx(1, abs=1e-14)
    np.testing.assert_allclose(np.einsum("s,si,sj->ij", weights, points, points), np.eye(dimensions), atol=1e-10)
    np.testing.assert_allclose(weights @ points**4, 3, rtol=1e-9)
    assert weights @ np.exp(-2.5 * (points**2).sum(axis=1)) == pytest.approx(6 ** (-dimensions / 2), rel=1e-8)
    drawn, equal = draws(dimensions, 10, [0])
    assert np.abs(equal @ drawn).max() < 1e-15  # mirror images
    assert equal @ drawn[:, 0] ** 2 == pytest.approx(1, abs=0.01)


def test_roots_keep_the_directions_that_there_are():
    points = np.random.default_rng(0).standard_normal((5, 2))
    a = root(points @ points.T)
    assert a.shape == (5, 2)
    np.testing.assert_allclose(a @ a.T, points @ points.T, atol=1e-12)
    batch = root(np.stack([np.ones((2, 2)), np.eye(2)]))
    np.testing.assert_allclose(batch @ np.swapaxes(batch, 1, 2), [np.ones((2, 2)), np.eye(2)], atol=1e-12)


def test_depth_one_in_closed_form():
    """Operators D = Σ Σ_ij ∂_i∂_j on φφφφ, by nested differences of nothing: the derivatives of the sine, whose moments are sums of
    exponentials: E Π sin^{(k_i)}(u_i) by the characteristic function."""
    w_std, b_std = 1.2, 0.3
    c = corrections(X, hidden_layers=1, activation="sin", w_std=w_std, b_std=b_std)
    k = w_std**2 * X @ X.T / 3 + b_std**2

    def moment(points, orders):
        """Re of Π (e^{i(u+πk/2)} - c.c.)/2i."""
        total, signs = 0.0, np.array(np.meshgrid(*[(1, -1)] * len(points))).reshape(len(points), -1).T
        for s in signs:
            phase = np.exp(0.5j * np.pi * (s @ np.array(orders)))
            total += s.prod() * phase * np.exp(-0.5 * s @ k[np.ix_(points, points)] @ s) / (2j) ** len(points)
        return total.real

    def after(points, *operators):
        """E of the product of operators, each a list of pairs, on the sines at the points."""
        terms = [(1.0, (0,) * len(points))]
        for pairs in operators:
            terms = [
                (f * k[points[i], points[j]], tuple(o + (n in (i, j)) for n, o in enumerate(orders)))
                for f, orders in terms
                for i, j in pairs
            ]
        return sum(f * moment(points, orders) for f, orders in terms)

    for points in ((0, 0, 0, 0), (0, 1, 0, 1), (0, 0, 0, 1), (1, 0, 1, 1)):
        one, two, three = [(0, 1)], [(0, 2), (1, 2)], [(0, 3), (1, 3), (2, 3)]
        third = 3 * after(points, one, two) + after(points, two) + 2 * after(points, one)
        fourth = 3 * after(points, one, two, three) + after(points, two, three) + 2 * after(points, one, three)
        fourth += 3 * after(points, one, two) + after(points, two) + 2 * after(points, one)
        ab, cd, own = points[:2], points[2:], [(0, 1)]
        means = [after(pair) + after(pair, own) for pair in (ab, cd)]
        both = reduce(
            lambda a, b: a + b,
            (after(points), after(points, one), after(points, [(2, 3)]), after(points, one, [(2, 3)])),
        )
        covariance = both - means[0] * means[1] + 2 * after(points, one, [(2, 3)])
        np.testing.assert_allclose(c.third[points], w_std**4 * third, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(c.fourth[points], w_std**4 * fourth, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(c.ntk_covariance[points], w_std**4 * covariance, rtol=1e-7, atol=1e-8)


PAGE = (Path(__file__).resolve().parents[2] / "docs" / "finite_width.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_blocks_of_the_page_run_as_they_stand(block, capsys):
    exec(compile(block, "docs/finite_width.md", "exec"), {})
    assert capsys.readouterr().out.strip()
