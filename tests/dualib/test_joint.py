"""Joint: the same distribution by every way in, exact merging and its way back, and messages that name the entry."""

import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualib.joint import Joint
from dualib.measures import mutual_information

seeds = st.integers(0, 2**32 - 1)
P = np.array([[0.4, 0.1], [0.2, 0.3]])


def random_joint(seed, n_x=6, n_y=3):
    return Joint(np.random.default_rng(seed).dirichlet(np.ones(n_x * n_y)).reshape(n_x, n_y))


# --- what it is ---


def test_marginals_conditionals_and_information():
    joint = Joint(P)
    np.testing.assert_allclose(joint.p_x, [0.5, 0.5])
    np.testing.assert_allclose(joint.p_y, [0.6, 0.4])
    np.testing.assert_allclose(joint.p_y_given_x, [[0.8, 0.2], [0.4, 0.6]])
    assert (joint.n_x, joint.n_y, joint.n_samples) == (2, 2, None)
    assert joint.mutual_information() == mutual_information(P)
    assert "nats" in repr(joint)


def test_labels_of_a_table_are_taken_from_it():
    table = pd.DataFrame(P, index=["a", "b"], columns=["sun", "rain"])
    ways = (
        Joint(table),
        Joint.from_counts(10 * table),
        Joint.from_conditional([0.5, 0.5], table.div(table.sum(axis=1), axis=0)),
    )
    for joint in ways:
        assert (joint.x_labels, joint.y_labels) == (("a", "b"), ("sun", "rain"))
    assert Joint(pd.DataFrame(P)).x_labels is None
    assert Joint(table, x_labels=[3, 4]).x_labels == (3, 4)


def test_masked_entries_are_refused():
    with pytest.raises(ValueError, match="p_xy has masked entries"):
        Joint(np.ma.masked_less(P, 0.15))
    np.testing.assert_array_equal(Joint(np.ma.masked_less(P, 0.0)).p_xy, P)


def test_it_cannot_change():
    source = P.copy()
    joint = Joint(source)
    source[0, 0] = 7.0
    assert joint.p_xy[0, 0] == 0.4
    with pytest.raises(dataclasses.FrozenInstanceError):
        joint.p_xy = P
    for array in (joint.p_xy, joint.p_x, joint.p_y, joint.p_y_given_x):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
    copy = pickle.loads(pickle.dumps(joint))
    np.testing.assert_array_equal(copy.p_y_given_x, joint.p_y_given_x)


def test_a_sum_off_by_rounding_is_normalised():
    joint = Joint(P * (1 + 5e-10))
    assert joint.p_xy.sum() == pytest.approx(1.0, abs=2e-16)


@pytest.mark.parametrize(
    ("p", "deterministic"),
    [([[0.3, 0], [0, 0.2], [0.5, 0]], True), ([[0.3, 1e-300], [0, 0.7]], False), (P, False)],
)
def test_deterministic(p, deterministic):
    assert Joint(p).is_deterministic is deterministic


# --- ways in ---


