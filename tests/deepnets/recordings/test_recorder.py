"""Recordings: a copy of a run has its plane to the bit; what was added stays; malformed folders are named, not believed."""

import json
import resource
import shutil
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import deepnets
from deepnets.recordings import read_recording
from deepnets.recordings.records import place_of
from deepnets.recordings.run import SCORES

N = 32
LABELS = np.arange(N) % 3


def run_of(activation="tanh", loss="cross-entropy"):
    """Two replicas at three snapshots, with parameters drawn at random."""
    rng, network = np.random.default_rng(0), deepnets.Network((3, 4, 3, 2), activation)
    params = [
        {"w": rng.normal(size=(3, 2, *s)).astype(np.float32), "b": rng.normal(size=(3, 2, s[1])).astype(np.float32)}
        for s in pairwise(network.widths)
    ]
    return deepnets.Run(
        network,
        deepnets.two_gaussians_task(64, x_dim=3, seed=1),
        deepnets.Training(epochs=20, replicas=2, loss=loss),
        np.array([0, 3, 20]),
        params,
        {name: rng.random((3, 2)) for name in SCORES},
        np.stack([rng.permutation(64)[:50] for _ in range(2)]),
        np.array([-1, -1]),
    )


def copy_of(run, path):
    recorder = deepnets.Recorder(
        path, run.task, ranges={n: r for n, r in zip(run.layers, run.ranges, strict=True) if r is not None}
    )
    for s, r in np.ndindex(3, 2):
        scores = {name: values[s, r] for name, values in run.scores.items()}
        layers = dict(zip(run.layers, run.activations(s, r), strict=True))
        recorder.add(int(run.epochs[s]), layers, replica=r, **scores)
    return recorder.recorded()


@pytest.mark.parametrize(
    ("activation", "loss"), [("tanh", "cross-entropy"), ("relu", "cross-entropy"), ("tanh", "mse")]
)
def test_a_recorded_copy_of_a_run_has_the_same_plane_to_the_bit(tmp_path, activation, loss):
    run = run_of(activation, loss)
    recorded = copy_of(run, tmp_path)
    assert isinstance(recorded, deepnets.Recording)
    for estimator in (None, deepnets.Binning(12), deepnets.RangeBinning(9)):
        if activation == "relu" and isinstance(estimator, deepnets.Binning):
            continue
        ours, theirs = (deepnets.information_plane(source, estimator) for source in (run, recorded))
        for side in ("rate", "relevance"):
            for part in ("value", "low", "high"):
                np.testing.assert_array_equal(*(getattr(getattr(p, side), part) for p in (ours, theirs)))
        np.testing.assert_array_equal(ours.accuracy, theirs.accuracy)
        assert (ours.layers, ours.warnings, ours.entropy_x) == (theirs.layers, theirs.warnings, theirs.entropy_x)


def add(recorder, epoch, replica=0, scale=1.0, **more):
    rng = np.random.default_rng([epoch, replica])
    t = np.tanh(scale * rng.normal(size=(N, 4)))
    recorder.add(epoch, {"hidden": t, "output": t[:, :2] ** 2}, replica=replica, **more)
    return t


def test_what_is_added_is_read_back_mapped_and_in_order(tmp_path):
    recorder = deepnets.Recorder(tmp_path, LABELS, settings={"optimiser": "mine"})
    kept = {(e, r): add(recorder, e, r, test_accuracy=e / 10 + r) for e in (5, 0) for r in (1, 0)}
    recorded = recorder.recorded()
    assert recorded.epochs.tolist() == [0, 5]
    assert (recorded.n_replicas, recorded.layers, recorded.unfinished) == (2, ("hidden", "output"), "")
    for (e, r), t in kept.items():
        s = recorded.epochs.tolist().index(e)
        hidden, _ = recorded.activations(s, r)
        assert isinstance(hidden, np.memmap)
        np.testing.assert_array_equal(hidden, t)
        assert recorded.scores["test_accuracy"][s, r] == e / 10 + r
    assert recorded.settings["training"] == {"optimiser": "mine"}


def test_a_recording_is_read_while_it_is_written_and_gone_on_with(tmp_path):
    recorder = deepnets.Recorder(tmp_path, LABELS)
    assert recorder.epochs() == ()
    for epoch, replica in ((0, 0), (0, 1), (4, 0)):
        add(recorder, epoch, replica)
    part = recorder.recorded()
    assert part.epochs.tolist() == [0]
    assert part.unfinished == "epoch 4 is left out, not being recorded of all replicas: those of replica 1 are missing"
    again = deepnets.Recorder(tmp_path, LABELS)
    assert (again.epochs(0), again.epochs(1)) == ((0, 4), (0,))
    add(again, 4, 1)
    assert again.recorded().epochs.tolist() == [0, 4]
    with pytest.raises(ValueError, match="begun with other settings"):
        deepnets.Recorder(tmp_path, LABELS[::-1])
    with pytest.raises(ValueError, match="the same layers"):
        again.add(5, {"hidden": np.zeros((N, 3))})


