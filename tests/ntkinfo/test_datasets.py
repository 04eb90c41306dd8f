"""Data sets and labels: known informations, files, classes."""

import numpy as np
import pytest

import ntkinfo
from ntkinfo import quantities
from ntkinfo.labels import ClassLabelWarning, one_hot


@pytest.mark.parametrize("y_dim", [1, 3])
def test_gaussian_task_has_the_information_it_says(y_dim):
    data = ntkinfo.gaussian_task(50_000, 10, x_dim=5, y_dim=y_dim, information=0.6, seed=2)
    assert data.gaussian_ib.mutual_information() == pytest.approx(0.6, abs=1e-9)
    joint = np.cov(np.hstack([data.x_train, data.y_train]), rowvar=False)
    log_dets = [np.linalg.slogdet(part)[1] for part in (joint[:5, :5], joint[5:, 5:], joint)]
    assert 0.5 * (log_dets[0] + log_dets[1] - log_dets[2]) == pytest.approx(0.6, abs=0.02)
    residual = data.y_train - data.x_train @ np.linalg.lstsq(data.x_train, data.y_train, rcond=None)[0]
    assert residual.var() == pytest.approx(data.label_noise, rel=0.03)
    assert quantities.gaussian_plug_in_entropy(data.y_train) == pytest.approx(data.entropy_y, abs=0.03)


def test_digits_parity():
    data = ntkinfo.digits_parity(300, 200, seed=0)
    assert set(np.unique(data.y_train)) == {-1.0, 1.0}
    assert ntkinfo.digits_parity(30, 20, images=True).x_test.shape == (20, 8, 8, 1)
    again = ntkinfo.digits_parity(300, 200, seed=0)
    np.testing.assert_array_equal(again.x_train, data.x_train)
    with pytest.raises(ValueError, match="1797"):
        ntkinfo.digits_parity(1700, 200)


def test_npz(tmp_path):
    x = np.arange(5 * 4 * 4, dtype=np.uint8).reshape(5, 4, 4)
    np.savez(tmp_path / "m.npz", x_train=x, y_train=np.arange(5), x_test=x[:2], y_test=np.arange(2))
    data = ntkinfo.from_npz(tmp_path / "m.npz", 3, parity=True, images=True)
    assert data.x_train.shape == (3, 4, 4, 1)
    assert data.x_test.max() <= 1
    np.testing.assert_array_equal(data.y_test[:, 0], [1, -1])
    with pytest.raises(ValueError, match=r'5 values from 0 to 4.*labels="classes"'):
        ntkinfo.from_npz(tmp_path / "m.npz")
    classes = ntkinfo.from_npz(tmp_path / "m.npz", labels="classes")
    np.testing.assert_array_equal(classes.y_train, np.eye(5))
    np.testing.assert_array_equal(classes.y_test, np.eye(5)[:2])
    assert classes.settings["labels"] == "5 classes: one-hot"
    numbers = ntkinfo.from_npz(tmp_path / "m.npz", labels="numbers")
    np.testing.assert_array_equal(numbers.y_train[:, 0], np.arange(5))
    with pytest.raises(ValueError, match="fewer than n_train = 6"):
        ntkinfo.from_npz(tmp_path / "m.npz", 6)
    np.savez(tmp_path / "bad.npz", x_train=x)
    with pytest.raises(ValueError, match="has no y_train, x_test, y_test"):
        ntkinfo.from_npz(tmp_path / "bad.npz")


@pytest.mark.parametrize("dtype", [bool, np.float32, np.int8, "U1"])
def test_labels_of_two_classes_are_signs(tmp_path, dtype):
    y = np.array([0, 1, 1, 0]).astype(dtype)
    np.savez(tmp_path / "two.npz", x_train=np.eye(4), y_train=y, x_test=np.eye(4), y_test=y)
    data = ntkinfo.from_npz(tmp_path / "two.npz", labels="classes")
    np.testing.assert_array_equal(data.y_train[:, 0], [-1, 1, 1, -1])
    assert data.y_test.dtype == np.float64


