"""Training: against plain JAX, resumed to the same bits, spread over devices, replicas of their own, failures named."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deepnets
from deepnets.recordings.run_files import RunFiles
from deepnets.training import train as training
from deepnets.training.machine import Machine
from deepnets.training.settings import snapshot_epochs
from deepnets.training.train import batches_of_epoch, train

NET = deepnets.Network((3, 4, 3, 2), dtype="float64")
SETTINGS = {"replicas": 3, "epochs": 6, "batch_size": 16, "learning_rate": 0.05, "snapshots": [0, 2, 4, 6], "seed": 5}


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    return deepnets.Task("product", x, y, np.eye(2)[y])


def same(a, b):
    for first, second in zip(jax.tree.leaves((a.params, a.scores)), jax.tree.leaves((b.params, b.scores)), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("optimiser", ["adam", "momentum", "sgd"])
def test_an_epoch_is_the_steps_of_optax_on_its_batches(task, optimiser):
    run = train(NET, task, optimiser=optimiser, **{**SETTINGS, "epochs": 2, "snapshots": [0, 1, 2]})
    rule = {"adam": optax.adam(0.05), "sgd": optax.sgd(0.05), "momentum": optax.sgd(0.05, momentum=0.9)}[optimiser]

    def loss(p, chosen):
        outputs = NET.apply(p, jnp.asarray(task.x)[chosen])
        return optax.softmax_cross_entropy_with_integer_labels(outputs, jnp.asarray(task.y)[chosen]).mean()

    @jax.jit
    def step(params, state, chosen):
        updates, state = rule.update(jax.grad(loss)(params, chosen), state, params)
        return optax.apply_updates(params, updates), state

    for replica in range(3):
        params = jax.tree.map(jnp.asarray, run.parameters(0, replica))
        state = rule.init(params)
        for epoch in range(2):
            batches = list(batches_of_epoch(run, replica, epoch))
            np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.sort(run.train_patterns[replica]))
            for chosen in batches:
                params, state = step(params, state, chosen)
            for ours, plain in zip(run.parameters(epoch + 1, replica), params, strict=True):
                np.testing.assert_allclose(ours["w"], plain["w"], rtol=1e-9, atol=1e-12)
                np.testing.assert_allclose(ours["b"], plain["b"], rtol=1e-9, atol=1e-12)


def test_full_batch_descent_lowers_the_training_loss_at_every_epoch(task):
    run = train(NET, task, optimiser="sgd", batch_size=None, learning_rate=0.1, epochs=20, snapshots=range(21))
    assert (np.diff(run.scores["train_loss"][:, 0]) < 0).all()


def test_scores_are_those_of_the_network_on_each_split(task):
    run = train(NET, task, **SETTINGS)
    for replica in range(3):
        outputs = np.asarray(NET.apply(run.parameters(-1, replica), task.x))
        right = outputs.argmax(axis=1) == task.y
        loss = np.log(np.exp(outputs).sum(axis=1)) - outputs[np.arange(60), task.y]
        trained = np.isin(np.arange(60), run.train_patterns[replica])
        assert trained.sum() == 48
        assert run.scores["train_accuracy"][-1, replica] == pytest.approx(right[trained].mean())
        assert run.scores["test_accuracy"][-1, replica] == pytest.approx(right[~trained].mean())
        assert run.scores["test_loss"][-1, replica] == pytest.approx(loss[~trained].mean())
    assert len(run.to_frame()) == 3 * 4


def test_without_test_patterns_their_scores_are_nan_and_accuracy_is_that_of_training(task):
    run = train(NET, task, train_fraction=1.0, **SETTINGS)
    assert np.isnan(run.scores["test_loss"]).all()
    np.testing.assert_array_equal(run.accuracy, run.scores["train_accuracy"])


@pytest.mark.parametrize("network", [NET, deepnets.Network((3, 4, 2), noise_std=0.3, dropout=0.2, dtype="float64")])
def test_a_replica_does_not_depend_on_how_many_there_are(task, network):
    few, many = train(network, task, **SETTINGS), train(network, task, **{**SETTINGS, "replicas": 5})
    np.testing.assert_array_equal(few.train_patterns, many.train_patterns[:3])
    for a, b in zip(few.params, many.params, strict=True):
        np.testing.assert_allclose(a["w"], b["w"][:, :3], rtol=1e-9, atol=1e-12)
    assert np.ptp(many.params[0]["w"][-1], axis=0).min() > 0  # and the replicas differ


def test_seeds_give_the_same_numbers_again_and_others_do_not(task):
    first, again = train(NET, task, **SETTINGS), train(NET, task, **SETTINGS)
    same(first, again)
    other = train(NET, task, **{**SETTINGS, "seed": 6})
    assert np.abs(first.params[0]["w"] - other.params[0]["w"]).max() > 1e-3


# --- interrupted ---


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("at", [1, 4])
def test_an_interrupted_run_goes_on_to_the_same_bits(task, tmp_path, monkeypatch, error, at):
    noisy = deepnets.Network((3, 4, 2), noise_std=0.1)
    whole = train(noisy, task, **SETTINGS)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    calls = {"n": 0}
    original = Machine.epoch if error is KeyboardInterrupt else RunFiles.write_checkpoint

    def fails(self, *args):
        calls["n"] += 1
        if calls["n"] == at + 1:
            if error is KeyboardInterrupt:  # which Python handles when the compiled epoch returns
                original(self, *args)
            raise error
        return original(self, *args)

    owner, name = (Machine, "epoch") if error is KeyboardInterrupt else (RunFiles, "write_checkpoint")
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fails)
        with pytest.raises(type(error) if isinstance(error, OSError) else error):
            train(noisy, task, out=tmp_path / "run", **SETTINGS)
    resumed = train(noisy, task, out=tmp_path / "run", **SETTINGS)
    same(whole, resumed)
    finished = train(noisy, task, out=tmp_path / "run", **SETTINGS)  # nothing left to train: it is read
    same(whole, finished)


SCRIPT = """
import sys, deepnets
from deepnets.training import train as training
training.CHECKPOINT_SECONDS = 0.0
deepnets.train(deepnets.Network((12, 3, 2)), deepnets.icosahedral_task(), replicas=2, epochs=400, batch_size=512,
               snapshots=[0, 100, 400], out=sys.argv[1], progress=False)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path):
    path = tmp_path / "killed"
    with subprocess.Popen([sys.executable, "-c", SCRIPT, path]) as process:
        while not (path / "checkpoint.npz").exists():
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
    done = deepnets.Run.load(path)
    assert done.epochs[-1] < 400
    assert f"epoch {done.epochs[-1]} of 400" in done.unfinished
    network, task = deepnets.Network((12, 3, 2)), deepnets.icosahedral_task()
    chosen = {"replicas": 2, "epochs": 400, "batch_size": 512, "snapshots": [0, 100, 400], "progress": False}
    resumed = train(network, task, out=path, **chosen)
    same(train(network, task, **chosen), resumed)
    assert resumed.unfinished == ""
    assert not list(path.glob(".*"))


