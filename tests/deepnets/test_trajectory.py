"""The information plane of a run: estimates are the estimators', for deterministic and noisy networks; the commands."""

import numpy as np
import pytest

import deepnets

SETTINGS = {"replicas": 2, "epochs": 20, "batch_size": 8, "snapshots": [0, 20], "learning_rate": 0.02}


def trained(**network):
    task = deepnets.gaussian_task(64, x_dim=3, seed=1)
    return deepnets.train(deepnets.Network((3, 4, 3, 2), **network), task, **SETTINGS)


@pytest.fixture(scope="module")
def run():
    return trained()


def test_values_are_those_of_binning_each_layer(run):
    plane = deepnets.information_plane(run)
    assert plane.input.shape == (2, 2, 3)
    assert plane.layers == ("1 (4)", "2 (3)", "output (2)")
    task = run.task
    for replica, snapshot in np.ndindex(2, 2):
        outputs = np.asarray(run.network.outputs_probability(run.parameters(snapshot, replica), task.x))
        hidden = run.network.hidden(run.parameters(snapshot, replica), task.x)
        for k, t in enumerate([*map(np.asarray, hidden), outputs]):
            expected = deepnets.Binning().layer(t, task.p_y_given_x)
            assert plane.input[replica, snapshot, k] == pytest.approx(expected.input.value, abs=1e-6)
            assert plane.label[replica, snapshot, k] == pytest.approx(expected.label.value, abs=1e-6)
    assert plane.information_xy == pytest.approx(task.joint.mutual_information())
    assert plane.entropy_x == pytest.approx(np.log(64))
    np.testing.assert_array_equal(plane.accuracy, run.accuracy.T)
    assert all("#" in text or not any(c.isdigit() for c in text) for text in plane.warnings)


def test_a_choice_of_replicas_and_snapshots_is_part_of_the_whole(run):
    whole = deepnets.information_plane(run)
    part = deepnets.information_plane(run, replicas=[1], snapshots=[-1])
    np.testing.assert_array_equal(part.input[0, 0], whole.input[1, 1])
    assert part.epochs.tolist() == [20]
    for bad in ({"replicas": [2]}, {"snapshots": []}):
        with pytest.raises(ValueError, match="are not all among"):
            deepnets.information_plane(run, **bad)


def test_binning_between_the_extremes_of_the_run_does_not_depend_on_their_scale():
    run = trained(activation="relu")
    plane = deepnets.information_plane(run)
    activations = [t for s in range(2) for t in run.activations(s, 0)[:-1]]
    low, high = min(t.min() for t in activations), max(t.max() for t in activations)
    by_hand = deepnets.Binning(30, float(low), float(high)).layer(run.activations(1, 0)[1], run.task.p_y_given_x)
    assert plane.input[0, 1, 1] == by_hand.input.value


def test_noisy_layers_lie_in_intervals_that_hold_the_bounds_of_information():
    run = trained(noise_std=0.3)
    plane = deepnets.information_plane(run, passes=6)
    assert plane.layers == ("1 (4)", "2 (3)")
    assert (plane.input_low <= plane.input).all()
    assert (plane.input <= plane.input_high).all()
    exact = deepnets.PairwiseBounds(0.3).layer(run.activations(1, 0)[0], run.task.p_y_given_x).input
    assert exact.low - 1e-9 <= plane.input[0, 1, 0] <= exact.high + 1e-9
    assert (plane.label_low <= plane.information_xy + 1e-9).all()
    again = deepnets.information_plane(run, passes=6)
    np.testing.assert_array_equal(plane.input, again.input)  # the same seed
    assert (plane.input_low[:, :, 1] <= plane.input_high[:, :, 0]).all()  # the data processing inequality
    binned = deepnets.information_plane(run, deepnets.Binning(10, -3, 3))
    assert binned.input.shape == plane.input.shape


def test_estimators_of_noise_are_refused_for_networks_without(run):
    with pytest.raises(ValueError, match="for noisy networks"):
        deepnets.information_plane(run, deepnets.SmoothedPlugin(0.1))
    with pytest.raises(ValueError, match="passes"):
        deepnets.information_plane(trained(noise_std=0.1), passes=1)


def test_replicas_that_failed_are_left_out(run):
    from dataclasses import replace

    plane = deepnets.information_plane(replace(run, failed=np.array([3, -1])))
    assert plane.replicas.tolist() == [1]
