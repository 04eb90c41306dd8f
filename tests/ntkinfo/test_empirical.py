"""Finite networks of several libraries: kernels by Monte Carlo against the analytic ones and against hand-made derivatives."""

import numpy as np
import pytest

import ntkinfo
from ntkinfo import adapters
from ntkinfo.kernels import neural_tangents

X = np.random.default_rng(0).standard_normal((5, 3))


def linear(outputs=2):
    """The network z = Wᵀx with W ~ N(0, I): Θ̂ = X Xᵀ for every draw."""
    import jax

    return adapters.functions(
        lambda key, x: jax.random.normal(key, (x.shape[1], outputs), "float32"), lambda w, x: x @ w
    )


def test_networks_of_one_hidden_layer_have_the_analytic_kernels_as_their_means():
    """Their expectation is exact at every width: within five standard errors, entry by entry."""
    network = ntkinfo.mlp(1, width=64, n_outputs=2)
    exact = ntkinfo.kernels.dense(X[:3], X[3:], hidden_layers=1)
    found = ntkinfo.kernels.empirical(network, X[:3], X[3:], replicas=24)
    for name, error in found.errors.items():
        assert (np.abs(getattr(found.kernels, name) - getattr(exact, name)) < 5 * error).all(), name
    assert found.kernels.ntk.dtype == np.float64
    for name, distance in found.distance(exact).items():
        assert distance.low == 0.0, name  # the expected kernels are these
        assert distance.value < 0.5


@pytest.mark.slow
def test_the_distance_of_empirical_kernels_holds_that_of_the_expected_ones():
    """Expected kernels are X Xᵀ at every width: half of twice as much; in 95 of 100 repetitions and more."""
    exact = X @ X.T
    twice = ntkinfo.Kernels(2 * exact, 2 * exact)
    held = []
    for seed in range(40):
        found = ntkinfo.kernels.empirical(linear(), X, replicas=4, seed=seed).distance(twice)
        held.append(found["nngp"].low <= 0.5 <= found["nngp"].high)
        assert abs(found["ntk"].value - 0.5) < 1e-12  # the same in every draw
    assert np.mean(held) >= 0.95
    with pytest.raises(ValueError, match=r"ntk has shape \(5, 5\) here and \(2, 2\)"):
        ntkinfo.kernels.empirical(linear(), X, replicas=2).distance(ntkinfo.Kernels(np.eye(2), np.eye(2)))


def test_no_gaussian_quadratic_form_has_a_heavier_tail_than_one_square():
    """P(Σ λ_i χ_i² > 3.84) with Σ λ = 1 is at most that of one term: what the interval of the distance rests on."""
    squares = np.random.default_rng(0).standard_normal((200_000, 6)) ** 2
    for weights in ([0.9, 0.1], [0.6, 0.4], [0.5, 0.3, 0.2], [1 / 6] * 6):
        assert (squares[:, : len(weights)] @ np.array(weights) > 3.8415).mean() < 0.05


def test_a_linear_network_has_the_same_ntk_in_every_draw(tmp_path):
    found = ntkinfo.kernels.empirical(linear(), X[:3], X[3:], replicas=3)
    np.testing.assert_allclose(found.kernels.ntk, X[:3] @ X[:3].T, rtol=1e-12)
    assert found.errors["ntk"].max() < 1e-12
    again = ntkinfo.kernels.empirical(linear(), X[:3], X[3:], replicas=3, batch_size=2)
    np.testing.assert_allclose(again.kernels.nngp_test_train, found.kernels.nngp_test_train, rtol=1e-12)
    found.save(tmp_path / "e.npz")
    loaded = ntkinfo.kernels.EmpiricalKernels.load(tmp_path / "e.npz")
    np.testing.assert_array_equal(loaded.errors["nngp_test"], found.errors["nngp_test"])


def test_an_ensemble_of_empirical_kernels_has_its_law():
    found = ntkinfo.kernels.empirical(linear(50), X[:2], X[2:], replicas=4)
    law = ntkinfo.Ensemble(found.kernels, np.ones(2)).law(np.inf)
    expected = X[2:] @ np.linalg.pinv(X[:2]) @ np.ones((2, 1))
    np.testing.assert_allclose(law.mean, expected, atol=1e-9)


def test_convolutions_with_pooling_of_stax():
    stax = neural_tangents.load().stax
    layers = [stax.Conv(16, (3, 3), padding="SAME"), stax.Relu(), stax.AvgPool((2, 2), (2, 2)), stax.GlobalAvgPool()]
    network = adapters.stax(stax.serial(*layers, stax.Dense(1)))
    x = np.random.default_rng(1).standard_normal((3, 4, 4, 1))
    exact = ntkinfo.Kernels.compute(network.kernel_fn, x)
    found = ntkinfo.kernels.empirical(network, x, replicas=24)
    assert (np.abs(found.kernels.ntk - exact.ntk) < 5 * found.errors["ntk"]).all()


