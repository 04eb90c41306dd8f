"""The information plane of a run: estimates are the estimators', for deterministic and noisy networks; the commands."""

from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise

import numpy as np
import pytest

import deepnets
from deepnets.estimators import Estimate, Kind, LayerInformation
from deepnets.recordings.run import SCORES
from dualib.core.parallel import processes


@pytest.fixture(scope="module")
def run():
    """Two replicas at two snapshots, with parameters drawn at random."""
    task = deepnets.two_gaussians_task(64, x_dim=3, seed=1)
    rng, network = np.random.default_rng(0), deepnets.Network((3, 4, 3, 2))
    sizes = list(pairwise(network.widths))
    params = [
        {"w": rng.normal(size=(2, 2, *s)).astype(np.float32), "b": rng.normal(size=(2, 2, s[1])).astype(np.float32)}
        for s in sizes
    ]
    scores = {name: rng.random((2, 2)) for name in SCORES}
    patterns = np.stack([rng.permutation(64)[:50] for _ in range(2)])
    return deepnets.Run(
        network,
        task,
        deepnets.Training(epochs=20, replicas=2),
        np.array([0, 20]),
        params,
        scores,
        patterns,
        np.array([-1, -1]),
    )


def changed(run, **network):
    """The same parameters in another network."""
    return replace(run, network=replace(run.network, **network))


def test_values_are_those_of_binning_each_layer(run):
    plane = deepnets.information_plane(run)
    assert plane.rate.shape == (2, 2, 3)
    assert plane.layers == ("1 (4)", "2 (3)", "output (2)")
    assert plane.rate.kind == Kind.EXACT
    task = run.task
    for replica, snapshot in np.ndindex(2, 2):
        outputs = np.asarray(run.network.outputs_probability(run.parameters(snapshot, replica), task.x))
        hidden = run.network.hidden(run.parameters(snapshot, replica), task.x)
        for k, t in enumerate([*map(np.asarray, hidden), outputs]):
            expected = deepnets.Binning().layer(t, task.p_y_given_x)
            assert plane.rate.value[replica, snapshot, k] == pytest.approx(expected.rate.value, abs=1e-6)
            assert plane.relevance.value[replica, snapshot, k] == pytest.approx(expected.relevance.value, abs=1e-6)
    assert plane.information_xy == pytest.approx(task.joint.mutual_information())
    assert plane.entropy_x == pytest.approx(np.log(64))
    np.testing.assert_array_equal(plane.accuracy, run.accuracy.T)


def test_warnings_give_the_worst_amount_and_its_place(run):
    plane = deepnets.information_plane(run, deepnets.Binning(1000))
    separated = next(text for text in plane.warnings if text.startswith("H of the cells"))
    worst = np.unravel_index(plane.rate.value.argmax(), plane.rate.shape)
    replica, snapshot, layer = worst
    place = f"layer {plane.layers[layer]}, epoch {plane.epochs[snapshot]}, replica {replica}"
    assert f"{plane.rate.value[worst]:.4g} nats" in separated
    assert place in separated
    near = plane.rate.value >= 0.9 * plane.entropy_x
    assert plane.warnings[separated] == near.sum()


def test_a_choice_of_replicas_and_snapshots_is_part_of_the_whole(run):
    whole = deepnets.information_plane(run)
    part = deepnets.information_plane(run, replicas=[1], snapshots=[-1])
    np.testing.assert_array_equal(part.rate.value[0, 0], whole.rate.value[1, 1])
    assert part.epochs.tolist() == [20]
    for bad in ({"replicas": [2]}, {"snapshots": []}):
        with pytest.raises(ValueError, match="are not all among"):
            deepnets.information_plane(run, **bad)


def test_binning_between_the_extremes_of_the_run_does_not_depend_on_their_scale(run):
    relu = changed(run, activation="relu")
    plane = deepnets.information_plane(relu)
    activations = [t for s in range(2) for t in relu.activations(s, 0)[:-1]]
    low, high = min(t.min() for t in activations), max(t.max() for t in activations)
    by_hand = deepnets.Binning(30, float(low), float(high)).layer(relu.activations(1, 0)[1], run.task.p_y_given_x)
    assert plane.rate.value[0, 1, 1] == by_hand.rate.value


def test_noisy_layers_lie_in_intervals_that_hold_the_bounds_of_information(run):
    noisy = changed(run, noise_std=0.3)
    plane = deepnets.information_plane(noisy, passes=6)
    assert plane.layers == ("1 (4)", "2 (3)")
    assert (plane.rate.kind, plane.rate.level) == (Kind.STATISTICAL, 0.95)
    for side, most in ((plane.rate, plane.entropy_x), (plane.relevance, plane.information_xy)):
        assert ((side.low <= side.value) & (side.value <= side.high)).all()
        assert (side.high <= most * (1 + 1e-13)).all()
    assert (plane.relevance.value <= plane.rate.value).all()
    exact = deepnets.PairwiseBounds(0.3).layer(noisy.activations(1, 0)[0], run.task.p_y_given_x).rate
    assert exact.low - 1e-9 <= plane.rate.value[0, 1, 0] <= exact.high + 1e-9
    again = deepnets.information_plane(noisy, passes=6)
    np.testing.assert_array_equal(plane.rate.value, again.rate.value)  # the same seed
    assert (plane.rate.low[:, :, 1] <= plane.rate.high[:, :, 0]).all()  # the data processing inequality
    binned = deepnets.information_plane(noisy, deepnets.Binning(10, -3, 3))
    assert binned.rate.shape == plane.rate.shape
    with pytest.raises(ValueError, match="passes"):
        deepnets.information_plane(noisy, passes=1)


