"""Training by squared error: least squares, targets and their classes, runs on disk, planes and gradients of such runs."""

import numpy as np
import pytest
from scipy.stats import norm

import deepnets
from deepnets.gradients import gradient_phases
from deepnets.tasks import Task, classes_of, task_from_settings
from deepnets.training.train import train

FULL = {"loss": "mse", "optimiser": "sgd", "batch_size": None, "progress": False}


def least_squares(task, patterns):
    """Weights (d, k) and intercepts (k,) of the training patterns."""
    design = np.column_stack([task.x[patterns], np.ones(len(patterns))])
    solution = np.linalg.lstsq(design, task.regression_targets()[patterns], rcond=None)[0]
    return solution[:-1], solution[-1]


@pytest.fixture(scope="module")
def regression():
    return deepnets.regression_task(200, x_dim=3, noise_std=0.4, seed=1)


@pytest.fixture(scope="module")
def fitted(regression):
    net = deepnets.Network((3, 1), "linear", dtype="float64")
    return train(net, regression, replicas=2, epochs=400, learning_rate=0.2, snapshots=3, seed=3, **FULL)


def test_a_linear_network_converges_to_least_squares(regression, fitted):
    for replica, patterns in enumerate(fitted.train_patterns):
        weights, intercept = least_squares(regression, patterns)
        found = fitted.parameters(-1, replica)[0]
        np.testing.assert_allclose(found["w"], weights, atol=1e-10)
        np.testing.assert_allclose(found["b"], intercept, atol=1e-10)
        error = regression.x @ weights + intercept - regression.targets
        assert fitted.scores["train_loss"][-1, replica] == pytest.approx(np.mean(error[patterns] ** 2))
        held_out = np.setdiff1d(np.arange(200), patterns)
        assert fitted.scores["test_loss"][-1, replica] == pytest.approx(np.mean(error[held_out] ** 2))
        sign = (error + regression.targets > 0) == (regression.targets > 0)
        assert fitted.scores["test_accuracy"][-1, replica] == pytest.approx(sign[held_out].mean())


def test_a_deep_linear_network_reaches_the_same_function(regression):
    net = deepnets.Network((3, 6, 1), "linear", dtype="float64", b_std=0.1)
    run = train(net, regression, epochs=1500, learning_rate=0.1, snapshots=2, train_fraction=1.0, **FULL)
    weights, intercept = least_squares(regression, np.arange(200))
    np.testing.assert_allclose(run.activations(-1, 0)[-1], regression.x @ weights + intercept, atol=1e-8)


def test_labels_are_one_hot_targets_and_the_loss_is_a_mean_over_outputs():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 2))
    y = (x[:, 0] > 0) + (x[:, 0] > 0.7).astype(int)
    task = Task("three", x, y, np.eye(3)[y])
    net = deepnets.Network((2, 3), "linear", dtype="float64")
    run = train(net, task, epochs=900, learning_rate=0.4, snapshots=2, train_fraction=1.0, **FULL)
    weights, intercept = least_squares(task, np.arange(90))
    outputs = x @ weights + intercept
    np.testing.assert_allclose(run.parameters(-1, 0)[0]["w"], weights, atol=1e-9)
    assert run.scores["train_loss"][-1, 0] == pytest.approx(np.mean((outputs - np.eye(3)[y]) ** 2))
    assert run.accuracy[-1, 0] == pytest.approx(np.mean(outputs.argmax(axis=1) == y))
    assert "train_loss" in run.to_frame().columns  # a squared error is not in nats


def test_the_gradient_vanishes_at_the_least_squares_solution(fitted):
    phases = gradient_phases(fitted, batch_size=40)
    assert phases.mean[:, -1].max() < 1e-9 < phases.mean[:, 0].min()
    assert phases.std[:, -1].min() > 1e-3  # of batches, whose own solutions are others


