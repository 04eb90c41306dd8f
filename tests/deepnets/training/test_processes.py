"""Trainings on several processes of jax.distributed: the bits of one, files of the first alone, errors in all."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import deepnets
from deepnets.training.machine import GROUP, group_rows
from deepnets.training.orders import batches, splits

SCRIPT = """
import sys
port, number, count, out, epochs = sys.argv[1], *map(int, sys.argv[2:4]), sys.argv[4], int(sys.argv[5])
import jax
if count > 1:
    jax.distributed.initialize(f"localhost:{port}", count, number)
import deepnets
network = deepnets.Network((12, 4, 2), noise_std=0.1)
def norms(epoch, params):
    return {"norm": (params[0]["w"] ** 2).sum(axis=(1, 2))}
def trained(epochs, **more):
    return deepnets.train(network, deepnets.icosahedral_task(), replicas=6, batch_size=512, snapshots=[0, 2, 4],
                          epochs=epochs, progress=False, **more)
try:
    trained(epochs, out=out if number == 0 else out + "_nobody", observe=norms if number == 0 else None)
except ValueError as error:
    print("refused:", error)
    sys.exit(3)
"""


@pytest.mark.parametrize("replicas", [1, 2, 3, 2 * GROUP, 2 * GROUP + 1, 50])
def test_groups_hold_every_replica_and_are_even_in_number(replicas):
    rows = group_rows(replicas)
    assert set(rows.ravel().tolist()) == set(range(replicas))
    np.testing.assert_array_equal(np.sort(rows, axis=None), rows.ravel())
    assert rows.shape[1] <= GROUP
    assert replicas == 1 or len(rows) % 2 == 0
    assert rows.size - replicas < len(rows)  # less than one repeated replica a group


def test_a_group_has_the_batches_of_its_replicas():
    training = deepnets.Training(epochs=1, replicas=5, batch_size=7)
    patterns = splits(training, 30)
    whole, weights = batches(training, patterns, 3, "float32")
    part, same = batches(training, patterns[[2, 4]], 3, "float32", replicas=[2, 4])
    np.testing.assert_array_equal(part, whole[:, [2, 4]])
    np.testing.assert_array_equal(same, weights)


def run_on(count, out, epochs=4):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    commands = [[sys.executable, "-c", SCRIPT, port, str(i), str(count), str(out), str(epochs)] for i in range(count)]
    pipes = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for command in commands]
    return [(*process.communicate(timeout=300), process.returncode) for process in processes]


@pytest.mark.slow
def test_the_documented_program_trains_on_two_processes(tmp_path):
    text = (Path(__file__).resolve().parents[3] / "docs" / "hosts.md").read_text(encoding="utf-8")
    (tmp_path / "train.py").write_text(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0])
    with socket.socket() as free:
        free.bind(("localhost", 0))
        first = f"localhost:{free.getsockname()[1]}"
    root = str(Path(deepnets.__file__).resolve().parents[1])
    more = {"JAX_PLATFORMS": "cpu", "FIRST_HOST": first, "PROCESSES": "2", "PYTHONPATH": root}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
    processes = [
        subprocess.Popen([sys.executable, "train.py"], env={**os.environ, **more, "PROCESS": str(i)}, **pipes)
        for i in (0, 1)
    ]
    said = [(*process.communicate(timeout=300), process.returncode) for process in processes]
    assert [status for _, _, status in said] == [0, 0], said
    assert "bits" in said[0][0]
    assert "bits" not in said[1][0]  # where the library that connects them may speak
    assert deepnets.Run.load(tmp_path / "runs" / "hosts").epochs[-1] == 20


@pytest.mark.slow
def test_two_processes_train_to_the_bits_of_one_and_the_first_alone_writes(tmp_path):
    for count, out in ((1, tmp_path / "one"), (2, tmp_path / "two")):
        for _, errors, status in run_on(count, out):
            assert status == 0, errors
    one, two = deepnets.Run.load(tmp_path / "one"), deepnets.Run.load(tmp_path / "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    for file in (tmp_path / "one").glob("snapshot_*.npz"):
        a, b = np.load(file), np.load(tmp_path / "two" / file.name)
        assert set(a.files) == set(b.files)
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])
    assert one.observed["norm"].shape == two.observed["norm"].shape == (3, 6)
    # A lost snapshot is made again by both, and other settings are refused in both.
    (tmp_path / "two" / "snapshot_00000002.npz").unlink()
    for _, errors, status in run_on(2, tmp_path / "two"):
        assert status == 0, errors
    np.testing.assert_array_equal(deepnets.Run.load(tmp_path / "two").params[0]["w"], one.params[0]["w"])
    for said, errors, status in run_on(2, tmp_path / "two", epochs=5):
        assert status == 3, errors
        assert "epochs" in said
