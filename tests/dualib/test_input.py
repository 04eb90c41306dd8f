"""What joints are read from: tables off their sum, p(y|x) with p(x), samples in bins, and files that are no joint at all."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualib import IB, Joint, solve
from dualib import __main__ as cli
from dualib.joint_columns import binned

RAW = np.array([[0.2, 0.3], [0.3, 0.1999]])
ROWS = np.array([[0.2, 0.8], [0.7, 0.3], [0.5, 0.5]])
PRIOR = np.array([0.2, 0.3, 0.5])


def write(path, table, header=None):
    pd.DataFrame(table, columns=header).to_csv(path, index=False, header=header is not None)
    return path


def run(capsys, *argv):
    status = cli.main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return status, out, err


# --- sums and conditionals ---


def test_a_table_off_its_sum_is_normalised_where_that_is_asked_for(tmp_path, capsys):
    path = write(tmp_path / "p.csv", RAW)
    np.testing.assert_allclose(Joint.from_csv(path, normalise=True).p_xy, RAW / RAW.sum(), atol=1e-15)
    np.savez(tmp_path / "p.npz", p_xy=RAW)
    np.testing.assert_allclose(Joint.from_npz(tmp_path / "p.npz", normalise=True).p_xy, RAW / RAW.sum(), atol=1e-15)
    for file in ("p.csv", "p.npz"):
        status, _, err = run(capsys, "solve", tmp_path / file, "--beta", 9)
        assert status == 2
        assert "off 1 by -0.0001" in err
        assert "take --normalise" in err
        status, text, _ = run(capsys, "solve", tmp_path / file, "--beta", 9, "--normalise", "--units", "nats")
        assert status == 0
        assert f"I(X;T) = {solve(IB(Joint(RAW / RAW.sum())), 9.0).rate:.6g} nats" in text
    with pytest.raises(ValueError, match="cannot be normalised"):
        Joint.from_csv(write(tmp_path / "zero.csv", [[0.5, -0.5], [0.25, -0.25]]), normalise=True)


def test_symbols_that_never_occur_are_left_out_where_that_is_asked_for(tmp_path, capsys):
    counts = np.array([[3, 0, 5, 0], [0, 0, 0, 0], [2, 0, 4, 0]])
    write(tmp_path / "c.csv", counts)
    np.savez(tmp_path / "c.npz", counts=counts, y_labels=np.array(list("abcd")))
    np.savez(tmp_path / "rows.npz", p_y_given_x=ROWS)
    for file, y_labels in (("c.csv", (0, 2)), ("c.npz", ("a", "c"))):
        status, _, err = run(capsys, "solve", tmp_path / file, "--beta", 3)
        assert status == 2
        assert "(1 such); leave it out with --drop-empty" in err
        read = Joint.from_csv if file == "c.csv" else Joint.from_npz
        with pytest.warns(UserWarning, match="left out: 1 x of probability 0"):
            joint = read(tmp_path / file, drop_empty=True)
        np.testing.assert_allclose(joint.p_xy, np.array([[3, 5], [2, 4]]) / 14, rtol=1e-15)
        assert (joint.x_labels, joint.y_labels, joint.n_samples) == ((0, 2), y_labels, 14)
        status, _, err = run(capsys, "solve", tmp_path / file, "--beta", 3, "--drop-empty")
        assert status == 0
        assert "left out: 1 x of probability 0 (1); 2 y of probability 0 (" in err
    with pytest.warns(UserWarning, match=r"left out: 1 x of probability 0 \(1\)$"):
        joint = Joint.from_npz(tmp_path / "rows.npz", p_x=[0.4, 0.0, 0.6], drop_empty=True)
    np.testing.assert_allclose(joint.p_y_given_x, ROWS[[0, 2]], rtol=1e-15)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is empty: nothing is said, and no label made up
        assert Joint.from_csv(write(tmp_path / "full.csv", RAW * 1e4), drop_empty=True).x_labels is None


@pytest.mark.parametrize("suffix", ["csv", "npz"])
@pytest.mark.parametrize("prior", ["uniform", "file"])
def test_rows_with_their_prior_are_the_joint(tmp_path, capsys, suffix, prior):
    rows = tmp_path / f"rows.{suffix}"
    write(rows, ROWS) if suffix == "csv" else np.savez(rows, p_y_given_x=ROWS)
    write(tmp_path / "p_x.csv", PRIOR[:, None])
    p_x = np.full(3, 1 / 3) if prior == "uniform" else PRIOR
    joint = Joint.from_csv(rows, p_x=p_x) if suffix == "csv" else Joint.from_npz(rows, p_x=p_x)
    np.testing.assert_allclose(joint.p_xy, p_x[:, None] * ROWS, atol=1e-15)
    status, text, _ = run(
        capsys, "solve", rows, "--beta", 20, "--p-x", "uniform" if prior == "uniform" else tmp_path / "p_x.csv"
    )
    assert status == 0
    assert f"I(X;Y) = {joint.mutual_information() / np.log(2):.6g} bits" in text


def test_rows_without_their_prior_are_told_from_a_table_off_its_sum(tmp_path, capsys):
    rows = write(tmp_path / "rows.csv", ROWS)
    assert "if they are p(y|x), give p(x) with --p-x" in run(capsys, "solve", rows, "--beta", 3)[2]
    wrong = write(tmp_path / "p_x.csv", PRIOR[:2, None] / PRIOR[:2].sum())
    assert "p_x of shape (2,)" in run(capsys, "solve", rows, "--beta", 3, "--p-x", wrong)[2]
    off = write(tmp_path / "off.csv", 0.9 * PRIOR[:, None])
    assert "p_x sums to 0.9" in run(capsys, "solve", rows, "--beta", 3, "--p-x", off)[2]
    assert run(capsys, "solve", rows, "--beta", 3, "--p-x", off, "--normalise")[0] == 0
    text = write(tmp_path / "text.csv", [["a"], ["b"], ["c"]])
    assert "entry 1: 'a' is not a number" in run(capsys, "solve", rows, "--beta", 3, "--p-x", text)[2]


# --- samples ---


@pytest.fixture
def sample(tmp_path):
    rng = np.random.default_rng(0)
    a = rng.normal(size=400)
    frame = pd.DataFrame({"a": a, "b": (a + rng.normal(size=400) > 0).astype(int), "c": rng.choice(list("uvw"), 400)})
    frame.to_csv(tmp_path / "s.csv", index=False)
    return tmp_path / "s.csv", frame


def test_a_column_that_is_unique_is_warned_of_and_bins_are_the_remedy(sample, capsys):
    path, frame = sample
    with pytest.warns(UserWarning, match="different in 400 of 400 rows"):
        joint = Joint.from_frame(frame, "a", "b")
    p_y = joint.p_y  # I(X;Y) = H(Y), which says nothing of X
    assert joint.mutual_information() == pytest.approx(-(p_y @ np.log(p_y)), abs=1e-12)
    status, _, err = run(capsys, "solve", path, "--x", "a", "--y", "b", "--beta", 3)
    assert status == 0
    assert err.startswith("dualib: warning: x = 'a' is different in 400 of 400 rows")
    assert "--bins 10" in err
    status, text, err = run(capsys, "solve", path, "--x", "a", "--y", "b", "--beta", 3, "--bins", 8)
    assert (status, err) == (0, "")
    assert "8 x, 2 y, 400 samples" in text


def test_bins_hold_equal_counts_and_only_what_is_numeric_and_fine_is_binned(sample):
    frame = binned(sample[1], ["a", "b", "c"], 8)
    assert frame["a"].value_counts().tolist() == [50] * 8
    pd.testing.assert_series_equal(frame["b"], sample[1]["b"])
    pd.testing.assert_series_equal(frame["c"], sample[1]["c"])
    of_bin = sample[1].groupby(frame["a"])["a"].agg(["min", "max"]).sort_values("min")
    assert (of_bin["max"].to_numpy()[:-1] < of_bin["min"].to_numpy()[1:]).all()  # bins are intervals
    for name, (low, high) in of_bin.iterrows():
        left, right = map(float, re.findall(r"-?\d+\.?\d*", name))
        assert left <= low + 1e-3
        assert high <= right + 1e-3
    with pytest.raises(ValueError, match="bins"):
        binned(sample[1], ["a"], 1)
    missing = sample[1].assign(a=sample[1]["a"].where(sample[1].index != 7))
    with pytest.raises(ValueError, match=r"x\[7\] is missing"):
        Joint.from_frame(missing, "a", "b", bins=8)


# --- files that are no joint ---

CELLS = st.one_of(
    st.floats(width=32).map(str),
    st.integers(-3, 10**6).map(str),
    st.sampled_from(["", "nan", "inf", "1e999", "red", "0,5", '"', "0.5\x00", "é", "#", "-", "1e-320"]),
)
TABLES = st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=0, max_size=4)
SETTINGS = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def read(path, **options):
    """Whatever a file holds: a joint, or a ValueError of one paragraph that says more than a word."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            joint = Joint.from_csv(path, **options) if path.suffix == ".csv" else Joint.from_npz(path, **options)
    except ValueError as error:
        message = str(error)
    else:
        message = "a joint, of which there is nothing to say"
        assert joint.p_xy.sum() == pytest.approx(1.0, abs=1e-12)
        assert (joint.p_x > 0).all()
    assert len(message) > 20


