"""Tasks: the icosahedral rule's exact numbers, symmetries, laws of labels, input that does not fit."""

import numpy as np
import pytest
from scipy.stats import norm

import deepnets
from deepnets.tasks import task_from_settings

BITS = 1 / np.log(2)


def test_icosahedral_task_has_the_numbers_of_the_paper():
    task = deepnets.icosahedral_task()
    assert task.x.shape == (4096, 12)
    assert task.y.sum() == 2118
    assert task.joint.mutual_information() * BITS == pytest.approx(0.999157121, abs=5e-10)
    assert len(np.unique(task.symmetry_classes)) == 82
    np.testing.assert_array_equal(task.x[5], [0] * 9 + [1, 0, 1])  # bit 0 the most significant
    for orbit in range(82):
        assert len(np.unique(task.y[task.symmetry_classes == orbit])) == 1
    rate = np.array([task.y[task.x.sum(axis=1) == k].mean() for k in range(13)])
    np.testing.assert_allclose(rate[4:9], [0, 0.0758, 0.5758, 0.9242, 1], atol=5e-5)
    counts = deepnets.Task("count", task.x, task.y, task.p_y_given_x).joint  # I(Σx; Y)
    by_count = np.array([counts.p_xy[task.x.sum(axis=1) == k].sum(axis=0) for k in range(13)])
    import dualib

    assert dualib.mutual_information(by_count) * BITS == pytest.approx(0.62764, abs=5e-6)


@pytest.mark.parametrize(
    ("gamma", "bits"), [(10, 0.896701), (30.5, 0.967852), (50, 0.987857), (53.826, 0.99), (100, 0.998550)]
)
def test_stochastic_labels_have_the_information_of_the_rule(gamma, bits):
    task = deepnets.icosahedral_task(gamma)
    assert task.joint.mutual_information() * BITS == pytest.approx(bits, abs=2e-6)
    share = (task.y == 1).mean()
    expected, variance = task.p_y_given_x[:, 1].mean(), (task.p_y_given_x.prod(axis=1)).mean() / 4096
    assert abs(share - expected) < 5 * np.sqrt(variance)


def test_gaussian_task_has_the_posterior_of_its_two_gaussians():
    task = deepnets.two_gaussians_task(4000, x_dim=3, separation=1.5, seed=2)
    predicted = task.p_y_given_x.argmax(axis=1)
    error = norm.cdf(-0.75)
    assert abs((predicted != task.y).mean() - error) < 5 * np.sqrt(error * (1 - error) / 4000)
    in_bin = np.abs(task.p_y_given_x[:, 1] - 0.3) < 0.05  # calibrated
    expected = task.p_y_given_x[in_bin, 1].mean()
    assert abs(task.y[in_bin].mean() - expected) < 5 * np.sqrt(0.25 / in_bin.sum())


def test_digits_and_their_parity():
    digits, parity = deepnets.digits_task(), deepnets.digits_task(parity=True)
    assert (digits.x.shape, digits.n_classes, parity.n_classes) == ((1797, 64), 10, 2)
    np.testing.assert_array_equal(parity.y, digits.y % 2)
    assert digits.x.min() == 0
    assert digits.x.max() == 1


@pytest.mark.parametrize(
    "make",
    [
        deepnets.icosahedral_task,
        lambda: deepnets.icosahedral_task(30.5, seed=3),
        deepnets.digits_task,
        lambda: deepnets.two_gaussians_task(20, x_dim=2),
    ],
)
def test_settings_make_the_same_task_again(make):
    task = make()
    assert task_from_settings(task.settings).digest() == task.digest()
    assert deepnets.two_gaussians_task(20, x_dim=2, seed=9).digest() != task.digest()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [0, 1, 2]}, r"1 labels lie outside 0..1, the first y\[2\] = 2"),
        ({"y": [0, 1]}, r"\(2,\).*3 patterns"),
        ({"y": [0, 0.5, 1]}, "whole numbers"),
        ({"y": [1, 1, 1]}, "probability 0"),
        ({"x": [[0.0], [np.nan], [1.0]]}, "1 entries that are not finite"),
        ({"p_y_given_x": [[1, 0], [0, 1]]}, r"\(2, 2\).*3 patterns"),
        ({"p_y_given_x": [[1, 0.1], [0, 1], [0, 1]]}, "sum"),
        ({"p_x": [0.5, 0.5]}, r"\(2,\)"),
    ],
)
def test_tasks_that_do_not_fit_together_are_refused(change, message):
    good = {"x": [[0.0], [1.0], [2.0]], "y": [0, 1, 1], "p_y_given_x": [[1, 0], [0, 1], [0, 1]]}
    with pytest.raises(ValueError, match=message):
        deepnets.Task("bad", **{k: np.array(v) for k, v in {**good, **change}.items()})


@pytest.mark.parametrize("settings", [{"task": "mnist"}, {}])
def test_settings_of_no_task_are_refused(settings):
    with pytest.raises(ValueError, match="pass the task itself"):
        task_from_settings(settings)


def test_limits_of_the_icosahedral_rule():
    """A steep rule is the rule itself, at every pattern; a threshold that is no number is refused."""
    plain, steep = deepnets.icosahedral_task(), deepnets.icosahedral_task(gamma=1e9)
    np.testing.assert_array_equal(steep.p_y_given_x, plain.p_y_given_x)
    np.testing.assert_array_equal(steep.y, plain.y)
    for threshold in (np.nan, np.inf):
        with pytest.raises(ValueError, match="threshold must be finite"):
            deepnets.icosahedral_task(threshold=threshold)