def test_one_hot_shares_the_classes_of_all_arrays():
    train, test = one_hot(np.array([4, 7, 4]), np.array([[9.0], [7.0]]))
    np.testing.assert_array_equal(train, [[1, 0, 0], [0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(test, [[0, 0, 1], [0, 1, 0]])
    for wrong, match in (([0.5, 1], "whole"), ([[0, 1], [1, 0]], "one a point"), ([3, 3], "at least two")):
        with pytest.raises(ValueError, match=match):
            one_hot(np.array(wrong))


def test_class_numbers_are_not_regressed_in_silence(linear_model):
    """Ten digits as numbers have squared error 8.25 when nothing is known; as classes, one output each."""
    model = linear_model(n=6)
    ensemble = type(model)(model.phi, model.psi, 6, np.array([0, 1, 2, 2, 1, 0.0])[:, None], model.y_test).ensemble()
    for table in (ntkinfo.timeline, ntkinfo.generalisation_bounds):
        with pytest.warns(ClassLabelWarning, match=r"3 classes.*one_hot"):
            table(ensemble, [1.0])


@pytest.mark.filterwarnings("ignore::ntkinfo.precision.FewDigitsWarning")  # two points fit a decoder
def test_test_labels_of_any_real_type(linear_model):
    model = linear_model()
    ensemble = model.ensemble()
    for labels in (model.y_test.astype(np.float32), model.y_test > 0, (model.y_test > 0).astype(np.int8)):
        expected = ntkinfo.timeline(ensemble, [1.0], y_test=labels.astype(float))
        found = ntkinfo.timeline(ensemble, [1.0], y_test=labels)
        assert found["expected_square_error"] == expected["expected_square_error"]
        table = ntkinfo.generalisation_bounds(ensemble, [1.0], y_test=labels)
        assert table.test_risk == ntkinfo.generalisation_bounds(ensemble, [1.0], y_test=labels.astype(float)).test_risk


def test_csv_is_split_at_random_and_its_label_is_a_column(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 2)), rng.standard_normal(20)
    rows = "\n".join(f"{a},{v},{b}" for (a, b), v in zip(x.tolist(), y.tolist(), strict=True))
    (tmp_path / "m.csv").write_text(f"a,y,b\n{rows}\n")
    data = ntkinfo.datasets.from_csv(tmp_path / "m.csv", y="y")
    assert (len(data.x_train), len(data.x_test)) == (16, 4)
    found = np.hstack([np.vstack([data.x_train, data.x_test]), np.vstack([data.y_train, data.y_test])])
    expected = np.column_stack([x, y])
    np.testing.assert_array_equal(found[np.argsort(found[:, 2])], expected[np.argsort(y)])
    last = ntkinfo.datasets.from_csv(tmp_path / "m.csv", 3, 2)  # the last column is the label
    assert last.x_train.shape == (3, 2)
    assert set(last.y_train[:, 0]) <= set(x[:, 1])
    (tmp_path / "c.csv").write_text("a;kind\n" + "\n".join(f"{i};{'uvw'[i % 3]}" for i in range(9)))
    classes = ntkinfo.datasets.from_csv(tmp_path / "c.csv", labels="classes")
    assert classes.y_train.sum(axis=1).tolist() == [1.0] * 8


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,y\n1,2\n,3\n", {}, r"row 3, column 'a': nan is no finite number \(of 1 such cells\)"),
        ("a,y\n1,2\nred,3\n", {}, r"row 3, column 'a': red is no finite number"),
        ("a,y\n1,2\n2,3\n", {"y": "z"}, "column of labels, 'z', .* it has a, y"),
        ("a,y\n1,2\n2,3\n", {"n_train": 2, "n_test": 1}, "has 2 rows, fewer than 2 for training and 1 for tests"),
        ("a,y\n1,2\n", {}, "has 1 rows, fewer than 1 for training and 1 for tests"),
        ("a,y\n", {}, "no row below the names"),
        ("1,2\n3,4\n", {}, "first row holds numbers"),
        ("y\n1\n", {}, "and one of points at least; it has y"),
        ("a,y\n1,u\n2,v\n3,w\n4,u\n", {"labels": "numbers"}, "labels that are numbers are needed, got 'u'"),
        ("a,y\n1,.5\n2,1\n", {"labels": "parity"}, "parity needs whole numbers for labels, got 0.5"),
    ],
)
def test_bad_csv_is_refused_with_its_place(text, options, message, tmp_path):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        ntkinfo.datasets.from_csv(tmp_path / "m.csv", **options)


def test_files_are_refused_in_words(tmp_path):
    x, y = np.eye(4), np.array([0.5, -1, 1, 2])
    np.savez(tmp_path / "c.npz", x_train=x + 1j, y_train=y, x_test=x, y_test=y)
    with pytest.raises(ValueError, match="x_train is complex"):
        ntkinfo.from_npz(tmp_path / "c.npz")
    np.savez(tmp_path / "v.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    with pytest.raises(ValueError, match=r"x_train has shape \(4, 4\), but images have"):
        ntkinfo.from_npz(tmp_path / "v.npz", images=True)
    with pytest.raises(ValueError, match="there is no file"):
        ntkinfo.datasets.from_csv(tmp_path / "none.csv")
