"""Networks: against numpy, noise and start in law, ntkinfo's twin, widths and scales out of range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

import deepnets
import ntkinfo
from ntkinfo import activations

FUNCTIONS = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "erf": erf, "linear": lambda z: z, "sin": np.sin}


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("parameterisation", ["standard", "ntk"])
def test_the_map_is_that_of_its_parameters(activation, parameterisation):
    scales = {"w_std": 1.3, "b_std": 0.4}
    net = deepnets.Network((3, 5, 4, 2), activation, parameterisation=parameterisation, dtype="float64", **scales)
    params = net.init(jax.random.key(0))
    t = x = np.random.default_rng(0).normal(size=(7, 3))
    for i, layer in enumerate(params):
        w, b = np.asarray(layer["w"]), np.asarray(layer["b"])
        z = t @ w + b if parameterisation == "standard" else 1.3 / np.sqrt(len(w)) * t @ w + 0.4 * b
        t = FUNCTIONS[activation](z) if i < 2 else z
        if i < 2:
            np.testing.assert_allclose(net.hidden(params, x)[i], t, rtol=1e-12)
    np.testing.assert_allclose(net.apply(params, x), t, rtol=1e-12)
    softmax = np.exp(t) / np.exp(t).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(net.outputs_probability(params, x), softmax, rtol=1e-12)


@pytest.mark.parametrize("name", activations.names())
def test_every_activation_on_the_list_makes_a_network_of_its_precision(name):
    net = deepnets.Network((3, 4, 2), name)
    params, x = net.init(jax.random.key(0)), np.random.default_rng(0).normal(size=(5, 3))
    h = np.asarray(jnp.asarray(x, "float32") @ params[0]["w"])
    np.testing.assert_allclose(net.hidden(params, x)[0], net.phi.phi(h.astype(float)), rtol=2e-5, atol=2e-6)
    functions = [net.phi.phi, net.phi.first, *([net.phi.second] if net.phi.has_third_kernel else [])]
    assert {f(jnp.asarray(h)).dtype for f in functions} == {np.dtype("float32")}
    slope = jax.grad(
        lambda w: net.columns([{**params[0], "w": w}, params[1]], jnp.asarray(x[:1].T, "float32"))[0].sum()
    )
    expected = x[0][:, None] * net.phi.first(h[:1].astype(float))
    np.testing.assert_allclose(slope(params[0]["w"]), expected, rtol=1e-4, atol=1e-5)


def test_hidden_units_that_fill_the_interval_from_minus_one_to_one():
    found = {name for name in activations.names() if deepnets.Network((2, 3, 2), name).ends_at_one}
    assert found == {"tanh", "erf"}


def test_start_has_the_law_it_says():
    params = deepnets.Network((400, 300, 2), w_std=1.5, b_std=0.7, dtype="float64").init(jax.random.key(1))
    w, b = np.asarray(params[0]["w"]) * np.sqrt(400) / 1.5, np.asarray(params[0]["b"])
    assert np.abs(w).max() <= 2
    truncated = 0.7737413  # variance of the standard normal cut at ±2
    assert abs(w.var() - truncated) < 5 * truncated * np.sqrt(2 / w.size)
    assert abs(b.std() - 0.7) < 5 * 0.7 / np.sqrt(2 * b.size)
    assert deepnets.Network((4, 3)).init(jax.random.key(0))[0]["b"].tolist() == [0, 0, 0]


def test_noise_is_gaussian_added_to_every_hidden_layer_and_passed_on():
    net = deepnets.Network((2, 3, 3, 2), noise_std=0.3, dtype="float64")
    params, x = net.init(jax.random.key(2)), np.random.default_rng(0).normal(size=(20000, 2))
    key = jax.random.key(3)
    noisy, clean = net.hidden(params, x, key), net.hidden(params, x)
    noise = np.asarray(noisy[0] - clean[0])
    assert abs(noise.std() - 0.3) < 5 * 0.3 / np.sqrt(2 * noise.size)
    assert abs(noise.mean()) < 5 * 0.3 / np.sqrt(noise.size)
    parts = net.noiseless_parts(params, jnp.asarray(x).T, key)
    np.testing.assert_allclose(parts[1].T, np.tanh(noisy[0] @ params[1]["w"] + params[1]["b"]), rtol=1e-10)
    second = np.asarray(noisy[1] - parts[1].T)
    assert abs(np.corrcoef(noise.ravel(), second.ravel())[0, 1]) < 5 / np.sqrt(noise.size)


@pytest.mark.parametrize("activation", ["erf", "relu", "sin", "linear"])
def test_the_twin_is_the_map_and_has_the_kernel_of_ntkinfos_network(activation):
    theirs = ntkinfo.mlp(2, activation, 1.2, 0.3, width=16, n_outputs=2)
    twin = deepnets.Network.from_ntkinfo(theirs, 3, dtype="float64")
    assert twin.widths == (3, 16, 16, 2)
    x = np.random.default_rng(0).normal(size=(4, 3))
    _, params = theirs.init_fn(jax.random.key(0), (-1, 3))
    ours = [{"w": p[0], "b": jnp.ravel(p[1])} for p in params if len(p) == 2]
    np.testing.assert_allclose(twin.apply(ours, x), theirs.apply_fn(params, x), rtol=1e-5, atol=1e-6)
    assert twin.infinite().settings == theirs.settings


def test_the_mean_empirical_kernel_of_wide_twins_is_the_infinite_one():
    infinite = ntkinfo.mlp(1, "erf", 1.2, 0.3, width=256)
    twin = deepnets.Network.from_ntkinfo(infinite, 2, dtype="float64")
    x = np.random.default_rng(0).normal(size=(3, 2))
    kernel = ntkinfo.Kernels.compute(infinite.kernel_fn, x).ntk

    @jax.jit
    @jax.vmap
    def empirical(key):
        jacobian = jax.jacrev(lambda p: twin.apply(p, x)[:, 0])(twin.init(key))
        return sum(j.reshape(3, -1) @ j.reshape(3, -1).T for j in jax.tree.leaves(jacobian))

    samples = np.asarray(empirical(jax.random.split(jax.random.key(0), 400)))
    error = samples.std(axis=0, ddof=1) / 20
    assert (np.abs(samples.mean(axis=0) - kernel) < 5 * error + 0.02 * kernel.max()).all()  # bias of order 1/256


def test_dropout_keeps_the_mean_of_a_linear_network():
    net = deepnets.Network((2, 50, 1), "linear", dropout=0.4, dtype="float64")
    params, x = net.init(jax.random.key(0)), np.ones((1, 2))
    keys = jax.random.split(jax.random.key(1), 4000)
    dropped = np.asarray(jax.jit(jax.vmap(lambda k: net.apply(params, x, dropout_key=k)[0, 0]))(keys))
    assert abs(dropped.mean() - float(net.apply(params, x)[0, 0])) < 5 * dropped.std() / np.sqrt(4000)
    assert dropped.std() > 0


@given(st.lists(st.integers(-2, 3), max_size=4))
def test_widths_out_of_range_are_refused(widths):
    if len(widths) >= 2 and min(widths) >= 1:
        assert deepnets.Network(tuple(widths)).widths == tuple(widths)
        return
    with pytest.raises(ValueError, match="widths"):
        deepnets.Network(tuple(widths))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "swish"}, "tanh, relu"),
        ({"noise_std": -0.1}, "noise_std"),
        ({"noise_std": float("nan")}, "noise_std"),
        ({"parameterisation": "mup"}, "standard, ntk"),
        ({"w_std": 0.0}, "w_std"),
        ({"b_std": -1.0}, "b_std"),
        ({"dropout": 1.0}, "dropout"),
        ({"dtype": "float16"}, "float32, float64"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        deepnets.Network((2, 3, 2), **change)


def test_networks_without_an_infinite_twin_are_refused():
    with pytest.raises(ValueError, match="NTK parameterisation"):
        deepnets.Network((2, 3, 2)).infinite()
    with pytest.raises(ValueError, match="fully connected"):
        deepnets.Network.from_ntkinfo(ntkinfo.cnn(), 3)


def test_settings_make_the_same_network_again():
    net = deepnets.Network((2, 3, 2), noise_std=0.1, dropout=0.2)
    assert deepnets.Network.from_settings(net.settings()) == net
    assert net.n_parameters == 9 + 8
    assert net.layer_names == ("1 (3)", "output (2)")
