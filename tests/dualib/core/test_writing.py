"""Files appear whole or not at all; metadata and tables say what they hold."""

import json
import os

import numpy as np
import pytest

from dualib.core.files import atomic_path, writable_directory, write_json, write_npz
from dualib.core.progress import progress_bar
from dualib.core.tables import format_table


def test_atomic_path_moves_a_finished_file_and_keeps_its_suffix(tmp_path):
    with atomic_path(tmp_path / "a.csv") as temporary:
        assert temporary.suffix == ".csv"
        assert not (tmp_path / "a.csv").exists()
        temporary.write_text("new")
    assert (tmp_path / "a.csv").read_text() == "new"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.csv"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, failure):
    path = tmp_path / "a.json"
    write_json(path, {"kept": 1})

    def write_half():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(failure):
        write_half()
    assert json.loads(path.read_text()) == {"kept": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_files_have_the_permissions_of_ordinary_ones(tmp_path):
    (tmp_path / "plain").write_text("")
    with atomic_path(tmp_path / "atomic") as temporary:
        temporary.write_text("")
    assert os.stat(tmp_path / "atomic").st_mode == os.stat(tmp_path / "plain").st_mode


def test_npz_and_json_round_trip(tmp_path):
    arrays = {"beta": np.linspace(1, 2, 3), "certified": np.array([True, False, True])}
    write_npz(tmp_path / "a.npz", arrays)
    with np.load(tmp_path / "a.npz") as found:
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
    value = {
        "β": np.float64(0.1),
        "n": np.int64(3),
        "yes": np.bool_(True),
        "v": arrays["beta"],
        "none": [np.nan, np.inf],
    }
    write_json(tmp_path / "a.json", value)
    found = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert found == {"β": 0.1, "n": 3, "yes": True, "v": [1.0, 1.5, 2.0], "none": [None, None]}


def test_unserialisable_metadata_write_nothing(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": object()})
    assert list(tmp_path.iterdir()) == []


def test_writable_directory_is_made_or_refused(tmp_path):
    assert writable_directory(tmp_path / "a" / "b").is_dir()
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file: there is a file of that name; choose another"):
        writable_directory(tmp_path / "file")
    with pytest.raises(ValueError, match=r"Not a directory; choose another"):
        writable_directory(tmp_path / "file" / "below")


def test_table_is_aligned():
    text = format_table([("β", ""), ("I(X;T)", "bits")], [["1", "0.5"], ["10.25", "12.5"]], indent=0)
    assert text == "\n".join(["    β  I(X;T)", "         bits", "─" * 13, "    1     0.5", "10.25    12.5"])
    assert "bits" not in format_table([("β", "")], [["1"]])


def test_progress_bar_only_where_it_is_seen(capsys):
    with progress_bar(3, "ib") as step:
        step(1)
    assert capsys.readouterr().err == ""  # not a terminal
    with progress_bar(3, "ib", show=True) as step:
        for _ in range(3):
            step(1)
    assert "ib" in capsys.readouterr().err
