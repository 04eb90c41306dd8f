"""Gradient flow of finite networks: every piece against automatic differentiation; order of the steps; linear networks."""

from dataclasses import fields

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flow_networks import flow_network
from jax.flatten_util import ravel_pytree

import deepnets
import ntkinfo
from deepnets.widths.flow import FlowSample, gradient_flow
from deepnets.widths.formulas import Formulas
from ntkinfo import quantities

X = np.random.default_rng(5).standard_normal((6, 3)).astype(np.float32)
Y = np.array([0.8, -0.5, 0.3, -1.0], np.float32)


def pieces(depth, activation="erf", width=5):
    machine = Formulas(flow_network(depth, width, activation, 1.2, 0.3), 4)
    theta = machine.init(jax.random.key(1))
    return machine, theta, machine.passes(theta, X)


def outputs(machine, theta):
    return machine.passes(theta, X).z[:4]


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("activation", ["erf", "sin"])
def test_passes_are_those_of_automatic_differentiation(depth, activation):
    machine, theta, at = pieces(depth, activation)
    rows = jax.tree.leaves(jax.jacrev(lambda p: outputs(machine, p))(theta))
    jacobian = np.concatenate([np.asarray(j).reshape(4, -1) for j in rows], axis=1)
    kernel = jacobian @ jacobian.T
    np.testing.assert_allclose(machine.kernel(at), kernel, rtol=2e-4)
    np.testing.assert_allclose(machine.traces(at)[:4], np.diagonal(kernel), rtol=2e-4)
    gradient = jax.grad(lambda p: 0.5 * ((outputs(machine, p) - Y) ** 2).sum())(theta)
    for new, old, g in zip(*map(jax.tree.leaves, (machine.moved(theta, at, Y, 0.1), theta, gradient)), strict=True):
        np.testing.assert_allclose(new, old - 0.1 * g, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_rate_of_the_divergence_is_minus_div_v_plus_theta_v(depth):
    """Exact with one hidden layer; with more, in expectation over the random second derivatives."""
    machine, theta, at = pieces(depth, width=4)
    flat, shape = ravel_pytree(theta)

    def velocity(p):
        return -jax.grad(lambda q: 0.5 * ((outputs(machine, shape(q)) - Y) ** 2).sum())(p)

    expected = -float(jnp.trace(jax.jacfwd(velocity)(flat))) + float(flat @ velocity(flat))
    count = 1 if depth == 1 else 4000
    keys = jax.random.split(jax.random.key(0), count)
    rates = np.asarray(jax.jit(jax.vmap(lambda k: machine.kl_rate(theta, at, machine.kernel(at), Y, k)))(keys))
    error = rates.std(ddof=1) / np.sqrt(count) if count > 1 else 0.0
    assert abs(rates.mean() - expected) < 4.5 * error + 2e-4 * abs(expected)


@pytest.mark.slow
def test_a_kink_leaves_all_but_the_divergence_of_the_parameters():
    found = gradient_flow(flow_network(2, 8, "relu", 1.2, 0.3), X, Y, (0.2,), 0.05, replicas=3, seed=0)
    assert {f.name for f in fields(found) if np.isnan(getattr(found, f.name)).any()} == {"kl", "kl_rate"}
    assert np.isnan(found.kl).all()


@pytest.mark.slow
def test_steps_are_of_second_order():
    net = flow_network(2, 8, "erf", 1.2, 0.3)
    found = [gradient_flow(net, X, Y, (1.0,), h, replicas=40, seed=0) for h in (0.1, 0.05, 0.0125)]
    for name in ("outputs", "length", "action", "distance_squared"):
        coarse, fine, best = (getattr(s, name) for s in found)
        ratio = np.linalg.norm(coarse - best) / np.linalg.norm(fine - best)
        assert 3.0 < ratio < 6.0, name  # 4, and a little more as `best` has an error of its own


@pytest.mark.slow
def test_a_network_is_a_function_of_seed_and_number():
    net = flow_network(1, 8)
    whole = gradient_flow(net, X, Y, (0.5, 1.0), 0.1, replicas=6, seed=3)
    part = gradient_flow(net, X, Y, (0.5, 1.0), 0.1, replicas=3, seed=3, first=2)
    np.testing.assert_allclose(part.outputs, whole.outputs[2:5], rtol=1e-5, atol=1e-6)
    again = FlowSample.concatenate([whole.part(slice(0, 2)), whole.part(slice(2, None))])
    np.testing.assert_array_equal(again.kl, whole.kl)


def test_one_layer_of_erf_has_the_divergence_of_the_third_kernel():
    """Four points, width 256: the third kernel's value lies within the networks' error, the linearised one far outside."""
    found = ntkinfo.kernels.dense(X[:4], hidden_layers=1, w_std=1.2, b_std=0.3)
    ensemble = ntkinfo.Ensemble(found, Y.astype(float))
    sample = gradient_flow(flow_network(1, 256, "erf", 1.2, 0.3), X[:4], Y, (1.5,), 0.05, replicas=600, seed=1)
    error = sample.kl.std(ddof=1) / np.sqrt(600)
    exact = float(quantities.parameter_kl_infinite_width(ensemble, 1.5))
    assert abs(sample.kl.mean() - exact) < 4 * error + 0.01 * exact  # and a correction of order 1/256
    assert sample.kl.mean() - float(quantities.parameter_kl(ensemble, 1.5)) > 10 * error
    assert float(quantities.parameter_kl_published(ensemble, 1.5)) - sample.kl.mean() > 10 * error
    distance = sample.distance_squared
    assert abs(
        distance.mean() - float(quantities.parameter_distance_squared(ensemble, 1.5))
    ) < 4.5 * distance.std() / np.sqrt(600)


def flow(network, taus=(1.0,), step=0.1):
    return gradient_flow(network, X, Y, taus, step, replicas=2, seed=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: flow(flow_network(0, 4)), "one hidden layer at least"),
        (lambda: flow(deepnets.Network((3, 4, 1))), "NTK parameterisation"),
        (lambda: flow(flow_network(1, 4, "swish")), "unknown activation"),
        (lambda: flow(flow_network(1, 4), taus=(1.0, 0.5)), "increase"),
        (lambda: flow(flow_network(1, 4), step=0.0), "step"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.slow
def test_the_noted_case_is_the_third_kernels_and_neither_of_the_others():
    """Four points, one hidden erf layer of width 512, τ = 1.5: KL of the parameters of 3000 trained networks."""
    x = np.random.default_rng(5).standard_normal((4, 3))
    y = np.array([0.8, -0.5, 0.3, -1.0])
    found = ntkinfo.kernels.dense(x, hidden_layers=1, activation="erf", w_std=1.2, b_std=0.3)
    ensemble = ntkinfo.Ensemble(found, y)
    kl = gradient_flow(flow_network(1, 512, "erf", 1.2, 0.3), x, y, (1.5,), 0.02, replicas=3000, seed=0).kl[:, -1]
    mean, error = kl.mean(), kl.std(ddof=1) / np.sqrt(len(kl))
    assert abs(mean - float(quantities.parameter_kl_infinite_width(ensemble, 1.5))) < 2 * error
    for excluded in (quantities.parameter_kl, quantities.parameter_kl_published):
        assert abs(mean - float(excluded(ensemble, 1.5))) > 30 * error