def test_what_is_added_again_replaces_what_was_there(tmp_path):
    recorder = deepnets.Recorder(tmp_path, LABELS)
    add(recorder, 1)
    t = np.full((N, 4), 0.25)
    recorder.add(1, {"hidden": t, "output": t[:, :2]})
    np.testing.assert_array_equal(recorder.recorded().activations(0, 0)[0], t)


KILLED = """
import os, sys
import numpy as np
from deepnets.recordings import Recorder
recorder, real, count = Recorder(sys.argv[1], np.arange(32) % 3), np.save, 0
def save(*args, **more):
    global count
    real(*args, **more)
    count += 1
    if count == {at}:
        os.kill(os.getpid(), 9)
np.save = save
for epoch in (0, 1, 2, 1):
    t = np.full((32, 2), epoch / 3 + count / 100)
    recorder.add(epoch, {{"a": t, "b": t}})
"""


@pytest.mark.parametrize(("at", "left"), [(4, [0]), (8, [0, 1, 2])])
def test_a_kill_within_an_add_loses_nothing_of_the_others(tmp_path, at, left):
    done = subprocess.run([sys.executable, "-c", KILLED.format(at=at), str(tmp_path)], capture_output=True, check=False)
    assert done.returncode == -9
    recorder = deepnets.Recorder(tmp_path, LABELS)
    recorded = recorder.recorded()
    assert recorded.epochs.tolist() == left
    for s, epoch in enumerate(left):
        for layer in recorded.activations(s, 0):
            assert (layer == epoch / 3 + 2 * epoch / 100).all()
    recorder.add(1, {"a": np.zeros((N, 2)), "b": np.zeros((N, 2))})
    assert not list(tmp_path.glob(".epoch*"))


def test_a_full_disk_keeps_what_was_added_and_says_so(tmp_path):
    recorder = deepnets.Recorder(tmp_path, LABELS)
    add(recorder, 0, 0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(
            OSError, match=r"epoch_00000001_replica_0000 was not written \(.*make room and add it again"
        ):
            add(recorder, 1, 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert recorder.recorded().epochs.tolist() == [0]
    add(recorder, 1, 0)
    assert recorder.recorded().epochs.tolist() == [0, 1]


def test_a_kill_between_the_moves_of_a_replacement_is_put_right(tmp_path):
    recorder = deepnets.Recorder(tmp_path, LABELS)
    t = add(recorder, 7)
    place = tmp_path / place_of(7, 0)
    place.rename(tmp_path / f".{place.name}.old")
    np.testing.assert_array_equal(deepnets.Recorder(tmp_path, LABELS).recorded().activations(0, 0)[0], t)


def test_a_folder_of_another_language_is_a_recording(tmp_path):
    place = tmp_path / place_of(3, 0)
    place.mkdir()
    (tmp_path / "settings.json").write_text('{"settings": {"format": "deepnets recording 1"}}')
    np.savez(tmp_path / "task.npz", y=LABELS)
    t = np.asfortranarray(np.random.default_rng(0).normal(size=(N, 2)).astype(np.float32))
    np.save(place / "layer_0.npy", t)
    (place / "record.json").write_text('{"epoch": 3, "replica": 0, "layers": ["only"]}')
    recorded = read_recording(tmp_path)
    plane = deepnets.information_plane(recorded)
    expected = deepnets.Binning.from_range(t).layer(t, np.eye(3)[LABELS])
    assert plane.rate.value.item() == expected.rate.value
    assert plane.information_xy == pytest.approx(recorded.task.joint.mutual_information())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    recorder = deepnets.Recorder(path, LABELS)
    for epoch in (0, 2):
        add(recorder, epoch, weights={"w": np.ones((4, 2))}, test_accuracy=0.5)
    return path


BROKEN = st.tuples(
    st.integers(0, 10**6),
    st.sampled_from(["cut", "bytes", "gone", "json"]),
    st.integers(0, 10**6),
    st.binary(max_size=20),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["settings", "format", "epoch", "layers"]), inner)
    ),
    max_leaves=5,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(broken=BROKEN, value=JSON)