@given(seeds)
@settings(deadline=None, max_examples=30)
def test_conditional_factory_is_the_inverse_of_conditioning(seed):
    joint = random_joint(seed)
    again = Joint.from_conditional(joint.p_x, joint.p_y_given_x)
    np.testing.assert_allclose(again.p_xy, joint.p_xy, rtol=1e-14)
    np.testing.assert_allclose(again.p_y_given_x, again.p_xy / again.p_xy.sum(axis=1, keepdims=True), rtol=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_samples_frame_counts_and_files_agree(seed, tmp_path):
    rng = np.random.default_rng(seed)
    x, y = np.r_[0:4, rng.integers(0, 4, 40)], np.r_[0, 1, 2, 0, rng.integers(0, 3, 40)]
    counts = np.zeros((4, 3))
    np.add.at(counts, (x, y), 1)
    table = pd.DataFrame({"input": [f"x{i}" for i in x], "class": y})
    table.to_csv(tmp_path / "samples.csv", index=False)
    np.savetxt(tmp_path / "counts.csv", counts, delimiter=",", fmt="%d", header="four by three")
    np.savetxt(tmp_path / "spaces.txt", counts, header="four by three")
    table.to_csv(tmp_path / "spaces.csv", index=False, sep=" ")
    np.save(tmp_path / "counts.npy", counts)
    np.savez(tmp_path / "counts.npz", counts=counts)
    np.savez(tmp_path / "matrix.npz", p_xy=counts / 44, n_samples=44, x_labels=["a", "b", "c", "d"])
    joints = [
        Joint.from_samples(x, y),
        Joint.from_samples([f"x{i}" for i in x], y.tolist()),
        Joint.from_samples(np.column_stack([x // 2, x % 2]), y),
        Joint.from_samples(x.astype(object), y.astype(float)),
        Joint.from_counts(counts),
        Joint.from_frame(table, "input", "class"),
        Joint.from_csv(tmp_path / "samples.csv", x="input", y="class"),
        Joint.from_csv(tmp_path / "counts.csv"),
        Joint.from_csv(tmp_path / "spaces.txt"),
        Joint.from_csv(tmp_path / "spaces.csv", x="input", y="class"),
        Joint.from_npy(tmp_path / "counts.npy"),
        Joint.from_npz(tmp_path / "counts.npz"),
        Joint.from_npz(tmp_path / "matrix.npz"),
    ]
    for joint in joints:
        np.testing.assert_allclose(joint.p_xy, counts / 44, rtol=1e-15)
        assert joint.n_samples == 44
    assert joints[2].x_labels == ((0, 0), (0, 1), (1, 0), (1, 1))
    assert joints[5].x_labels == ("x0", "x1", "x2", "x3")
    assert joints[5].y_labels == (0, 1, 2)


def test_labels_of_several_types_and_columns():
    joint = Joint.from_samples(["a", 3, "a", (1, 2)], [True, False, True, False])
    assert joint.x_labels == ("a", 3, (1, 2))
    assert joint.y_labels == (False, True)
    table = pd.DataFrame({"u": [0, 0, 1, 1], "v": ["p", "q", "p", "p"], "y": [0, 1, 1, 1]})
    assert Joint.from_frame(table, ["u", "v"], "y").x_labels == ((0, "p"), (0, "q"), (1, "p"))


def test_csv_matrices_with_and_without_labels(tmp_path):
    path = tmp_path / "p.csv"
    for text in ("0.4,0.1\n0.2,0.3\n", "0.4;0.1\n\n0.2;0.3\n", "\ufeff0.4\t0.1\n0.2\t0.3"):
        path.write_text(text, encoding="utf-8")
        np.testing.assert_array_equal(Joint.from_csv(path).p_xy, P)
    path.write_text("input,red,blue\na,0.4,0.1\nb,0.2,0.3\n")
    joint = Joint.from_csv(path)
    assert (joint.x_labels, joint.y_labels) == (("a", "b"), ("red", "blue"))
    pd.DataFrame(P, index=[10, 20]).to_csv(path)
    joint = Joint.from_csv(path)
    assert (joint.x_labels, joint.y_labels) == (("10", "20"), ("0", "1"))
    np.testing.assert_array_equal(joint.p_xy, P)


NUMERIC_LABELS = {  # counts (or probabilities) with labels that are numbers, and which of header and index they are
    "years": ("2020,2021\n5,7\n8,3\n4,4\n", "header"),
    "decades": ("2000,2010,2020\n5,7,1\n8,3,9\n", "header"),
    "numbered": ("0,1,2\n5,7,1\n8,3,9\n", "header"),
    "uneven years": ("1999,2004,2021\n5,7,1\n8,3,9\n", "header"),
    "probabilities": ("2,7\n0.4,0.1\n0.2,0.3\n", "header"),
    "bins": ("0.5,1.5,2.5\n5,7,1\n8,3,9\n", "header"),
    "index": ("1,5,7\n2,8,3\n3,4,4\n", "index"),
    "index under names": ("id,red,blue\n1,5,7\n2,8,3\n3,4,4\n", "index"),
    "index of probabilities": ("4,0.4,0.1\n2,0.2,0.3\n", "index"),
}


@pytest.mark.parametrize("case", NUMERIC_LABELS)
def test_labels_that_are_numbers_are_not_taken_for_data(tmp_path, case):
    text, what = NUMERIC_LABELS[case]
    path = tmp_path / "counts.csv"
    path.write_text(text)
    line = {"header": "row", "index": "column"}[what]
    with pytest.raises(ValueError, match=rf"numbers of the first {line}, .* look like labels.*say {what}=True"):
        Joint.from_csv(path)
    rows = [line.split(",") for line in text.split()]
    skip = (1, 0) if what == "header" else (int(rows[0][0] == "id"), 1)
    inside = np.array([row[skip[1] :] for row in rows[skip[0] :]], dtype=float)
    joint = Joint.from_csv(path, **{what: True})
    np.testing.assert_allclose(joint.p_xy, inside / inside.sum(), rtol=1e-15)
    assert (joint.y_labels if what == "header" else joint.x_labels) == tuple(
        rows[0] if what == "header" else [row[0] for row in rows[skip[0] :]]
    )
    if "." not in text and "id" not in text:
        assert Joint.from_csv(path, **{what: False}).p_xy.size == np.size(rows)


def test_both_labels_may_be_numbers(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("0,2019,2020,2021\n1,5,7,1\n2,8,3,9\n")
    with pytest.raises(ValueError, match="look like labels"):
        Joint.from_csv(path)
    with pytest.raises(ValueError, match="index=True"):
        Joint.from_csv(path, header=True)
    joint = Joint.from_csv(path, header=True, index=True)
    assert (joint.x_labels, joint.y_labels, joint.n_samples) == (("1", "2"), ("2019", "2020", "2021"), 33)


@pytest.mark.parametrize(
    "text", ["1,2\n3,9\n", "1,2,3\n4,5,6\n7,8,9\n", "0.1,0.2,0.3\n0.05,0.3,0.05\n", "9,3,4\n1,8,2\n"]
)
def test_ordinary_numbers_are_data(tmp_path, text):
    path = tmp_path / "p.csv"
    path.write_text(text)
    assert Joint.from_csv(path).p_xy.shape == np.array([line.split(",") for line in text.split()]).shape


def test_npy_of_probabilities_and_of_a_conditional(tmp_path):
    np.save(tmp_path / "joint.npy", P)
    np.testing.assert_array_equal(Joint.from_npy(tmp_path / "joint.npy").p_xy, P)
    np.save(tmp_path / "rows.npy", [[0.8, 0.2], [0.4, 0.6]])
    np.testing.assert_allclose(Joint.from_npy(tmp_path / "rows.npy", p_x=[0.5, 0.5]).p_xy, P, rtol=1e-15)
    np.save(tmp_path / "off.npy", 2.5 * np.asarray(P))
    np.testing.assert_allclose(Joint.from_npy(tmp_path / "off.npy", normalise=True).p_xy, P, rtol=1e-15)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no array", r"bad\.npy is not a whole \.npy file"),
        (None, r"there is no file .*bad\.npy"),
        (np.ones(3), r"two axes \(x, y\), got shape \(3,\)"),
    ],
)
def test_an_npy_that_is_no_matrix_is_refused(tmp_path, content, message):
    path = tmp_path / "bad.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(ValueError, match=message):
        Joint.from_npy(path)


def test_a_decimal_comma_is_named(tmp_path):
    (tmp_path / "comma.csv").write_text("0,3;0,1\n0,2;0,4\n")
    with pytest.raises(ValueError, match=r"'0,4' is not a number; .* decimals with a point"):
        Joint.from_csv(tmp_path / "comma.csv")
    (tmp_path / "label.csv").write_text(
        "a;b,c,d\nred,3,4\nblue,5,6\n"
    )  # a semicolon in a label is none between columns
    assert Joint.from_csv(tmp_path / "label.csv", header=True, index=True).y_labels == ("c", "d")


def test_npz_of_a_conditional(tmp_path):
    np.savez(tmp_path / "c.npz", p_x=[0.5, 0.5], p_y_given_x=[[0.8, 0.2], [0.4, 0.6]])
    np.testing.assert_allclose(Joint.from_npz(tmp_path / "c.npz").p_xy, P, rtol=1e-15)


# --- smoothing ---


@given(seeds, st.floats(0.001, 0.999))
@settings(deadline=None, max_examples=30)
def test_smoothing_follows_its_formula_and_loses_information(seed, amount):
    joint = random_joint(seed)
    smooth = joint.smoothed(amount)
    np.testing.assert_allclose(smooth.p_x, joint.p_x, rtol=1e-13)
    np.testing.assert_allclose(smooth.p_y_given_x, (1 - amount) * joint.p_y_given_x + amount / 3, rtol=1e-13)
    assert smooth.mutual_information() <= joint.mutual_information() + 1e-14
    counts = np.random.default_rng(seed).integers(0, 5, size=(4, 3)) + np.eye(4, 3) + np.eye(4, 3)[::-1]
    sampled = Joint.from_counts(counts).smoothed(pseudocount=amount)
    np.testing.assert_allclose(sampled.p_xy, (counts + amount) / (counts + amount).sum(), rtol=1e-13)
    assert (sampled.p_xy > 0).all()
    assert sampled.n_samples == counts.sum()


def test_smoothing_by_nothing_changes_nothing():
    np.testing.assert_array_equal(Joint(P).smoothed(0.0).p_y_given_x, Joint(P).p_y_given_x)
    np.testing.assert_array_equal(
        Joint.from_counts(10 * P).smoothed(pseudocount=0).p_xy, Joint.from_counts(10 * P).p_xy
    )


# --- merging ---


@given(seeds, st.integers(2, 6))
@settings(deadline=None, max_examples=60)
def test_merging_undoes_splitting_and_keeps_the_information(seed, n_rows):
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.ones(3), n_rows)
    index = np.r_[np.arange(n_rows), rng.integers(0, n_rows, 30)]
    joint = Joint(rng.dirichlet(np.ones(len(index)))[:, None] * rows[index])  # rows equal up to rounding only
    merged = joint.merge_equal_rows()
    np.testing.assert_array_equal(merged.index, index)
    np.testing.assert_allclose(merged.joint.p_y_given_x, rows, rtol=1e-12)
    np.testing.assert_allclose(merged.joint.p_x, np.bincount(index, weights=joint.p_x), rtol=1e-12)
    assert merged.joint.mutual_information() == pytest.approx(joint.mutual_information(), abs=1e-13)
    encoder = rng.dirichlet(np.ones(4), n_rows)
    expanded = merged.expand(encoder)
    assert expanded.shape == (joint.n_x, 4)
    for p, q in ((joint.p_x[:, None] * expanded, merged.joint.p_x[:, None] * encoder),):
        assert mutual_information(p) == pytest.approx(mutual_information(q), abs=1e-13)
    np.testing.assert_allclose(expanded.T @ joint.p_xy, encoder.T @ merged.joint.p_xy, atol=1e-15)


def test_merging_keeps_apart_what_differs():
    rows = np.array([[0.5, 0.5], [0.5 + 1e-9, 0.5 - 1e-9], [1.0, 0.0], [1.0, 1e-20], [1.0, 1e-21]])
    joint = Joint.from_conditional(np.full(5, 0.2), rows, x_labels="abcde")
    merged = joint.merge_equal_rows()
    assert merged.joint is joint
    np.testing.assert_array_equal(merged.index, np.arange(5))
    coarse = joint.merge_equal_rows(rtol=1e-6)
    np.testing.assert_array_equal(coarse.index, [0, 0, 1, 2, 3])
    assert coarse.joint.x_labels == ("a", "c", "d", "e")


def test_merging_independent_variables_is_refused():
    with pytest.raises(ValueError, match="X and Y are independent"):
        Joint(np.full((3, 2), 1 / 6)).merge_equal_rows()


# --- bad input ---


@pytest.mark.parametrize(
    ("p", "words"),
    [
        ([[0.5, -0.1], [0.3, 0.3]], "row 0, column 1 is -0.1, which is negative"),
        ([[0.5, np.nan], [0.3, 0.2]], "row 0, column 1 is nan, which is not finite"),
        ([[0.5, np.inf], [0.3, 0.2]], "inf, which is not finite"),
        ([[0.5, 0.1], [0.3, 0.3]], r"sums to 1.2, off 1 by 0.2 .*Joint\(p / p.sum\(\)\).*from_counts"),
        (np.empty((0, 2)), "empty"),
        ([], r"two axes \(x, y\), got shape \(0,\)"),
        ([0.5, 0.5], r"got shape \(2,\)"),
        ([[0.5, 0.5]], "one row"),
        ([[0.5], [0.5]], "one column"),
        ([[0.5, 0.5], [0.0, 0.0]], r"row 1, so p\(x\) = 0 .*p\[p.sum\(1\) > 0\]"),
        ([[0.5, 0.0], [0.5, 0.0]], r"column 1, so p\(y\) = 0 .*p\[:, p.sum\(0\) > 0\]"),
        ([["a", "b"], ["c", "d"]], "array of numbers"),
        ([[0.5, 0.5], [0.0]], "rectangular"),
    ],
)
def test_bad_matrices_are_named(p, words):
    with pytest.raises(ValueError, match=words):
        Joint(p)


def test_labels_appear_in_messages():
    with pytest.raises(ValueError, match=r"x = 'cat' \(row 1\), y = 'red' \(column 0\) is -1"):
        Joint.from_counts([[1, 2], [-1, 3]], ["dog", "cat"], ["red", "blue"])
    with pytest.raises(ValueError, match=r"zero all along x = 'cat' \(row 1\)"):
        Joint.from_counts([[1, 2], [0, 0]], ["dog", "cat"])
    with pytest.raises(ValueError, match=r"x_labels has 3 entries for p_xy of shape \(2, 2\)"):
        Joint(P, x_labels=("a", "b", "c"))


@given(
    st.lists(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=3, max_size=3), min_size=1, max_size=4)
)
@settings(deadline=None, max_examples=200)
def test_any_matrix_is_either_a_joint_or_refused_in_words(p):
    table = np.array(p)
    with np.errstate(over="ignore", invalid="ignore"):
        valid = len(p) > 1 and np.isfinite(table).all() and (table >= 0).all() and abs(table.sum() - 1) <= 1e-9
        valid = valid and (table.sum(axis=0) > 0).all() and (table.sum(axis=1) > 0).all()
    if valid:
        joint = Joint(p)
        assert (joint.p_xy >= 0).all()
        assert joint.p_xy.sum() == pytest.approx(1, abs=1e-15)
    else:
        with pytest.raises(ValueError, match=r"^p_xy "):
            Joint(p)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Joint.from_conditional([0.5, 0.5], [[1.0, 0.0]]), r"\(2,\) and p_y_given_x of shape \(1, 2\)"),
        (lambda: Joint.from_conditional([0.5, 0.5], [[1.0, 0.0], [0.5, 0.4]]), r"sums to 0.9 .* at \(1,\)"),
        (lambda: Joint.from_conditional([0.5, 0.6], [[1.0, 0.0], [0.5, 0.5]]), "p_x sums to 1.1"),
        (lambda: Joint.from_conditional([1.0, 0.0], [[1.0, 0.0], [0.5, 0.5]]), r"row 1, so p\(x\) = 0"),
        (lambda: Joint.from_counts([[0, 0], [0, 0]]), "zero all along row 0"),
        (lambda: Joint.from_counts([1, 2]), "two axes"),
        (lambda: Joint.from_samples([1, 2, 3], [1, 2]), "x has 3 samples and y has 2"),
        (lambda: Joint.from_samples([], []), "empty"),
        (lambda: Joint.from_samples([1, 1], [1, 2]), "one row"),
        (lambda: Joint.from_samples([1, 2], ["a", "a"]), "one column"),
        (lambda: Joint.from_samples([1.0, np.nan], [1, 2]), r"x\[1\] is missing"),
        (lambda: Joint.from_samples([1, 2], ["a", None]), r"y\[1\] is missing"),
        (lambda: Joint.from_frame(pd.DataFrame({"a": [1, 2]}), "a", "b"), "no column 'b'; the table has .'a'"),
        (lambda: Joint(P, n_samples=0), "n_samples = 0 must be positive"),
        (lambda: Joint(P).smoothed(1.0), r"epsilon = 1.0 is outside \[0, 1\)"),
        (lambda: Joint(P).smoothed(pseudocount=1.0), r"use smoothed\(epsilon=...\)"),
        (lambda: Joint(P).smoothed(), "exactly one"),
        (lambda: Joint.from_counts(10 * P).smoothed(0.1, pseudocount=0.1), "exactly one"),
        (lambda: Joint.from_counts(10 * P).smoothed(pseudocount=-1), "pseudocount = -1"),
        (lambda: Joint(P).merge_equal_rows().expand(np.eye(3)), r"\(3, 3\) does not have the 2 merged rows"),
    ],
)
def test_bad_calls_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x,y\na,b\nc,d\n", r"row 2, column 2: 'b' is not a number.*x= and y="),
        ("0.4,0.1\n0.2,red\n", "row 2, column 2: 'red' is not a number"),
        ("0.4,0.1\n0.2\n", "row 2, column 2: '' is not a number"),
        ("0.4,0.1\n0.2,0.3,0.1\n", "not a CSV table"),
        ("", "not a CSV table"),
        ("0.4,0.1\n0.2,0.2\n", "sums to 0.9"),
        ("0.4,nan\n0.2,0.2\n", "nan, which is not finite"),
    ],
)
def test_bad_csv_files_are_named(tmp_path, text, words):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        Joint.from_csv(path)


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(b"\x00\xff not a zip")
    with pytest.raises(ValueError, match=r"not a whole \.npz file"):
        Joint.from_npz(path)
    with pytest.raises(ValueError, match="not a CSV table"):
        Joint.from_csv(path)
    np.save(tmp_path / "plain.npy", P)
    with pytest.raises(ValueError, match=r"not a whole \.npz file"):
        Joint.from_npz(tmp_path / "plain.npy")
    np.savez(path, p=P)
    with pytest.raises(ValueError, match=r"holds \['p'\]; needed: p_xy"):
        Joint.from_npz(path)
    with pytest.raises(ValueError, match="there is no file"):
        Joint.from_npz(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError):
        Joint.from_csv(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="give both x= and y="):
        Joint.from_csv(path, x="a")
    with pytest.raises(ValueError, match="are for a matrix"):
        Joint.from_csv(path, x="a", y="b", header=False)


def test_sums_beyond_floating_point_are_refused(tmp_path):
    with pytest.raises(ValueError, match="the sum of counts is larger than any"):
        Joint.from_counts([[1e308, 1e308], [1e308, 1.0]])
    with pytest.raises(ValueError, match="p_y_given_x sums to inf"):
        Joint.from_conditional([0.5, 0.5], [[1e308, 1e308], [0.5, 0.5]])
    np.savetxt(tmp_path / "large.csv", [[1e308, 1e308], [0.5, 0.7]], delimiter=",")
    for normalise, said in ((False, "p_xy sums to inf"), (True, "sums to inf: that cannot be normalised")):
        with pytest.raises(ValueError, match=said):
            Joint.from_csv(tmp_path / "large.csv", normalise=normalise)