@SETTINGS
@given(table=TABLES, separator=st.sampled_from([",", ";", "\t"]), normalise=st.booleans())
def test_any_csv_matrix_is_a_joint_or_refused(tmp_path, table, separator, normalise):
    path = tmp_path / "any.csv"
    path.write_text("\n".join(separator.join(row) for row in table), encoding="utf-8")
    read(path, normalise=normalise)


@SETTINGS
@given(content=st.binary(max_size=60))
@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_any_bytes_are_a_joint_or_refused(tmp_path, suffix, content):
    path = tmp_path / f"any.{suffix}"
    path.write_bytes(content)
    read(path)


@SETTINGS
@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=6), bins=st.sampled_from([None, 2, 3]))
def test_any_table_of_samples_is_a_joint_or_refused(tmp_path, rows, bins):
    path = tmp_path / "any.csv"
    path.write_text("\n".join(["a,b", *(",".join(row) for row in rows)]), encoding="utf-8")
    read(path, x="a", y="b", bins=bins)


# Of all that is drawn above, one line from the command line, with the file, the place and what to do.


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([["0.2", "x"], ["0.3", "0.5"]], r"any\.csv, row 1, column 2: 'x' is not a number"),
        ([["0.2", "0.3"], ["", "0.5"]], r"any\.csv, row 2, column 1: '' is not a number"),
        ([["0.2", "-0.3"], ["0.6", "0.5"]], r"row 0, column 1"),
        ([["0.2", "nan"], ["0.6", "0.5"]], r"row 0, column 1"),
    ],
)
def test_the_cell_is_named(tmp_path, capsys, cells, said):
    path = tmp_path / "any.csv"
    path.write_text("\n".join(map(",".join, cells)))
    status, out, err = run(capsys, "solve", path, "--beta", 2)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("dualib: error: ")
    assert "any.csv" in err
    assert re.search(said, err)
