"""The measures of what the talk and its listeners asked, on artificial data with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

import deepnets
from deepnets.planes.bottleneck import BETA_MAX
from papers.tishby_talk_2017.measures.depths import onset_order, phases_at_every_depth, same_layer
from papers.tishby_talk_2017.measures.noise import per_step
from papers.tishby_talk_2017.measures.training import batch_size, best_size, gain_of_best
from papers.tishby_talk_2017.measures.transitions import inside, iteration, near_transitions, rank
from papers.tishby_talk_2017.second_order import natural_gradient
from papers.tishby_talk_2017.weights import RIDGES, kernel_weights, solutions

EPOCHS = np.unique(np.round(np.geomspace(1, 10_000, 80))).astype(int) - 1


def fall_at(epochs):
    """Two bits up to an epoch and none after it: rows of I(X;T), one an epoch given."""
    time = np.log1p(EPOCHS)
    return 2.0 - 2.0 / (1 + np.exp(-8 * (time - np.log1p(np.asarray(epochs))[..., None])))


def test_who_begins_first_and_whether_the_other_follows():
    rng = np.random.default_rng(0)
    lead = 10 ** rng.normal(1.5, 0.2, 12)
    follows = onset_order(EPOCHS, np.stack([fall_at(20 * lead), fall_at(5 * lead), fall_at(lead)], axis=-1))
    assert follows["upper_first"].value == 1.0
    assert follows["pull"].value == pytest.approx(1.0, abs=0.02)
    assert follows["onset_lag"].value == pytest.approx((np.log10(20)) / 2, abs=0.1)
    alone = [10 ** rng.normal(2.0, 0.2, 12) for _ in range(3)]
    independent = onset_order(EPOCHS, np.stack([fall_at(one) for one in alone], axis=-1))
    assert independent["upper_first"].low < 0.5 < independent["upper_first"].high
    assert independent["pull"].low < 0.0 < independent["pull"].high


def test_layers_that_do_not_compress_are_left_out():
    flat = np.full((6, len(EPOCHS)), 12.0)
    found = onset_order(EPOCHS, np.stack([flat, fall_at(np.full(6, 300.0)), fall_at(np.full(6, 30.0))], axis=-1))
    assert found["upper_first"].value == 1.0
    assert onset_order(EPOCHS, np.stack([flat, flat], axis=-1)).keys() <= {"onset_lag"}


def test_the_same_layer_is_found_at_its_place_in_every_depth():
    half = {4: 400.0, 5: 200.0, 6: 50.0}
    arrays = {}
    for count, epoch in half.items():
        rate = np.full((5, len(EPOCHS), count + 1), 12.0)
        rate[:, :, {4: 3, 5: 3, 6: 4}[count]] = fall_at(np.full(5, epoch) * np.linspace(0.9, 1.1, 5))
        arrays |= {f"{count}_epochs": EPOCHS, f"{count}_input": rate}
    found = same_layer(arrays)
    assert found["four_against_five_layer_4"].value == pytest.approx(np.log10(2), abs=0.05)
    assert found["four_against_six_layer_4"].value == pytest.approx(np.log10(8), abs=0.05)
    assert "four_against_five_layer_5" not in found  # it does not compress


def test_phases_are_counted_at_every_depth():
    rate, flat = np.tile([1.0, 4.0, 1.0], (8, 1)), np.tile([1.0, 4.0, 4.0], (8, 1))
    arrays = {}
    for count in range(1, 7):
        for prefix in ("", "second_"):
            arrays[f"{count}_{prefix}input"] = (flat if count == 3 else rate)[:, :, None]
            arrays[f"{count}_{prefix}label"] = np.tile([0.0, 0.5, 0.9], (8, 1))[:, :, None]
    found = phases_at_every_depth(arrays)
    assert [found[f"two_phases_{k}"].value for k in range(1, 7)] == [1, 1, 0, 1, 1, 1]


def test_a_random_beta_has_rank_one_half():
    places = np.array([1.0, 40.0, 2300.0])
    random = np.exp(np.random.default_rng(0).uniform(0, np.log(BETA_MAX), 4000))
    assert rank(random, places).mean() == pytest.approx(0.5, abs=0.02)
    assert rank(places, places).max() < 1e-3
    assert np.isnan(rank(inside(np.array([0.0, BETA_MAX])), places)).all()


def test_layers_that_settle_at_a_transition_are_near_it_and_slow_there():
    epochs = np.array([0, 3, 10, 30, 100, 300, 1000, 3000])
    away = 1.2 * np.exp(-np.linspace(0, 3, 8)) * np.linspace(0.8, 1.0, 5)[:, None]  # in log10 β, slower as it shrinks
    beta = (40.0 * 10**away)[:, :, None]
    arrays = {"epochs": epochs, "transitions": np.array([40.0]), "beta": beta}
    found = near_transitions(arrays | {"smooth_transitions": np.array([1.0, 5.0]), "smooth_beta": beta})
    assert found["transition_rank"].high < 0.1
    assert found["transition_rank_smooth"].low > 0.1
    assert found["nearer_at_the_end"].low > 0.0
    assert found["slower_near"].value > 0.5


def test_starts_that_miss_the_optimum_are_counted():
    toy, random = np.array([[0.0, 1e-3], [1e-8, 0.0]]), np.array([[0.0, 1e-3]] * 3 + [[0.0, 0.0]])
    found = iteration({"toy": toy, "toy_fixed": 0 * toy, "random": random, "random_fixed": 0 * random})
    assert found["reached_toy"].value == 0.75
    assert found["reached_random"].value == pytest.approx(2.5 / 4)
    assert found["reached_random_everywhere"].value == 0.25
    assert found["reached_toy_fixed"].value == found["reached_random_fixed"].value == 1.0
    assert found["reached_by_atoms"].value == pytest.approx(1.5 / 4)


def test_the_best_batch_of_noise_gains_nothing():
    rng = np.random.default_rng(0)
    noise = 0.95 + 0.01 * rng.normal(size=(5, 400))
    assert abs(gain_of_best(noise).mean()) < 0.003
    assert (noise.max(axis=0) - noise.min(axis=0)).mean() > 0.02  # what best less worst would have said
    better = noise + np.array([0, 0, 0.05, 0, 0])[:, None]
    assert gain_of_best(better).mean() == pytest.approx(0.05, abs=0.005)
    np.testing.assert_array_equal(
        best_size(np.array([[0.9, 0.9], [0.9, 0.8]]), np.array([[0.3, 0.3], [0.2, 0.2]])), [1, 0]
    )


def test_a_best_batch_at_the_noise_scale_is_at_zero():
    sizes = np.array([16, 64, 256])
    accuracy = np.tile(np.array([0.9, 0.95, 0.91])[None, :, None], (2, 1, 4))
    found = batch_size(
        {
            "batch_size": sizes,
            "test_accuracy": accuracy,
            "test_loss": 1 - accuracy,
            "noise_scale": np.array([[64.0] * 4, [640.0] * 4]),
        }
    )
    assert found["best_over_simple"].value == pytest.approx(0.0)
    assert found["best_over_simple_large_step"].value == pytest.approx(-1.0)
    assert found["best_by_step"].value == 0.0


def test_a_step_is_a_slope():
    assert per_step(np.array([[1.0, 0.0], [3.0, 0.0], [5.0, 0.0], [7.0, 4.0]])) == pytest.approx([2.0, 1.2])


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_computed_weights_solve_the_ridge_regression(shape):
    rng = np.random.default_rng(0)
    jacobian, target, ridges = rng.normal(size=shape), rng.normal(size=shape[0]), (0.1, 2.0)
    for ridge, found in zip(ridges, solutions(jacobian, target, ridges), strict=True):
        scale = ridge * (jacobian**2).sum() / shape[0]
        gradient = jacobian.T @ (jacobian @ found - target) + scale * found
        np.testing.assert_allclose(gradient, 0.0, atol=1e-10)


def test_the_kernel_solution_of_a_linear_network_is_its_regression():
    """Without hidden layers the margin is linear in the weights: network and predictor are one, and better than the start."""
    run = deepnets.train(
        deepnets.Network((12, 2)),
        deepnets.icosahedral_task(),
        epochs=1,
        snapshots=2,
        train_fraction=0.2,
        progress=False,
    )
    found = kernel_weights(run, 0)
    assert found["network"] == found["predictor"] > found["start"]
    assert len(RIDGES) > 1


@pytest.mark.slow
def test_natural_gradient_of_a_linear_network_reaches_the_optimum():
    """Logistic regression, whose optimum a quasi-Newton method finds: F is then the Hessian, and steps are as short as the trust allows."""
    training = deepnets.Training(150, 1, snapshots=3, train_fraction=0.5, batch_size=1024)
    run = natural_gradient(training, (12, 2))
    x = np.column_stack([run.task.x, np.ones(4096)])[run.train_patterns[0]]
    z = np.where(run.task.y > 0, 1.0, -1.0)[run.train_patterns[0]]
    best = minimize(lambda w: np.logaddexp(0, -z * (x @ w)).mean(), np.zeros(13)).fun
    loss = run.scores["train_loss"][:, 0]
    assert loss[0] > loss[-1]
    assert loss[-1] == pytest.approx(best, abs=2e-3)