def test_other_settings_or_other_files_are_refused_before_training(task, tmp_path):
    train(NET, task, out=tmp_path / "run", **SETTINGS)
    with pytest.raises(ValueError, match=r"learning_rate: 0.05 there, 0.1 now"):
        train(NET, task, out=tmp_path / "run", **{**SETTINGS, "learning_rate": 0.1})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="not empty"):
        train(NET, task, out=tmp_path / "other", **SETTINGS)
    with pytest.raises(ValueError, match="holds no run"):
        deepnets.Run.load(tmp_path / "other")
    for known in (None, task):  # a task of one's own is kept beside the run
        found = deepnets.Run.load(tmp_path / "run", known)
        assert found.task.digest() == task.digest()
        same(found, train(NET, task, **SETTINGS))


# --- damaged ---


def halved(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture(scope="module")
def kept(task, tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "run"
    return path, train(NET, task, out=path, **SETTINGS)


def emptied(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("name", ["checkpoint.npz", "split.npz", "snapshot_00000004.npz", "settings.json"])
@pytest.mark.parametrize("damage", [halved, emptied, Path.unlink])
def test_a_damaged_file_is_named_with_what_repairs_it_and_that_repairs_it(task, kept, tmp_path, name, damage):
    path, whole = tmp_path / "run", kept[1]
    shutil.copytree(kept[0], path)
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    damage(path / name)
    gone = damage is Path.unlink
    how = rf"(no file .*|no ){name}" if gone else rf"{name} is not (a )?whole .*"
    with pytest.raises(ValueError, match=f"{how}.*deepnets train .* --out .* makes it again") as error:
        deepnets.Run.load(path, task)
    assert "\n" not in str(error.value)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        same(whole, train(NET, task, out=path, **SETTINGS))
    assert bool(said) == (name in ("checkpoint.npz", "snapshot_00000004.npz"))
    same(whole, deepnets.Run.load(path, task))
    after = {file.name: file.read_bytes() for file in path.iterdir()}
    assert after.keys() == before.keys()
    assert all(after[file] == before[file] for file in after if file.startswith("snapshot"))


def test_missing_snapshots_are_made_again_also_of_an_unfinished_run_and_after_an_interruption(
    task, kept, tmp_path, monkeypatch
):
    path = tmp_path / "run"
    shutil.copytree(kept[0], path)
    for epoch in (2, 4):
        (path / f"snapshot_0000000{epoch}.npz").unlink()
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    epochs, original = [], Machine.epoch

    def interrupted(self, state, epoch):
        epochs.append(epoch)
        if len(epochs) == 4:
            raise KeyboardInterrupt
        return original(self, state, epoch)

    monkeypatch.setattr(Machine, "epoch", interrupted)
    with pytest.warns(RuntimeWarning, match="epochs 2, 4 are missing or damaged"), pytest.raises(KeyboardInterrupt):
        train(NET, task, out=path, **SETTINGS)
    with pytest.warns(RuntimeWarning, match="epochs 4 are missing or damaged"):
        same(kept[1], train(NET, task, out=path, **SETTINGS))
    assert epochs == [0, 1, 2, 3, 3]  # it went on where the repair was left, and did not train what is whole
    assert not (path / "repair.npz").exists()


def test_a_run_whose_settings_are_lost_with_their_copy_is_not_taken_up(task, kept, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(kept[0], path)
    halved(path / "settings.json")
    halved(path / "split.npz")
    with pytest.raises(ValueError, match=r"settings.json and its copy .* are damaged: remove"):
        train(NET, task, out=path, **SETTINGS)


def test_a_full_disk_is_said_with_the_file_and_how_to_go_on(task, tmp_path):
    whole = train(NET, task, out=tmp_path / "whole", **SETTINGS)
    room = (tmp_path / "whole" / "checkpoint.npz").stat().st_size - 1
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(OSError, match=r"[kt].npz was not written \(File too large\); the same command goes on"):
            train(NET, task, out=tmp_path / "run", **SETTINGS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / "run" / "checkpoint.npz").exists()
    same(whole, train(NET, task, out=tmp_path / "run", **SETTINGS))


# --- devices ---

SHARDED = """
import sys, jax, numpy as np, deepnets
network, task, arrays = deepnets.Network((12, 5, 2), noise_std=0.1, dtype="float64"), deepnets.icosahedral_task(), {}
for replicas in (6, 3):
    run = deepnets.train(network, task, replicas=replicas, epochs=3, batch_size=512, snapshots=2, progress=False,
                         out=f"{sys.argv[2]}_{replicas}")
    found = {**run.scores, **run.epoch_gradients, **{f"w{i}": layer["w"] for i, layer in enumerate(run.params)}}
    arrays |= {f"{name}_{replicas}": value for name, value in found.items()}
np.savez(sys.argv[1], devices=len(jax.devices()), **arrays)
"""


@pytest.mark.slow
def test_several_devices_give_the_numbers_of_one(tmp_path):
    """Also where the devices are more than the replicas, or do not divide them."""
    for count in (1, 4):
        environment = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}
        arguments = [tmp_path / f"{count}.npz", tmp_path / f"run{count}"]
        subprocess.run([sys.executable, "-c", SHARDED, *arguments], check=True, env=environment)
    one, four = np.load(tmp_path / "1.npz"), np.load(tmp_path / "4.npz")
    assert (one["devices"], four["devices"]) == (1, 4)
    assert set(one.files) == set(four.files)
    for name in set(one.files) - {"devices"}:
        assert one[name].shape == four[name].shape
        np.testing.assert_array_equal(four[name], one[name])


# --- failures and input ---


def test_a_replica_that_diverges_is_named_and_the_others_go_on(task):
    network = deepnets.Network((3, 4, 2), activation="relu")
    with pytest.warns(RuntimeWarning, match=r"replica 0: its loss was no longer finite in epoch \d"):
        run = train(network, task, replicas=1, epochs=5, optimiser="sgd", learning_rate=1e25, batch_size=None)
    assert 1 <= run.failed[0] <= 5


def test_a_nan_in_one_replica_leaves_the_others_as_they_are(task, monkeypatch):
    whole = train(NET, task, **SETTINGS)
    start = Machine.start

    def poisoned(self):
        first, *others = start(self)
        return (first._replace(vectors=first.vectors.at[1].set(np.nan)), *others)

    monkeypatch.setattr(Machine, "start", poisoned)
    with pytest.warns(RuntimeWarning, match="replica 1"):
        run = train(NET, task, **SETTINGS)
    np.testing.assert_array_equal(run.failed, [-1, 1, -1])
    for replica in (0, 2):
        np.testing.assert_array_equal(run.params[0]["w"][:, replica], whole.params[0]["w"][:, replica])


def test_what_is_observed_is_kept_with_the_snapshots(task, tmp_path):
    def norms(epoch, params):
        return {"norm": np.array([np.linalg.norm(w) for w in params[0]["w"]]), "epoch": epoch}

    run = train(NET, task, observe=norms, out=tmp_path / "run", **SETTINGS)
    np.testing.assert_allclose(run.observed["norm"], np.linalg.norm(run.params[0]["w"], axis=(2, 3)))
    np.testing.assert_array_equal(run.observed["epoch"], run.epochs)


def test_the_orthonormality_step_draws_singular_values_to_one(task):
    run = train(NET, task, optimiser="sgd", orthonormality=0.1, **{**SETTINGS, "learning_rate": 1e-9, "epochs": 60})
    values = np.linalg.svd(run.params[1]["w"][-1, 0], compute_uv=False)
    np.testing.assert_allclose(values, 1.0, atol=1e-3)
    last = run.params[2]["w"]
    np.testing.assert_allclose(last[-1], last[0], atol=1e-6)  # the readout is left alone


def test_a_run_is_a_recording(task):
    run = train(NET, task, **SETTINGS)
    assert isinstance(run, deepnets.Recording)
    assert len(run.activations(-1, 0)) == len(run.layers)
    bits, nats = run.to_frame(), run.to_frame("nats")
    np.testing.assert_allclose(bits.train_loss_bits * np.log(2), nats.train_loss_nats)
    np.testing.assert_array_equal(nats.train_loss_nats, run.scores["train_loss"].ravel())


def test_keywords_a_training_and_its_file_are_the_same_settings(task, kept):
    chosen = deepnets.Training(**SETTINGS)
    run = train(NET, task, chosen)
    same(run, kept[1])
    same(train(NET, task, replace(chosen, seed=9), seed=5), run)
    assert run.settings == deepnets.Run.load(kept[0], task).settings
    assert deepnets.Training.from_settings(run.settings) == run.training
    assert run.training.snapshot_epochs == (0, 2, 4, 6)
    with pytest.raises(TypeError, match=r"no setting 'lr'; its settings are epochs, replicas, .*learning_rate"):
        train(NET, task, chosen, lr=1.0)
    with pytest.raises(TypeError, match="number of epochs"):
        train(NET, task, replicas=3)


def test_numpy_numbers_are_numbers(task):
    chosen = deepnets.Training(
        epochs=np.int64(5), snapshots=np.int64(5), seed=np.uint8(3), learning_rate=np.float32(0.5)
    )
    assert chosen == deepnets.Training(epochs=5, snapshots=5, seed=3, learning_rate=0.5)
    assert deepnets.Training(epochs=5, snapshots=np.arange(3)).snapshot_epochs == (0, 1, 2, 5)
    assert deepnets.Network((np.int64(3), 2)) == deepnets.Network((3, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"replicas": 0}, "replicas must be"),
        ({"snapshots": -3}, "snapshots must be at least 2, got -3"),
        ({"snapshots": [1.5]}, r"snapshots\[0\] must be a whole number, got 1.5"),
        ({"snapshots": [-1]}, r"snapshots\[0\] must be at least 0, got -1"),
        ({"learning_rate": float("nan")}, "learning_rate must be finite and > 0, got nan"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"epochs": 1.5}, "epochs must be"),
        ({"optimiser": "lbfgs"}, "adam"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"batch_size": 49}, "48 training patterns"),
        ({"train_fraction": 0.0}, "train_fraction"),
        ({"snapshots": [7]}, "snapshots"),
        ({"seed": -1}, "seed"),
        ({"orthonormality": -0.1}, "orthonormality"),
    ],
)
def test_bad_settings_are_refused(task, change, message):
    with pytest.raises(ValueError, match=message):
        train(NET, task, **{**SETTINGS, **change})


def test_a_network_that_does_not_fit_the_task_is_refused_with_both_shapes(task):
    with pytest.raises(ValueError, match=r"\(4, 2\).*\(60, 3\)"):
        train(deepnets.Network((4, 2)), task, **SETTINGS)


@settings(max_examples=50)
@given(epochs=st.integers(1, 10**6), count=st.integers(2, 500))
def test_snapshot_epochs_rise_from_0_to_the_last(epochs, count):
    chosen = snapshot_epochs(epochs, count)
    assert chosen[0] == 0
    assert chosen[-1] == epochs
    assert (np.diff(chosen) > 0).all()
    assert len(chosen) <= count


def test_what_is_compiled_is_kept_on_disk_unless_that_is_turned_off():
    """To the same bits: the killed run above goes on in another process."""
    from ntkinfo.kernels.cache import folder

    assert (jax.config.jax_compilation_cache_dir is None) == (folder() is None)
