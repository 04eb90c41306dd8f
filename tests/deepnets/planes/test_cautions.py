"""What a plane says of estimates that no longer mean anything: the number and its place, and nothing where they do."""

import numpy as np
import pytest

import deepnets
from deepnets.planes import layers_against_bottleneck, with_noisy_labels
from deepnets.planes.phase_change import phase_change

N = 600
RNG = np.random.default_rng(0)
LABELS = np.arange(N) % 10


def plane_of(tmp_path, layers, estimator=None, **more):
    recorder = deepnets.Recorder(tmp_path, LABELS, **more)
    recorder.add(3, layers)
    return deepnets.information_plane(recorder.recorded(), estimator)


def test_cells_that_a_few_large_units_set_are_named(tmp_path):
    t = RNG.normal(size=(N, 20))
    t[:, :3] *= 1e4
    t[:, 19] = 0.0  # which does not vary
    plane = plane_of(tmp_path / "large", {"hidden": t, "output": t[:, :2]})
    low, high = t.min(), t.max()
    (text,) = [text for text in plane.warnings if "keep to one of the cells" in text]
    width = (high - low) / 29
    one = np.mean([np.ptp(np.floor((column - low) / width)) == 0 for column in t[:, :19].T])
    assert f"{one:.0%} of the 19 units that vary" in text
    assert f"between {low:.4g} and {high:.4g}" in text
    assert "layer hidden, epoch 3, replica 0" in text
    alike = plane_of(tmp_path / "alike", {"hidden": t[:, 3:19], "output": t[:, :2]})
    assert not [text for text in alike.warnings if "keep to one" in text]


def test_labels_that_look_informative_in_few_patterns_a_cell_are_named_with_their_bias(tmp_path):
    """Ten classes without relation to the layer: the plug-in of a sample is too high by about what is said."""
    t = RNG.uniform(-1, 1, size=(N, 2))
    cells = deepnets.Binning(9)
    plane = plane_of(tmp_path / "a", {"hidden": t, "output": t[:, :1]}, cells)
    (text,) = [text for text in plane.warnings if "sample of a population" in text]
    said = float(text.split("lower by about ")[1].split(" nats")[0])
    rng, draws = np.random.default_rng(1), []
    for _ in range(40):
        labels = rng.permutation(LABELS)
        draws.append(cells.layer(t, np.eye(10)[labels]).relevance.value)
    assert said == pytest.approx(np.mean(draws), rel=0.25)  # the population's is 0
    sampled = plane_of(tmp_path / "b", {"hidden": t, "output": t[:, :1]}, deepnets.Binning(9, sampled=True))
    assert not [text for text in sampled.warnings if "sample of a population" in text]


def test_a_noisy_layer_that_tells_all_patterns_apart_is_named(tmp_path):
    t = 100.0 * np.arange(N)[:, None]
    plane = plane_of(tmp_path / "far", {"hidden": t}, deepnets.PairwiseBounds(0.1), noise_std=0.1)
    (text,) = [text for text in plane.warnings if "nearly every pattern is told from all others" in text]
    assert f"near H(X) = {np.log(N):.4g}" in text
    near = plane_of(tmp_path / "near", {"hidden": t / 1e5}, deepnets.PairwiseBounds(0.1), noise_std=0.1)
    assert not near.warnings


def test_layers_that_never_vary_have_no_information(tmp_path):
    t = np.full((N, 3), 2.5)
    plane = plane_of(tmp_path, {"hidden": t, "output": t})
    np.testing.assert_allclose(plane.rate.value, 0, atol=1e-13)


# --- layers against the bottleneck ---


def test_noisy_labels_have_the_information_of_a_symmetric_channel():
    joint = deepnets.tasks.own_task(LABELS).joint
    noisy = with_noisy_labels(joint, 0.1)
    p = np.append(np.full(9, 0.01), 0.91)
    assert noisy.mutual_information() == pytest.approx(np.log(10) + (p * np.log(p)).sum(), abs=1e-12)
    assert with_noisy_labels(noisy, 0.5) is noisy
    with pytest.raises(ValueError, match=r"within \(0, 1\), got 1"):
        with_noisy_labels(joint, 1)


def test_a_recorded_layer_of_the_classes_lies_on_the_exact_curve(tmp_path):
    labels = np.arange(60) % 3
    recorder = deepnets.Recorder(tmp_path, labels, ranges={"hidden": (-1, 1), "output": (0, 1)})
    classes = np.eye(3)[labels]
    recorder.add(0, {"hidden": np.column_stack([classes, np.linspace(-1, 1, 60)]), "output": classes})
    report = layers_against_bottleneck(recorder.recorded(), label_noise=0.05)
    table = report.to_frame("nats")
    assert table.excess_rate_ib_nats[1] == pytest.approx(0.0, abs=1e-4)
    assert table.excess_rate_ib_nats[0] > 1.0
    assert report.own[1].rate == pytest.approx(np.log(3), abs=1e-12)
    assert table.beta_at_limit[1]
    report.save(tmp_path / "report.npz")
    assert type(report).load(tmp_path / "report.npz").to_frame("nats").equals(table)


# --- the phase change ---


def test_the_phase_change_lies_on_the_mean_path():
    from deepnets.estimators import Kind
    from deepnets.gradients import GradientPhases
    from dualib.core.estimate import Estimates

    epochs = np.array([0, 9, 99])
    value = np.stack([np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]), np.zeros((3, 2))])  # (R, S, L)
    estimates = Estimates(value, value, value, Kind.EXACT)
    plane = deepnets.InformationPlane(epochs, np.arange(2), estimates, estimates, np.ones((2, 3)), ("a", "b"), 5.0, 5.0)
    ratio = np.array([[4.0, 2.0, 0.5], [4.0, 4.0, 4.0]]).T  # layer a crosses between 9 and 99, layer b never
    mean = np.stack([ratio] * 2)
    ones = np.ones_like(mean)
    change = phase_change(plane, GradientPhases(epochs, mean, ones, ones, 8, ("w", "v")))
    assert change.epochs[0] == pytest.approx(np.sqrt(10 * 100) - 1)
    assert change.rate[0] == pytest.approx(1.25)  # halfway between means 1 and 1.5 on the logarithmic scale
    assert np.isnan(change.rate[1])
    both = np.repeat(mean[:, :, :1], 5, axis=2)
    other = phase_change(plane, GradientPhases(epochs, both, np.ones_like(both), np.ones_like(both), 8, tuple("vwxyz")))
    np.testing.assert_allclose(other.epochs, change.epochs[0])