def test_a_network_without_analytic_kernels_says_so_and_bad_networks_are_refused():
    with pytest.raises(ValueError, match=r"no analytic kernels.*kernels\.empirical"):
        ntkinfo.Kernels.compute(linear().kernel_fn, X)
    with pytest.raises(ValueError, match="a stax network is"):
        adapters.stax([np.sin])
    with pytest.raises(ValueError, match="replicas must be at least 2"):
        ntkinfo.kernels.empirical(linear(), X, replicas=1)
    flat = adapters.functions(lambda key, x: np.ones(3), lambda w, x: x @ w)
    with pytest.raises(ValueError, match=r"gives shape \(5,\) for 5 points"):
        ntkinfo.kernels.empirical(flat, X, replicas=2)


def hand_made(weights, x):
    """Θ̂ of tanh(x W) v: the derivatives by v and by W."""
    w, v = weights
    h = np.tanh(x @ w)
    slope = (1 - h**2) * v
    return h @ h.T + (slope @ slope.T) * (x @ x.T)


def test_flax_networks():
    nn = pytest.importorskip("flax.linen")

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(1, use_bias=False)(nn.tanh(nn.Dense(8, use_bias=False)(x)))

    import jax

    network = adapters.flax(Network())
    found = ntkinfo.kernels.empirical(network, X, replicas=2, seed=3)
    truth = []
    for key in jax.random.split(jax.random.PRNGKey(3), 2):
        p = network.init_fn(key, (-1, 3))[1]["params"]
        truth.append(hand_made((np.float64(p["Dense_1"]["kernel"]), np.float64(p["Dense_0"]["kernel"][:, 0])), X))
    np.testing.assert_allclose(found.kernels.ntk, np.mean(truth, axis=0), rtol=1e-12)


def test_equinox_networks():
    eqx = pytest.importorskip("equinox")
    import jax

    def build(key):
        return eqx.nn.MLP(3, 1, 8, 1, activation=jax.numpy.tanh, use_bias=False, use_final_bias=False, key=key)

    found = ntkinfo.kernels.empirical(adapters.equinox(build), X, replicas=2, seed=3)
    truth = []
    for key in jax.random.split(jax.random.PRNGKey(3), 2):
        first, last = build(key).layers
        truth.append(hand_made((np.float64(first.weight).T, np.float64(last.weight[0])), X))
    np.testing.assert_allclose(found.kernels.ntk, np.mean(truth, axis=0), rtol=1e-6)


def test_torch_networks():
    torch = pytest.importorskip("torch")

    def build():
        layers = torch.nn.Linear(3, 8, bias=False), torch.nn.Tanh(), torch.nn.Linear(8, 1, bias=False)
        built.append(torch.nn.Sequential(*layers))
        return built[-1]

    built = []
    before = torch.random.get_rng_state()
    found = ntkinfo.kernels.empirical(adapters.torch(build), X[:3], X[3:], replicas=2, seed=3, batch_size=2)
    assert torch.equal(before, torch.random.get_rng_state())
    weights = [[p.detach().numpy() for p in module.parameters()] for module in built]
    assert not np.allclose(weights[0][0], weights[1][0])
    truth = np.mean([hand_made((first.T, last[0]), X) for first, last in weights], axis=0)
    np.testing.assert_allclose(found.kernels.ntk_test_train, truth[3:, :3], rtol=1e-12)
    np.testing.assert_allclose(found.kernels.ntk_test, truth[3:, 3:], rtol=1e-12)
    outputs = [np.tanh(X @ first.T) @ last[0] for first, last in weights]
    np.testing.assert_allclose(
        found.kernels.nngp, np.mean([np.outer(z, z) for z in outputs], axis=0)[:3, :3], rtol=1e-12
    )
    with pytest.raises(ValueError, match=r"gives shape \(2, 3, 8\)|gives shape"):
        ntkinfo.kernels.empirical(adapters.torch(lambda: torch.nn.Unflatten(1, (3, 1))), X, replicas=2)


def test_torch_parameters_without_gradient_are_fixed():
    torch = pytest.importorskip("torch")

    def build():
        first, last = torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)
        first.requires_grad_(False)
        return torch.nn.Sequential(first, torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.5), last)

    one = next(adapters.torch(build).draw(0, (3,), 1))(X, None)[0]
    eigenvalues = np.linalg.eigvalsh(one)
    assert (np.abs(eigenvalues[0]) < 1e-12 * eigenvalues[-1]).all()  # affine in x: rank 4 of 5


def test_a_table_of_finite_networks_says_that_their_error_is_not_in_it():
    data = ntkinfo.gaussian_task(6, 5, x_dim=3)
    found = ntkinfo.kernels.empirical(ntkinfo.mlp(1, "erf", width=8), data.x_train, data.x_test, replicas=4)
    table = ntkinfo.timeline(ntkinfo.Ensemble(found.kernels, data.y_train), [1.0], y_test=data.y_test)
    error = 100 * np.linalg.norm(found.errors["ntk"]) / np.linalg.norm(found.kernels.ntk)
    for text in (table.table(), table.describe()):
        said = " ".join(text.split())
        assert "means over 4 finite networks" in said
        assert f"{error:.2g} % of ntk" in said
        assert "that error is not in them" in said
    bounds = ntkinfo.generalisation_bounds(ntkinfo.Ensemble(found.kernels, data.y_train), [1.0])
    assert "means over 4 finite networks" in " ".join(bounds.describe().split())
    exact = ntkinfo.kernels.dense(data.x_train, data.x_test)
    assert "finite networks" not in ntkinfo.timeline(ntkinfo.Ensemble(exact, data.y_train), [1.0]).table()
