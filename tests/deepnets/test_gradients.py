"""Gradient statistics: against gradients one by one, in expectation over partitions, and the transition's interval."""

import jax
import numpy as np
import optax
import pytest

import deepnets
from deepnets.gradients import GradientPhases, gradient_phases
from deepnets.training.train import batches_of_epoch

NET = deepnets.Network((3, 4, 2), dtype="float64")


@pytest.fixture(scope="module")
def run():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 3))
    y = (x[:, 0] > 0).astype(int)
    task = deepnets.Task("sign", x, y, np.eye(2)[y])
    return deepnets.train(NET, task, replicas=2, epochs=4, batch_size=10, learning_rate=0.05, snapshots=[0, 4])


def pattern_gradients(run, snapshot, replica):
    """The gradient of every training pattern's loss, by jax.grad of one pattern: a list of (N, weights) a layer."""

    def loss(params, i):
        outputs = NET.apply(params, jax.numpy.asarray(run.task.x)[i][None])
        return optax.softmax_cross_entropy_with_integer_labels(outputs, jax.numpy.asarray(run.task.y)[i][None]).mean()

    each = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(run.parameters(snapshot, replica), run.train_patterns[replica])
    return [np.asarray(each[j]["w"]).reshape(len(run.train_patterns[replica]), -1) for j in range(2)]


def test_mean_is_the_full_gradient_and_its_noise_that_of_independent_batches(run):
    phases = [gradient_phases(run, seed=s) for s in range(24)]
    for replica in range(2):
        for layer, each in enumerate(pattern_gradients(run, 1, replica)):
            norm = np.linalg.norm(run.params[layer]["w"][1, replica])
            full = np.linalg.norm(each.mean(axis=0)) / norm
            assert phases[0].mean[replica, 1, layer] == pytest.approx(full, rel=1e-9)
            expected = each.var(axis=0, ddof=1).sum() / 10 / norm**2
            squares = np.array([p.std[replica, 1, layer] ** 2 for p in phases])
            error = squares.std(ddof=1) / np.sqrt(len(squares))
            assert abs(squares.mean() - expected) < 4 * error


def test_gradient_is_the_finite_difference_of_the_loss(run):
    phases = gradient_phases(run)
    params, patterns = run.parameters(0, 0), run.train_patterns[0]

    def loss(w):
        changed = [{**params[0], "w": w}, params[1]]
        outputs = NET.apply(changed, run.task.x[patterns])
        return float(optax.softmax_cross_entropy_with_integer_labels(outputs, run.task.y[patterns]).mean())

    w, step = params[0]["w"], 1e-6
    slopes = [
        (loss(w + step * e.reshape(w.shape)) - loss(w - step * e.reshape(w.shape))) / (2 * step) for e in np.eye(w.size)
    ]
    assert phases.mean[0, 0, 0] * phases.weight_norm[0, 0, 0] == pytest.approx(np.linalg.norm(slopes), rel=1e-6)


def test_the_noise_scale_does_not_depend_on_the_batch_size_in_expectation(run):
    scales = [
        np.mean([gradient_phases(run, batch_size=b, seed=s).simple_noise_scale[0, 0] for s in range(40)], axis=0)
        for b in (2, 8)
    ]
    np.testing.assert_allclose(scales[0], scales[1], rtol=0.15)


def test_gradients_as_trained_are_those_of_the_epochs_own_batches():
    # steps too small to move the parameters, and a last batch of 4 beside four of 9
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 3))
    y = (x[:, 0] > 0).astype(int)
    task = deepnets.Task("sign", x, y, np.eye(2)[y])
    run = deepnets.train(
        NET,
        task,
        optimiser="sgd",
        learning_rate=1e-13,
        epochs=200,
        batch_size=9,
        train_fraction=1.0,
        snapshots=range(201),
    )
    phases = gradient_phases(run, as_trained=True)
    assert phases.mean.shape == (1, 200, 2)
    for layer, each in enumerate(pattern_gradients(run, 0, 0)):
        norm = np.linalg.norm(run.params[layer]["w"][0, 0])
        np.testing.assert_allclose(phases.mean[0, :, layer], np.linalg.norm(each.mean(axis=0)) / norm, rtol=1e-8)
        place = {int(p): i for i, p in enumerate(run.train_patterns[0])}
        chosen = [[place[int(p)] for p in batch] for batch in batches_of_epoch(run, 0, 6)]
        spread = sum(len(c) * np.sum((each[c].mean(axis=0) - each.mean(axis=0)) ** 2) for c in chosen)
        assert phases.std[0, 6, layer] == pytest.approx(np.sqrt(spread / (9 * 4)) / norm, rel=1e-6)
        squares = phases.std[0, :, layer] ** 2
        expected = each.var(axis=0, ddof=1).sum() / 9 / norm**2
        assert abs(squares.mean() - expected) < 4 * squares.std(ddof=1) / np.sqrt(200)