def test_malformed_folders_are_read_whole_or_named_in_one_line(whole, tmp_path, broken, value):
    path = tmp_path / "copy"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(whole, path)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    number, how, at, content = broken
    file = files[number % len(files)]
    data = file.read_bytes()
    at %= len(data)
    if how == "gone":
        file.unlink()
    elif how == "cut":
        file.write_bytes(data[:at])
    elif how == "bytes":
        file.write_bytes(data[:at] + content + data[at + len(content) :])
    elif file.suffix == ".json":
        about = json.loads(data)
        about[list(about)[at % len(about)]] = value
        file.write_text(json.dumps(about if at % 3 else value))
    said = ""
    try:
        recorded = deepnets.Recorded.load(path)
        plane = deepnets.information_plane(recorded, deepnets.Binning(9))
        [recorded.weights(s, 0) for s in range(len(plane.epochs))]
    except ValueError as error:
        said = str(error)
    assert "\n" not in said
    if said:  # the file, or what it holds
        assert any(text in said for text in (str(path), "activations", "no replica stayed finite"))
    else:
        assert np.isfinite(plane.rate.value).all()


# --- what is recorded beside ---


def test_replicas_that_were_no_longer_finite_are_left_out(tmp_path):
    recorder = deepnets.Recorder(tmp_path, LABELS)
    for epoch in (0, 1):
        add(recorder, epoch, 0, train_loss=0.5)
        add(recorder, epoch, 1, train_loss=0.5 if epoch == 0 else np.inf)
        t = np.full((N, 4), np.nan if epoch else 0.5)
        recorder.add(epoch, {"hidden": t, "output": t[:, :2]}, replica=2)
    recorded = recorder.recorded()
    assert recorded.failed.tolist() == [-1, 1, 1]
    assert deepnets.information_plane(recorded).replicas.tolist() == [0]
    with pytest.raises(ValueError, match=r"layer hidden, epoch 1, replica 2: t\[0, 0\] is nan"):
        deepnets.information_plane(recorded, deepnets.Binning(9), replicas=[2])


def test_other_labels_and_laws_take_the_place_of_the_recordings(tmp_path):
    recorder = deepnets.Recorder(tmp_path, LABELS)
    t = add(recorder, 0)
    other = (np.arange(N) < 10).astype(int)
    law = np.column_stack([np.linspace(0.1, 0.9, N), np.linspace(0.9, 0.1, N)])
    for labels, rows in ((other, np.eye(2)[other]), (law, law)):
        plane = deepnets.information_plane(recorder.recorded(), deepnets.Binning(9), labels=labels)
        expected = deepnets.Binning(9).layer(t, rows)
        assert plane.relevance.value[0, 0, 0] == pytest.approx(expected.relevance.value, abs=1e-15)
    with pytest.raises(ValueError, match="sums to 2"):
        deepnets.information_plane(recorder.recorded(), labels=np.ones((N, 2)))


def test_layers_without_bounds_have_intervals_as_a_sample(tmp_path):
    rng, recorder = np.random.default_rng(2), deepnets.Recorder(tmp_path, LABELS, ranges={"output": (0, 1)})
    relu = [np.maximum(rng.normal(scale=scale, size=(N, 2, 3)), 0) for scale in (1, 4)]
    for epoch, t in enumerate(relu):
        recorder.add(epoch, {"relu": t, "output": np.eye(3)[LABELS] * 0.9})
    recorded = recorder.recorded()
    assert len(repr(recorded)) < 600
    plane = deepnets.information_plane(recorded, deepnets.RangeBinning(4, sampled=True))
    cells = deepnets.Binning.from_range(*relu, bins=4, sampled=True), deepnets.Binning(4, sampled=True)
    for k, (binning, t) in enumerate(zip(cells, (relu[0].reshape(N, 6), np.eye(3)[LABELS] * 0.9), strict=True)):
        expected = binning.layer(t, np.eye(3)[LABELS])
        for side in ("rate", "relevance"):
            found, one = getattr(plane, side), getattr(expected, side)
            assert (found.value[0, 0, k], found.low[0, 0, k], found.high[0, 0, k]) == (one.value, one.low, one.high)
    assert (plane.rate.low < plane.rate.high).all()
    assert plane.rate.level == 0.95
    assert plane.method == "binned activations, 4 edges over the range of a run, jackknife"  # one text for all replicas
    assert max(plane.warnings.values()) <= plane.rate.value.size
    with pytest.raises(ValueError, match=r"layer relu, epoch 1, replica 0: .* or for a plane RangeBinning"):
        deepnets.information_plane(recorded, deepnets.Binning(4, sampled=True), snapshots=[1])


