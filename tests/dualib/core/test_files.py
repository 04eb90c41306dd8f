"""Files are whole or not there; a store goes on only with the settings it was begun with; executors change nothing."""

import json
import os
import resource
import signal
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dualib.core.arrays import group_rows, positive, row_codes, whole
from dualib.core.command import exit_status
from dualib.core.estimate import Estimate
from dualib.core.files import atomic_path, read_json, read_npz, write_json, write_npz
from dualib.core.parallel import AHEAD, in_order
from dualib.core.store import Store


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": np.float64("nan"), "y": np.arange(2)})
    assert read_json(path) == {"x": None, "y": [0, 1]}

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert read_json(path)["y"] == [0, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_is_said_with_the_path_and_the_old_file_stays(tmp_path, capsys):
    path = tmp_path / "a.npz"
    write_npz(path, {"x": np.eye(2)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match=r"a\.npz was not written \(File too large\)$"):
            write_npz(path, {"x": np.zeros(10**4)})
        assert exit_status("p", lambda: write_npz(path, {"x": np.zeros(10**4)}), "the same goes on") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert capsys.readouterr().err.endswith("a.npz was not written (File too large); make room: the same goes on\n")
    np.testing.assert_array_equal(read_npz(path)["x"], np.eye(2))
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_a_file_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, call=call: done.append(name) or call(*a))
    write_json(tmp_path / "a.json", {})
    assert done == ["fsync", "replace"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04half", b"no archive"])
def test_a_damaged_archive_is_named(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz is not a whole") as error:
        read_npz(path)
    assert "allow_pickle" not in str(error.value)  # NumPy's advice for what is no array
    write_npz(path, {"x": np.eye(2)})
    np.testing.assert_array_equal(read_npz(path)["x"], np.eye(2))


def test_a_store_refuses_other_settings_and_names_them(tmp_path):
    store = Store.open(tmp_path / "s", {"beta": 2.0, "seed": 0})
    store.put("one", Estimate.exact(1.5))
    assert Store.open(tmp_path / "s", {"beta": 2.0, "seed": 0}).get("one", Estimate).value == 1.5
    assert store.get("two", Estimate) is None
    assert store.names() == ["one"]
    with pytest.raises(ValueError, match=r"beta: 2.0 there, 3.0 now"):
        Store.open(tmp_path / "s", {"beta": 3.0, "seed": 0})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").touch()
    with pytest.raises(ValueError, match="is not empty"):
        Store.open(tmp_path / "other", {})
    for text, said in (("{", "is not whole JSON .*"), ("", "is not whole JSON .*"), ("[]", "has no settings")):
        (tmp_path / "s" / "settings.json").write_text(text)
        with pytest.raises(ValueError, match=rf"settings\.json {said}; remove .*s, whose settings are lost"):
            Store.open(tmp_path / "s", {})


def test_what_a_killed_writer_left_is_removed_and_what_others_write_is_not(tmp_path):
    Store.open(tmp_path, {"n": 1})
    killed = (
        "import os, signal, sys; from dualib.core.files import atomic_path\n"
        "with atomic_path(sys.argv[1] + '/a.npz'): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".a.*"))) == 1
    with atomic_path(tmp_path / "b.npz") as mine:
        Store.open(tmp_path, {"n": 1})
        assert not list(tmp_path.glob(".a.*"))
        assert mine.is_file()


def test_order_and_values_do_not_depend_on_the_executor():
    items = range(3 * AHEAD)
    with ThreadPoolExecutor(3) as executor:
        assert list(in_order(lambda x: x * x, items, executor=executor)) == [x * x for x in items]
    assert list(in_order(lambda x: x * x, items)) == [x * x for x in items]


def test_an_item_that_raises_stops_the_rest():
    begun = []

    def work(x):
        begun.append(x)
        if x == 1:
            raise KeyError(x)
        return x

    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyError):
        list(in_order(work, range(10 * AHEAD), executor=executor))
    assert len(begun) < 10 * AHEAD


def test_exit_statuses(capsys):
    def fail(error):
        def run():
            raise error

        return run

    assert exit_status("p", lambda: None, "") == 0
    assert exit_status("p", lambda: 1, "") == 1
    assert exit_status("p", fail(ValueError("bad\ninput")), "") == 2
    assert exit_status("p", fail(KeyboardInterrupt()), "go on") == 130
    assert capsys.readouterr().err == "p: error: bad input\np: interrupted; go on\n"


@pytest.mark.filterwarnings("always")
def test_a_warning_of_a_command_is_one_line(capsys):
    def run():
        warnings.warn("files are\ndamaged", RuntimeWarning, stacklevel=1)

    shown = warnings.showwarning
    assert exit_status("p", run, "") == 0
    assert capsys.readouterr().err == "p: warning: files are damaged\n"
    assert warnings.showwarning is shown


def test_whole_and_positive_numbers():
    assert whole(np.int64(5), "n", 1) == 5
    for wrong in (1.5, True, "3", -1):
        with pytest.raises(ValueError, match=r"^n must be"):
            whole(wrong, "n")
    for wrong in (0.0, np.nan, np.inf, -1, "x"):
        with pytest.raises(ValueError, match=r"^ridge must be"):
            positive(wrong, "ridge")
    assert positive(0, "ridge", zero=True) == 0.0


def test_rows_are_grouped_in_the_order_of_their_first():
    rows = np.array([[0.2, 0.8], [0.5, 0.5], [0.2, 0.8], [0.5, 0.5 + 1e-16]])
    first, group = group_rows(rows, 1e-12)
    assert (first.tolist(), group.tolist()) == ([0, 1], [0, 1, 0, 1])
    codes, counts = row_codes(rows[:3])
    assert (codes[0] == codes[2], sorted(counts.tolist())) == (True, [1, 2])


def test_json_holds_no_numpy(tmp_path):
    write_json(tmp_path / "a.json", {"path": tmp_path, "n": np.int64(3), "t": (1, 2)})
    assert json.loads((tmp_path / "a.json").read_text())["n"] == 3
