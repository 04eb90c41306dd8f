"""The chains: against quadrature, exact laws of a quadratic loss, and their own rules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepnets.relaxation.energy import Patterns
from deepnets.relaxation.langevin import Drift, overdamped, underdamped
from deepnets.relaxation.methods import Law, Metropolis
from deepnets.relaxation.metropolis import move, start_chain
from deepnets.relaxation.walk import compiled, replica_keys

X = np.linspace(-1.5, 1.5, 8)
Y = 0.8 * np.tanh(1.2 * X) + 0.1 * np.cos(7 * X)
CHAINS = 600


def two_parameters(v):
    """Mean squared error of v₀ tanh(v₁ x): a network of one unit without biases."""
    return ((v[..., 0] * jnp.tanh(v[..., 1] * X) - Y) ** 2).mean()


def run_chain(method, start, steps, adapting):
    layer = jnp.arange(2)
    vectors = jnp.asarray(start, jnp.float64)
    none = Patterns(jnp.zeros((len(start), 1)), jnp.zeros((len(start), 1)))

    def step(chain, key, number, own):
        return move(chain, key, number < adapting, two_parameters, method, layer, len(X))

    advance = compiled(step)
    chain = start_chain(vectors, jax.vmap(two_parameters)(vectors), np.arange(2), method)
    return advance(chain, replica_keys(0, len(start)), none, 0, steps)


def quadrature(weight, of):
    """The mean of `of` under a density over (v, w), on a grid."""
    v = np.linspace(-6, 6, 1201)
    points = np.stack(np.meshgrid(v, v, indexing="ij"), axis=-1)
    loss = ((points[..., :1] * np.tanh(points[..., 1:] * X) - Y) ** 2).mean(axis=-1)
    density = weight(loss, (points**2).sum(axis=-1))
    return (density * of(points, loss)).sum() / density.sum()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Law.GIBBS, Law.CONSTRAINED])
def test_metropolis_has_the_law_of_two_parameters_by_quadrature(kind):
    start = np.tile([[0.5, 0.9]], (CHAINS, 1))
    ceiling = float(two_parameters(start[0]))
    chain = run_chain(Metropolis(kind, kappa=2.0, prior=1.0), start, 2500, 500)

    def weight(loss, square):
        exponent = -square / 2 - (2.0 * len(X) * loss if kind is Law.GIBBS else 0.0)
        return np.exp(exponent) * (1.0 if kind is Law.GIBBS else loss <= ceiling)

    found = np.asarray(chain.vector)
    for name, of in {
        "loss": lambda p, loss: loss,
        "w²": lambda p, loss: p[..., 1] ** 2,
        "|vw|": lambda p, loss: np.abs(p[..., 0] * p[..., 1]),
    }.items():
        values = of(found, np.asarray(chain.loss))
        error = values.std(ddof=1) / np.sqrt(CHAINS)
        assert abs(values.mean() - quadrature(weight, of)) < 4 * error, name


@pytest.mark.slow
def test_rules_hold_at_every_step():
    """A constrained chain stays below its ceiling, a search never rises, and so does a Gibbs chain as κ → ∞."""
    start = np.random.default_rng(1).normal(size=(40, 2))
    losses = np.asarray(jax.vmap(two_parameters)(jnp.asarray(start)))
    for steps in (1, 7, 60, 400):
        assert (run_chain(Metropolis(), start, steps, 100).loss <= losses).all()
        assert (run_chain(Metropolis("greedy"), start, steps, 100).loss <= losses).all()
        assert (run_chain(Metropolis("gibbs", kappa=1e12, prior=0.0), start, steps, 100).loss <= losses).all()


@pytest.mark.slow
def test_widths_reach_the_wanted_acceptance_and_are_then_frozen():
    start = np.tile([[0.5, 0.9]], (200, 1))
    method = Metropolis("gibbs", kappa=20.0, prior=1.0)
    early, late = run_chain(method, start, 1000, 1000), run_chain(method, start, 4000, 1000)
    np.testing.assert_array_equal(early.width, late.width)
    assert (np.asarray(late.proposed).sum(axis=1) == 3000).all()
    assert (np.asarray(early.proposed) == 0).all()
    share = np.asarray(late.accepted).sum(axis=0) / np.asarray(late.proposed).sum(axis=0)
    assert (np.abs(share - 0.3) < 0.06).all()


CURVATURE = np.array([0.5, 2.0, 8.0])


def quadratic(v):
    return 0.5 * (jnp.asarray(CURVATURE) * v**2).sum()


def drift(step, temperature):
    vectors = jnp.zeros((3000, 3))
    full = jnp.full(3000, 1.0)
    none = jnp.zeros(3000)
    return Drift(vectors, vectors, vectors, none, step * full, temperature * full, none, none.astype(int))


def advanced(kernel, step, temperature, steps):
    none = Patterns(jnp.zeros((3000, 1)), jnp.zeros((3000, 1)))
    return compiled(lambda d, key, number, own: kernel(d, key))(
        drift(step, temperature), replica_keys(3, 3000), none, 0, steps
    )


def check_variance(vectors, wanted):
    error = wanted * np.sqrt(2 / len(vectors))
    assert (np.abs((np.asarray(vectors) ** 2).mean(axis=0) - wanted) < 4 * error).all()


def test_overdamped_steps_have_their_exact_stationary_law():
    """Of a quadratic loss the discrete equation's variance is T/(a(1 − ha/2))."""
    h, t = 0.1, 0.3
    found = advanced(lambda d, k: overdamped(d, k, quadratic, corrected=False), h, t, 300)
    check_variance(found.vector, t / (CURVATURE * (1 - h * CURVATURE / 2)))


def test_corrected_steps_have_the_law_of_gibbs():
    found = advanced(lambda d, k: overdamped(d, k, quadratic, corrected=True), 0.1, 0.3, 300)
    check_variance(found.vector, 0.3 / CURVATURE)
    assert 0.5 < np.asarray(found.moved).mean() / 300 < 1


def test_underdamped_steps_sample_positions_without_bias():
    """BAOAB's positions have the exact variance T/a under a quadratic loss, at any stable step."""
    found = advanced(lambda d, k: underdamped(d, k, quadratic, 1.0), 0.05, 0.3, 400)
    check_variance(found.vector, 0.3 / CURVATURE)