def test_bounded_layers_beside_others_have_cells_of_their_own(tmp_path):
    rng = np.random.default_rng(3)
    ranges = {"relu": (0, np.inf), "tanh": (-1, 1), "own": None, "tanh2": (-1, 1), "output": (0, 1)}
    recorder = deepnets.Recorder(tmp_path, LABELS, ranges={k: v for k, v in ranges.items() if v is not None})
    scales = {"relu": 30.0, "tanh": 0.5, "own": 10.0, "tanh2": 0.2, "output": 0.1}
    layers = {name: scale * rng.random((N, 1)) for name, scale in scales.items()}
    recorder.add(0, layers)
    plane = deepnets.information_plane(recorder.recorded(), deepnets.RangeBinning(5))
    for k, kind in enumerate((("relu", "own"), ("tanh", "tanh2"), ("relu", "own"), ("tanh", "tanh2"))):
        cells = deepnets.Binning.from_range(*(layers[name] for name in kind), bins=5)
        assert plane.rate.value[0, 0, k] == cells.layer(layers[plane.layers[k]], np.eye(3)[LABELS]).rate.value
    assert (plane.rate.value[0, 0, :4] > 0.5).all()  # one range for all would leave tanh one cell


def test_convolutional_layers_are_flattened_or_taken_channel_by_channel(tmp_path):
    images = np.random.default_rng(1).normal(size=(N, 3, 2, 2))
    recorder = deepnets.Recorder(tmp_path, LABELS)
    recorder.add(0, {"conv": images, "output": images[:, 0, 0]})
    recorded = recorder.recorded()
    np.testing.assert_array_equal(recorded.activations(0, 0)[0], images.reshape(N, 12))
    channels = recorded.by_channel("conv")
    assert channels.layers == ("conv[0]", "conv[1]", "conv[2]")
    plane = deepnets.information_plane(channels, deepnets.RangeBinning(5))
    cells = deepnets.Binning.from_range(images, bins=5)
    for c in range(3):
        expected = cells.layer(images[:, c].reshape(N, 4), np.eye(3)[LABELS])
        assert plane.rate.value[0, 0, c] == expected.rate.value
    last = recorded.by_channel("conv", -1)
    np.testing.assert_array_equal(last.activations(0, 0)[1], images[..., 1].reshape(N, 6))
    for layer, axis in (("none", 1), ("conv", 0), ("conv", 4)):
        with pytest.raises(ValueError, match="layer"):
            recorded.by_channel(layer, axis)


def test_a_noisy_first_layer_is_known_by_its_noiseless_part(tmp_path):
    recorder = deepnets.Recorder(tmp_path, LABELS, noise_std=0.5)
    t = np.random.default_rng(2).normal(size=(N, 2))
    recorder.add(1, {"hidden": t})
    plane = deepnets.information_plane(recorder.recorded(), deepnets.PairwiseBounds(0.5))
    expected = deepnets.PairwiseBounds(0.5).layer(t, np.eye(3)[LABELS])
    assert plane.rate.value.item() == expected.rate.value
    noise = recorder.recorded().activations(0, 0, noise_seed=3)[0] - t
    assert abs(noise.std() - 0.5) < 4 * 0.5 / np.sqrt(2 * noise.size)


class Tensor:
    """What is used of torch's tensors."""

    def __init__(self, array):
        self.array, self.dtype = array, "torch.float32"

    def detach(self):
        return self

    cpu = detach

    def __array__(self, dtype=None, copy=None):
        return self.array


def test_arrays_of_other_frameworks_are_taken_and_what_is_none_is_refused(tmp_path):
    import jax.numpy as jnp

    recorder = deepnets.Recorder(tmp_path, LABELS)
    t = np.linspace(-1, 1, N)
    recorder.add(0, {"a": Tensor(t), "b": jnp.asarray(t, jnp.bfloat16), "c": t > 0})
    a, b, c = recorder.recorded().activations(0, 0)
    np.testing.assert_array_equal(a[:, 0], t)
    np.testing.assert_allclose(b[:, 0], t, atol=2**-8)
    np.testing.assert_array_equal(c[:, 0], t > 0)
    for bad in (np.array(["x"] * N), t + 1j, t[:5], [[1.0], [1.0, 2.0]]):
        with pytest.raises(ValueError, match="a "):
            recorder.add(1, {"a": bad, "b": t, "c": t})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(N), "1 different values"),
        (np.arange(N), f"{N} different values among {N}"),
        (np.ones((N, 2)), "sums to 2"),
        (np.zeros((N, 2, 2)), r"shape \(n,\)"),
    ],
)
def test_labels_that_are_none_are_refused_before_any_recording(tmp_path, labels, message):
    with pytest.raises(ValueError, match=message):
        deepnets.Recorder(tmp_path / "new", labels)
    assert not (tmp_path / "new").exists()


def test_folders_of_something_else_are_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="is not empty"):
        deepnets.Recorder(tmp_path, LABELS)
    with pytest.raises(ValueError, match="holds no recording"):
        deepnets.Recorded.load(tmp_path)
    with pytest.raises(ValueError, match="nothing was added yet"):
        deepnets.Recorder(tmp_path / "new", LABELS).recorded()