def test_as_trained_needs_the_batches_of_training(run):
    with pytest.raises(ValueError, match="batch_size = 10, got 5"):
        gradient_phases(run, as_trained=True, batch_size=5)


def test_a_failed_replica_has_no_transition_and_is_left_out_of_the_interval():
    snr = np.array([[4.0, 0.5, 0.25], [4.0, np.nan, np.nan], [4.0, 0.5, 0.25]])[:, :, None]
    phases = phases_of(snr, [0, 9, 99])
    assert np.isnan(phases.transition_epoch()[1, 0])
    assert phases.transition().value[0] == pytest.approx(phases_of(snr[:1], [0, 9, 99]).transition_epoch()[0, 0])
    with pytest.raises(ValueError, match="every replica failed, or its gradients vanish"):
        phases_of(snr[1:2], [0, 9, 99]).transition()


def test_gradients_that_vanish_have_no_ratio():
    zero, one = np.zeros((1, 2, 1)), np.ones((1, 2, 1))
    dead = GradientPhases(np.array([0, 9]), zero, zero, one, 8, ("a",))
    assert np.isnan(dead.snr).all()
    assert np.isnan(dead.transition_epoch()).all()
    certain = GradientPhases(np.array([0, 9]), one, zero, one, 8, ("a",))  # all batches alike
    assert np.isinf(certain.transition_epoch()).all()
    assert (certain.simple_noise_scale == 0).all()


def phases_of(snr, epochs):
    mean = np.asarray(snr, float)
    return GradientPhases(np.asarray(epochs), mean, np.ones_like(mean), np.ones_like(mean), 8, ("a",))


def test_the_transition_is_where_the_ratio_falls_below_one_after_its_maximum():
    snr = np.array([[4.0, 2.0, 0.5, 0.5], [0.5, 4.0, 0.25, 2.0], [0.5, 0.5, 0.5, 0.5], [2.0, 2.0, 2.0, 2.0]])[
        :, :, None
    ]
    found = phases_of(snr, [0, 9, 99, 999]).transition_epoch()[:, 0]
    assert found[0] == pytest.approx(np.sqrt(10 * 100) - 1)  # halfway on the logarithmic scale
    assert found[1] == pytest.approx(np.sqrt(10 * 100) - 1)
    assert found[2] == 0.0
    assert found[3] == np.inf


def test_the_interval_covers_the_median_of_the_population_and_says_when_it_cannot():
    rng = np.random.default_rng(3)
    epochs = np.array([0, 10, 100, 1000, 10000])

    def found(replicas):
        crossing = np.exp(rng.normal(np.log(300), 0.5, size=replicas))
        snr = np.exp(np.log1p(crossing)[:, None] - np.log1p(epochs))[:, :, None]
        return phases_of(snr, epochs).transition()[0]

    for replicas, level in ((3, 0.75), (8, 0.95), (25, 0.95)):
        estimates = [found(replicas) for _ in range(200)]
        assert estimates[0].level == pytest.approx(level)
        assert bool(estimates[0].warnings) == (level < 0.95)
        covered = np.mean([e.low <= 300 <= e.high for e in estimates])
        assert covered > level - 4 * np.sqrt(level * (1 - level) / 200)


def test_save_load_and_table(run, tmp_path):
    phases = gradient_phases(run)
    phases.save(tmp_path / "gradients.npz")
    again = GradientPhases.load(tmp_path / "gradients.npz")
    np.testing.assert_array_equal(again.snr, phases.snr)
    assert (again.layers, again.batch_size) == (("3→4", "4→2"), 10)
    assert len(again.to_frame()) == 2 * 2 * 2


# --- of recordings ---