def test_a_weaker_promise_of_a_deeper_layer_is_that_of_the_plane(run):
    noisy = changed(run, noise_std=0.3)
    part = {"replicas": [0], "snapshots": [1], "passes": 2}
    assert deepnets.information_plane(noisy, deepnets.PairwiseBounds(0.3), **part).rate.kind == Kind.STATISTICAL


def test_estimators_of_noise_are_refused_for_networks_without(run):
    with pytest.raises(ValueError, match="for noisy networks"):
        deepnets.information_plane(run, deepnets.SmoothedPlugin(0.1))


class Counted:
    """An estimator of one's own: the entropy of the distinct rows."""

    def layer(self, t, p_y_given_x, p_x=None, *, seed=0):
        cells = {row.tobytes() for row in np.asarray(t)}
        rate, relevance = (Estimate(v, v, v, Kind.HEURISTIC) for v in (np.log(len(cells)), 0.0))
        return LayerInformation(rate, relevance)


def test_a_class_with_a_method_layer_is_an_estimator(run):
    plane = deepnets.information_plane(run, Counted())
    np.testing.assert_allclose(plane.rate.value, np.log(64))
    assert plane.rate.kind == Kind.HEURISTIC
    noisy = deepnets.information_plane(changed(run, noise_std=0.3), Counted())
    np.testing.assert_allclose(noisy.rate.value, np.log(64))


def test_replicas_that_failed_are_left_out(run):
    plane = deepnets.information_plane(replace(run, failed=np.array([3, -1])))
    assert plane.replicas.tolist() == [1]


# --- recordings of any training ---


@dataclass
class Recorded:
    """What somebody else's training may leave: one replica, two snapshots, two layers."""

    task: deepnets.Task
    noise_std: float = 0.0
    layers: tuple = ("a", "b")
    epochs: np.ndarray = field(default_factory=lambda: np.array([0, 5]))
    n_replicas: int = 1
    scores: dict = field(default_factory=dict)

    def activations(self, snapshot, replica, *, noise_seed=None):
        t = self.task.x @ np.full((3, 2), 1.0 + snapshot)
        return [t, 5.0 * t[:, :1]][: len(self.layers)]


def test_a_recording_that_is_no_run_has_a_plane(run):
    recorded = Recorded(run.task)
    assert isinstance(recorded, deepnets.Recording)
    plane = deepnets.information_plane(recorded)
    layers = [recorded.activations(s, 0) for s in range(2)]
    for k in range(2):
        cells = deepnets.Binning.from_range(*(layer[k] for layer in layers))
        for s in range(2):
            expected = cells.layer(layers[s][k], run.task.p_y_given_x)
            assert plane.rate.value[0, s, k] == expected.rate.value
    assert np.isnan(plane.accuracy).all()
    assert deepnets.information_plane(replace(recorded, scores={"test_accuracy": np.ones((2, 1))})).accuracy.all()


def test_noisy_recordings_need_passes_for_deeper_layers(run):
    one = Recorded(run.task, 0.5, ("a",))
    first = deepnets.SmoothedPlugin(0.5).layer(one.activations(1, 0)[0], run.task.p_y_given_x, run.task.p_x, seed=1)
    assert deepnets.information_plane(one).rate.value[0, 1, 0] == first.rate.value
    with pytest.raises(ValueError, match="2 noisy layers but no passes"):
        deepnets.information_plane(Recorded(run.task, 0.5))


# --- executors ---


class DyingPool(ThreadPoolExecutor):
    """Whose workers are killed after a few layers."""

    left = 3

    def submit(self, function, /, *arguments, **more):
        if self.left == 0:
            raise BrokenExecutor("a worker was killed")
        self.left -= 1
        return super().submit(function, *arguments, **more)


def same(a, b):
    for found, expected in ((a.rate, b.rate), (a.relevance, b.relevance)):
        for name in ("value", "low", "high"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert a.warnings == b.warnings
    assert a.settings == b.settings


def test_a_plane_on_an_executor_is_that_of_one_thread_also_when_workers_are_killed(run):
    for one in (run, changed(run, noise_std=0.3)):
        alone = deepnets.information_plane(one, passes=3, progress=False)
        with ThreadPoolExecutor(2) as pool:
            same(deepnets.information_plane(one, passes=3, progress=False, executor=pool), alone)
        with DyingPool(2) as pool, pytest.warns(RuntimeWarning, match="going on in this process"):
            same(deepnets.information_plane(one, passes=3, progress=False, executor=pool), alone)


@pytest.mark.slow
def test_a_plane_on_processes_is_that_of_one(run):
    noisy = changed(run, noise_std=0.3)
    with processes(2) as pool:
        found = deepnets.information_plane(noisy, passes=3, progress=False, executor=pool)
    same(found, deepnets.information_plane(noisy, passes=3, progress=False))


def test_an_executor_is_handed_layers_as_it_works_them_off(run):
    made, estimated = [], []

    class Counting(deepnets.Run):
        def activations(self, snapshot, replica, *, noise_seed=None):
            made.append((snapshot, replica))
            return super().activations(snapshot, replica, noise_seed=noise_seed)

    class Counted(deepnets.Binning):
        def layer(self, *arguments, **more):
            estimated.append(len(made))
            return super().layer(*arguments, **more)

    deepnets.information_plane(
        Counting(**{f.name: getattr(run, f.name) for f in fields(run)}), Counted(), progress=False
    )
    assert estimated == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3  # activations are not all made first


def test_workers_less_than_one_are_refused():
    with pytest.raises(ValueError, match="--workers must be at least 1, got 0"), processes(0):
        pass