def test_the_plane_of_squared_error_has_the_outputs_binned_by_their_range(regression):
    net = deepnets.Network((3, 4, 1), dtype="float64")
    run = train(net, regression, epochs=20, batch_size=40, learning_rate=0.01, snapshots=3, loss="mse", progress=False)
    plane = deepnets.information_plane(run, progress=False)
    outputs = [run.activations(s, 0)[-1] for s in range(len(run.epochs))]
    binning = deepnets.Binning.from_range(*outputs)
    expected = binning.layer(outputs[-1], regression.p_y_given_x)
    assert plane.rate.value[0, -1, -1] == expected.rate.value
    assert np.ptp(outputs[-1].sum(axis=1)) > 0.1  # no softmax, whose outputs sum to 1


def test_a_run_on_disk_keeps_its_loss_and_is_not_taken_up_with_another(tmp_path, regression):
    net = deepnets.Network((3, 4, 1))
    settings = {"epochs": 4, "batch_size": 50, "snapshots": 3, "out": tmp_path / "run", "progress": False}
    run = train(net, regression, loss="mse", **settings)
    again = deepnets.Run.load(tmp_path / "run")
    assert again.loss == "mse"
    np.testing.assert_array_equal(run.activations(-1, 0)[-1], again.activations(-1, 0)[-1])
    np.testing.assert_array_equal(again.task.targets, regression.targets)
    longer = train(net, regression, loss="mse", **settings)  # finished: it is read
    np.testing.assert_array_equal(longer.scores["train_loss"], run.scores["train_loss"])
    two = Task("two", regression.x, regression.y, regression.p_y_given_x)
    with pytest.raises(ValueError, match="loss: 'mse' there, 'cross-entropy' now"):
        train(deepnets.Network((3, 4, 2)), two, **settings)


def test_the_regression_task_has_the_law_it_says():
    task = deepnets.regression_task(20_000, x_dim=4, noise_std=0.7, seed=2)
    probability = task.p_y_given_x[:, 1]
    surplus = task.y - probability
    assert abs(surplus.mean()) < 4 * np.sqrt((probability * (1 - probability)).mean() / task.n)
    mean = 0.7 * norm.ppf(probability)
    assert abs(np.var(task.targets[:, 0] - mean) - 0.49) < 4 * 0.49 * np.sqrt(2 / task.n)
    assert mean.std() == pytest.approx(1, abs=0.03)  # u is a unit vector
    np.testing.assert_array_equal(classes_of(task.targets), task.y)
    assert task_from_settings(task.settings).digest() == task.digest()
    assert deepnets.regression_task(20_000, x_dim=4, noise_std=0.7, seed=3).digest() != task.digest()


def test_targets_change_the_digest_and_only_they():
    x, y = np.eye(3), np.array([0, 1, 1])
    plain = Task("a", x, y, np.eye(2)[y])
    other = Task("a", x, y, np.eye(2)[y], targets=np.array([[-1.0], [1.0], [2.0]]))
    assert plain.digest() != other.digest()
    np.testing.assert_array_equal(plain.regression_targets(), np.eye(2)[y])


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.ones((3, 3)), r"shape \(3, 3\)"),
        (np.ones(3), r"shape \(3,\)"),
        ([[-1.0], [np.nan], [1.0]], "not finite"),
        ([[1.0], [1.0], [1.0]], r"1 targets are of another class .* y\[0\] = 0"),
        ([[0.2, 0.8], [0.2, 0.8], [0.2, 0.8]], "1 targets are of another class"),
    ],
)
def test_bad_targets_are_named(targets, message):
    y = np.array([0, 1, 1])
    with pytest.raises(ValueError, match=message):
        Task("a", np.eye(3), y, np.eye(2)[y], targets=np.asarray(targets))


def test_bad_losses_sizes_and_tasks_are_named(regression):
    with pytest.raises(ValueError, match="unknown loss 'hinge': choose one of cross-entropy, mse"):
        train(deepnets.Network((3, 1)), regression, epochs=1, loss="hinge")
    with pytest.raises(ValueError, match="with 1 targets: it must begin with 3 and end with 1"):
        train(deepnets.Network((3, 2)), regression, epochs=1, loss="mse")
    with pytest.raises(ValueError, match="with 2 classes"):
        train(deepnets.Network((3, 1)), regression, epochs=1)
    for wrong in ({"noise_std": 0.0}, {"n": 1}, {"x_dim": 0}, {"noise_std": np.inf}):
        with pytest.raises(ValueError, match="must be"):
            deepnets.regression_task(**{"n": 10, **wrong})