def recorder_of(run, path):
    """A recorder of the run's last snapshot, the batches of an epoch there, and the gradient of each: (n_batches, …) a layer."""
    recorder = deepnets.Recorder(path, run.task)
    layers = dict(zip(run.layers, run.activations(1, 0), strict=True))
    order = np.random.default_rng(0).permutation(run.train_patterns[0])
    place = {int(p): i for i, p in enumerate(run.train_patterns[0])}
    batches = [[place[int(p)] for p in order[start : start + 9]] for start in range(0, 40, 9)]
    each = pattern_gradients(run, 1, 0)
    weights = {f"w{j}": run.params[j]["w"][1, 0] for j in range(2)}
    gradients = {
        f"w{j}": np.stack([e[batch].mean(axis=0).reshape(weights[f"w{j}"].shape) for batch in batches])
        for j, e in enumerate(each)
    }
    return recorder, layers, weights, batches, gradients


def test_recorded_gradients_are_those_of_the_run(run, tmp_path):
    recorder, layers, weights, batches, gradients = recorder_of(run, tmp_path)
    for b, batch in enumerate(batches):
        recorder.batch(4, {name: g[b] for name, g in gradients.items()}, len(batch))
    recorder.add(4, layers, weights=weights)
    phases = gradient_phases(recorder.recorded())
    assert (phases.layers, phases.batch_size, phases.epochs.tolist()) == (("w0", "w1"), 9, [4])
    full = gradient_phases(run)
    np.testing.assert_allclose(phases.mean[0, 0], full.mean[0, 1], rtol=1e-6)
    np.testing.assert_allclose(phases.weight_norm[0, 0], full.weight_norm[0, 1], rtol=1e-6)
    sizes = np.array([len(batch) for batch in batches])
    for j, e in enumerate(pattern_gradients(run, 1, 0)):
        spread = sum(
            n * np.sum((e[batch].mean(axis=0) - e.mean(axis=0)) ** 2) for n, batch in zip(sizes, batches, strict=True)
        )
        assert phases.std[0, 0, j] == pytest.approx(np.sqrt(spread / (9 * 4)) / phases.weight_norm[0, 0, j], rel=1e-9)


def test_gradients_of_a_whole_epoch_are_those_of_its_batches(run, tmp_path):
    recorder, layers, weights, _, gradients = recorder_of(run, tmp_path / "a")
    equal = {name: g[:4] for name, g in gradients.items()}
    recorder.add(4, layers, weights=weights, gradients=equal, batch_size=9)
    other = deepnets.Recorder(tmp_path / "b", run.task)
    other.batch(3, {name: g[4] for name, g in gradients.items()}, 9)  # of an epoch that is not added
    for b in range(4):
        other.batch(4, {name: g[b] for name, g in gradients.items()}, 9)
    other.add(4, layers, weights=weights)
    at_once, one_by_one = (gradient_phases(r.recorded()) for r in (recorder, other))
    np.testing.assert_array_equal(at_once.std, one_by_one.std)
    spread = np.var(equal["w0"], axis=0, ddof=1).sum()
    assert at_once.std[0, 0, 0] == pytest.approx(np.sqrt(spread) / np.linalg.norm(weights["w0"]), rel=1e-9)


def test_recordings_without_gradients_say_how_they_are_recorded(run, tmp_path):
    recorder, layers, weights, _, gradients = recorder_of(run, tmp_path)
    recorder.add(0, layers)
    with pytest.raises(ValueError, match=r"no gradients of all replicas: record them by Recorder\.batch"):
        gradient_phases(recorder.recorded())
    with pytest.raises(ValueError, match="give weights= of w0, w1"):
        recorder.add(1, layers, gradients={name: g[:3] for name, g in gradients.items()}, batch_size=9)
    recorder.add(1, layers, weights=weights, gradients={name: g[:3] for name, g in gradients.items()}, batch_size=9)
    with pytest.raises(ValueError, match="batches of 9, got batch_size = 5"):
        gradient_phases(recorder.recorded(), batch_size=5)
    with pytest.raises(ValueError, match="n_batches ≥ 2"):
        recorder.add(2, layers, weights=weights, gradients={"w0": gradients["w0"][:1]}, batch_size=9)


@pytest.mark.parametrize("size", [0, 21, 2.5])
def test_batch_sizes_out_of_range_are_refused(run, size):
    with pytest.raises(ValueError, match="half of the 40 training patterns"):
        gradient_phases(run, batch_size=size)
